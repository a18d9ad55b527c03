/**
 * A virtual memory area: a range of page numbers with one set of rights and one kind of backing.
 *
 * Everything here is written with mmap_lock held for writing, but for `anonVma`, which anon_vma_prepare sets under the page
 * table lock and the root's lock. Who reads without mmap_lock compares `sequence` (speculative_fault.ts) or holds `lock`
 * (vma_lock.ts); writers use vma_sequence.ts, which serves both.
 *
 * Source: include/linux/mm_types.h.
 * @kernel vm_area_struct
 */
import { PTE_A, PTE_P, PTE_PROTNONE, PTE_U, PTE_W } from '../hw/pte.ts'
import type { CacheLine } from '../sync/cache_line.ts'
import { Refcounted } from '../sync/refcount.ts'
import { Seqcount } from '../sync/seqcount.ts'
import type { AnonVma, AnonVmaChain } from './anon_vma.ts'
import type { Mm } from './mm.ts'
import type { VmaLock } from './mmap_lock.ts'
import type { OpenFile } from './shmem.ts'
import type { Userfaultfd } from './userfaultfd.ts'

export const VM_READ = 1 << 0
export const VM_WRITE = 1 << 1
export const VM_SHARED = 1 << 3
/** May mprotect give the right? A shared mapping of a file opened for reading never may. */
export const VM_MAYREAD = 1 << 4
export const VM_MAYWRITE = 1 << 5
export const VM_UFFD_MISSING = 1 << 9
export const VM_UFFD_WP = 1 << 12
export const VM_LOCKED = 1 << 13
export const VM_DONTCOPY = 1 << 17
/** Pages are locked as they come in, and none is brought in for it. */
export const VM_LOCKONFAULT = 1 << 19
export const VM_LOCKED_MASK = VM_LOCKED | VM_LOCKONFAULT
/** Its pages are charged against the limit of overcommit: private memory that was writable once. */
export const VM_ACCOUNT = 1 << 20
/** Memory of the hugetlb pool: every page is a huge one, never split. */
export const VM_HUGETLB = 1 << 22
/** Bit 38 in the kernel. */
export const VM_UFFD_MINOR = 1 << 27
/** @kernel __VM_UFFD_FLAGS */
export const VM_UFFD_FLAGS = VM_UFFD_MISSING | VM_UFFD_WP | VM_UFFD_MINOR
/** madvise(MADV_HUGEPAGE) and MADV_NOHUGEPAGE: bits 29 and 30 of the kernel. */
export const VM_HUGEPAGE = 1 << 29
export const VM_NOHUGEPAGE = 1 << 30
/** MADV_USERFAULT of the 2014 series (bit 32 there). */
export const VM_USERFAULT = 1 << 28

/** Flags of an area that is about to be writable: private memory is charged. @kernel accountable_mapping */
export function accounted(flags: number): number {
  return (flags & (VM_SHARED | VM_HUGETLB | VM_WRITE)) === VM_WRITE ? flags | VM_ACCOUNT : flags
}

/** Fields that are read without mmap_lock and without an atomic operation: they go through barriers.ts. */
const SHARED_FIELDS: ReadonlyMap<string, string> = new Map([
  ['start', 'vma.vm_start'],
  ['end', 'vma.vm_end'],
  ['pgoff', 'vma.vm_pgoff'],
  ['flags', 'vma.vm_flags'],
  ['anonVma', 'vma.anon_vma'],
  ['linked', 'vma.vm_rb'],
])

