/**
 * What one migration run answers: the object that `migrate --json` prints (schema pageferry.report/1).
 *
 * Everything outside `host` is a function of options and seed alone. Names and units of `migration` are those of QMP's
 * MigrationInfo (milliseconds for times unless a name says otherwise); of it disk, vfio, socket-address and blocked-reasons are missing,
 * since there is none of these here, and dirty-sync-missed-zero-copy, since no copy is ever made instead.
 */

import type { PacketCounts } from '../hw/link_weather.ts'
import type { IncidentName, MigrationStatus, ViolationCause } from '../trace/event.ts'
import type { PrepagingReport } from './first_touches.ts'
import type { Forecast } from './forecast.ts'

export interface RamReport {
  transferred: number
  remaining: number
  total: number
  duplicate: number
  normal: number
  'normal-bytes': number
  'dirty-pages-rate': number
  mbps: number
  'dirty-sync-count': number
  'postcopy-requests': number
  /** Bytes of a host page; normal and duplicate count target pages of 4 KiB, as QEMU's do. */
  'page-size': number
  'pages-per-second': number
  /** Of the bytes transferred, those by the channels of multifd. */
  'multifd-bytes': number
  'precopy-bytes': number
  'downtime-bytes': number
  'postcopy-bytes': number
}

/** QMP's XBZRLECacheStats: rates are of the last period of a second or more. */
export interface XbzrleReport {
  'cache-size': number
  bytes: number
  pages: number
  'cache-miss': number
  'cache-miss-rate': number
  'encoding-rate': number
  overflow: number
}

export interface IncidentReport {
  what: IncidentName
  /** ms of simulated time. */
  at: number
  /** Why nothing came of it. */
  refused?: string
}

export interface MigrationReport {
  status: MigrationStatus
  /** One sentence, when it did not complete, or pages were lost on the way. */
  'error-desc'?: string
  /** Of all channels, both ways, in weather that was injected. */
  packets?: PacketCounts
  incidents?: IncidentReport[]
  /** Memory that failed at the source: pages, and vCPUs that touched one and halted. */
  poisoned?: { pages: number; 'machine-checks': number }
  'total-time': number
  'setup-time': number
  downtime: number
  /** While the guest is still at the source, instead of a downtime: what it would be. */
  'expected-downtime'?: number
  ram: RamReport
  /** With capability xbzrle. */
  'xbzrle-cache'?: XbzrleReport
  /** Of the vCPUs' time, while auto-converge takes some. */
  'cpu-throttle-percentage'?: number
  /** us, of the vCPU that sleeps longest each time that its ring is full, and the time in which a ring fills: once dirty-limit has set in. */
  'dirty-limit-throttle-time-per-round'?: number
  'dirty-limit-ring-full-time'?: number
  /** Of a background snapshot: stores that waited for their page to be saved, and how long (ns). */
  'background-snapshot'?: { 'write-faults': number; 'write-fault-latency': number; 'write-fault-latency-max': number }
  'postcopy-blocktime': number
  'postcopy-vcpu-blocktime': number[]
  /** ns, mean of faults that needed a remote request. */
  'postcopy-latency': number
  /** 24 log2 buckets: [0] is below 2 us, [23] is 8 s and above. */
  'postcopy-latency-dist': number[]
  'postcopy-latency-p50': number
  'postcopy-latency-p99': number
  'postcopy-latency-p999': number
  'postcopy-latency-max': number
  /** Of a pre-copy that was cut short by the time limit: whether it would ever have ended. */
  forecast?: string
  /** ns, mean of each vCPU, and of all other threads, of which none touches the guest's memory: with postcopy-blocktime. */
  'postcopy-vcpu-latency'?: number[]
  'postcopy-non-vcpu-latency'?: number
}

export interface Violation {
  cause: ViolationCause
  /** Guest page; -1 where an accounting check names a frame instead. */
  page: number
  /** Where it was seen: a load of vCPU n, or the comparison at the end. */
  seenBy: string
  timeNs: number
  expectedVersion: number
  foundVersion: number
  /** One sentence for people, with the page, the versions, the time and what happened. */
  message: string
}

export interface ConsistencyReport {
  verdict: 'consistent' | 'inconsistent'
  loadsChecked: number
  mismatches: number
  pagesCompared: number
  /** Written pages that no machine shows any longer, where one should or the one that had them crashed. */
  lost: number
  /** Written pages that the guest cannot reach, though a machine has them: a post-copy that is paused. */
  missing: number
  stale: number
  duplicated: number
  torn: number
  misplaced: number
  accounting: number
  firstViolation: Violation | null
}

export interface MmuReport {
  accesses: number
  l1Hits: number
  l2Hits: number
  walks: number
  walkRefs: number
  /** Of walkRefs, those that nested paging adds. */
  nestedRefs: number
  shootdowns: number
  ipis: number
}

export interface FaultsReport {
  total: number
  minor: number
  major: number
  userfault: number
  /** Done without mmap_lock. */
  speculative: number
  /** Tries without mmap_lock (speculative, or under the area's lock) that fell back to it, by reason. */
  speculativeAborted: Record<string, number>
  /** Done under the area's own lock. */
  vmaLock: number
  /** Done under mmap_lock. */
  classic: number
}

export interface GuestReport {
  name: string
  pages: number
  touchedPages: number
  opsBefore: number
  opsDuring: number
  opsAfter: number
  /** Operations a second before, divided by those during the migration; 1 is no slowdown. */
  slowdown: number
}

/** Measured on the host; the only part that differs between two runs of the same options and seed. */
export interface HostReport {
  wallSeconds: number
  accessesPerSecond: number
  pagesPerSecond: number
  peakRssBytes: number
  node: string
}

/** The report as the deterministic core makes it, before the host adds its own part. */
export interface RunReport {
  schema: 'pageferry.report/1'
  version: string
  seed: number
  options: Record<string, unknown>
  traceHash: string
  stateHash: string
  migration: MigrationReport
  consistency: ConsistencyReport
  mmu: MmuReport
  faults: FaultsReport
  prepaging: PrepagingReport
  guest: GuestReport
}

export interface Report extends RunReport {
  host: HostReport
}

/** A cheap look at a run that is still going, for live views. */
export interface Progress {
  phase: 'boot' | 'before' | 'during' | 'after' | 'done'
  status: MigrationStatus
  /** Simulated time since the run began. */
  nowNs: number
  /** Simulated time at which the migration began; 0 before. */
  startedNs: number
  pagesTotal: number
  /** Pages that the destination has received, zero pages included. */
  pagesReceived: number
  transferredBytes: number
  mbps: number
  requests: number
  vcpusBlocked: number
  loadsChecked: number
  mismatches: number
  /** ns; 0 before the first remote fault. */
  latencyP50Ns: number
  latencyP99Ns: number
  /** Pages populated while the guest boots, for a progress bar of that phase. */
  pagesPopulated: number
  /** Of a pre-copy under way; null: there is none, or nothing is known yet. */
  forecast: Forecast | null
}
