/**
 * I-VMA: every entry of a page table, present or not, lies inside an area of its address space.
 *
 * In flight: munmap takes an area out of the tree before it clears the entries, and holds mmap_lock all the while; so an address
 * space is looked at while nobody holds that lock. Faults that hold none may run then, and map only what is in an area.
 */
import type { Pte } from '../hw/pte.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import { areaOf, visitAllEntries, visitEntries } from './entries.ts'
import { type Invariant, onEachKernel } from './invariant.ts'

/** I-VMA at rest. */
export function entriesLieInAreas(kernel: Kernel): string | null {
  return visitAllEntries(kernel, liesInArea)
}

export const AREAS: Invariant = {
  id: 'I-VMA',
  claim: 'every entry of a page table lies inside an area of its address space',
  inFlight: (state) => onEachKernel(state, inFlight),
  atRest: (state) => onEachKernel(state, entriesLieInAreas),
}

function inFlight(kernel: Kernel): string | null {
  for (let i = 0; i < kernel.mms.length; i++) {
    const mm = kernel.mms[i]
    const wrong = mm.mmapLock.isHeld ? null : visitEntries(mm, liesInArea)
    if (wrong !== null) return wrong
  }
  return null
}

function liesInArea(mm: Mm, page: number, _pte: Pte, _slot: number, pages: number): string | null {
  const vma = areaOf(mm, page)
  return vma !== null && page + pages <= vma.end ? null : `page ${page} has an entry, and there is no area`
}
