/**
 * I-RMAP: the reverse map of each page leads to each PTE that maps it: the page's anon_vma has an edge to the area, and its index
 * is the one that the page has there. A KSM page is found through the items of its stable node.
 *
 * In flight: an address space whose mmap_lock is written is left out (areas are cut and joined there), and so is an entry whose
 * table is locked: a page on the move has its new (anon_vma, index) a moment before its new PTE.
 */
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { type Pte, ptePfn, ptePresent } from '../hw/pte.ts'
import type { AnonVma } from '../mm/anon_vma.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import type { Vma } from '../mm/vma.ts'
import { areaOf, visitAllEntries } from './entries.ts'
import { type Invariant, onEachKernel, type State } from './invariant.ts'
import { liveEntries } from './live_entries.ts'

/** I-RMAP at rest. */
export function rmapFindsEveryMapping(kernel: Kernel): string | null {
  return visitAllEntries(kernel, isFound)
}

export const REVERSE_MAP: Invariant = {
  id: 'I-RMAP',
  claim: 'the reverse map of a page leads to every PTE that maps it',
  inFlight,
  atRest: (state) => onEachKernel(state, rmapFindsEveryMapping),
}

/** munmap may hold mmap_lock for reading while entries of areas that left the tree wait to be cleared. */
function inFlight(state: State): string | null {
  const { count, mm, page, pte, slot, pages, vma } = liveEntries(state)
  for (let i = 0; i < count; i++) {
    if (vma[i] === null || mm[i].kernel.isTableLocked(slot[i])) continue
    const wrong = isFoundIn(vma[i], mm[i], page[i], pte[i], pages[i])
    if (wrong !== null) return wrong
  }
  return null
}

function isFound(mm: Mm, page: number, pte: Pte, _slot: number, count: number): string | null {
  return isFoundIn(areaOf(mm, page), mm, page, pte, count)
}

function isFoundIn(vma: Vma | null, mm: Mm, page: number, pte: Pte, count: number): string | null {
  if (!ptePresent(pte) || ptePfn(pte) === ZERO_PFN) return null
  const { pages, anonVmas } = mm.kernel
  const pfn = ptePfn(pte)
  const mapping = pages.mapping[pfn]
  if (vma === null || page + count > vma.end) return `pfn ${pfn} is mapped at page ${page}, where there is no area`
  if (mapping < 0) return isListed(mm, vma, page, pfn) ? null : `the stable node of pfn ${pfn} does not lead to page ${page}`
  if (mapping === 0) return `pfn ${pfn} is mapped at page ${page} without an anon_vma`
  if ((mapping & 1) === 0) return null
  if (!leadsTo(anonVmas.at(mapping >>> 1), vma))
    return `anon_vma ${mapping >>> 1} of pfn ${pfn} does not lead to the area of page ${page}`
  if (vma.indexOf(page) !== pages.index[pfn])
    return `index ${pages.index[pfn]} != ${vma.indexOf(page)} (pfn ${pfn}, page ${page})`
  return null
}

function leadsTo({ chains }: AnonVma, vma: Vma): boolean {
  for (let i = 0; i < chains.length; i++) if (chains[i].vma === vma) return true
  return false
}

/** Each item of a stable node leads to the areas of one anon_vma. */
function isListed(mm: Mm, vma: Vma, page: number, pfn: number): boolean {
  const node = mm.kernel.ksm.of(mm.kernel, pfn)
  return node?.items.some((item) => item.page === page && leadsTo(item.anonVma, vma)) ?? false
}
