/**
 * The lock classes of core/mm, outermost first, with how two locks of one class may be held.
 *
 * A lock may be waited for only inside locks that stand above it here; sync/lockdep.ts checks every acquisition against
 * this list. A class is the label its locks are made with. To add a lock: give it a label, add its line where it belongs,
 * and say in docs/locking.md which fields it guards. Sequence counts are listed for their nesting only: nobody waits for
 * one, so they stand in no order ("raw" begin and end in the v12 series: lockdep must not see a dependency there).
 *
 * Source: the lock order at the top of mm/rmap.c; fs/userfaultfd.c; mm/memory.c.
 */
import { IRQ_OFF, type LockClass } from '../sync/lockdep.ts'

export const LOCK_ORDER: readonly LockClass[] = [
  {
    label: 'page_map',
    nesting: 'never',
    guards: "the migration's map of pages against removals: taken by user code, so before all others",
  },
  {
    label: 'kvm_slots_lock',
    nesting: 'never',
    guards: "the monitor's bitmap of what was taken out of dirty rings: from an entry's collection to its page's protection",
  },
  {
    label: 'kvm.slots_lock',
    nesting: 'never',
    guards: 'which entries of dirty rings are reset, and that their pages are protected then',
  },
  { label: 'srcu', nesting: 'never', guards: 'the memory of areas, files and policies that a speculative fault looks at' },
  { label: 'mm.mmap_lock', nesting: 'never', guards: 'the tree of areas and every field of an area' },
  { label: 'vma.lock', nesting: 'never', guards: 'the fields of one area against a fault that holds no mmap_lock' },
  { label: 'uffd.map_changing_lock', nesting: 'never', guards: 'mmap_changing against calls that place pages' },
  { label: 'page.lock', nesting: 'never', guards: 'mapping and index of a page, and its place in the swap cache' },
  { label: 'anon_vma.rwsem', nesting: 'never', guards: 'the chains of a whole family of anon_vmas: the lock of its root' },
  { label: 'mm.mm_seq.lock', nesting: 'never', guards: 'the links of the tree against another writer (the lock of the seqlock)' },
  { label: 'mm.page_table_lock', nesting: 'never', guards: 'an area getting its anon_vma' },
  { label: 'pmd_lock', nesting: 'ascending', guards: 'the entries of one PMD table: huge pages, and who hangs below' },
  { label: 'pte_lock', nesting: 'ascending', guards: 'the entries of one page table page' },
  { label: IRQ_OFF, nesting: 'never', guards: 'the page tables of a lockless walk: freeing them sends an IPI here' },
  { label: 'uffd.fd_wqh', nesting: 'never', guards: 'the readers and pollers of a descriptor' },
  { label: 'uffd.fault_pending_wqh', nesting: 'never', guards: 'faults that nobody has read' },
  { label: 'uffd.fault_wqh', nesting: 'never', guards: 'faults that were read and not woken' },
  { label: 'uffd.event_wqh', nesting: 'never', guards: 'events, and whoever waits for them to be read' },
  { label: 'srcu.queue', nesting: 'never', guards: 'the list of deferred calls: the price of every munmap' },
  { label: 'mm.mm_seq', nesting: 'never', guards: 'nothing: it tells a look-up that the links changed (count)' },
  { label: 'vma.vm_sequence', nesting: 'subclass', guards: 'nothing: it tells a reader that fields changed (count; next nests)' },
]
