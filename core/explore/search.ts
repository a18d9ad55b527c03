/**
 * What all strategies share: how a search is asked for, and how it is driven.
 *
 * A search is a generator: it yields its progress after each run and returns its verdict, so that a host can show how far it
 * is, let its events in, and stop it at any yield. Asked there where it stands, it says so in plain data; a search of the same
 * program with the same options that is begun from that ends as this one would have.
 */
import type { SearchProgress, Verdict } from './verdict.ts'

export interface SearchOptions {
  /** Bound of dfs: schedules with more preemptions are left out. */
  readonly preemptions?: number
  /** Stop after so many schedules. [random and pct: 10,000; dfs and dpor: no limit] */
  readonly schedules?: number
  /** A schedule longer than this is cut, and said to be. [5,000] */
  readonly steps?: number
  /** Of random and pct. [1] */
  readonly seed?: number
  /** Of random and pct: the number of the first schedule, so that several workers can share a seed's schedules. [0] */
  readonly first?: number
  /** Of pct: the depth of the bugs it looks for. [3] */
  readonly depth?: number
  /**
   * Of dfs: leave no preemption out, not even before a step that touches what no other task touches. Of dpor: try every ready
   * task everywhere, so that sleep sets alone leave out equal runs.
   */
  readonly everyStep?: boolean
}

/** Something long that yields how far it is, and returns what it found. */
export type Long<T> = Generator<SearchProgress, T, void>

export type Search = Long<Verdict>

/** Steps after which a schedule is cut unless told otherwise. */
export const STEP_LIMIT = 5_000

/** Schedules of a search by chance unless told otherwise. */
export const CHANCE_LIMIT = 10_000

/** Runs a search, or anything else that is long, to its end. */
export function finish<T>(search: Long<T>): T {
  for (;;) {
    const { done, value } = search.next()
    if (done === true) return value
  }
}

/** A part of something longer, which has run so many schedules before it. */
export function* addedTo<T>(part: Long<T>, schedules: number): Long<T> {
  for (;;) {
    const { done, value } = part.next()
    if (done === true) return value
    yield { ...value, schedules: value.schedules + schedules }
  }
}
