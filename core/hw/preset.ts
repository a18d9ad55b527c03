/**
 * The shape of a CPU preset: TLB geometry and event costs, each field with where its value comes from.
 *
 * `source` of a field is 'vendor' (a manual or the vendor's own text), 'measured' (on the machine named), or 'memory'
 * (commonly stated, not yet checked). A preset may be read from a file later, so it is plain data.
 */

export type Provenance = 'vendor' | 'measured' | 'memory' | 'ours'

export interface Sourced {
  readonly value: number
  readonly kind: Provenance
  readonly source: string
}

export interface CpuPreset {
  readonly id: string
  readonly name: string
  readonly clockGHz: Sourced
  /** L1 data TLB: fully associative, true LRU. */
  readonly l1Entries: Sourced
  /** L2 TLB: set associative. */
  readonly l2Entries: Sourced
  readonly l2Ways: Sourced
  /** Cycles that an L1 miss costs when L2 has the entry. */
  readonly l2PenaltyCycles: Sourced
  /** Entries of the caches for upper levels: PML4E, PDPTE, PDE. */
  readonly pwcEntries: readonly [Sourced, Sourced, Sourced]
  /** Cycles a page-table read costs in a walk. */
  readonly walkRefCycles: Sourced
  /** Cycles of an access that hits L1 TLB and L1 cache. */
  readonly accessCycles: Sourced
  readonly invlpgCycles: Sourced
  /** Event costs in ns. Sending is for one write to the interrupt controller, which reaches a cluster of CPUs. */
  readonly ipiSendNs: Sourced
  readonly ipiClusterCpus: Sourced
  readonly ipiHandleNs: Sourced
  readonly syscallNs: Sourced
  /** Trap, VMA look-up and return of a page fault, without allocation. */
  readonly faultNs: Sourced
  /** Allocate and zero a 4 KiB page. */
  readonly clearPageNs: Sourced
  readonly copyPageNs: Sourced
  /** From a wake-up to the woken thread running. */
  readonly wakeupNs: Sourced
  readonly lockNs: Sourced
  /** What waking a sleeper takes of whoever wakes it; the sleeper runs wakeupNs later. */
  readonly wakerNs: Sourced
  /** A contended cache line from one CPU's cache to another's. */
  readonly lineTransferNs: Sourced
}
