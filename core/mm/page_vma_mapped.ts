/**
 * From a candidate of the reverse map to the PTE itself: the second half of every walk.
 *
 * The reverse map answers with areas and addresses at which a page may be mapped. Whether it is, only the page table
 * says, under its lock. The answer is the slot with the lock held, or -1 with nothing held.
 *
 * Source: mm/page_vma_mapped.c.
 * @kernel page_vma_mapped_walk, check_pte
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { PTE_NONE, pmdHuge, ptePfn, ptePresent } from '../hw/pte.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'
import { swapKind, swapValue } from './swapops.ts'

/** What is looked for: a mapping of the frame, or the migration entry that names it. */
export type MappedAs = 'present' | 'migration'

/** The slot of the huge PMD that maps `head` at `page` of `mm`, its table's lock held; or -1. */
export function* lockMappedPmd(k: Thread, kernel: Kernel, mm: Mm, page: number, head: Pfn): Proc<Slot> {
  const slot = mm.table.pmdSlot(page)
  if (slot < 0) return -1
  const lock = kernel.pmdLock(slot)
  yield* lock.lock(k)
  const pmd = kernel.tables.get(slot)
  if (pmdHuge(pmd) && ptePfn(pmd) === head) return slot
  lock.unlock(k)
  return -1
}

/** The slot at which `page` of `mm` holds `pfn`, its table's lock held; or -1. */
export function* lockMappedPte(k: Thread, kernel: Kernel, mm: Mm, page: number, pfn: Pfn, as: MappedAs): Proc<Slot> {
  const slot = mm.table.walk(page)
  if (slot < 0) return -1
  const lock = kernel.pteLock(slot)
  yield* lock.lock(k)
  const pte = kernel.tables.get(slot)
  const found =
    as === 'present'
      ? ptePresent(pte) && ptePfn(pte) === pfn
      : pte !== PTE_NONE && !ptePresent(pte) && swapKind(pte) === 'migration' && swapValue(pte) === pfn
  if (found) return slot
  lock.unlock(k)
  return -1
}
