/**
 * What the shell needs of the machine it runs on. Each host (command line, browser worker, desktop) hands one in, so
 * that core itself touches no file, no clock and no process.
 */
import type { SearchProgress } from '../explore/verdict.ts'
import type { ExplorationState, ExploreAnswer, ExploreQuestion } from '../litmus/explore.ts'
import type { SourceLine } from '../litmus/place.ts'
import type { HostKernel } from './host_kernel.ts'

export interface Host {
  /**
   * Opens a file and yields its bytes in blocks, decompressed if it is gzip. Throws HostError with one sentence that
   * names the file and the remedy when it is missing, unreadable or its compression is broken.
   */
  open(path: string): AsyncIterable<Uint8Array>
  /** Writes a file under a temporary name and renames it; nothing is left behind on failure. Throws HostError. */
  write(path: string, chunks: Iterable<string>): Promise<void>
  /** Throws HostError if `write` to this path would fail as things stand; asked before a long run starts. */
  checkWritable?(path: string): Promise<void>
  /** Paths that begin with this text, folders with a slash at their end; for completion. Absent where there are no files. */
  listFiles?(prefix: string): Promise<readonly string[]>
  /** Lets the host's events in (signals, messages). Called every few milliseconds by anything long. */
  breathe(): Promise<void>
  /** Seconds of host time from some fixed moment; for `host` figures and progress only. */
  wallSeconds(): number
  /** Largest resident memory of this process so far, bytes; 0 where the host cannot tell. */
  peakRssBytes(): number
  /** `v20.20.2`, or the browser's name. */
  readonly platform: string
  /** Threads that can search at the same time. Absent: one, the one that asks. */
  readonly searchThreads?: number
  /** Starts so many threads that search. Absent where there is but one. */
  openSearchPool?(threads: number): SearchPool
  /** The kernel of this host, for what runs on the real one. Absent where there is no way to it. */
  readonly kernel?: HostKernel
  /** The source of a place in this very program, as a stack names it; null where it is not known. */
  sourceAt?(file: string, line: number, column: number): SourceLine | null
}

/** Threads that answer questions about litmus tests, each question on one of them. */
export interface SearchPool {
  /** `from`: where an earlier search of this question stood. */
  ask(question: ExploreQuestion, from: ExplorationState | null): PoolAnswer
  /** Resolves when there is something new to look at, and in any case after a few hundredths of a second. */
  wait(): Promise<void>
  /** Ends the threads at once, whatever they do; what they were asked is never answered. */
  close(): Promise<void>
}

export interface PoolAnswer {
  readonly answer: Promise<TimedAnswer>
  /** How far it is; null before it began. */
  progress(): SearchProgress | null
  /** Asks where it stands; null if it did not begin, or is done. */
  state(): Promise<ExplorationState | null>
}

export interface TimedAnswer {
  readonly answer: ExploreAnswer
  readonly wallSeconds: number
}

/** A search that was begun and is not done. */
export interface BegunSearch {
  readonly litmus: string
  readonly state: ExplorationState
  /** Spent on it so far. */
  readonly wallSeconds: number
}

/** Exit codes of the command contract. */
export const ExitCode = {
  good: 0,
  failed: 1,
  usage: 2,
  /** An invariant or the consistency check broke. */
  broken: 3,
  timeLimit: 124,
  notPermitted: 126,
  unknownCommand: 127,
  interrupted: 130,
} as const

/** An error that is the user's to mend. `message` is one sentence: what was wrong, where, and the remedy. */
export class HostError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = 1,
    /** There is no such file: the one thing that some who read can do without. */
    readonly isMissing = false,
  ) {
    super(message)
  }
}