export class Vma {
  /** First page, and one past the last. */
  start: number
  end: number
  /** Whose it is: what a walk of the reverse map needs to find page tables. Set when it is linked. @kernel vm_mm */
  mm: Mm | null = null
  /** Linear page index of `start`: what page->index counts from. */
  pgoff: number
  flags: number
  /** Where new pages of this area go; null until the first fault. */
  anonVma: AnonVma | null = null
  /** Edges to every anon_vma whose pages may be mapped here, newest first. @kernel same_vma list */
  chain: AnonVmaChain[] = []
  uffd: Userfaultfd | null = null
  /** The open file behind a mapping. @kernel vm_file */
  file: OpenFile | null = null
  /** What a speculation compares: bounds, pgoff, flags, anonVma, policy, and "its page tables are valid". @kernel vm_sequence */
  readonly sequence: Seqcount
  /** Whoever looks the area up without mmap_lock holds a reference (v12); the tree holds the first. @kernel vm_ref_count */
  readonly refs: Refcounted
  /** Clock gear: the cache line of that count, which every lockless look-up of the area writes to; made when first needed. */
  refLine: CacheLine | null = null
  /** NUMA policy, counted. @kernel vm_policy */
  policy: Refcounted | null = null
  /** In the tree. Cleared after the removal is complete: the mark of a dead area. @kernel RB_EMPTY_NODE(&vm_rb) */
  linked = false
  /** The per-area lock of 6.4 and later (vma_lock.ts); made when first needed. @kernel vm_lock, vm_lock_seq */
  lock: VmaLock | null = null

  // The links of vma_tree.ts and vma_rb.ts.
  prev: Vma | null = null
  next: Vma | null = null
  rbParent: Vma | null = null
  rbLeft: Vma | null = null
  rbRight: Vma | null = null
  rbRed = false
  /** Pages of the largest gap below any area of this subtree. @kernel rb_subtree_gap */
  subtreeGap = 0

  constructor(
    readonly id: number,
    start: number,
    end: number,
    flags: number,
    /** A file or device behind it; anonymous areas have none. @kernel vm_ops */
    readonly ops: 'file' | 'shmem' | null = null,
  ) {
    this.start = start
    this.end = end
    this.pgoff = start
    this.flags = flags
    this.sequence = new Seqcount(id, 'vma.vm_sequence', true)
    this.refs = new Refcounted(`area ${id}`)
  }

  /** For barriers.ts. */
  labelOf(field: string): string | null {
    return SHARED_FIELDS.get(field) ?? null
  }

  /** Whoever reads a field without mmap_lock says so first: a freed area may not be read. */
  use(who: string): void {
    this.refs.use(who)
  }

  /** Free pages between this area and the one before. @kernel vma_compute_gap */
  get gapBelow(): number {
    return this.start - (this.prev?.end ?? 0)
  }

  contains(page: number): boolean {
    return page >= this.start && page < this.end
  }

  /** Neither a file nor the hugetlb pool is behind it. @kernel vma_is_anonymous */
  get isAnonymous(): boolean {
    return this.ops === null && (this.flags & VM_HUGETLB) === 0
  }

  /** @kernel is_vm_hugetlb_page */
  get isHugetlb(): boolean {
    return (this.flags & VM_HUGETLB) !== 0
  }

  /** Memory that a page cache keeps: MAP_SHARED anonymous, memfd. @kernel vma_is_shmem */
  get isShmem(): boolean {
    return this.ops === 'shmem'
  }

  /** Linear index of a page of this area. @kernel linear_page_index */
  indexOf(page: number): number {
    return page - this.start + this.pgoff
  }

  /** The inverse, or -1 if that index is not in this area. @kernel vma_address */
  pageOf(index: number): number {
    const page = index - this.pgoff + this.start
    return this.contains(page) ? page : -1
  }

  /** @kernel vm_page_prot */
  get pageProt(): number {
    return pageProtOf(this.flags)
  }
}

/** PTE flags of a page mapped with the rights of an area that has these flags. @kernel vm_get_page_prot */
export function pageProtOf(flags: number): number {
  if ((flags & (VM_READ | VM_WRITE)) === 0) return PTE_PROTNONE | PTE_U | PTE_A
  return PTE_P | PTE_U | PTE_A | ((flags & VM_WRITE) !== 0 ? PTE_W : 0)
}
