/**
 * What one migration run is told: the options of `migrate` as checked values, with their defaults.
 *
 * Parsing words into these values is the shell's work (core/shell); this file says what the run understands.
 * Source of names and defaults: the command contract and QEMU's qapi/migration.json.
 */

export const RESOLVERS = ['remap', 'move', 'copy'] as const
/** How the destination puts a received page in place: remap_anon_pages, UFFDIO_MOVE or UFFDIO_COPY. */
export type Resolver = (typeof RESOLVERS)[number]

export const FAULT_PATHS = ['classic', 'speculative', 'vma-lock'] as const
/** How page faults find their area: under mmap_lock, without a lock, or under the area's own. */
export type FaultPathOption = (typeof FAULT_PATHS)[number]

export interface MigrateOptions {
  /** The guest as the user wrote it: `kv`, `sweep:set=64M,rate=500MB/s`, or a trace file's path. */
  guest: string
  /** Guest memory in bytes; a multiple of 4096, at least 1 MiB. */
  memBytes: number
  vcpus: number
  mode: 'postcopy'
  resolver: Resolver
  faults: FaultPathOption
  /** CPU preset of both machines. */
  cpu: string
  /** Of the pages that back the guest's RAM on both machines: the host page, 4096 or 2097152. */
  pageSizeBytes: number
  bandwidthBitsPerSec: number
  rttNs: number
  downtimeLimitNs: number
  /** Protections left out (core/mm/kconfig.ts). */
  without: readonly string[]
  seed: number
  /** How long the guest runs on after completion, simulated. */
  durationNs: number
  /** Give up after this much simulated time; Infinity: never. */
  timeLimitNs: number
}

export const DEFAULT_OPTIONS: MigrateOptions = {
  guest: 'kv',
  memBytes: 256 * 2 ** 20,
  vcpus: 2,
  mode: 'postcopy',
  resolver: 'remap',
  faults: 'speculative',
  cpu: 'zen5',
  pageSizeBytes: 4096,
  bandwidthBitsPerSec: 10e9,
  rttNs: 150_000,
  downtimeLimitNs: 300_000_000,
  without: [],
  seed: 1,
  durationNs: 100_000_000,
  timeLimitNs: Number.POSITIVE_INFINITY,
}
