/**
 * handle_userfault: a thread goes to sleep on a page that somebody else must bring. In this order:
 *
 *   1. an exiting task -> SIGBUS (no task of this model touches memory while it exits).
 *   2. no context -> SIGBUS.   3. FEATURE_SIGBUS -> SIGBUS.
 *   4. a fault of kernel code, and the descriptor is for user code only -> SIGBUS (the system call fails with EFAULT).
 *   5. a fault that may not be retried -> SIGBUS.   6. NOWAIT -> RETRY at once.   7. released -> drop the lock, RETRY.
 *   8. the message; onto fault_pending and parked (a full barrier), under the queue's lock.
 *   9. still under mmap_lock, look at the PTE again (must_wait): what was placed meanwhile must not be waited for. Here the
 *      look is under the PTE lock unless the variant says otherwise (kconfig.ts).
 *  10. drop mmap_lock.   11. if it must wait and nothing was released: wake a reader, sleep.
 *  12. take oneself off whichever queue one is still on.   13. always RETRY: the fault starts from scratch.
 *
 * The sleep is killable: a fatal signal ends it, and step 12 cleans up.
 *
 * Source: fs/userfaultfd.c.
 * @kernel handle_userfault, userfaultfd_must_wait, userfault_msg
 */
import { BLOCK, type Proc, read, write } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import type { Thread } from '../hw/cpu.ts'
import { PTE_NONE, type Pte, ptePresent, pteWritable } from '../hw/pte.ts'
import { loading, smpMb } from '../sync/barriers.ts'
import { addressOf } from './mm.ts'
import { ptepGet } from './pgtable.ts'
import { swapKind } from './swapops.ts'
import {
  UFFD_EVENT_PAGEFAULT,
  UFFD_FEATURE,
  UFFD_PAGEFAULT_FLAG_MINOR,
  UFFD_PAGEFAULT_FLAG_WP,
  UFFD_PAGEFAULT_FLAG_WRITE,
  type UffdMessage,
} from './uffd_abi.ts'
import type { Userfaultfd, UserfaultWaiter } from './userfaultfd.ts'
import {
  type Attempt,
  FAULT_FLAG_ALLOW_RETRY,
  FAULT_FLAG_RETRY_NOWAIT,
  FAULT_FLAG_USER,
  releaseFaultLock,
  type Vmf,
} from './vm_fault.ts'
import { VM_UFFD_MINOR, VM_UFFD_MISSING, VM_UFFD_WP, VM_USERFAULT, type Vma } from './vma.ts'

/** Why the page is somebody's business: one of the modes of registration, as an area's flag. */
export type UserfaultReason = typeof VM_UFFD_MISSING | typeof VM_UFFD_WP | typeof VM_UFFD_MINOR

/** What a sleeper on a userfault waits for, in words; the page's number follows. */
const WAIT = 'a wake-up for page '

/** The thread sleeps on a page that somebody else must bring, or allow to be written. */
export function sleepsOnUserfault(task: Task): boolean {
  return task.state === 'blocked' && task.waitsFor.startsWith(WAIT)
}

/** Lets go of what the fault holds. Answers 'retry' (look at the page table again) or 'sigbus'. @kernel handle_userfault */
export function* handleUserfault(k: Thread, vmf: Vmf, reason: UserfaultReason): Proc<Attempt> {
  const { mm, page } = vmf
  const kernel = mm.kernel
  const uffd = vmf.vma.uffd
  // 2. to 5. MADV_USERFAULT without a descriptor: the signal is the notification.
  if (uffd === null || refuses(uffd, vmf.flags)) {
    releaseFaultLock(k, vmf)
    return 'sigbus'
  }
  // 6. and 7. The protocol of 2014 had no way back: a closed descriptor means SIGBUS.
  if (k.stepping) yield read(uffd.id, 'uffd.released')
  const closed = uffd.released
  if ((vmf.flags & FAULT_FLAG_RETRY_NOWAIT) !== 0 || closed) {
    releaseFaultLock(k, vmf)
    if (closed && uffd.protocol === '2014') return 'sigbus'
    // It is retried again and again until whoever closes has taken the areas out.
    if (closed && k.stepping) yield { ...read(uffd.id, 'uffd.released'), gate: uffd.untilDetached }
    return 'retry'
  }
  kernel.faults.userfault++
  // 8.
  const waiter: UserfaultWaiter = {
    task: k,
    uffd,
    page,
    store: vmf.store,
    reason,
    message: messageOf(k, uffd, vmf, reason),
    woken: false,
    gone: false,
    answered: false,
    lineCpu: k.cpu.id,
  }
  if (!k.stepping) uffd.refLine.touch(k.cpu)
  if (k.stepping) kernel.userfaults.add(waiter)
  yield* uffd.pendingLock.lock(k)
  if (k.stepping) yield write(uffd.id, 'uffd.fault_pending_wqh')
  uffd.pending.add(waiter, k)
  // Leaving the lock is no such barrier: it lets later loads go before it. Pairs with wakeUserfault.
  if (kernel.has('uffd-sleep-mb')) smpMb(k)
  uffd.pendingLock.unlock(k)
  k.park(WAIT + page)
  // 9. Pairs with the store of the PTE before the look at the queues in uffd_wake.ts.
  const mustWait = !kernel.has('uffd-must-wait') || (yield* userfaultfdMustWait(k, vmf, waiter))
  // 10.
  releaseFaultLock(k, vmf)
  // 11.
  if (mustWait && k.stepping) yield read(uffd.id, 'uffd.released')
  if (mustWait && !uffd.released && !k.fatalSignal) {
    yield* uffd.wakeReaders(k)
    // A wait for the PTE lock un-parks the thread, which a spinning CPU does not: so it is asked whether somebody woke it.
    if (!waiter.woken) {
      k.park(WAIT + page)
      kernel.hooks.userfault(k, page, vmf.store)
      yield BLOCK
    }
  }
  // 12. While a reader moves it from one queue to the other it is on neither: only under the lock is this known.
  k.unpark()
  if (!waiter.woken && kernel.has('uffd-waiter-removal')) {
    yield* uffd.pendingLock.lock(k)
    if (!uffd.pending.remove(waiter, k)) uffd.fault.remove(waiter, k)
    uffd.pendingLock.unlock(k)
  }
  waiter.gone = true
  if (k.stepping) kernel.userfaults.delete(waiter)
  if (!k.stepping) uffd.refLine.touch(k.cpu)
  // 13.
  return 'retry'
}

