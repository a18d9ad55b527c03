/**
 * read(2) and poll(2) of a userfault descriptor.
 *
 * One message, under the fd queue's lock:
 *  1. the oldest pending fault, under the pending lock: moved to the fault queue inside a write section of refileSeq, so
 *     that who looks for waiters without a lock never misses the one in between (uffd_wake.ts).
 *  2. else the oldest event: its sender goes on. Faults come before events; each queue is first in, first out.
 *  3. a signal -> EINTR; nonblocking -> EAGAIN; else sleep and start over.
 *
 * A read with room for n messages returns up to n and sleeps for the first only.
 *
 * Source: fs/userfaultfd.c.
 * @kernel userfaultfd_read_iter, userfaultfd_ctx_read, userfaultfd_poll
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ERRNO } from './errno.ts'
import { POLLERR, POLLIN, UFFD_MSG_BYTES, type UffdMessage } from './uffd_abi.ts'
import { assertThere, type FdWaiter, type Userfaultfd } from './userfaultfd.ts'

export interface UffdRead {
  /** Bytes, or a negated errno. */
  readonly ret: number
  readonly messages: readonly UffdMessage[]
}

/** EINVAL: no handshake yet, or room for less than one message. EBADF: closed while it slept. */
export function* userfaultfdRead(k: Thread, uffd: Userfaultfd, bytes: number): Proc<UffdRead> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  if (!uffd.initialized) return { ret: ERRNO.EINVAL, messages: [] }
  if (!k.stepping) uffd.fileLine.touch(k.cpu)
  const read = yield* readMessages(k, uffd, bytes)
  if (!k.stepping) uffd.fileLine.touch(k.cpu)
  return read
}

/** @kernel userfaultfd_read_iter */
function* readMessages(k: Thread, uffd: Userfaultfd, bytes: number): Proc<UffdRead> {
  const messages: UffdMessage[] = []
  let noWait = uffd.nonblocking
  for (;;) {
    const at = messages.length * UFFD_MSG_BYTES
    if (bytes - at < UFFD_MSG_BYTES) return { ret: at > 0 ? at : ERRNO.EINVAL, messages }
    const message = yield* nextMessage(k, uffd, noWait)
    if (typeof message === 'number') return { ret: at > 0 ? at : message, messages }
    messages.push(message)
    noWait = true
  }
}

/** Whoever reads or polls is on the descriptor's queue while it sleeps, and news wakes all of these. */
function reader(k: Thread): FdWaiter {
  return { task: k, exclusive: false, idle: false, lineCpu: k.cpu.id }
}

/** What a reader sleeps for. */
const NEWS = 'a userfault message to read'

/** @kernel userfaultfd_ctx_read */
export function* nextMessage(k: Thread, uffd: Userfaultfd, noWait: boolean): Proc<UffdMessage | number> {
  const self = reader(k)
  yield* uffd.fdLock.lock(k)
  uffd.fd.add(self)
  const parksFirst = uffd.mm.kernel.has('uffd-read-parks-first')
  let answer: UffdMessage | number
  for (;;) {
    if (parksFirst) k.park(NEWS)
    // 1. and 2.
    const message = (yield* takeFault(k, uffd)) ?? (yield* takeEvent(k, uffd))
    if (message !== null) {
      answer = message
      break
    }
    // 3.
    touch(uffd.id, 'uffd.released', AccessMode.read)
    if (uffd.released) answer = ERRNO.EBADF
    else if (k.fatalSignal) answer = ERRNO.EINTR
    else if (noWait) answer = ERRNO.EAGAIN
    else {
      if (!parksFirst) k.park(NEWS)
      uffd.fdLock.unlock(k)
      if (k.staysParked()) yield BLOCK
      yield* uffd.fdLock.lock(k)
      if (!uffd.fd.has(self)) uffd.fd.add(self)
      continue
    }
    break
  }
  k.unpark()
  uffd.fd.remove(self)
  uffd.fdLock.unlock(k)
  return answer
}

/** 1. */
function* takeFault(k: Thread, uffd: Userfaultfd): Proc<UffdMessage | null> {
  yield* uffd.pendingLock.lock(k)
  const waiter = uffd.pending.entries[0]
  if (waiter === undefined) {
    uffd.pendingLock.unlock(k)
    return null
  }
  assertThere(waiter)
  if (k.stepping) yield write(uffd.id, 'uffd.refile_seq')
  uffd.refileSeq++
  if (k.stepping) yield write(uffd.id, 'uffd.fault_pending_wqh')
  uffd.pending.remove(waiter, k)
  yield* uffd.faultLock.lock(k)
  if (k.stepping) yield write(uffd.id, 'uffd.fault_wqh')
  uffd.fault.add(waiter, k, false)
  uffd.faultLock.unlock(k)
  touch(uffd.id, 'uffd.refile_seq', AccessMode.write)
  uffd.refileSeq++
  uffd.pendingLock.unlock(k)
  return waiter.message
}

/** 2. @kernel find_userfault_evt, userfaultfd_event_complete */
function* takeEvent(k: Thread, uffd: Userfaultfd): Proc<UffdMessage | null> {
  yield* uffd.eventLock.lock(k)
  const sender = uffd.event.shift()
  if (sender !== undefined) {
    sender.done = true
    sender.task.wake(k.cpu.nowNs + k.cpu.preset.wakeupNs.value)
  }
  uffd.eventLock.unlock(k)
  return sender?.message ?? null
}

/** What poll(2) would report right now. A descriptor that read(2) may sleep on cannot be polled. @kernel userfaultfd_poll */
export function userfaultfdPoll(uffd: Userfaultfd): number {
  if (!uffd.initialized || !uffd.nonblocking) return POLLERR
  return uffd.pending.length > 0 || uffd.event.length > 0 ? POLLIN : 0
}

/** poll(2) without a timeout: sleeps until there is something to report. */
export function* userfaultfdPollWait(k: Thread, uffd: Userfaultfd): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  const self = reader(k)
  for (;;) {
    if (!uffd.fd.has(self)) uffd.fd.add(self)
    k.park('a userfault message to poll')
    const events = userfaultfdPoll(uffd)
    touch(uffd.id, 'uffd.released', AccessMode.read)
    if (events !== 0 || uffd.released || k.fatalSignal) {
      k.unpark()
      uffd.fd.remove(self)
      return events !== 0 || uffd.released ? events : ERRNO.EINTR
    }
    yield BLOCK
  }
}
