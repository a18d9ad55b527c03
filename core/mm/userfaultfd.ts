/**
 * userfaultfd: who registered what, who waits for what, and the wake-up that is never lost.
 *
 * handle_userfault, called with mmap_lock held for reading, in this order:
 *   1. no context -> SIGBUS.   2. released -> drop the lock, RETRY.
 *   3. enqueue on fault_pending and park, under the queue's lock.
 *   4. still under mmap_lock, look at the PTE again (must_wait): a page that is there now must not be waited for.
 *   5. drop mmap_lock.   6. if it must wait: wake a reader, sleep.
 *   7. take oneself off the queue if still on it.   8. always RETRY: a wake means "look again", not "it is there".
 *
 * A fault is on `pending` until somebody reads its message, then on `fault` until it is woken. Two protocols share this:
 * the ioctls of 4.3 and later (a wake finds waiters on both queues) and the 8- and 16-byte protocol of 2014
 * (userfaultfd_2014.ts: an acknowledgement finds only waiters that were read).
 *
 * @kernel userfaultfd_ctx, handle_userfault, userfaultfd_must_wait, userfaultfd_ctx_read, userfaultfd_register
 */
import { assert } from '../base/assert.ts'
import { BLOCK, NOTHING, type Proc, read, write } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import type { Thread } from '../hw/cpu.ts'
import { PTE_NONE } from '../hw/pte.ts'
import { WaitQueue } from '../sync/wait_queue.ts'
import { ERRNO } from './errno.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { changeAreas } from './mmap.ts'
import { VM_UFFD_MISSING, VM_USERFAULT, type Vma } from './vma.ts'

/** One thread that sleeps on a missing page. */
export interface UserfaultWaiter {
  readonly task: Task
  readonly page: number
  readonly store: boolean
}

export const UFFDIO_REGISTER_MODE_MISSING = 1

export class Userfaultfd {
  /** Faults whose message nobody has read. */
  readonly pending = new WaitQueue<UserfaultWaiter>()
  /** Faults that were read and not yet woken. */
  readonly fault = new WaitQueue<UserfaultWaiter>()
  released = false
  /** Above zero while the layout of a registered range changes: resolving calls return EAGAIN. */
  mmapChanging = 0
  readonly #readers: Task[] = []

  constructor(
    readonly mm: Mm,
    readonly id: number,
    /** Which protocol the user speaks. */
    readonly protocol: '2014' | 'ioctl',
  ) {}

