/**
 * A search as a thread of a host runs it: one question, one answer, and its progress in memory that both threads see.
 *
 * The searching thread never returns to its event loop, so no message reaches it while it searches; a few numbers in shared memory
 * cost nothing and are there at any time. One of them asks the search where it stands, and it tells so after its next run. Pairs
 * with main/cli/search_pool.ts.
 */
import type { SearchProgress } from '../explore/verdict.ts'
import { Exploration, type ExplorationState, type ExploreAnswer, type ExploreQuestion } from '../litmus/explore.ts'

export type { ExplorationState, ExploreAnswer, ExploreQuestion, SearchProgress }

/** Numbers of shared memory: schedules, traces, depth, frontier, 1 once the search has begun, 1 while it is asked where it stands. */
export const PROGRESS_CELLS = 6
const BEGUN = 4
const ASKED = 5

export function answerQuestion(
  question: ExploreQuestion,
  from: ExplorationState | null,
  shared: Float64Array,
  tell: (state: ExplorationState) => void,
): ExploreAnswer {
  const exploration = new Exploration(question, from)
  const search = exploration.run()
  for (;;) {
    const { done, value } = search.next()
    if (done === true) return value
    shared[0] = value.schedules
    shared[1] = value.traces
    shared[2] = value.depth
    shared[3] = value.frontier
    shared[BEGUN] = 1
    if (shared[ASKED] === 0) continue
    shared[ASKED] = 0
    tell(exploration.state())
  }
}

/** Null before the search began. */
export function progressIn(shared: Float64Array): SearchProgress | null {
  const [schedules = 0, traces = 0, depth = 0, frontier = 0] = shared
  return shared[BEGUN] === 0 ? null : { schedules, traces, depth, frontier }
}

export function askForState(shared: Float64Array): void {
  shared[ASKED] = 1
}
