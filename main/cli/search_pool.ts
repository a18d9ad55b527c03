/**
 * Threads that search: a pool of workers (piscina), each with one question at a time.
 *
 * A worker is busy from its question to its answer. Its progress stands in shared memory, and closing the pool ends it where it
 * is. The worker's program lies beside this one's: search_worker.mjs in the bundle.
 */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Piscina } from 'piscina'
import { PROGRESS_CELLS, progressIn } from '../../core/api/search_job.ts'
import type { SearchPool, TimedAnswer } from '../../core/shell/host.ts'
import type { SearchTask } from './search_worker.ts'

const LOOK_MS = 50

export const searchThreads = availableParallelism()

export function openSearchPool(
  threads: number,
  worker = fileURLToPath(new URL('search_worker.mjs', import.meta.url)),
): SearchPool {
  // Most calls of the program never search: the package is loaded by those that do.
  const pool: Promise<Piscina<SearchTask, TimedAnswer>> = import('piscina').then(
    (module) => new module.Piscina({ filename: worker, name: 'answer', minThreads: threads, maxThreads: threads }),
  )
  let isClosed = false
  let wake: () => void = () => undefined
  return {
    ask(question) {
      const shared = new SharedArrayBuffer(PROGRESS_CELLS * Float64Array.BYTES_PER_ELEMENT)
      const cells = new Float64Array(shared)
      const answer = pool.then((open) => open.run({ question, shared })).finally(() => wake())
      // Whoever stops waits for no answer; an error that nobody asked for any more is none.
      answer.catch(() => undefined)
      return { answer, progress: () => progressIn(cells) }
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
