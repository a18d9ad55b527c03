/**
 * Write protection by userfaultfd: arming, disarming, and UFFDIO_WRITEPROTECT.
 *
 * Each entry of the range, under its table's lock; TLBs are flushed once after the locks, before the call returns:
 *   present       arm: UW on, W off.   disarm: UW off, and W on where no copy would be needed (the page is exclusive)
 *   swap          the UW bit only; it comes back with the page
 *   none          arm: a marker, where the area uses markers (shmem always, anonymous memory with WP_UNPOPULATED), else nothing
 *   marker        disarm: a write-protect marker goes; a poison marker stays
 *
 * WRITEPROTECT: 1. mmap_changing -> EAGAIN.  2. range, mode -> EINVAL.  3. mm gone -> ESRCH.  4. mmap_lock for reading,
 * map_changing_lock for reading, mmap_changing again.  5. each area: not registered for WP -> ENOENT (those before are done).
 * 6. when disarming: wake.
 *
 * Source: mm/userfaultfd.c; fs/userfaultfd.c.
 * @kernel mwriteprotect_range, uffd_wp_range, change_pte_range, userfaultfd_writeprotect
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_NONE, PTE_UFFD_WP, PTE_W, type Pte, pteFlags, ptePfn, ptePresent, pteWithFlags } from '../hw/pte.ts'
import { WRITE_PROTECT_NS } from './dirty_log.ts'
import { ERRNO } from './errno.ts'
import { walkSplit } from './huge_split.ts'
import type { Kernel } from './kernel.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { MARKER_POISON, MARKER_UFFD_WP, makeMarker, swapKind, swapValue } from './swapops.ts'
import { flushTlbRange } from './tlb_flush.ts'
import { UFFDIO_WRITEPROTECT_MODE_DONTWAKE, UFFDIO_WRITEPROTECT_MODE_WP } from './uffd_abi.ts'
import { validateRange } from './uffd_api.ts'
import { noteAnswered, wakeUserfault } from './uffd_wake.ts'
import type { Userfaultfd } from './userfaultfd.ts'
import { VM_SHARED, VM_UFFD_WP, VM_WRITE, type Vma } from './vma.ts'

/** UFFDIO_WRITEPROTECT: 0 or an errno; it writes no field. @kernel userfaultfd_writeprotect */
export function* uffdWriteprotect(k: Thread, uffd: Userfaultfd, start: number, length: number, mode: number): Proc<number> {
  const mm = uffd.mm
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  // 1.
  if (k.stepping) yield read(uffd.id, 'uffd.mmap_changing')
  if (uffd.isChanging) return ERRNO.EAGAIN
  // 2. Waking who was just protected makes no sense, so arming has no DONTWAKE.
  const bad = validateRange(mm, start, length)
  if (bad !== 0) return bad
  const arm = (mode & UFFDIO_WRITEPROTECT_MODE_WP) !== 0
  const dontWake = (mode & UFFDIO_WRITEPROTECT_MODE_DONTWAKE) !== 0
  if ((mode & ~3) !== 0 || (arm && dontWake)) return ERRNO.EINVAL
  // 3.
  if (mm.users === 0) return ERRNO.ESRCH
  const first = pageOfAddress(start)
  const end = first + length / 4096
  // 4.
  yield* mm.mmapLock.downRead(k)
  yield* uffd.mapChangingLock.downRead(k)
  const result = uffd.isChanging ? ERRNO.EAGAIN : yield* protectAreas(k, mm, first, end, arm)
  uffd.mapChangingLock.upRead(k)
  mm.mmapLock.upRead(k)
  // 6.
  if (result === 0 && !arm && !dontWake) {
    yield* wakeUserfault(k, uffd, first, end)
    noteAnswered(k, uffd, first, end)
  }
  return result
}

/** 5. @kernel mwriteprotect_range */
function* protectAreas(k: Thread, mm: Mm, start: number, end: number, arm: boolean): Proc<number> {
  const areas = mm.tree.overlapping(start, end)
  if (areas.length === 0) return ERRNO.ENOENT
  for (const vma of areas) {
    if ((vma.flags & VM_UFFD_WP) === 0) return ERRNO.ENOENT
    yield* uffdWpRange(k, mm, vma, Math.max(start, vma.start), Math.min(end, vma.end), arm)
  }
  return 0
}

