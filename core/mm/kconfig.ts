/**
 * The protections that can be left out, one a line: what each does, and what goes wrong without it.
 *
 * Code asks `kernel.has('remap-tlb-flush')` at the one place where the protection stands. Nothing else may switch a step
 * of a protocol off. A test shows for each that leaving it out breaks something.
 *
 * Variants are different from protections: each is a kernel that existed (or was proposed) whole, and one of them is the default.
 */
import { BARRIER_PROTECTIONS } from './kconfig_barriers.ts'
import { MIGRATION_PROTECTIONS } from './kconfig_migration.ts'
import { USERFAULT_PROTECTIONS } from './kconfig_userfault.ts'

export interface Protection {
  readonly name: string
  readonly meaning: string
  /** What breaks without it, in a few words, and its entry in the race catalogue. */
  readonly prevents: string
}

const KERNEL_PROTECTIONS = [
  {
    name: 'remap-tlb-flush',
    meaning: 'remap_anon_pages and UFFDIO_MOVE flush the source address from the TLBs of every CPU that runs the mm',
    prevents: 'the old mapping lives on in a TLB and writes into a page already given to the guest (R33, R34)',
  },
  {
    name: 'remap-flush-other-cpus',
    meaning: 'that flush reaches the other CPUs too, not only the one that moves the page',
    prevents: 'a loader on another CPU overwrites the page it placed last with the one that comes next (R34)',
  },
  {
    name: 'remap-index',
    meaning: 'moving a page changes its index along with its mapping',
    prevents: 'the reverse map looks for the page at another address, and nobody can reclaim it (R38)',
  },
  {
    name: 'remap-dst-anon-vma',
    meaning: 'remap_anon_pages and UFFDIO_MOVE give the destination an anon_vma before they move anything there',
    prevents: 'a page is mapped that belongs to no anon_vma (R41)',
  },
  {
    name: 'remap-dirty-bit',
    meaning: 'a page is mapped dirty at its destination, whatever its PTE said at the source',
    prevents: 'a store between the sample and the clear is forgotten, and reclaim drops the page (R37)',
  },
  {
    name: 'move-pin-recheck',
    meaning: 'UFFDIO_MOVE looks, once the source is cleared, whether somebody has pinned the page meanwhile',
    prevents: 'what a device writes to a buffer at the source appears at the destination (R32, R42)',
  },
  {
    name: 'remap-pte-recheck',
    meaning: 'remap_anon_pages looks at both PTEs, and whether the page is mapped once, again under both page table locks',
    prevents: 'two movers place over one another (R36)',
  },
  {
    name: 'remap-anon-vma-lock',
    meaning: 'remap_anon_pages holds the anon_vma root for writing while it changes mapping and index',
    prevents: 'a walk of the reverse map misses the page (R30)',
  },
  {
    name: 'remap-deposit-move',
    meaning: 'moving a huge PMD hands its deposited page table from the source PMD table to the destination',
    prevents: 'the destination cannot be split, and the source keeps a table for ever (R48)',
  },
  {
    name: 'split-mapping-recheck',
    meaning: 'split_huge_page reads page->mapping again under the anon_vma lock and starts over if it changed',
    prevents: 'a huge page is split whose mapping the walk did not find (R28)',
  },
  {
    name: 'rmap-mapping-recheck',
    meaning: 'page_lock_anon_vma_read reads page->mapping again under the lock and starts over if it changed',
    prevents: 'a walk of the reverse map searches an anon_vma that the page has left (R26, R27)',
  },
  {
    name: 'rmap-mapped-recheck',
    meaning: 'page_lock_anon_vma_read looks whether the page is still mapped after it has pinned or locked the anon_vma',
    prevents: "a recycled anon_vma is taken for the page's own, since slabs are only type-safe (R45)",
  },
  {
    name: 'rmap-direct-free',
    meaning: 'page_lock_anon_vma_read, when it drops the last reference, unlocks first and then frees',
    prevents: 'the task waits for a lock that it holds itself (R46)',
  },
  {
    name: 'anon-vma-free-wait',
    meaning: 'freeing an anon_vma whose root is locked takes that lock for writing and leaves it first',
    prevents: 'a locked anon_vma goes back to the allocator (R47)',
  },
  {
    name: 'anon-vma-root-ref',
    meaning: 'each anon_vma that is no root holds a reference on its root',
    prevents: 'a page migration that keeps a child alive locks a root that is gone (R43)',
  },
  {
    name: 'anon-vma-root-lock',
    meaning: 'to lock an anon_vma is to lock its root',
    prevents: 'fork links an edge into the tree that a walk is in (R44)',
  },
  {
    name: 'remap-page-lock',
    meaning: 'remap_anon_pages holds the page lock from before it takes the anon_vma until the page has moved',
    prevents: 'a page that is being merged by KSM is moved, made writable and shared with a stranger (R29)',
  },
  {
    name: 'remap-mapcount',
    meaning: 'remap_anon_pages moves only a page that is mapped once',
    prevents: 'the second mapping of a forked page is lost to the reverse map, and the page is written in common (R31)',
  },
  {
    name: 'remap-swap-share',
    meaning: 'remap_anon_pages moves only a page that no swap entry names; not in the posted code',
    prevents: 'a page shared through a swap entry is written in common, mapcount 1 or not (R83)',
  },
  {
    name: 'remap-table-order',
    meaning: 'remap_anon_pages takes the two page table locks by ascending number',
    prevents: 'two calls in opposite directions wait for one another (R35)',
  },
  {
    name: 'swap-move-cache',
    meaning: 'moving a swap entry moves mapping and index of the page in the swap cache too; in mainline since 2025',
    prevents: 'the page is mapped at dst and described as being at src (R39)',
  },
  {
    name: 'swap-move-recheck',
    meaning: 'moving a swap entry looks again, under the locks, whether the cached page is that of the slot',
    prevents: 'a slot freed and used again lets a foreign page be described as being at dst (R40)',
  },
  {
    name: 'swapin-pte-recheck',
    meaning: 'do_swap_page maps the page only if the PTE is still the entry that faulted',
    prevents: 'two threads that fault on one entry both drop its count',
  },
  {
    name: 'unmap-tlb-flush',
    meaning: 'try_to_unmap flushes each mapping from every CPU before the page may be written out or copied',
    prevents: 'a store through an old TLB entry is not in the copy that comes back from swap, or in the new frame',
  },
  {
    name: 'unmap-dirty-bit',
    meaning: 'try_to_unmap gives the D bit of each mapping to the page',
    prevents: 'a page that has an old copy in swap is dropped instead of being written: a lost store (akin to R37)',
  },
  {
    name: 'migrate-refcount',
    meaning: 'page migration goes on only if nobody but it, the mappings and the swap cache has a reference',
    prevents: 'somebody goes on with the old frame, and what he reads or writes there is lost',
  },
  {
    name: 'ksm-write-protect',
    meaning: 'KSM compares two pages only after both are write-protected',
    prevents: 'a store between the compare and the merge is lost',
  },
  {
    name: 'cow-references',
    meaning: 'a store after fork reuses the page only if nobody has a reference on it, not if it is mapped once',
    prevents: 'a child that keeps a reference reads what its parent writes later',
  },
  {
    name: 'rmap-root-once',
    meaning: 'page_lock_anon_vma_read leaves the very lock that it took, without asking the anon_vma again for its root',
    prevents: 'an anon_vma that became another meanwhile names another root, and its own lock is never left',
  },
  {
    name: 'zap-flush-before-free',
    meaning: 'unmapping gives frames back only after the TLBs of all CPUs were flushed',
    prevents: 'a CPU goes on writing to a frame that somebody else was given (akin to R49)',
  },
  {
    name: 'dirty-log-flush',
    meaning: 'the dirty log answers only after pages it protected again were flushed from every TLB',
    prevents: 'a store through an old entry is in no log (R64)',
  },
  {
    name: 'mremap-flush-before-unlock',
    meaning: 'mremap flushes the old addresses from all TLBs before it drops the page table locks',
    prevents: 'reclaim takes the page at its new place and frees it while a TLB entry for the old place still writes to it (R49)',
  },
  {
    name: 'spec-seq-recheck',
    meaning: "a speculative fault compares the area's count again when it takes the PTE lock",
    prevents: 'a page is mapped into an area that was unmapped, protected or registered meanwhile (R01, R02, R23)',
  },
  {
    name: 'spec-bounds-recheck',
    meaning: "a speculative fault compares the area's count again once it has looked at bounds and flags",
    prevents: 'it judges an address by an area that holds it no longer: a signal that nobody is owed (R03)',
  },
  {
    name: 'spec-segv-recheck',
    meaning: 'v12 leaves "no right" to the classic path; as posted it answered SIGSEGV from flags it had not confirmed',
    prevents: 'a program is killed although every state of its area allows the access (R25)',
  },
  {
    name: 'spec-dead-check',
    meaning: 'a speculative fault asks whether the area is still in the tree',
    prevents: 'a page is mapped into an area whose unmapping was complete before its count was read (R04)',
  },
  {
    name: 'spec-odd-check',
    meaning: 'a speculative fault gives up where the count is odd',
    prevents: 'a page is mapped with rights of before a change that is still going on (R10)',
  },
  {
    name: 'spec-anon-vma',
    meaning: 'a speculative fault gives up where the area has no anon_vma yet',
    prevents: 'a page is mapped that no reverse map leads to (R18)',
  },
  {
    name: 'spec-access-check',
    meaning: "the handler of 2014 compares the access with the area's rights, which the RFC did not",
    prevents: 'a store to a read-only area faults for ever, or gets through',
  },
  {
    name: 'spec-pmd-compare',
    meaning: 'a speculative fault takes the lock of its page table only while the PMD still names it',
    prevents: 'a page is put into a table that khugepaged has replaced by a huge page (R16)',
  },
  {
    name: 'spec-irq-off',
    meaning: 'a speculative fault walks page tables, and takes the PTE lock, with interrupts off',
    prevents: 'munmap frees a page table in the middle of the walk (R15)',
  },
  {
    name: 'spec-no-table',
    meaning: 'a speculative fault gives up where a page table is missing, and allocates none',
    prevents: 'a page table is put where munmap has just freed the last one, and stays there (R17)',
  },
  {
    name: 'spec-index-snapshot',
    meaning: "a speculative fault computes the page's index while its count confirms it; v12 did so after its last look",
    prevents: 'a split between two loads gives the page an index at which the reverse map does not find it (R10)',
  },
  {
    name: 'spec-trylock',
    meaning: 'a speculative fault only tries the PTE lock while interrupts are off',
    prevents: 'the holder waits for an IPI that this CPU does not take: deadlock (R14)',
  },
  {
    name: 'mm-seq-retry',
    meaning: 'a look-up without mmap_lock starts over when mm_seq changed',
    prevents: 'a walk through a rotation finds the wrong area, or none (R05)',
  },
  {
    name: 'lockless-no-cache',
    meaning: 'a look-up without mmap_lock neither uses nor fills the cache of the area found last',
    prevents: 'it finds an area that was freed long ago (R24)',
  },
  {
    name: 'vma-deferred-free',
    meaning: 'an area is freed a grace period after it left the tree',
    prevents: 'a fault without mmap_lock reads a freed area (R06)',
  },
  {
    name: 'vma-deferred-fput',
    meaning: "an area's file is put when the area is freed (2014)",
    prevents: 'a fault without mmap_lock asks a freed file for the page (R07)',
  },
  {
    name: 'vma-deferred-policy',
    meaning: "an area's policy is put when the area is freed; the patch of 2014 put it at once",
    prevents: 'a fault without mmap_lock reads a freed policy (R08)',
  },
  {
    name: 'umount-srcu-barrier',
    meaning: 'umount waits for the callbacks that put files',
    prevents: 'umount answers EBUSY though nothing is mapped any longer',
  },
  {
    name: 'vma-seq-end-before-free',
    meaning: 'a merge ends the write section of the area it swallows before that area is freed; the patch of 2014 did not',
    prevents: 'a write section ends on a freed area (R22)',
  },
  {
    name: 'vma-merge-next',
    meaning: 'a merge opens a write section on the area that it swallows, too, or write-locks it (vma-lock)',
    prevents: 'a fault maps a page into an area that is gone, and its anon_vma with it (R21)',
  },
  {
    name: 'vma-seq-null-next',
    meaning: 'a merge asks whether there is an area behind the one it swallows; the patch of 2014 did not',
    prevents: 'a write section begins on no area at all',
  },
  {
    name: 'vma-seq-once',
    meaning: 'a merge inside the section that mremap holds open goes on in it, and does not begin it again (v12: keep_locked)',
    prevents: 'the count is even in the middle of a change (R11)',
  },
  {
    name: 'vma-seq-init-early',
    meaning: 'the count is set up when the area is made, not when it is linked as in 2014',
    prevents: 'an area that is linked odd (mremap) becomes even while it is written (R19)',
  },
  {
    name: 'fork-seq',
    meaning: 'fork keeps each area odd, or write-locked (vma-lock), until the TLBs are flushed',
    prevents: 'a speculative copy loses what another CPU still writes through its TLB (R20)',
  },
  {
    name: 'mremap-seq',
    meaning: 'mremap links the new area odd and keeps it and the old one odd until the entries have moved',
    prevents: 'a fault at the new place maps an empty page where a moved one belongs (R19)',
  },
  {
    name: 'uffd-register-seq',
    meaning: 'registering a range with userfaultfd counts as a change of its areas',
    prevents: 'a fault that began before it maps a zero page afterwards (R23)',
  },
  {
    name: 'vma-write-lock',
    meaning: 'whoever changes an area write-locks it (vma-lock)',
    prevents: 'a fault maps a page into an area that is being unmapped',
  },
  {
    name: 'mbind-area-lock',
    meaning: 'mbind replaces a policy in a write section of its area, or with the area write-locked (vma-lock)',
    prevents: 'a fault under the lock of the area reads a policy that was freed (CVE-2023-4611)',
  },
  {
    name: 'vma-lock-second-look',
    meaning: "the reader of an area's lock compares the lock numbers again once it has the lock",
    prevents: 'a fault runs beside the writer that came in between',
  },
  {
    name: 'vma-lock-recheck',
    meaning: 'whoever has locked an area looks whether it is still in the tree and covers the address',
    prevents: 'a page is mapped into an area that was gone before it was locked',
  },
] as const satisfies readonly Protection[]

