/**
 * Is this the usual case, in which a fault or a system call finds every lock free that it may have to sleep for?
 *
 * Clock gear only: what happens between two yields is atomic there, so that what is true before a call is true all through it,
 * and the call can run at once (engine/at_once.ts). Asked are the locks that are slept for: mmap_lock and the roots of the
 * anon_vmas, free now and not left in this CPU's future; the queues of userfault descriptors, the only spinlocks that are waited for
 * in the clock gear (sync/queued_spinlock.ts); and memory, because who has to reclaim may sleep. Page locks are left to the caller,
 * who knows which pages he touches.
 */
import type { Thread } from '../hw/cpu.ts'
import type { Mm } from './mm.ts'

/** Frames that are to be left; what runs at once allocates no more: at most a batch of pages, and then its pages once more, one by one (docs/decisions/0029). */
const FRAMES_LEFT = 64

/** Nobody is in the way of `k` in this address space. */
export function isCalm(k: Thread, mm: Mm): boolean {
  if (k.stepping || !mm.mmapLock.isFreeAt(k.cpu.nowNs)) return false
  const { anonVmas, phys, pages } = mm.kernel
  for (let i = 0; i < anonVmas.all.length; i++) if (!anonVmas.all[i].rwsem.isFreeAt(k.cpu.nowNs)) return false
  // The lock of the other queue is taken under this one only.
  for (let i = 0; i < mm.userfaultfds.length; i++) if (!mm.userfaultfds[i].pendingLock.isFreeAt(k.cpu.nowNs)) return false
  return phys.frames - pages.used > FRAMES_LEFT
}
