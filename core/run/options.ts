/**
 * What one migration run is told: the options of `migrate` as checked values, with their defaults.
 *
 * Parsing words into these values is the shell's work (core/shell); this file says what the run understands.
 * Source of names and defaults: the command contract and QEMU's qapi/migration.json.
 */
import { spellTime } from '../base/units.ts'
import type { GuestPageSize } from '../hw/nested_paging.ts'
import { type Capabilities, DEFAULT_CAPABILITIES } from '../migration/capabilities.ts'
import { DEFAULT_PARAMETERS, type MigrationParameters } from '../migration/migration_parameters.ts'
import type { Injection } from './injection.ts'

export const MODES = ['precopy', 'postcopy', 'hybrid'] as const
/** When the guest switches: when what is left fits the downtime limit, at once, or some way into pre-copy. */
export type Mode = (typeof MODES)[number]

/** When a hybrid migration switches: after so many passes over RAM, or so long after it became active. */
export type PostcopyAfter = { readonly passes: number } | { readonly ns: number }

export const DIRTY_TRACKING = ['bitmap', 'ring', 'pagemap'] as const
/** How the source learns which pages were dirtied: KVM's log and a bitmap, a ring for each vCPU, or PAGEMAP_SCAN of its own page tables. */
export type DirtyTracking = (typeof DIRTY_TRACKING)[number]

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
  mode: Mode
  /** Of mode hybrid. */
  postcopyAfter: PostcopyAfter
  /** QEMU's capabilities; those that the mode implies are on. */
  capabilities: Capabilities
  /** QEMU's parameters, in its units. */
  parameters: MigrationParameters
  /** In which order pages are pushed that nobody has asked for: a policy's name, or its file. */
  prepaging: string
  inject: readonly Injection[]
  /** A paused post-copy is recovered as soon as the link works again, without being told. */
  recover: boolean
  dirtyTracking: DirtyTracking
  /** The guest tells which of its pages are free, and they are not sent. */
  freePageHints: boolean
  /** Bytes that a balloon takes from the guest before the migration. */
  balloonBytes: number
  resolver: Resolver
  faults: FaultPathOption
  /** CPU of both machines: the name of a preset (core/hw/presets), or the path of a file with one. */
  cpu: string
  /** Of the pages that back the guest's RAM on both machines: the host page, 4096 or 2097152. */
  pageSizeBytes: number
  /** The guest has page tables of its own, and its walks have two dimensions (core/hw/nested_paging.ts). */
  nested: boolean
  /** Of those tables. */
  guestPageSizeBytes: GuestPageSize
  /** On the PCI bus of both machines: their state is sent while the guest stands (core/migration/device_state.ts). */
  devices: number
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
  postcopyAfter: { passes: 1 },
  capabilities: { ...DEFAULT_CAPABILITIES, 'postcopy-ram': true, 'return-path': true },
  parameters: DEFAULT_PARAMETERS,
  prepaging: 'forward',
  inject: [],
  recover: false,
  dirtyTracking: 'bitmap',
  freePageHints: false,
  balloonBytes: 0,
  resolver: 'remap',
  faults: 'speculative',
  cpu: 'zen5',
  pageSizeBytes: 4096,
  nested: false,
  guestPageSizeBytes: 4096,
  devices: 8,
  bandwidthBitsPerSec: 10e9,
  rttNs: 150_000,
  downtimeLimitNs: 300_000_000,
  without: [],
  seed: 1,
  durationNs: 100_000_000,
  timeLimitNs: Number.POSITIVE_INFINITY,
}

/** `1passes`, `500ms`. */
export function spellPostcopyAfter(after: PostcopyAfter): string {
  return 'ns' in after ? spellTime(after.ns) : `${after.passes}passes`
}
