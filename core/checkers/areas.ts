/**
 * I-VMA: every entry of a page table, present or not, lies inside an area of its address space.
 *
 * In flight: munmap takes an area out of the tree before it clears the entries, and holds mmap_lock all the while; so an address
 * space is looked at while nobody holds that lock. Faults that hold none may run then, and map only what is in an area.
 */
import type { Pte } from '../hw/pte.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import type { Vma } from '../mm/vma.ts'
import { areaOf, visitAllEntries } from './entries.ts'
import { type Invariant, onEachKernel, type State } from './invariant.ts'
import { liveEntries } from './live_entries.ts'

/** I-VMA at rest. */
export function entriesLieInAreas(kernel: Kernel): string | null {
  return visitAllEntries(kernel, liesInArea)
}

export const AREAS: Invariant = {
  id: 'I-VMA',
  claim: 'every entry of a page table lies inside an area of its address space',
  inFlight,
  atRest: (state) => onEachKernel(state, entriesLieInAreas),
}

function inFlight(state: State): string | null {
  const { count, mm, page, vma, pages } = liveEntries(state)
  for (let i = 0; i < count; i++) {
    const wrong = mm[i].mmapLock.isHeld ? null : liesIn(vma[i], page[i], pages[i])
    if (wrong !== null) return wrong
  }
  return null
}

function liesInArea(mm: Mm, page: number, _pte: Pte, _slot: number, pages: number): string | null {
  return liesIn(areaOf(mm, page), page, pages)
}

function liesIn(vma: Vma | null, page: number, pages: number): string | null {
  return vma !== null && page + pages <= vma.end ? null : `page ${page} has an entry, and there is no area`
}
