/**
 * remap_anon_pages: moves anonymous pages inside one mm by page-table work only.
 *
 * Arguments and areas, in this order:
 *  1. src, dst, len page aligned, flags known -> EINVAL.   2. empty or wrapping -> EINVAL.   3. mmap_lock for reading.
 *  4. src: one private area holds it all -> EINVAL.        5. dst likewise.
 *  6. equal protections -> EINVAL.  7. equally locked -> EINVAL.  8. both anonymous -> EINVAL.  9. anon_vma for dst -> ENOMEM.
 *
 * Where page tables are missing, or 2 MiB are mapped at once: huge_move.ts; the source's table is looked at before dst's.
 * Each page (remapPte), locks from outer to inner: mmap_lock (read), page lock, anon_vma root (write), two PTE locks:
 *  1. sample dst: not none -> EEXIST.                      2. sample src: hole -> ENOENT, or skip if allowed.
 *     Not present: move_swap.ts.
 *  3. src PTE lock: unchanged, a normal anonymous page, mapcount 1, no swap entry for it either -> EBUSY; take a reference.
 *  4. lock the page.   5. its anon_vma, with a reference.   6. write-lock its root.   7. both PTE locks, lower first.
 *  8. verify again: src, dst, mapcount -> EAGAIN (retry inside).
 *  9. drop the reference.   10. mapping and index := dst's.
 * 11. clear src and flush it everywhere.   12. build dst: dirty, writable if the area is.   13. store dst.
 * 14. unlock all, in reverse.
 *
 * Returns bytes moved (> 0), or an errno if the very first page failed; never 0. A stop in the middle returns the bytes so
 * far. The test of swap entries in 3 is not in the posted code: mapcount alone does not see who shares a page through one.
 * Source: Andrea Arcangeli, remap_anon_pages, 2013 and 2014. @kernel remap_anon_pages, remap_anon_pages_pte
 */

