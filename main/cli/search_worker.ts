/**
 * What a thread of the search pool runs: it answers one question at a time and says how long it took.
 *
 * Asked where its search stands, it says so in a message of its own. Bundled as a program of its own beside the command line program.
 * Pairs with search_pool.ts.
 */
import { parentPort } from 'node:worker_threads'
import { answerQuestion, type ExplorationState, type ExploreQuestion } from '../../core/api/search_job.ts'
import type { TimedAnswer } from '../../core/shell/host.ts'

export interface SearchTask {
  /** Of the question, in its pool. */
  readonly id: number
  readonly question: ExploreQuestion
  readonly from: ExplorationState | null
  readonly shared: SharedArrayBuffer
}

/** Where the search of a task stands. */
export interface StateMessage {
  readonly id: number
  readonly state: ExplorationState
}

export function answer({ id, question, from, shared }: SearchTask): TimedAnswer {
  const startedAt = performance.now()
  const tell = (state: ExplorationState) => parentPort?.postMessage({ id, state } satisfies StateMessage)
  const found = answerQuestion(question, from, new Float64Array(shared), tell)
  return { answer: found, wallSeconds: (performance.now() - startedAt) / 1000 }
}
