/**
 * What a migration on the host's real kernel answers: the report of the model (report.ts) with times that were measured.
 *
 * Same names, same units. What the host's kernel cannot tell is null, and never a number that looks like one: its TLBs, how it found its
 * VMAs, hashes of runs that are never twice the same. `predicted` is the model's report of the same options on the calibrated host.
 */
import type { MigrateOptions } from './options.ts'
import type { ConsistencyReport, GuestReport, HostReport, MigrationReport, Report } from './report.ts'

export const WIRES = ['unix', 'tcp'] as const
/** Of which kind the sockets between the two machines are. */
export type Wire = (typeof WIRES)[number]

export interface KernelMigrateOptions {
  /** As the model takes them. */
  readonly options: MigrateOptions
  /** --bandwidth was given, and is kept to; else the stream goes as fast as the socket. */
  readonly isPaced: boolean
  readonly wire: Wire
  /** Nothing moves for so long: it is given up. */
  readonly watchdogNs: number
}

export interface KernelConsistency extends Omit<ConsistencyReport, 'torn'> {
  /** Words on real memory carry no order among themselves: half of an old page counts as stale. */
  readonly torn: null
}

export interface KernelFaults {
  /** Of both processes, in getrusage's words; userfault: messages that were read. */
  readonly total: number
  readonly minor: number
  readonly major: number
  readonly userfault: number
  readonly speculative: null
  readonly speculativeAborted: null
  readonly vmaLock: null
  readonly classic: null
}

/** What is measured and has no name in the model's report. */
export interface KernelFigures {
  readonly release: string
  /** Why it was no longer waited for; `over`: it came to its own end. */
  readonly outcome: 'over' | 'stuck' | 'ended' | 'watchdog' | 'time limit' | 'stopped'
  /** Bytes of guest pages that a placing call moved or copied, on the average. */
  readonly pagesAPlacingCall: number
  readonly placingCalls: number
  /** Pages that had come twice. */
  readonly alreadyThere: number
  readonly recoveries: number
  /** CPU time of both processes, from their start to their end. */
  readonly cpuSeconds: { readonly source: number; readonly destination: number }
  /** CPU time of a vCPU's thread for each access, what its sleeps take included, on the average; null: it made none. */
  readonly accessNs: number | null
  /** What a migration has and this one has not, in a few words each. */
  readonly absent: readonly string[]
}

export interface KernelReport {
  readonly schema: 'pageferry.report/1'
  readonly version: string
  readonly machine: 'kernel'
  readonly seed: number
  readonly options: Record<string, unknown>
  readonly traceHash: null
  readonly stateHash: null
  readonly migration: MigrationReport
  readonly consistency: KernelConsistency
  readonly mmu: null
  readonly faults: KernelFaults
  readonly prepaging: null
  readonly guest: GuestReport
  readonly kernel: KernelFigures
  readonly host: HostReport
  readonly predicted: Report | null
}
