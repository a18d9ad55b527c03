/**
 * What crosses between the engine (a worker) and a screen: plain data with a version, and the calls a screen may make.
 *
 * The engine runs ahead as fast as the host allows and records events. The screen plays them back: a Frame is the fold
 * of all events up to one row, so scrubbing and stepping back are look-ups (key frames), never new runs.
 */
import type { History, Litmus } from '../litmus/litmus.ts'
import type { RunReport } from '../run/report.ts'
import type { RaceNews } from '../shell/shell_state.ts'
import type { Lane, MigrationStatus } from '../trace/event.ts'

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
}

/** What a screen must know of a run before its first frame. */
export interface RunInfo {
  /** The command line that makes this very run. */
  readonly command: string
  readonly seed: number
  readonly pages: number
  readonly vcpus: number
  readonly bandwidthBitsPerSec: number
  readonly rttNs: number
  readonly lanes: readonly Lane[]
}

/** How far the engine has come. */
export interface RunStatus {
  readonly state: 'running' | 'done' | 'failed' | 'interrupted'
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
  /** Rows [from, to) as text, newest last; `kinds` empty means all. */
  events(from: number, to: number): Promise<readonly EventRow[]>
  /** Everything that happened to a page, oldest first (at most `limit` newest rows). */
  biography(page: number, limit: number): Promise<readonly EventRow[]>
  /** The next (dir 1) or previous (dir -1) row of that kind after or before `row`, `row` itself excluded; -1 if none. */
  findRow(row: number, dir: 1 | -1, kind: string, page: number): Promise<number>
  report(): Promise<RunReport | null>
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
