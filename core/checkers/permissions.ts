/**
 * I-PERM: what page tables allow is what the areas allow.
 *
 * - A writable PTE lies in an area that may be written; its page is private to one mapping or the area is shared; it carries no
 *   userfault write protection, and it does not map the zero page.
 * - A PTE that hardware may read lies in an area that has any right at all.
 *
 * In flight: whoever changes areas holds mmap_lock for writing; such an address space is left out. An entry outside of any area
 * is I-VMA's business (and may be what munmap is about to clear).
 */
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_P, PTE_UFFD_WP, type Pte, ptePfn, ptePresent, pteWritable } from '../hw/pte.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import { VM_READ, VM_SHARED, VM_WRITE, type Vma } from '../mm/vma.ts'
import { areaOf, visitAllEntries } from './entries.ts'
import { type Invariant, onEachKernel, type State } from './invariant.ts'
import { liveEntries } from './live_entries.ts'

/** I-PERM at rest. */
export function rightsAreThoseOfTheArea(kernel: Kernel): string | null {
  return visitAllEntries(kernel, isAllowed)
}

export const PERMISSIONS: Invariant = {
  id: 'I-PERM',
  claim: 'a PTE allows no more than its area does, and nobody writes to a page that others share',
  inFlight,
  atRest: (state) => onEachKernel(state, rightsAreThoseOfTheArea),
}

function inFlight(state: State): string | null {
  const { count, mm, page, pte, vma } = liveEntries(state)
  for (let i = 0; i < count; i++) {
    const wrong = mm[i].mmapLock.writer !== null ? null : isAllowedIn(vma[i], mm[i], page[i], pte[i])
    if (wrong !== null) return wrong
  }
  return null
}

function isAllowed(mm: Mm, page: number, pte: Pte): string | null {
  return isAllowedIn(areaOf(mm, page), mm, page, pte)
}

function isAllowedIn(vma: Vma | null, mm: Mm, page: number, pte: Pte): string | null {
  if (!ptePresent(pte)) return null
  const { pages } = mm.kernel
  const pfn = ptePfn(pte)
  const writable = pteWritable(pte)
  if (writable && (pte & PTE_UFFD_WP) !== 0) return `page ${page} is writable and write-protected by userfault`
  if (writable && pfn === ZERO_PFN) return `page ${page} is writable and maps the zero page`
  if (vma === null) return null
  if ((pte & PTE_P) !== 0 && (vma.flags & (VM_READ | VM_WRITE)) === 0)
    return `page ${page} may be read, and its area gives no right`
  if (!writable) return null
  if ((vma.flags & VM_WRITE) === 0) return `page ${page} is writable, and its area is not`
  const isShared = (vma.flags & VM_SHARED) === 0 && !pages.isExclusive(pfn) && pages.mapcount[pfn] !== 1
  return isShared ? `page ${page} is writable, and its frame is mapped ${pages.mapcount[pfn]} times (pfn ${pfn})` : null
}
