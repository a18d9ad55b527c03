/**
 * Walks over page tables for the checkers: every entry of an address space, or of a machine, and the entry of one page.
 *
 * The walk is bounded by the window, so that a tiny machine costs little; a huge PMD is one entry of 512 pages. Nothing is
 * allocated and no footprint touched: entries are read straight from the pool.
 */
import { ENTRIES, type Slot } from '../hw/page_table.ts'
import { HUGE_PAGES, PTE_NONE, PTE_PS, type Pte, pmdHuge, ptePfn } from '../hw/pte.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import type { Vma } from '../mm/vma.ts'

/** Called with each entry that is not none, its slot and how many pages it covers; a sentence ends the walk. */
export type EntryVisit = (mm: Mm, page: number, pte: Pte, slot: Slot, pages: number) => string | null

/** The first answer of `visit` in this address space that is not null. */
export function visitEntries(mm: Mm, visit: EntryVisit): string | null {
  const { entries } = mm.kernel.tables
  for (let first = 0; first < mm.windowPages; first += HUGE_PAGES) {
    const pmdSlot = mm.table.pmdSlot(first)
    const pmd = pmdSlot < 0 ? PTE_NONE : entries[pmdSlot]
    if (pmd === PTE_NONE) continue
    if (pmdHuge(pmd)) {
      const wrong = visit(mm, first, pmd, pmdSlot, HUGE_PAGES)
      if (wrong !== null) return wrong
      continue
    }
    const table = ptePfn(pmd) * ENTRIES
    const count = Math.min(ENTRIES, mm.windowPages - first)
    for (let i = 0; i < count; i++) {
      const pte = entries[table + i]
      if (pte === PTE_NONE) continue
      const wrong = visit(mm, first + i, pte, table + i, 1)
      if (wrong !== null) return wrong
    }
  }
  return null
}

/** The same over all address spaces of a machine. */
export function visitAllEntries(kernel: Kernel, visit: EntryVisit): string | null {
  for (let i = 0; i < kernel.mms.length; i++) {
    const wrong = visitEntries(kernel.mms[i], visit)
    if (wrong !== null) return wrong
  }
  return null
}

/** The slot of what maps a page: its PTE's, or that of a huge PMD; -1 where a table is missing. */
export function slotOf(mm: Mm, page: number): Slot {
  const pmdSlot = mm.table.pmdSlot(page)
  if (pmdSlot < 0) return -1
  const pmd = mm.kernel.tables.entries[pmdSlot]
  if (pmdHuge(pmd)) return pmdSlot
  return pmd === PTE_NONE ? -1 : ptePfn(pmd) * ENTRIES + (page & (ENTRIES - 1))
}

/** What maps a page: its PTE, or one made of its part of a huge PMD; none where nothing does. */
export function entryOf(mm: Mm, page: number): Pte {
  const slot = slotOf(mm, page)
  if (slot < 0) return PTE_NONE
  const entry = mm.kernel.tables.entries[slot]
  return pmdHuge(entry) && mm.table.pmdSlot(page) === slot ? entry - PTE_PS + (page & (HUGE_PAGES - 1)) * 4096 : entry
}

/** The area that contains a page, or null. The tree must stand still. */
export function areaOf(mm: Mm, page: number): Vma | null {
  const vma = mm.tree.walk(page)
  return vma !== null && vma.start <= page ? vma : null
}