import { violate } from '../base/assert.ts'
import { NOTHING, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { makePte, PTE_D, PTE_NONE, type Pte, ptePfn, ptePresent } from '../hw/pte.ts'
import { lockBoth, type Spinlock, unlockBoth } from '../sync/spinlock.ts'
import { anonVmaPrepare, getAnonVma, putAnonVma } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { movePmd } from './huge_move.ts'
import type { Kernel } from './kernel.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { moveEntry } from './move_swap.ts'
import { pageAnonVma, pageMoveAnonRmap } from './rmap.ts'
import { flushTlbPage, flushTlbPageHere } from './tlb_flush.ts'
import { VM_LOCKED, VM_SHARED, type Vma } from './vma.ts'

/** Holes in src are skipped instead of being ENOENT. */
export const RAP_ALLOW_SRC_HOLES = 1

/** Byte addresses and length; returns bytes moved or an errno. @kernel remap_anon_pages */
export function* remapAnonPages(k: Thread, mm: Mm, dst: number, src: number, length: number, flags: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  // 1.
  const dstStart = pageOfAddress(dst)
  const srcStart = pageOfAddress(src)
  const pages = length / 4096
  if (!(dstStart >= 0) || !(srcStart >= 0) || !Number.isInteger(pages) || (flags & ~RAP_ALLOW_SRC_HOLES) !== 0)
    return ERRNO.EINVAL
  // 2.
  if (pages <= 0) return ERRNO.EINVAL
  // 3.
  yield* mm.mmapLock.downRead(k)
  const srcVma = oneArea(mm, srcStart, pages)
  const dstVma = oneArea(mm, dstStart, pages)
  // 4. to 8.
  if (srcVma === null || dstVma === null || !areAlike(srcVma, dstVma)) {
    mm.mmapLock.upRead(k)
    return ERRNO.EINVAL
  }
  const holesAllowed = (flags & RAP_ALLOW_SRC_HOLES) !== 0
  const mayTake = (head: Pfn) => mm.kernel.pages.mappings(head) === 1
  // 9. A page moved into an area without an anon_vma would get none.
  if (mm.kernel.has('remap-dst-anon-vma')) yield* anonVmaPrepare(k, mm, dstVma)
  let moved = 0
  let error = 0
  while (moved < pages) {
    const dstPage = dstStart + moved
    const srcPage = srcStart + moved
    let srcSlot = mm.table.walk(srcPage)
    let dstSlot = mm.table.walk(dstPage)
    if (srcSlot < 0 || dstSlot < 0) {
      const left = pages - moved
      const step = yield* movePmd(k, { mm, dstVma, dstPage, srcPage, left, holesAllowed, mayTake, asksBeforeSplit: false })
      if (step > 0) {
        moved += step
        error = 0
        if (k.fatalSignal) break
        continue
      }
      error = step
      srcSlot = mm.table.walk(srcPage)
      dstSlot = mm.table.walk(dstPage)
    } else error = 0
    if (error === 0) error = yield* remapPte(k, mm, dstVma, dstPage, dstSlot, srcVma, srcPage, srcSlot, holesAllowed)
    if (error === ERRNO.EAGAIN) {
      if (k.fatalSignal) {
        error = ERRNO.EINTR
        break
      }
      continue
    }
    if (error !== 0) break
    moved++
    if (k.fatalSignal) break
  }
  mm.mmapLock.upRead(k)
  return moved > 0 ? moved * 4096 : error
}

/** The private area that holds all of the range, or null. */
function oneArea(mm: Mm, start: number, pages: number): Vma | null {
  const vma = mm.tree.find(start)
  if (vma === null || start < vma.start || start + pages > vma.end || (vma.flags & VM_SHARED) !== 0) return null
  return vma
}

function areAlike(a: Vma, b: Vma): boolean {
  return a.pageProt === b.pageProt && ((a.flags ^ b.flags) & VM_LOCKED) === 0 && a.isAnonymous && b.isAnonymous
}

/** @kernel remap_anon_pages_pte */
function* remapPte(
  k: Thread,
  mm: Mm,
  dstVma: Vma,
  dstPage: number,
  dstSlot: Slot,
  srcVma: Vma,
  srcPage: number,
  srcSlot: Slot,
  holes: boolean,
): Proc<number> {
  const kernel = mm.kernel
  const { tables, pages } = kernel
  const hole = holes ? 0 : ERRNO.ENOENT
  // A table that went, or became huge, since movePmd looked.
  if (dstSlot < 0 || (srcSlot < 0 && !holes)) return ERRNO.EAGAIN
  const dstLock = kernel.pteLock(dstSlot)
  // 1.
  yield* dstLock.lock(k)
  if (k.stepping) yield read(dstSlot, 'pte')
  const dstPte = tables.get(dstSlot)
  dstLock.unlock(k)
  if (dstPte !== PTE_NONE) return ERRNO.EEXIST
  if (srcSlot < 0) return hole
  // 2.
  const srcLock = kernel.pteLock(srcSlot)
  yield* srcLock.lock(k)
  if (k.stepping) yield read(srcSlot, 'pte')
  const srcPte = tables.get(srcSlot)
  if (srcPte === PTE_NONE) {
    srcLock.unlock(k)
    return hole
  }
  // 3. (the lock is still the one of step 2: nothing can have changed)
  if (!ptePresent(srcPte)) {
    srcLock.unlock(k)
    return yield* moveEntry(k, { mm, dstVma, dstPage, dstSlot, srcSlot, srcPte, unshared: 'count' })
  }
  const pfn = ptePfn(srcPte)
  if (pfn === ZERO_PFN || !pages.isAnon(pfn) || !isMappedOnce(kernel, pfn)) {
    srcLock.unlock(k)
    return ERRNO.EBUSY
  }
  pages.get(pfn)
  srcLock.unlock(k)
  // 4.
  const locksPage = kernel.has('remap-page-lock')
  if (locksPage) yield* kernel.pageLocks.lock(k, pfn)
  // 5.
  if (k.stepping) yield read(pfn, 'page.mapping')
  const anonVma = pages.isMapped(pfn) ? pageAnonVma(kernel, pfn) : null
  if (anonVma === null) {
    if (locksPage) kernel.pageLocks.unlock(k, pfn)
    pages.put(pfn)
    return ERRNO.EAGAIN
  }
  getAnonVma(anonVma)
  // 6.
  const root = anonVma.root
  const locksRoot = kernel.has('remap-anon-vma-lock')
  if (locksRoot) yield* root.rwsem.downWrite(k)
  // 7.
  yield* lockTables(k, kernel, srcLock, dstLock)
  // 8.
  if (k.stepping) yield read(srcSlot, 'pte')
  const same = tables.get(srcSlot) === srcPte && tables.get(dstSlot) === dstPte && isMappedOnce(kernel, pfn)
  if (!same && kernel.has('remap-pte-recheck')) {
    unlockBoth(k, srcLock, dstLock)
    if (locksRoot) root.rwsem.upWrite(k)
    yield* putAnonVma(k, kernel, anonVma)
    if (locksPage) kernel.pageLocks.unlock(k, pfn)
    pages.put(pfn)
    return ERRNO.EAGAIN
  }
  // 9. The PTE locks keep the page from here on.
  pages.put(pfn)
  // 10. Between 11 and 13 the page has no translation: whoever touches it faults and waits for the locks.
  if (k.stepping) yield write(pfn, 'page.mapping')
  pageMoveAnonRmap(kernel, pfn, dstVma, dstPage)
  // 11.
  if (k.stepping) yield write(srcSlot, 'pte')
  takePte(kernel, srcSlot)
  yield* flushSource(k, mm, srcPage)
  // 12. and 13.
  if (k.stepping) yield write(dstSlot, 'pte')
  storeMoved(k, mm, dstVma, dstPage, dstSlot, pfn)
  // 14.
  unlockBoth(k, srcLock, dstLock)
  if (locksRoot) root.rwsem.upWrite(k)
  yield* putAnonVma(k, kernel, anonVma)
  if (locksPage) kernel.pageLocks.unlock(k, pfn)
  if (!srcVma.contains(srcPage)) violate('I-VMA', `page ${srcPage} left its area`)
  return 0
}

/** Nobody else has it, neither mapped nor as a swap entry: so one (anon_vma, index) describes it. */
function isMappedOnce(kernel: Kernel, pfn: Pfn): boolean {
  const { pages, swap } = kernel
  if (pages.mappings(pfn) !== 1 && kernel.has('remap-mapcount')) return false
  return !swap.isCached(pfn) || swap.count(swap.slotOf(pfn)) === 0 || !kernel.has('remap-swap-share')
}

/** 7. */
function lockTables(k: Thread, kernel: Kernel, src: Spinlock, dst: Spinlock): Proc<void> {
  return kernel.has('remap-table-order') ? lockBoth(k, src, dst) : lockUnordered(k, src, dst)
}

function* lockUnordered(k: Thread, src: Spinlock, dst: Spinlock): Proc<void> {
  yield* src.lock(k)
  if (dst !== src) yield* dst.lock(k)
}

/** 11., first half: the PTE as it was when hardware could last change it, if the flush follows. */
export function takePte(kernel: Kernel, slot: Slot): Pte {
  const pte = kernel.tables.get(slot)
  kernel.tables.set(slot, PTE_NONE)
  return pte
}

/** 11., second half. @kernel ptep_clear_flush */
export function flushSource(k: Thread, mm: Mm, srcPage: number): Proc<void> {
  const { kernel } = mm
  if (kernel.has('remap-flush-other-cpus')) return kernel.has('remap-tlb-flush') ? flushTlbPage(k, mm, srcPage) : NOTHING
  flushTlbPageHere(k, mm, srcPage)
  return NOTHING
}

/** 12. and 13. Announce the write of the PTE before. */
export function storeMoved(k: Thread, mm: Mm, dstVma: Vma, dstPage: number, dstSlot: Slot, pfn: Pfn): void {
  const { kernel } = mm
  mm.dirtyLog?.mark(k, dstPage)
  kernel.tables.set(dstSlot, makePte(pfn, dstVma.pageProt | (kernel.has('remap-dirty-bit') ? PTE_D : 0)))
}
