/**
 * The vocabulary of the event trace: what a run writes down, one row an event.
 *
 * A row is (time, kind, lane, page, arg). `page` is a page of the guest's RAM block (0 is its first page), or -1 where
 * the event is not about one page. `arg` means what the table below says. Rows stand in the order in which the engine
 * executed them; times of different lanes may overlap by up to one quantum of the clock gear.
 *
 * The picture on the screen, the Perfetto file, the text log and the trace hash are all folds over these rows.
 */

export const EventKind = {
  /** The migration changed its state. arg: index into MIGRATION_STATUS. */
  State: 0,
  /** A page of the guest's RAM got its first frame on this lane's machine. arg: 1 if it is the zero page. */
  Populate: 1,
  /** A clean page was written: hardware set its PTE's dirty bit, or the store met the dirty log's write protection. arg: 0. */
  Dirty: 2,
  /** The source put a page on the wire. arg: bytes on the wire (isZeroRecord). */
  Send: 3,
  /** The destination took a page off the wire. arg: bytes on the wire. */
  Receive: 4,
  /** The page became visible to the guest at the destination. arg: 1 if as the shared zero page. */
  Place: 5,
  /** A vCPU (this lane) sleeps on a missing page. arg: 1 for a write. */
  Fault: 6,
  /** The destination asked the source for a page. arg: 0. */
  Request: 7,
  /** The source's return path took a request. arg: 0. */
  RequestReceived: 8,
  /** A vCPU (this lane) runs again after a fault on the page. arg: nanoseconds it slept (at most 2^31-1). */
  Wake: 9,
  /** A TLB shootdown for the page. arg: number of other CPUs that had to acknowledge. */
  Shootdown: 10,
  /** A check failed. arg: index into VIOLATION_CAUSE. */
  Violation: 11,
  /** A vCPU (this lane) started running (arg 1) or stopped (arg 0). */
  VcpuRun: 12,
  /** A checker walked everything and found it good. arg: index into CHECK_NAME. */
  CheckPassed: 13,
  /** A vCPU's (this lane's) operations since its last such event. arg: how many. */
  GuestOps: 14,
  /** The source synced its dirty bitmap: a pass is over. arg: pages that are dirty now. */
  Pass: 15,
  /** Something that was injected happened: arg is an index into INCIDENT_NAME. It is over: its complement (negative). */
  Incident: 16,
  /** The vCPUs are throttled from now on. arg: percent of their time that they sleep. */
  Throttle: 17,
} as const
export type EventKind = (typeof EventKind)[keyof typeof EventKind]

export const EVENT_KIND_NAME: readonly string[] = Object.keys(EventKind)

/** Whether a Send of so many bytes was a zero page's record: a header and a byte, far below a page. */
export function isZeroRecord(bytes: number): boolean {
  return bytes < 100
}

/** QEMU's MigrationStatus, all fifteen (qapi/migration.json), in its order. */
export const MIGRATION_STATUS = [
  'none',
  'setup',
  'cancelling',
  'cancelled',
  'active',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'completed',
  'failed',
  'colo',
  'pre-switchover',
  'device',
  'wait-unplug',
] as const
export type MigrationStatus = (typeof MIGRATION_STATUS)[number]

/** What can be made to happen to a migration, once and at a time. */
export const INCIDENT_NAME = [
  'link-down',
  'latency',
  'rate',
  'handler-stall',
  'source-crash',
  'destination-crash',
  'cancel',
  'poison',
  'pause',
] as const
export type IncidentName = (typeof INCIDENT_NAME)[number]

export const VIOLATION_CAUSE = ['lost', 'stale', 'torn', 'duplicated', 'misplaced', 'accounting'] as const
export type ViolationCause = (typeof VIOLATION_CAUSE)[number]

export const CHECK_NAME = [
  'pages compared',
  'mapcount equals PTEs',
  'rmap finds every mapping',
  'no frame leaks',
  'each huge PMD has its table',
  'rights are those of the area',
  'TLBs match the page tables',
  'sequence counts are even',
] as const

/** What a trace says of a run that was made by a real kernel: it is never twice the same, so that a hash of it says nothing. */
export interface RealRun {
  readonly release: string
  /** From then on there was no room to write events down, and none is there; null: there was. */
  readonly missedFromNs: number | null
}

/** A lane is one thread of control on one machine; its index is what an event row carries. */
export interface Lane {
  /** Shown to people: `vCPU 0`, `migration`, `fault`, `listen`, `return path`. */
  readonly name: string
  readonly machine: 'source' | 'destination'
}