  wakeReader(atNs: number): void {
    for (const reader of this.#readers.splice(0)) reader.wake(atNs)
  }

  /**
   * read(2) of one message: the next pending fault, refiled to `fault`. Sleeps until there is one.
   * Answers null once the descriptor was closed.
   */
  *read(k: Thread): Proc<UserfaultWaiter | null> {
    const preset = k.cpu.preset
    for (;;) {
      if (k.stepping) yield read(this.id, 'uffd.pending')
      const waiter = this.pending.shift()
      if (waiter !== undefined) {
        this.fault.add(waiter)
        k.cpu.nowNs += preset.syscallNs.value
        return waiter
      }
      if (this.released) return null
      this.#readers.push(k)
      k.park('a userfault to read')
      if (this.pending.length === 0) yield BLOCK
    }
  }

  /**
   * Wakes every waiter in [start, end), read or not, each once; returns how many.
   * @kernel wake_userfault
   */
  wake(k: Thread, start: number, end: number): number {
    if (this.pending.length === 0 && this.fault.length === 0) return 0
    const inRange = (w: UserfaultWaiter) => w.page >= start && w.page < end
    const atNs = k.cpu.nowNs + k.cpu.preset.wakeupNs.value
    return this.pending.wake(atNs, inRange) + this.fault.wake(atNs, inRange)
  }

  /** The acknowledgement of 2014: wakes only waiters whose message was read. */
  wakeRead(k: Thread, start: number, end: number): number {
    return this.fault.wake(k.cpu.nowNs + k.cpu.preset.wakeupNs.value, (w) => w.page >= start && w.page < end)
  }
}

/**
 * A missing page in a registered area. Drops mmap_lock. Answers 'retry' (look at the page table again) or 'sigbus'.
 * @kernel handle_userfault
 */
export function* handleUserfault(k: Thread, mm: Mm, vma: Vma, page: number, store: boolean): Proc<'retry' | 'sigbus'> {
  const uffd = vma.uffd
  const kernel = mm.kernel
  // 1. MADV_USERFAULT without a descriptor: the signal is the notification.
  if (uffd === null) {
    mm.mmapLock.upRead(k)
    return 'sigbus'
  }
  // 2.
  if (uffd.released) {
    mm.mmapLock.upRead(k)
    return uffd.protocol === '2014' ? 'sigbus' : 'retry'
  }
  kernel.faults.userfault++
  // 3.
  if (k.stepping) yield write(uffd.id, 'uffd.pending')
  const waiter: UserfaultWaiter = { task: k, page, store }
  uffd.pending.add(waiter)
  k.park(`a wake-up for page ${page}`)
  // 4. Pairs with the store of the PTE before the look at the queues in whoever resolves.
  const mustWait = !kernel.has('uffd-must-wait') || (yield* isMissing(k, mm, page))
  // 5.
  mm.mmapLock.upRead(k)
  // 6.
  if (mustWait && !uffd.released) {
    uffd.wakeReader(k.cpu.nowNs + k.cpu.preset.wakeupNs.value)
    if (k.parked) {
      kernel.hooks.userfault(k, page, store)
      yield BLOCK
    }
  }
  // 7.
  k.parked = false
  if (!uffd.pending.remove(waiter)) uffd.fault.remove(waiter)
  // 8.
  return 'retry'
}

/**
 * Looks under the PTE lock. Without it the look can hit the moment at which a copy-on-write has cleared the PTE to flush it
 * and not yet stored the new one: "missing", although nobody will ever place it.
 * @kernel userfaultfd_must_wait
 */
function* isMissing(k: Thread, mm: Mm, page: number): Proc<boolean> {
  const slot = mm.table.walk(page)
  if (slot < 0) return true
  const lock = mm.kernel.pteLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pte')
  const missing = mm.kernel.tables.get(slot) === PTE_NONE
  lock.unlock(k)
  return missing
}

/**
 * UFFDIO_REGISTER for missing pages, or the 2014 registration by write(2). Byte addresses.
 *
 * EINVAL: bad mode, alignment, empty or wrapping range, no area, an area that is not anonymous. EBUSY: part of the range
 * belongs to another descriptor. Areas are split at the edges.
 * @kernel userfaultfd_register
 */
export function* userfaultfdRegister(k: Thread, uffd: Userfaultfd, address: number, length: number, mode: number): Proc<number> {
  const mm = uffd.mm
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  if (uffd.released) return ERRNO.EBADF
  if (mode !== UFFDIO_REGISTER_MODE_MISSING) return ERRNO.EINVAL
  const start = pageOfAddress(address)
  const pages = length / 4096
  if (!(start >= 0) || !Number.isInteger(pages) || pages <= 0 || start + pages > mm.windowPages) return ERRNO.EINVAL
  const end = start + pages
  yield* mm.mmapLock.downWrite(k)
  const result = checkRegister(mm, uffd, start, end)
  if (result === 0) {
    yield* changeAreas(
      k,
      mm,
      start,
      end,
      (vma) => vma.uffd !== uffd,
      (part) => attach(part, uffd),
    )
  }
  mm.mmapLock.upWrite(k)
  return result
}

function attach(part: Vma, uffd: Userfaultfd): Proc<void> {
  part.uffd = uffd
  if (uffd.protocol === 'ioctl') part.flags |= VM_UFFD_MISSING
  return NOTHING
}

function detach(part: Vma): Proc<void> {
  part.uffd = null
  part.flags &= ~VM_UFFD_MISSING
  return NOTHING
}

function checkRegister(mm: Mm, uffd: Userfaultfd, start: number, end: number): number {
  const areas = mm.tree.overlapping(start, end)
  if (areas.length === 0) return ERRNO.EINVAL
  for (const vma of areas) {
    if (!vma.isAnonymous) return ERRNO.EINVAL
    if (vma.uffd !== null && vma.uffd !== uffd) return ERRNO.EBUSY
  }
  return 0
}

/** UFFDIO_UNREGISTER, and what close does to each area. Wakes the waiters of the range. @kernel userfaultfd_unregister */
export function* userfaultfdUnregister(k: Thread, uffd: Userfaultfd, address: number, length: number): Proc<number> {
  const mm = uffd.mm
  const start = pageOfAddress(address)
  const pages = length / 4096
  if (!(start >= 0) || !Number.isInteger(pages) || pages <= 0 || start + pages > mm.windowPages) return ERRNO.EINVAL
  const end = start + pages
  yield* mm.mmapLock.downWrite(k)
  const areas = mm.tree.overlapping(start, end)
  if (areas.length === 0 || areas.some((v) => v.uffd !== null && v.uffd !== uffd)) {
    mm.mmapLock.upWrite(k)
    return ERRNO.EINVAL
  }
  yield* changeAreas(k, mm, start, end, (vma) => vma.uffd !== null, detach)
  uffd.wake(k, start, end)
  mm.mmapLock.upWrite(k)
  return 0
}

/** close(2): nobody waits any longer, every area is free again. @kernel userfaultfd_release */
export function* userfaultfdRelease(k: Thread, uffd: Userfaultfd): Proc<void> {
  const mm = uffd.mm
  assert(!uffd.released, 'userfaultfd closed twice')
  uffd.released = true
  yield* mm.mmapLock.downWrite(k)
  // In 2014 the area stays a userfault area: later faults get SIGBUS.
  yield* changeAreas(k, mm, 0, mm.windowPages, (vma) => vma.uffd === uffd, detach)
  mm.mmapLock.upWrite(k)
  uffd.wake(k, 0, Number.POSITIVE_INFINITY)
  uffd.wakeReader(k.cpu.nowNs)
}

/** True if a missing page of this area is somebody's business. @kernel userfaultfd_missing */
export function userfaultfdMissing(vma: Vma): boolean {
  return (vma.flags & (VM_UFFD_MISSING | VM_USERFAULT)) !== 0
}
