/**
 * The protections that can be left out, one a line: what each does, and what goes wrong without it.
 *
 * Code asks `kernel.has('remap-tlb-flush')` at the one place where the protection stands. Nothing else may switch a step
 * of a protocol off. A test shows for each that leaving it out breaks something.
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
    name: 'uffd-must-wait',
    meaning: 'handle_userfault looks at the PTE again after it has queued itself and before it sleeps',
    prevents: 'a page placed in between leaves the thread asleep for ever (R52)',
  },
] as const satisfies readonly Protection[]

export type ProtectionName = (typeof PROTECTIONS)[number]['name']

export function isProtection(name: string): name is ProtectionName {
  return PROTECTIONS.some((p) => p.name === name)
}