/** All that can be left out: of the kernel, then of whoever migrates (core/migration). */
export const PROTECTIONS = [
  ...KERNEL_PROTECTIONS,
  ...USERFAULT_PROTECTIONS,
  ...BARRIER_PROTECTIONS,
  ...MIGRATION_PROTECTIONS,
] as const

/**
 * Where page_lock_anon_vma_read reads page->mapping again: on the slow path only, as posted in 2013; on both paths, as in
 * mainline since UFFDIO_MOVE; or nowhere, because every walker holds the page lock.
 */
export type RmapRecheck = 'slow-path' | 'both-paths' | 'page-lock'

/**
 * What tells a speculative fault of v12 that its area changed: a sequence count that every writer makes odd and even; or what
 * Jerome Glisse proposed on 18 Apr 2019 and withdrew on 22 Apr: a plain counter that goes up when an area is deleted, and
 * vm_flags, which are 0 then and are compared too.
 */
export type VmaCount = 'seqcount' | 'plain-counter'

/**
 * How whoever is about to sleep on a userfault looks at the PTE: without its lock, as every kernel does, or under it. Without, a page
 * that is just being copied on write looks missing between clear and store, and who then sleeps is not woken.
 */
export type MustWaitLook = 'lockless' | 'locked'

export interface Variants {
  rmapRecheck: RmapRecheck
  vmaCount: VmaCount
  mustWaitLook: MustWaitLook
}

export const DEFAULT_VARIANTS: Readonly<Variants> = {
  rmapRecheck: 'both-paths',
  vmaCount: 'seqcount',
  mustWaitLook: 'locked',
}

export type ProtectionName = (typeof PROTECTIONS)[number]['name']

export function isProtection(name: string): name is ProtectionName {
  return PROTECTIONS.some((p) => p.name === name)
}
