/**
 * Threads that search: a pool of workers (piscina), each with one question at a time.
 *
 * A worker is busy from its question to its answer. Its progress stands in shared memory; where it stands it tells in a message when a
 * cell of that memory asks for it; and closing the pool ends it wherever it is. The worker's program lies beside this
 * one's: search_worker.mjs in the bundle.
 */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Piscina } from 'piscina'
import { askForState, type ExplorationState, PROGRESS_CELLS, progressIn } from '../../core/api/search_job.ts'
import { HostError, type SearchPool, type TimedAnswer } from '../../core/shell/host.ts'
import type { SearchTask, StateMessage } from './search_worker.ts'

const LOOK_MS = 50

export const searchThreads = availableParallelism()

/** Those who asked where a search stands. */
type Waiting = ((state: ExplorationState | null) => void)[]

export function openSearchPool(
  threads: number,
  worker = fileURLToPath(new URL('search_worker.mjs', import.meta.url)),
): SearchPool {
  const waiting: Waiting[] = []
  const tell = (id: number, state: ExplorationState | null) => {
    for (const resolve of waiting[id]?.splice(0) ?? []) resolve(state)
  }
  // Most calls of the program never search: the package is loaded by those that do.
  const pool: Promise<Piscina<SearchTask, TimedAnswer>> = import('piscina').then((module) => {
    const opened = new module.Piscina({ filename: worker, name: 'answer', minThreads: threads, maxThreads: threads })
    // An error that comes after its question was given up is told by nobody else, and nobody waits for it.
    opened.on('error', () => undefined)
    opened.on('message', ({ id, state }: StateMessage) => tell(id, state))
    return opened
  })
  let isClosed = false
  let wake: () => void = () => undefined
  return {
    ask(question, from) {
      const id = waiting.push([]) - 1
      const shared = new SharedArrayBuffer(PROGRESS_CELLS * Float64Array.BYTES_PER_ELEMENT)
      const cells = new Float64Array(shared)
      let isDone = false
      const answer = pool
        .then((open) => open.run({ id, question, from, shared }))
        .catch((error: unknown) => Promise.reject(threadError(error, question.litmus)))
        .finally(() => {
          isDone = true
          tell(id, null)
          wake()
        })
      // Whoever stops waits for no answer; an error that nobody asked for any more is none.
      answer.catch(() => undefined)
      return {
        answer,
        progress: () => progressIn(cells),
        state: () =>
          new Promise((resolve) => {
            if (isDone || progressIn(cells) === null) return resolve(null)
            waiting[id]?.push(resolve)
            askForState(cells)
          }),
      }
    },
    wait: () =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      }),
    async close() {
      if (isClosed) return
      isClosed = true
      await (await pool).destroy()
    },
  }
}

/** A bug, or a thread that could not start: in place, the one shows where it is and the other cannot happen. */
function threadError(error: unknown, litmus: string): HostError {
  const [why = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1)
  return new HostError(`a thread failed that searched ${litmus} (${why}); --jobs 1 searches without threads`)
}
