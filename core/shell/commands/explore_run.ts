/**
 * Asks many questions about litmus tests and hands on the answers in the order of the questions, whoever answers first.
 *
 * 1. With a pool of threads: all are asked at once, and this thread looks now and then whether it is to stop.
 * 2. Without: one after another, in slices of about ten milliseconds.
 * The answers are the same either way. When the user stops it, answers that wait for an earlier one are handed on, too.
 */
import type { SearchProgress } from '../../explore/verdict.ts'
import { type ExploreQuestion, explore } from '../../litmus/explore.ts'
import type { StopSignal } from '../command.ts'
import type { Host, TimedAnswer } from '../host.ts'

const SLICE_SECONDS = 0.01

/** A question that is being searched. */
export interface Under {
  readonly question: ExploreQuestion
  readonly progress: SearchProgress | null
}

export interface Watcher {
  onAnswer(timed: TimedAnswer): Promise<void>
  /** Every few milliseconds; what is being searched, and how many questions were answered. */
  onSlice(under: readonly Under[], answered: number): void
}

/** True: all were answered. False: stopped; `onSlice` was told last what was under way. */
export async function askAll(
  questions: readonly ExploreQuestion[],
  threads: number,
  host: Host,
  stop: StopSignal,
  watcher: Watcher,
): Promise<boolean> {
  const usable = Math.min(threads, questions.length)
  return usable > 1 && host.openSearchPool !== undefined
    ? askPool(questions, usable, host, stop, watcher)
    : askHere(questions, host, stop, watcher)
}

async function askPool(
  questions: readonly ExploreQuestion[],
  threads: number,
  host: Host,
  stop: StopSignal,
  { onAnswer, onSlice }: Watcher,
): Promise<boolean> {
  const pool = host.openSearchPool?.(threads)
  if (pool === undefined) return false
  try {
    const asked = questions.map((question) => ({ question, ...pool.ask(question) }))
    const answers: (TimedAnswer | undefined)[] = []
    const failures: unknown[] = []
    for (const [i, { answer }] of asked.entries())
      answer.then(
        (timed) => {
          answers[i] = timed
        },
        (error) => failures.push(error),
      )
    let handed = 0
    while (handed < asked.length) {
      await pool.wait()
      if (failures.length > 0) throw failures[0]
      for (let next = answers[handed]; next !== undefined; next = answers[++handed]) await onAnswer(next)
      const under = asked.flatMap(({ question, progress }, i) => (answers[i] ? [] : [{ question, progress: progress() }]))
      const answered = answers.filter((one) => one !== undefined)
      onSlice(
        under.filter(({ progress }) => progress !== null),
        answered.length,
      )
      if (!stop.aborted || handed === asked.length) continue
      for (const late of answers.slice(handed)) if (late !== undefined) await onAnswer(late)
      return false
    }
    return true
  } finally {
    await pool.close()
  }
}

async function askHere(
  questions: readonly ExploreQuestion[],
  host: Host,
  stop: StopSignal,
  { onAnswer, onSlice }: Watcher,
): Promise<boolean> {
  for (const [answered, question] of questions.entries()) {
    const startedAt = host.wallSeconds()
    let breathedAt = startedAt
    const search = explore(question)
    for (;;) {
      const { done, value } = search.next()
      const now = host.wallSeconds()
      if (done === true) {
        await onAnswer({ answer: value, wallSeconds: now - startedAt })
        break
      }
      if (now - breathedAt < SLICE_SECONDS) continue
      await host.breathe()
      breathedAt = host.wallSeconds()
      onSlice([{ question, progress: value }], answered)
      if (stop.aborted) return false
    }
  }
  return true
}
