/**
 * The protections that can be left out, one a line: what each does, and what goes wrong without it.
 *
 * Code asks `kernel.has('remap-tlb-flush')` at the one place where the protection stands. Nothing else may switch a step
 * of a protocol off. A test shows for each that leaving it out breaks something.
 *
 * Variants are different from protections: each is a kernel that existed (or was proposed) whole, and one of them is the default.
 */

export interface Protection {
  readonly name: string
  readonly meaning: string
  /** What breaks without it, in a few words, and its entry in the race catalogue. */
  readonly prevents: string
}

export const PROTECTIONS = [
  {
    name: 'remap-tlb-flush',
    meaning: 'remap_anon_pages and UFFDIO_MOVE flush the source address from the TLBs of every CPU that runs the mm',
    prevents: 'the old mapping lives on in a TLB and writes into a page already given to the guest (R33, R34)',
  },
  {
    name: 'remap-pte-recheck',
    meaning: 'remap_anon_pages looks at both PTEs and the mapcount again under both page table locks',
    prevents: 'two movers place over one another, or move a page that was shared meanwhile (R32, R36)',
  },
  {
    name: 'remap-anon-vma-lock',
    meaning: 'remap_anon_pages holds the anon_vma root for writing while it changes mapping and index',
    prevents: 'a walk of the reverse map misses the page (R30)',
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
    name: 'uffd-must-wait',
    meaning: 'handle_userfault looks at the PTE again after it has queued itself and before it sleeps',
    prevents: 'a page placed in between leaves the thread asleep for ever (R52)',
  },
  {
    name: 'uffd-refile-seq',
    meaning: 'whoever looks for waiters asks again while a reader moves one from pending to fault',
    prevents: 'a wake-up finds both queues empty for that moment and leaves the thread asleep for ever (R53)',
  },
  {
    name: 'uffd-place-before-wake',
    meaning: 'the calls that resolve a userfault wake only after the PTE is stored',
    prevents: 'a woken thread finds nothing, reports the page again, and nobody answers the second report (R50)',
  },
  {
    name: 'uffd-mmap-changing',
    meaning: 'the calls that resolve a userfault answer EAGAIN while a layout event has not been read',
    prevents: 'a page is placed at an address that means something else by now (R72)',
  },
  {
    name: 'mfill-revalidate',
    meaning: 'UFFDIO_COPY looks its area up again after it copied without locks',
    prevents: 'the page appears in a mapping that nobody registered (R61)',
  },
  {
    name: 'mremap-flush-before-unlock',
    meaning: 'mremap flushes the old addresses from all TLBs before it drops the page table locks',
    prevents: 'the page is unmapped at its new place and freed while a TLB entry for the old place still writes to it (R49)',
  },
] as const satisfies readonly Protection[]

/**
 * Where page_lock_anon_vma_read reads page->mapping again: on the slow path only, as posted in 2013; on both paths, as in
 * mainline since UFFDIO_MOVE; or nowhere, because every walker holds the page lock.
 */
export type RmapRecheck = 'slow-path' | 'both-paths' | 'page-lock'

export interface Variants {
  rmapRecheck: RmapRecheck
}

export const DEFAULT_VARIANTS: Readonly<Variants> = { rmapRecheck: 'both-paths' }

export type ProtectionName = (typeof PROTECTIONS)[number]['name']

export function isProtection(name: string): name is ProtectionName {
  return PROTECTIONS.some((p) => p.name === name)
}
