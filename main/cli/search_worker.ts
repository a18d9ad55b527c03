/**
 * What a thread of the search pool runs: it answers one question at a time and says how long it took.
 *
 * Bundled as a program of its own beside the command line program. Pairs with search_pool.ts.
 */
import { answerQuestion, type ExploreQuestion } from '../../core/api/search_job.ts'
import type { TimedAnswer } from '../../core/shell/host.ts'

export interface SearchTask {
  readonly question: ExploreQuestion
  readonly shared: SharedArrayBuffer
}

export function answer({ question, shared }: SearchTask): TimedAnswer {
  const startedAt = performance.now()
  const found = answerQuestion(question, new Float64Array(shared))
  return { answer: found, wallSeconds: (performance.now() - startedAt) / 1000 }
}
