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
import { areaOf, visitAllEntries, visitEntries } from './entries.ts'
import { type Invariant, onEachKernel } from './invariant.ts'

/** I-RMAP at rest. */
export function rmapFindsEveryMapping(kernel: Kernel): string | null {
  return visitAllEntries(kernel, isFound)
}

export const REVERSE_MAP: Invariant = {
  id: 'I-RMAP',
  claim: 'the reverse map of a page leads to every PTE that maps it',
  inFlight: (state) => onEachKernel(state, inFlight),
  atRest: (state) => onEachKernel(state, rmapFindsEveryMapping),
}

function inFlight(kernel: Kernel): string | null {
  for (let i = 0; i < kernel.mms.length; i++) {
    const mm = kernel.mms[i]
    const wrong = mm.mmapLock.writer !== null ? null : visitEntries(mm, isFoundUnlocked)
    if (wrong !== null) return wrong
  }
  return null
}

/** munmap may hold mmap_lock for reading while entries of areas that left the tree wait to be cleared. */
function isFoundUnlocked(mm: Mm, page: number, pte: Pte, slot: number, pages: number): string | null {
  return mm.kernel.isTableLocked(slot) || areaOf(mm, page) === null ? null : isFound(mm, page, pte, slot, pages)
}

function isFound(mm: Mm, page: number, pte: Pte, _slot: number, count: number): string | null {
  if (!ptePresent(pte) || ptePfn(pte) === ZERO_PFN) return null
  const { pages, anonVmas } = mm.kernel
  const pfn = ptePfn(pte)
  const mapping = pages.mapping[pfn]
  const vma = areaOf(mm, page)
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
