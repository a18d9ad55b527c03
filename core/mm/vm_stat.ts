/**
 * What an address space has mapped, in pages: all of it (VmSize), and what is data, private and writable (VmData).
 *
 * Counted up where an area comes or grows, down where one is cleaned up behind munmap, over where mprotect changes what it is.
 * The clean-up goes by the flags that the area still has then: whoever clears them earlier loses count.
 *
 * Written with mmap_lock held; the clean-up of munmap, which may hold it for reading only, does so before it lets go of the area.
 * Source: mm/mmap.c; mm/vma.c. @kernel vm_stat_account, is_data_mapping
 */
import type { Mm } from './mm.ts'
import { VM_SHARED, VM_WRITE } from './vma.ts'

/** @kernel is_data_mapping */
function isData(flags: number): boolean {
  return (flags & (VM_WRITE | VM_SHARED)) === VM_WRITE
}

/** `pages` more of this kind, or fewer. */
export function vmStatAccount(mm: Mm, flags: number, pages: number): void {
  mm.totalVm += pages
  if (isData(flags)) mm.dataVm += pages
}

/** What `dataVm` should be, by the areas that are there. */
export function dataPages(mm: Mm): number {
  return mm.tree.areas.reduce((pages, { flags, start, end }) => pages + (isData(flags) ? end - start : 0), 0)
}
