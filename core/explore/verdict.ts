/**
 * What a search answers. It never claims more than it did: `verified` is said only when every interleaving of the announced
 * steps was covered, and anything else names its bound.
 */
import type { Violation } from './program.ts'

export type Strategy = 'dpor' | 'dfs' | 'random' | 'pct' | 'replay'

/** What stopped a search that did not cover everything, or limited it from the start. Absent fields are not bounds. */
export interface Bound {
  /** Every schedule with at most so many preemptions was run, or one that differs by the exchange of independent steps. */
  readonly preemptions?: number
  /** Schedules that were run, of more that there are. */
  readonly schedules?: number
  /** Steps after which a schedule was cut. */
  readonly steps?: number
}

export interface Counterexample {
  readonly violation: Violation
  /** Task ids in the order in which they ran, up to the step that broke the invariant. */
  readonly schedule: readonly number[]
  readonly preemptions: number
}

export interface Verdict {
  readonly strategy: Strategy
  readonly verdict: 'verified' | 'violation' | 'bounded'
  readonly bound: Bound | null
  /** Runs from the start, those that sleep sets cut short included. */
  readonly schedules: number
  /** Complete runs that differ by more than the exchange of independent steps; 0 where the strategy does not tell them apart. */
  readonly traces: number
  /** Interleavings that the traces stand for, exactly, or null where they were not counted. */
  readonly interleavings: bigint | null
  readonly steps: number
  /** Steps of the longest run. */
  readonly depth: number
  /** Different outcomes seen, sorted. */
  readonly outcomes: readonly string[]
  readonly counterexample: Counterexample | null
}

/** What a search tells while it goes on. */
export interface SearchProgress {
  readonly schedules: number
  readonly traces: number
  readonly depth: number
  /** Choices that are known and not yet tried. */
  readonly frontier: number
}