/** 3. to 5. */
function refuses(uffd: Userfaultfd, flags: number): boolean {
  if (uffd.wants(UFFD_FEATURE.SIGBUS)) return true
  if ((flags & FAULT_FLAG_USER) === 0 && uffd.userModeOnly) return true
  return (flags & FAULT_FLAG_ALLOW_RETRY) === 0
}

/** A thread's id as messages tell it: 0 there says nothing. */
export function threadIdOf(id: number): number {
  return id + 1
}

/** @kernel userfault_msg */
function messageOf(k: Thread, uffd: Userfaultfd, vmf: Vmf, reason: UserfaultReason): UffdMessage {
  let flags = vmf.store ? UFFD_PAGEFAULT_FLAG_WRITE : 0
  if (reason === VM_UFFD_WP) flags |= UFFD_PAGEFAULT_FLAG_WP
  if (reason === VM_UFFD_MINOR) flags |= UFFD_PAGEFAULT_FLAG_MINOR
  const exact = uffd.wants(UFFD_FEATURE.EXACT_ADDRESS)
  return {
    event: UFFD_EVENT_PAGEFAULT,
    flags,
    address: addressOf(vmf.page) + (exact ? vmf.offset : 0),
    ptid: uffd.wants(UFFD_FEATURE.THREAD_ID) ? threadIdOf(k.id) : 0,
  }
}

/** @kernel userfaultfd_must_wait */
function* userfaultfdMustWait(k: Thread, vmf: Vmf, waiter: UserfaultWaiter): Proc<boolean> {
  const pte = yield* lookAtPte(k, vmf)
  waiter.answered = false
  const takesForMissing = !ptePresent(pte) && !vmf.mm.kernel.has('uffd-must-wait-entries')
  return takesForMissing || mustWaitFor(pte, waiter.reason)
}

/** None and markers mean missing; a write-protect fault also waits while the PTE lacks W. */
export function mustWaitFor(pte: Pte, reason: number): boolean {
  if (pte === PTE_NONE) return true
  // A page in swap or on its way to another frame was placed already.
  if (!ptePresent(pte)) return swapKind(pte) === 'marker'
  return reason === VM_UFFD_WP && !pteWritable(pte)
}

function* lookAtPte(k: Thread, { mm, page }: Vmf): Proc<Pte> {
  const slot = mm.table.walk(page)
  if (slot < 0) {
    // No table: nothing, or a huge page.
    if (k.stepping) yield read(page, 'pmd')
    return mm.table.lookup(page)
  }
  const lock = mm.kernel.variants.mustWaitLook === 'locked' ? mm.kernel.pteLock(slot) : null
  if (lock !== null) yield* lock.lock(k)
  if (k.stepping) yield loading(k, slot, 'pte')
  const pte = ptepGet(k, mm.kernel, slot)
  lock?.unlock(k)
  return pte
}

/** True if a missing page of this area is somebody's business. @kernel userfaultfd_missing */
export function userfaultfdMissing(vma: Pick<Vma, 'flags'>): boolean {
  return (vma.flags & (VM_UFFD_MISSING | VM_USERFAULT)) !== 0
}

/** @kernel userfaultfd_wp */
export function userfaultfdWp(vma: Vma): boolean {
  return (vma.flags & VM_UFFD_WP) !== 0
}

/** @kernel userfaultfd_minor */
export function userfaultfdMinor(vma: Vma): boolean {
  return (vma.flags & VM_UFFD_MINOR) !== 0
}
