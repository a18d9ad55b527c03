/**
 * A huge page as such: which 2 MiB hold a page, the PMD entry that maps one, clearing it, copying it.
 *
 * Its struct and its allocation are in page.ts, its faults in huge_memory.ts and hugetlb.ts.
 * Source: mm/huge_memory.c; mm/memory.c.
 */
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { HUGE_PAGES, makePte, PTE_D, PTE_PS, type Pte } from '../hw/pte.ts'
import type { Kernel } from './kernel.ts'

/** First page of the 2 MiB that hold `page`. */
export function hugeFirst(page: number): number {
  return page & ~(HUGE_PAGES - 1)
}

/** The PMD entry of a huge page newly mapped in this area. @kernel mk_huge_pmd, maybe_pmd_mkwrite, pmd_mkdirty */
export function makeHugePmd(head: Pfn, prot: number): Pte {
  return makePte(head, prot | PTE_D | PTE_PS)
}

/** Clears 2 MiB and charges for it: 154 us, within the 127 to 288 us measured for a first touch. @kernel clear_huge_page */
export function clearHugePage(k: Thread, kernel: Kernel, head: Pfn): void {
  for (let i = 0; i < HUGE_PAGES; i++) kernel.phys.clear(head + i)
  k.cpu.nowNs += HUGE_PAGES * k.cpu.preset.clearPageNs.value
}

/** @kernel copy_user_huge_page */
export function copyHugePage(k: Thread, kernel: Kernel, to: Pfn, from: Pfn): void {
  for (let i = 0; i < HUGE_PAGES; i++) kernel.phys.copy(to + i, from + i)
  k.cpu.nowNs += HUGE_PAGES * k.cpu.preset.copyPageNs.value
}
