/**
 * Zapping: clearing the PTEs of a range, for munmap, exit and MADV_DONTNEED.
 *
 *  1. each page table page's lock once; each entry that is not none is cleared under it.
 *  2. present: rmap, rss, the frame and its address go to the gather (mmu_gather.ts), which flushes before it frees.
 *  3. a swap entry: its count goes, and the cached page with the last. A migration entry: rss; who migrates will find nothing
 *     to restore. A marker: nothing is counted. Of shmem, protection outlives MADV_DONTNEED as a marker: the page may come
 *     back from the cache.   4. a full gather is flushed between two tables, with no PTE lock held.
 *
 * Source: mm/memory.c.
 * @kernel unmap_page_range, zap_pte_range, zap_page_range_single, madvise_dontneed_single_vma
 */
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { HUGE_PAGES, PTE_NONE, PTE_UFFD_WP, type Pte, ptePfn, ptePresent } from '../hw/pte.ts'
import { zapHugePmd } from './huge_pmd.ts'
import { splitHugePmd } from './huge_split.ts'
import type { Mm } from './mm.ts'
import { MmuGather } from './mmu_gather.ts'
import { pageRemoveRmap } from './rmap.ts'
import { MARKER_UFFD_WP, makeMarker, swapKind, swapValue } from './swapops.ts'
import type { Vma } from './vma.ts'
import { vmaSequenceBegin, vmaSequenceEnd } from './vma_sequence.ts'

/** Clears, flushes and frees in one go. The caller holds mmap_lock. @kernel zap_page_range_single */
export function* zapPageRange(k: Thread, mm: Mm, vma: Vma, start: number, end: number): Proc<void> {
  const gather = new MmuGather(mm)
  yield* unmapPageRange(k, gather, vma, start, end, false)
  yield* gather.finish(k)
}

/**
 * Clears; the caller finishes the gather. [start, end) lies in `vma`, whose count says that its page tables are no longer what
 * they were: a speculation that finds it unchanged under the PTE lock comes before this, and its PTE is cleared here.
 * @kernel unmap_page_range
 */
export function* unmapPageRange(
  k: Thread,
  gather: MmuGather,
  vma: Vma,
  start: number,
  end: number,
  dropsMarkers = true,
): Proc<void> {
  yield* vmaSequenceBegin(k, gather.mm, vma, '2014')
  yield* clearRange(k, gather, start, end, !dropsMarkers && !vma.isAnonymous)
  yield* vmaSequenceEnd(k, gather.mm, vma, '2014')
}

/** @kernel zap_pte_range */
function* clearRange(k: Thread, gather: MmuGather, start: number, end: number, keepsWp: boolean): Proc<void> {
  const { mm } = gather
  const { kernel } = mm
  const { tables } = kernel
  for (let page = start; page < end; ) {
    const slot = mm.table.walk(page)
    const next = Math.min(end, (page | 511) + 1)
    if (slot < 0) {
      // No leaf table: nothing to go through, or 2 MiB at once.
      if (yield* zapHuge(k, gather, page, next)) page = next
      continue
    }
    // 1. One lock for the whole table, taken though all may be none: who holds it now may be about to map a page there.
    const lock = kernel.pteLock(slot)
    yield* lock.lock(k)
    for (let at = slot; page < next && !gather.isFull; page++, at++) {
      if (tables.get(at) === PTE_NONE) continue
      if (k.stepping) yield write(at, 'pte')
      const pte = tables.get(at)
      tables.set(at, keepsWp && isWriteProtected(pte) ? makeMarker(MARKER_UFFD_WP) : PTE_NONE)
      if (!ptePresent(pte)) {
        // 3.
        zapEntry(mm, pte)
        continue
      }
      // 2.
      const pfn = ptePfn(pte)
      if (pfn !== ZERO_PFN) {
        pageRemoveRmap(kernel, pfn)
        gather.removePage(pfn)
        mm.rss--
      }
      gather.noteFlush(page)
    }
    lock.unlock(k)
    // 4.
    if (gather.isFull) yield* gather.flush(k)
  }
}

/**
 * [page, next) where there is no leaf table: a huge page goes whole, or is split if only a part of it is meant.
 * False: there is a leaf table now.
 */
function* zapHuge(k: Thread, gather: MmuGather, page: number, next: number): Proc<boolean> {
  const { mm } = gather
  if (next - page < HUGE_PAGES) yield* splitHugePmd(k, mm, page)
  else {
    const head = yield* zapHugePmd(k, mm, page)
    if (head >= 0) {
      gather.removePage(head)
      gather.noteFlushHuge(page)
    }
  }
  return mm.table.walk(page) < 0
}

/** Protection by userfaultfd: the bit, or the marker that stands for it. @kernel pte_install_uffd_wp_if_needed */
function isWriteProtected(pte: Pte): boolean {
  const marker = !ptePresent(pte) && swapKind(pte) === 'marker'
  return marker ? swapValue(pte) === MARKER_UFFD_WP : (pte & PTE_UFFD_WP) !== 0
}

/** An entry that is neither none nor present, already cleared. @kernel zap_nonpresent_ptes */
function zapEntry(mm: Mm, pte: Pte): void {
  switch (swapKind(pte)) {
    case 'swap':
      mm.swapEntries--
      mm.kernel.swap.freeWithCache(swapValue(pte))
      return
    case 'migration':
      mm.rss--
      return
    case 'marker':
      return
  }
}
