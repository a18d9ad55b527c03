/**
 * I-LEAK: nothing is lost. Every frame in use is mapped or cached, every page table is in the tree of an address space or put by
 * for a huge PMD, and each huge PMD has one table put by (R48).
 *
 * In flight an operation may hold frames that nobody else knows of; what holds always is that the allocator counts as many frames
 * as have a reference.
 */
import { ENTRIES } from '../hw/page_table.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { HUGE_PAGES, PTE_NONE, pmdHuge, ptePfn } from '../hw/pte.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import { PG_HWPOISON, PG_TAIL } from '../mm/page.ts'
import { visitAllEntries } from './entries.ts'
import { type Invariant, onEachKernel } from './invariant.ts'

export const LEAKS: Invariant = {
  id: 'I-LEAK',
  claim: 'every frame in use is mapped, cached or held by an operation, and every page table is in a tree',
  inFlight: (state) => onEachKernel(state, framesAreCounted),
  atRest: (state) =>
    onEachKernel(state, (kernel) => noFrameLeaks(kernel) ?? everyHugePmdHasItsTable(kernel) ?? noTableLeaks(kernel)),
}

/** Frames, at rest. */
export function noFrameLeaks(kernel: Kernel): string | null {
  const { pages, swap } = kernel
  for (let pfn = ZERO_PFN + 1; pfn < pages.highest; pfn++) {
    // A page of a page cache, or of the swap cache, may be mapped nowhere.
    const cached = (pages.mapping[pfn] > 0 && (pages.mapping[pfn] & 1) === 0) || swap.isCached(pfn)
    // One that has failed is kept from everybody.
    const failed = (pages.flags[pfn] & PG_HWPOISON) !== 0
    if (pages.refcount[pfn] > 0 && pages.mapcount[pfn] === 0 && !cached && !failed)
      return `pfn ${pfn} has refcount ${pages.refcount[pfn]} and no mapping`
    if (pages.refcount[pfn] === 0 && (pages.flags[pfn] & PG_TAIL) !== 0 && !pages.isHuge(pfn - (pfn % HUGE_PAGES)))
      return `pfn ${pfn} is the tail of a huge page that has no head`
  }
  return framesAreCounted(kernel)
}

function framesAreCounted({ pages }: Kernel): string | null {
  const { highest, refcount } = pages
  let referenced = 0
  for (let pfn = ZERO_PFN + 1; pfn < highest; pfn++) if (refcount[pfn] > 0) referenced += pages.isHuge(pfn) ? HUGE_PAGES : 1
  return referenced === pages.used ? null : `${pages.used} frames in use != ${referenced} with a reference`
}

/** One table is put by for each huge PMD, on the list of the PMD table that holds it; the hugetlb pool puts none by. */
export function everyHugePmdHasItsTable(kernel: Kernel): string | null {
  const { pages, deposits } = kernel
  const huge = new Map<number, number>()
  let total = 0
  visitAllEntries(kernel, (_mm, _page, pmd, slot, count) => {
    if (count === 1 || pages.isHugetlb(ptePfn(pmd))) return null
    total++
    huge.set(slot >>> 9, (huge.get(slot >>> 9) ?? 0) + 1)
    return null
  })
  for (const [node, count] of huge) {
    if (deposits.count(node) !== count)
      return `${deposits.count(node)} tables deposited != ${count} huge PMDs (PMD table ${node})`
  }
  return deposits.total === total ? null : `${deposits.total} tables deposited != ${total} huge PMDs`
}

/** Page tables, at rest. A leaf table is there for an area that it may map. */
function noTableLeaks({ mms, tables, deposits }: Kernel): string | null {
  let reached = deposits.total
  for (const mm of mms) {
    reached += tablesOf(mm)
    let idle = -1
    mm.table.forEachLeaf((_node, first) => {
      if (mm.tree.overlapping(first, first + ENTRIES).length === 0) idle = first
    })
    if (idle >= 0) return `a page table is left for pages ${idle} to ${idle + ENTRIES - 1}, where there is no area`
  }
  return reached === tables.nodesInUse ? null : `${tables.nodesInUse} page tables in use != ${reached} in trees or put by`
}

function tablesOf({ table, kernel, windowPages }: Mm): number {
  const { entries } = kernel.tables
  if (table.node(0, 3) === 0) return 1
  let count = 2
  for (let first = 0; first < windowPages; first += ENTRIES) {
    const slot = table.pmdSlot(first)
    if (slot >= 0 && (first & (ENTRIES * ENTRIES - 1)) === 0) count++
    if (slot >= 0 && entries[slot] !== PTE_NONE && !pmdHuge(entries[slot])) count++
  }
  return count
}
