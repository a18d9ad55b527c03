/**
 * Where an area of the hugetlb pool may be cut: at multiples of 2 MiB only.
 *
 * munmap, mprotect, madvise and userfaultfd ask before they split such an area; what they answer is EINVAL.
 * Source: mm/hugetlb.c.
 * @kernel hugetlb_vm_op_split
 */
import { HUGE_PAGES } from '../hw/pte.ts'
import type { Mm } from './mm.ts'
import { VM_HUGETLB, type Vma } from './vma.ts'

/** A cut at `start` or `end` would go through a page of the pool. */
export function cutsHugetlb(mm: Mm, start: number, end: number): boolean {
  const cuts = (vma: Vma, page: number) => page > vma.start && page < vma.end && page % HUGE_PAGES !== 0
  return mm.tree.overlapping(start, end).some((v) => (v.flags & VM_HUGETLB) !== 0 && (cuts(v, start) || cuts(v, end)))
}
