/**
 * A search as a thread of a host runs it: one question, one answer, and its progress in memory that both threads see.
 *
 * The searching thread never returns to its event loop, so it cannot send messages while it searches; a few numbers in shared
 * memory cost nothing and are there at any time. Pairs with main/cli/search_pool.ts.
 */
import type { SearchProgress } from '../explore/verdict.ts'
import { type ExploreAnswer, type ExploreQuestion, explore } from '../litmus/explore.ts'

export type { ExploreAnswer, ExploreQuestion, SearchProgress }

/** Numbers of shared memory that a search writes: schedules, traces, depth, frontier, and 1 once it has begun. */
export const PROGRESS_CELLS = 5

export function answerQuestion(question: ExploreQuestion, shared: Float64Array): ExploreAnswer {
  shared[4] = 1
  const search = explore(question)
  for (;;) {
    const { done, value } = search.next()
    if (done === true) return value
    shared[0] = value.schedules
    shared[1] = value.traces
    shared[2] = value.depth
    shared[3] = value.frontier
  }
}

/** Null before the search began. */
export function progressIn(shared: Float64Array): SearchProgress | null {
  const [schedules = 0, traces = 0, depth = 0, frontier = 0, hasBegun = 0] = shared
  return hasBegun === 0 ? null : { schedules, traces, depth, frontier }
}
