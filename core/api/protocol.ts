/**
 * What crosses between the engine (a worker) and a screen: plain data with a version, and the calls a screen may make.
 *
 * The engine runs ahead as fast as the host allows and records events. The screen plays them back: a Frame is the fold
 * of all events up to one row, so scrubbing and stepping back are look-ups (key frames), never new runs.
 */
import type { History, Litmus } from '../litmus/litmus.ts'
import type { KernelReport } from '../run/kernel_report.ts'
import type { RunReport } from '../run/report.ts'
import type { RaceNews } from '../shell/shell_state.ts'
import type { IncidentName, Lane, MigrationStatus } from '../trace/event.ts'

export type { IncidentName, MigrationStatus }

export const PROTOCOL_VERSION = 1

// biome-ignore lint/performance/noBarrelFile: a screen may import only core/api, and the states are part of its protocol.
export { PAGE_STATE_NAME, PageState } from '../trace/page_state.ts'

/** The picture at one moment. Counters are totals from the run's start to that row. */
export interface Frame {
  readonly version: typeof PROTOCOL_VERSION
  /** Rows folded into this picture: the playhead stands behind row `row - 1`. */
  readonly row: number
  readonly timeNs: number
  readonly status: MigrationStatus
  /** One PageState a page of guest RAM. */
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly counters: FrameCounters
  /** The last event, in one sentence; empty before the first. */
  readonly narration: string
  /** The page that event was about, or -1. */
  readonly page: number
}

export interface FrameCounters {
  pagesSent: number
  zeroPagesSent: number
  bytesSent: number
  pagesPlaced: number
  /** On the wire now: sent, not yet received. */
  pagesInFlight: number
  bytesInFlight: number
  requests: number
  /** Asked for and not yet placed. */
  requestsPending: number
  faults: number
  /** vCPUs asleep on a missing page now. */
  vcpusBlocked: number
  dirtied: number
  shootdowns: number
  guestOps: number
  violations: number
  checksPassed: number
  /** Passes over memory that are over, and pages that were dirty at the end of the last. */
  passes: number
  dirtyAtPass: number
  /** Share of their time that auto-converge lets the vCPUs sleep now; 0: they run freely. */
  throttlePercent: number
  /** Injected breaks of the link that are not over. */
  linksDown: number
}

/** What a screen must know of a run before its first frame. */
export interface RunInfo {
  /** Simulated by the model, or done by the host's own kernel: its times are real ones. */
  readonly machine: 'simulated' | 'kernel'
  /** The command line that makes this very run. */
  readonly command: string
  readonly seed: number
  readonly pages: number
  readonly vcpus: number
  /** null: nobody set one, and the stream goes as fast as a socket of this host. */
  readonly bandwidthBitsPerSec: number | null
  /** null: not known, of a real run. */
  readonly rttNs: number | null
  readonly lanes: readonly Lane[]
  /** Channels beside the stream: `urgent`, `multifd`. */
  readonly urgentChannel: boolean
  readonly multifdChannels: number
}

/** How far the engine has come. */
export interface RunStatus {
  readonly state: 'running' | 'done' | 'failed' | 'interrupted'
  /** Of the migration, where the engine is. */
  readonly migration: MigrationStatus
  /** Rows recorded so far. */
  readonly rows: number
  /** Simulated time of the newest row. */
  readonly endNs: number
  /** Time of the first `setup`, of `completed`, or -1 while not yet there. */
  readonly startedNs: number
  readonly switchedNs: number
  readonly completedNs: number
  /** One sentence, when failed. */
  readonly error: string
}

/** The few moments that a timeline names, oldest first; all are simulated time. */
export interface Milestones {
  readonly states: readonly { readonly timeNs: number; readonly status: MigrationStatus }[]
  /** The end of each pass over memory, and pages that were dirty then. */
  readonly passes: readonly { readonly timeNs: number; readonly dirtyPages: number }[]
  /** What was injected; `toNs` is Infinity while it lasts, and `fromNs` where it has no duration. */
  readonly incidents: readonly { readonly name: IncidentName; readonly fromNs: number; readonly toNs: number }[]
  readonly throttles: readonly { readonly timeNs: number; readonly percent: number }[]
  /** Where each vCPU was running, and when; `toNs` is Infinity while it does. */
  readonly running: readonly {
    readonly lane: string
    readonly machine: Lane['machine']
    readonly fromNs: number
    readonly toNs: number
  }[]
  /** What could be said of a pre-copy's end at these times; empty: nothing. `never`: it has none. */
  readonly forecasts: readonly { readonly timeNs: number; readonly sentence: string; readonly never: boolean }[]
}

