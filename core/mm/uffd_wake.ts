/**
 * Who is woken, and why no wake-up is lost.
 *
 *  1. Full barrier: the PTE is stored before the queues are looked at. Pairs with uffd_fault.ts, which queues itself
 *     before it looks at the PTE.
 *  2. Without a lock: is anybody on either queue? Asked again while a reader moves one from pending to fault (refileSeq),
 *     because for that moment both may be empty.
 *  3. Nobody: done, which is the usual case.   4. Under the pending lock, then the fault lock: each waiter in the range is
 *     taken off its queue (once only) and woken. A wake means "look again", not "it is there".
 *
 * Source: fs/userfaultfd.c.
 * @kernel wake_userfault, __wake_userfault, userfaultfd_wake_function, userfaultfd_wake
 */
import { type Gate, NOTHING, type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { loading, smpMb } from '../sync/barriers.ts'
import { pageOfAddress } from './mm.ts'
import { validateRange } from './uffd_api.ts'
import { assertThere, type Userfaultfd, type UserfaultWaiter } from './userfaultfd.ts'

/** Wakes whoever waits for a page in [start, end), read or not. @kernel wake_userfault */
export function wakeUserfault(k: Thread, uffd: Userfaultfd, start: number, end: number): Proc<void> {
  if (!k.stepping && uffd.pending.length === 0 && uffd.fault.length === 0) return NOTHING
  return lookAndWake(k, uffd, start, end)
}

function* lookAndWake(k: Thread, uffd: Userfaultfd, start: number, end: number): Proc<void> {
  // 1. Leaving the PTE lock and mmap_lock lets later loads go before the store of the PTE.
  if (uffd.mm.kernel.has('uffd-wake-mb')) smpMb(k)
  // 2.
  const repeats = uffd.mm.kernel.has('uffd-refile-seq')
  const even: Gate = {
    opens: () => uffd.refileSeq % 2 === 0,
    describe: () => `uffd.refile_seq ${uffd.id}`,
    holder: () => uffd.pendingLock.holder,
  }
  for (;;) {
    if (k.stepping) yield repeats ? { ...read(uffd.id, 'uffd.refile_seq'), gate: even } : read(uffd.id, 'uffd.refile_seq')
    const seq = uffd.refileSeq
    if (k.stepping) yield loading(k, uffd.id, 'uffd.fault_pending_wqh')
    let needed = uffd.pending.isActive(k)
    if (!needed) {
      if (k.stepping) yield read(uffd.id, 'uffd.fault_wqh')
      needed = uffd.fault.length > 0
    }
    if (k.stepping) yield read(uffd.id, 'uffd.refile_seq')
    if (repeats && uffd.refileSeq !== seq) continue
    // 3.
    if (!needed) return
    break
  }
  // 4.
  yield* uffd.pendingLock.lock(k)
  yield* uffd.faultLock.lock(k)
  const inRange = wakesRange(start, end)
  const { wakeupNs, wakerNs } = k.cpu.preset
  uffd.pending.wake(k.cpu.nowNs + wakeupNs.value, inRange, k, wakerNs.value)
  uffd.fault.wake(k.cpu.nowNs + wakeupNs.value, inRange, k, wakerNs.value)
  uffd.faultLock.unlock(k)
  uffd.pendingLock.unlock(k)
}

/**
 * A call that resolves [start, end), or wakes it, is about to return: nobody may sleep on these pages any more while they are
 * there. For whoever checks; step gear.
 */
export function noteAnswered(k: Thread, uffd: Userfaultfd, start: number, end: number): void {
  if (!k.stepping) return
  for (const waiter of uffd.mm.kernel.userfaults)
    if (waiter.uffd === uffd && waiter.page >= start && waiter.page < end) waiter.answered = true
}

/** Chooses the waiters in [start, end), and marks them as woken. @kernel userfaultfd_wake_function */
export function wakesRange(start: number, end: number): (w: UserfaultWaiter) => boolean {
  return (w) => {
    assertThere(w)
    if (w.page < start || w.page >= end) return false
    w.woken = true
    return true
  }
}

/** UFFDIO_WAKE: 0 also where nobody waits, nothing is registered, or the process is gone. @kernel userfaultfd_wake */
export function* userfaultfdWake(k: Thread, uffd: Userfaultfd, start: number, length: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  const bad = validateRange(uffd.mm, start, length)
  if (bad !== 0) return bad
  const page = pageOfAddress(start)
  yield* wakeUserfault(k, uffd, page, page + length / 4096)
  noteAnswered(k, uffd, page, page + length / 4096)
  return 0
}