/** Anonymous memory forgets protection of what is not there, unless told otherwise. @kernel userfaultfd_wp_use_markers */
export function wpUsesMarkers(vma: Vma): boolean {
  return (vma.flags & VM_UFFD_WP) !== 0 && (!vma.isAnonymous || vma.uffd?.wpUnpopulated === true)
}

/** Arms or disarms [start, end) of one area. The caller holds mmap_lock. @kernel uffd_wp_range */
export function* uffdWpRange(k: Thread, mm: Mm, vma: Vma, start: number, end: number, arm: boolean): Proc<void> {
  const { kernel } = mm
  const populate = arm && wpUsesMarkers(vma)
  let first = -1
  let last = -1
  for (let page = start; page < end; ) {
    const next = Math.min(end, (page | 511) + 1)
    // Protection is a matter of single pages here: 2 MiB at once are split.
    const slot = yield* walkSplit(k, mm, page, populate)
    if (slot < 0) {
      page = next
      continue
    }
    const lock = kernel.pteLock(slot)
    yield* lock.lock(k)
    for (let at = slot; page < next; page++, at++) {
      const sampled = kernel.tables.get(at)
      if ((arm ? armed(sampled, populate) : disarmed(kernel, vma, page, sampled)) === sampled) continue
      if (k.stepping) yield write(at, 'pte')
      // Hardware may have set A or D since.
      const pte = kernel.tables.get(at)
      kernel.tables.set(at, arm ? armed(pte, populate) : disarmed(kernel, vma, page, pte))
      if (!ptePresent(pte)) continue
      k.cpu.nowNs += writeProtectNs(k)
      if (first < 0) first = page
      last = page
    }
    lock.unlock(k)
  }
  if (first >= 0 && arm && kernel.has('uffd-wp-flush')) yield* flushTlbRange(k, mm, first, last + 1)
}

/** To protect one page of many: as measured on the host, or dirty_log.ts WRITE_PROTECT_NS. */
export function writeProtectNs(k: Thread): number {
  return k.cpu.preset.writeProtectNs?.value ?? WRITE_PROTECT_NS
}

/** An entry write-protected; itself if it is. `populate`: nothing becomes a marker. */
export function armed(pte: Pte, populate: boolean): Pte {
  if (ptePresent(pte)) return pteWithFlags(pte, (pteFlags(pte) | PTE_UFFD_WP) & ~PTE_W)
  if (pte === PTE_NONE) return populate ? makeMarker(MARKER_UFFD_WP) : pte
  return swapKind(pte) === 'marker' || (pte & PTE_UFFD_WP) !== 0 ? pte : pte + PTE_UFFD_WP
}

function disarmed(kernel: Kernel, vma: Vma, page: number, pte: Pte): Pte {
  if (ptePresent(pte)) {
    if ((pte & PTE_UFFD_WP) === 0) return pte
    return pteWithFlags(pte, (pteFlags(pte) & ~PTE_UFFD_WP) | (mayWriteAtOnce(kernel, vma, page, pte) ? PTE_W : 0))
  }
  if (pte === PTE_NONE) return pte
  if (swapKind(pte) === 'marker') return (swapValue(pte) & MARKER_POISON) !== 0 ? pte : PTE_NONE
  return (pte & PTE_UFFD_WP) !== 0 ? pte - PTE_UFFD_WP : pte
}

/** True if a store needs no copy, so that W can come back right here. @kernel can_change_pte_writable */
function mayWriteAtOnce(kernel: Kernel, vma: Vma, page: number, pte: Pte): boolean {
  // A page that the dirty log watches gets W by a fault, which marks it.
  if ((vma.flags & VM_WRITE) === 0 || vma.mm?.dirtyLog?.covers(page) === true) return false
  const pfn = ptePfn(pte)
  if ((vma.flags & VM_SHARED) !== 0) return true
  return pfn !== ZERO_PFN && kernel.pages.isExclusive(pfn)
}
