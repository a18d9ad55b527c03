/**
 * Taking a page away from everybody who maps it: for swap, and for a move to another frame.
 *
 * try_to_unmap, each mapping, under its PTE lock:
 *  1. a locked area: stop, the page stays.   2. clear the PTE and flush it everywhere (a CPU that still had it could write
 *  to a frame given away).   3. its D bit goes to the page: what is not dirty is not written.   4. count the slot once more.
 *  5. store the swap entry, with "exclusive" if the page was.   6. rmap, rss, reference.
 *
 * try_to_migrate does the same with migration entries that name the frame; rss stays, the slot is not touched. A fault on
 * either entry waits for the page lock, which the caller of both holds. Who walks takes the anon_vma's lock straight from
 * the mapping (rmap_walk.ts, rmapWalk): no recheck is needed, because remap_anon_pages needs the page lock to start.
 *
 * Each page is flushed at once: the batched flush of reclaim (TTU_BATCH_FLUSH) is not modelled.
 * Source: mm/rmap.c.
 * @kernel try_to_unmap, try_to_unmap_one, try_to_migrate, try_to_migrate_one
 */
import { fail } from '../base/assert.ts'
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { PTE_D, PTE_NONE, PTE_UFFD_WP, type Pte, pteWritable } from '../hw/pte.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'
import { PG_DIRTY, PG_LOCKED } from './page.ts'
import { lockMappedPte } from './page_vma_mapped.ts'
import { pageRemoveRmap } from './rmap.ts'
import { rmapWalk } from './rmap_walk.ts'
import { makeMigrationEntry, makeSwapEntry } from './swapops.ts'
import { flushTlbPage } from './tlb_flush.ts'
import { VM_LOCKED, type Vma } from './vma.ts'

/** @kernel try_to_unmap_one */
function* tryToUnmapOne(k: Thread, kernel: Kernel, pfn: Pfn, mm: Mm, vma: Vma, page: number): Proc<boolean> {
  const { tables, pages, swap } = kernel
  const swapSlot = swap.slotOf(pfn)
  const slot = yield* lockMappedPte(k, kernel, mm, page, pfn, 'present')
  if (slot < 0) return true
  const lock = kernel.pteLock(slot)
  // 1.
  if ((vma.flags & VM_LOCKED) !== 0) {
    lock.unlock(k)
    return false
  }
  // 2. and 3.
  const pte = yield* clearAndFlush(k, mm, page, slot)
  if ((pte & PTE_D) !== 0 && kernel.has('unmap-dirty-bit')) pages.flags[pfn] |= PG_DIRTY
  // 4. and 5.
  const exclusive = pages.isExclusive(pfn)
  pages.clearExclusive(pfn)
  swap.duplicate(swapSlot)
  tables.set(slot, makeSwapEntry(swapSlot, exclusive, (pte & PTE_UFFD_WP) !== 0))
  // 6.
  mm.rss--
  mm.swapEntries++
  pageRemoveRmap(kernel, pfn)
  pages.put(pfn)
  lock.unlock(k)
  return pages.isMapped(pfn)
}

/** The caller has locked the page and put it into the swap cache. True if nobody maps it any more. @kernel try_to_unmap */
export function* tryToUnmap(k: Thread, kernel: Kernel, pfn: Pfn): Proc<boolean> {
  const { pages } = kernel
  if ((pages.flags[pfn] & PG_LOCKED) === 0) fail(`pfn ${pfn} is unmapped without its lock`)
  yield* rmapWalk(k, kernel, pfn, (mm, vma, page) => tryToUnmapOne(k, kernel, pfn, mm, vma, page))
  return !pages.isMapped(pfn)
}

/** @kernel try_to_migrate_one */
function* tryToMigrateOne(k: Thread, kernel: Kernel, pfn: Pfn, mm: Mm, page: number): Proc<boolean> {
  const { tables, pages } = kernel
  const slot = yield* lockMappedPte(k, kernel, mm, page, pfn, 'present')
  if (slot < 0) return true
  const pte = yield* clearAndFlush(k, mm, page, slot)
  if ((pte & PTE_D) !== 0) pages.flags[pfn] |= PG_DIRTY
  const exclusive = pages.isExclusive(pfn)
  const entry = makeMigrationEntry(pfn, pteWritable(pte), exclusive)
  tables.set(slot, entry + (pte & PTE_UFFD_WP))
  pages.clearExclusive(pfn)
  pageRemoveRmap(kernel, pfn)
  pages.put(pfn)
  kernel.pteLock(slot).unlock(k)
  return pages.isMapped(pfn)
}

/**
 * The caller has locked the page and holds a reference on it and on its anon_vma. True if nobody maps it any more.
 * @kernel try_to_migrate
 */
export function* tryToMigrate(k: Thread, kernel: Kernel, pfn: Pfn): Proc<boolean> {
  const { pages } = kernel
  if ((pages.flags[pfn] & PG_LOCKED) === 0) fail(`pfn ${pfn} is unmapped without its lock`)
  yield* rmapWalk(k, kernel, pfn, (mm, _vma, page) => tryToMigrateOne(k, kernel, pfn, mm, page))
  return !pages.isMapped(pfn)
}

/** The PTE as it was when hardware could last change it. @kernel ptep_clear_flush */
export function* clearAndFlush(k: Thread, mm: Mm, page: number, slot: Slot): Proc<Pte> {
  const { kernel } = mm
  if (k.stepping) yield write(slot, 'pte')
  const pte = kernel.tables.get(slot)
  kernel.tables.set(slot, PTE_NONE)
  if (kernel.has('unmap-tlb-flush')) yield* flushTlbPage(k, mm, page)
  return pte
}
