/**
 * The shape of a CPU preset: TLB geometry and event costs, each field with where its value comes from.
 *
 * `kind` of a field is 'vendor' (a manual or the vendor's own text), 'measured' (on the machine named), 'memory' (commonly
 * stated, not yet checked) or 'ours' (nobody states it). A preset may be read from a file (core/shell/cpu_file.ts), so it is
 * plain data. The presets that have names: presets/catalog.ts.
 */

export const PROVENANCES = ['vendor', 'measured', 'memory', 'ours'] as const
export type Provenance = (typeof PROVENANCES)[number]

export interface Sourced {
  readonly value: number
  readonly kind: Provenance
  readonly source: string
}

/** What kernel code costs on this CPU. Sending is for one write to the interrupt controller, which reaches a cluster of CPUs. */
export interface EventCosts {
  readonly invlpgCycles: Sourced
  readonly ipiSendNs: Sourced
  readonly ipiClusterCpus: Sourced
  readonly ipiHandleNs: Sourced
  readonly syscallNs: Sourced
  /** Trap, VMA look-up and return of a page fault, without allocation. */
  readonly faultNs: Sourced
  /** Take a page from the free lists, charge it to its memory cgroup, put it on an LRU list; of 4 KiB or of 2 MiB. */
  readonly allocPageNs: Sourced
  /** Zero 4 KiB. */
  readonly clearPageNs: Sourced
  readonly copyPageNs: Sourced
  /** From a wake-up to the woken thread running. */
  readonly wakeupNs: Sourced
  readonly lockNs: Sourced
  /** What waking a sleeper takes of whoever wakes it; the sleeper runs wakeupNs later. */
  readonly wakerNs: Sourced
  /** A contended cache line from one CPU's cache to another's. */
  readonly lineTransferNs: Sourced
  /** To take W from one entry of many in a walk; absent: core/mm/dirty_log.ts WRITE_PROTECT_NS. */
  readonly writeProtectNs?: Sourced
}

/** What the program that migrates takes on this CPU: its own work, not the kernel's model's. */
export interface ProgramCosts {
  /** Opening the connection, negotiating. */
  readonly setupNs: Sourced
  /** Source work a page: find it, test it for zeros, put it into the socket. */
  readonly savePageNs: Sourced
  /** Source work for each call that sends: of a page, or of several that follow one another. */
  readonly saveRunNs: Sourced
  /** Destination work a page besides placing it, by UFFDIO_COPY or otherwise: take it out of the socket, parse; and in pre-copy, besides writing it. */
  readonly loadCopiedPageNs: Sourced
  readonly loadMovedPageNs: Sourced
  readonly loadPrecopyPageNs: Sourced
  /** The same for a zero record: besides UFFDIO_ZEROPAGE; and in pre-copy, besides reading the page. What the source does for it is in these. */
  readonly loadZeroNs: Sourced
  readonly loadPrecopyZeroNs: Sourced
  /** Destination work for each call that places, of a page or of several, besides the kernel's. */
  readonly loadRunNs: Sourced
  /** Destination work a range that is discarded, besides the kernel's. */
  readonly discardNs: Sourced
  /** The device state: stop and save, load and start, bytes in the stream. */
  readonly deviceSaveNs: Sourced
  readonly deviceLoadNs: Sourced
  readonly deviceBytes: Sourced
  /** A vCPU with longer to wait than this between two accesses sleeps. */
  readonly haltNs: Sourced
  /** What each of its accesses takes of the CPU, and each of its sleeps, one every guest/workload.ts VCPU_SLICE_NS; absent: the access alone. */
  readonly accessNs?: Sourced
  readonly sleepNs?: Sourced
  readonly sendBufferBytes: Sourced
  readonly receiveBufferBytes: Sourced
  /** Pages that one call places at most. */
  readonly placeBatchPages: Sourced
  /** Both programs' threads and the guest's share so many processors; absent: each has one. */
  readonly processors?: Sourced
}

export interface CpuPreset extends EventCosts {
  readonly id: string
  readonly name: string
  /** Where somebody measured them; absent: the constants of core/migration. */
  readonly program?: ProgramCosts
  readonly clockGHz: Sourced
  /** L1 data TLB, true LRU in each set; as many ways as entries: fully associative. */
  readonly l1Entries: Sourced
  readonly l1Ways: Sourced
  /** Entries for 2 MiB alone; 0: they share those of 4 KiB. */
  readonly l1HugeEntries: Sourced
  readonly l1HugeWays: Sourced
  /** L2 TLB: set associative, both page sizes. */
  readonly l2Entries: Sourced
  readonly l2Ways: Sourced
  /** Cycles that an L1 miss costs when L2 has the entry. */
  readonly l2PenaltyCycles: Sourced
  /** Entries of the caches for upper levels: PML4E, PDPTE, PDE. */
  readonly pwcEntries: readonly [Sourced, Sourced, Sourced]
  /** Where paging is nested: the host's side of a walk, PML4E, PDPTE, PDE; those above are the guest's side then. */
  readonly nestedPwcEntries: readonly [Sourced, Sourced, Sourced]
  /** And the nested TLB: pages of the guest's tables whose place in the host is known. */
  readonly nestedTlbEntries: Sourced
  /** Lines of page tables in the cache that walks read through, and cycles of a read that finds its line there. */
  readonly nearTableLines: Sourced
  readonly nearReadCycles: Sourced
  /** The same of the last level of cache. */
  readonly farTableLines: Sourced
  readonly farReadCycles: Sourced
  /** Cycles of a read that goes to memory. */
  readonly memoryReadCycles: Sourced
  /** Cycles of an access that hits L1 TLB and L1 cache. */
  readonly accessCycles: Sourced
}