/** Columns for the charts, binned by simulated time from 0 to `binNs * length`. */
export interface Series {
  readonly binNs: number
  /** Bytes put into the socket: a burst fills its buffer faster than the wire drains it. */
  readonly sentBytes: Float64Array
  /** Bytes that the destination took off the wire. */
  readonly receivedBytes: Float64Array
  readonly dirtiedPages: Float64Array
  readonly guestOps: Float64Array
  readonly blockedVcpus: Float64Array
  /** One row a remote fault, in order of waking. */
  readonly faultTimeNs: Float64Array
  readonly faultLatencyNs: Float64Array
  readonly faultPage: Int32Array
}

/** One slice of the timeline: a vCPU asleep, or a state of the migration. */
export interface EventRow {
  readonly row: number
  readonly timeNs: number
  readonly kind: string
  readonly lane: string
  readonly machine: 'source' | 'destination'
  readonly page: number
  readonly text: string
}

/** A litmus test of the museum, as a list shows it. */
export interface RaceListing {
  readonly litmus: string
  readonly title: string
  readonly result: Litmus['result']
  readonly refs: readonly string[]
  readonly protections: readonly { readonly name: string; readonly meaning: string; readonly prevents: string }[]
  readonly memoryModel: Litmus['memoryModel']
  readonly start: string
  readonly history: History | null
}

/** The newest search, while it goes on and after. */
export type RaceView = RaceNews

export interface CommandOutput {
  out(text: string): void
  err(text: string): void
}

/** What was measured on the real kernel, with what the model had said in it. */
export interface KernelRunView {
  readonly command: string
  readonly report: KernelReport
}

/** What the model had said of a real run before it began, on a time axis of its own. */
export interface Prediction {
  /** When its migration starts and is completed; -1: never. */
  readonly startedNs: number
  readonly completedNs: number
  readonly milestones: Milestones
  readonly series: Series
}

/** The calls a screen may make. Served by core/api/session.ts; carried by comlink. */
export interface EngineApi {
  /** Runs one command line as the terminal does; resolves with its exit code. A `migrate` becomes the run on screen. */
  command(line: string, output: CommandOutput, columns: number): Promise<number>
  /** Stops whatever `command` is running (Ctrl-C). */
  interrupt(): Promise<void>
  /** Completions of the word that ends at `line.length`: whole words with one line of meaning each. */
  complete(line: string): Promise<readonly Completion[]>
  /** Number of the newest run; 0 before the first. A screen polls it, and reads `info` when it grows. */
  generation(): Promise<number>
  info(): Promise<RunInfo | null>
  status(): Promise<RunStatus | null>
  frameAtRow(row: number): Promise<Frame | null>
  /** The frame behind the last row whose time is at or below `timeNs`. */
  frameAtTime(timeNs: number): Promise<Frame | null>
  series(binNs: number): Promise<Series | null>
  milestones(): Promise<Milestones | null>
  /** Rows [from, to) as text, newest last; `kinds` empty means all. */
  events(from: number, to: number): Promise<readonly EventRow[]>
  /** Everything that happened to a page, oldest first (at most `limit` newest rows). */
  biography(page: number, limit: number): Promise<readonly EventRow[]>
  /** The next (dir 1) or previous (dir -1) row of that kind after or before `row`, `row` itself excluded; -1 if none. */
  findRow(row: number, dir: 1 | -1, kind: string, page: number): Promise<number>
  report(): Promise<RunReport | null>
  /** The migration on the real kernel that is shown, when it is over and has a report. */
  kernelRun(): Promise<KernelRunView | null>
  /** What had been said of the run that is shown, if that is a real one, in so many bins. */
  prediction(bins: number): Promise<Prediction | null>
  /** The museum of races. */
  races(): Promise<readonly RaceListing[]>
  /** Grows whenever `race` has something new to say. */
  raceGeneration(): Promise<number>
  race(): Promise<RaceView | null>
}

export interface Completion {
  readonly word: string
  readonly meaning: string
}
