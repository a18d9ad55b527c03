/**
 * I-PERM and I-VMA: what page tables allow is what the areas allow, when nothing is in flight.
 *
 * - Every entry, present or not, lies inside an area of its address space (I-VMA).
 * - A writable PTE lies in an area that may be written; its page is private to one mapping or the area is shared; it carries no
 *   userfault write protection (I-PERM).
 * - A PTE that hardware may read lies in an area that has any right at all.
 *
 * Reads only; answers with the first thing wrong, or null.
 */
import { ENTRIES } from '../hw/page_table.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_NONE, PTE_P, PTE_UFFD_WP, type Pte, ptePfn, ptePresent, pteWritable } from '../hw/pte.ts'
import type { Process } from '../machine/process.ts'
import { VM_READ, VM_SHARED, VM_WRITE, type Vma } from '../mm/vma.ts'

export function rightsAreThoseOfTheArea(processes: readonly Process[]): string | null {
  for (const process of processes) {
    const { entries } = process.machine.kernel.tables
    let wrong: string | null = null
    process.mm.table.forEachLeaf((node, firstPage) => {
      for (let i = 0; i < ENTRIES && wrong === null; i++) {
        const pte = entries[node * ENTRIES + i]
        if (pte !== PTE_NONE) wrong = wrongAt(process, firstPage + i, pte)
      }
    })
    process.mm.table.forEachHuge((pmd, _slot, firstPage) => {
      wrong ??= wrongAt(process, firstPage, pmd)
    })
    if (wrong !== null) return wrong
  }
  return null
}

function wrongAt(process: Process, page: number, pte: Pte): string | null {
  const vma = process.mm.tree.walk(page)
  if (vma === null || !vma.contains(page)) return `page ${page} has an entry, and there is no area`
  if (!ptePresent(pte)) return null
  if ((pte & PTE_P) !== 0 && (vma.flags & (VM_READ | VM_WRITE)) === 0)
    return `page ${page} may be read, and its area gives no right`
  return pteWritable(pte) ? wrongIfWritable(process, page, pte, vma) : null
}

function wrongIfWritable(process: Process, page: number, pte: Pte, vma: Vma): string | null {
  const { pages } = process.machine.kernel
  const pfn = ptePfn(pte)
  if ((vma.flags & VM_WRITE) === 0) return `page ${page} is writable, and its area is not`
  if ((pte & PTE_UFFD_WP) !== 0) return `page ${page} is writable and write-protected by userfault`
  if (pfn === ZERO_PFN) return `page ${page} is writable and maps the zero page`
  const isShared = (vma.flags & VM_SHARED) === 0 && !pages.isExclusive(pfn) && pages.mapcount[pfn] !== 1
  return isShared ? `page ${page} is writable, and its frame is mapped ${pages.mapcount[pfn]} times (pfn ${pfn})` : null
}
