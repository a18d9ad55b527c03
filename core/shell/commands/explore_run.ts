/**
 * Asks many questions about litmus tests and hands on the answers in the order of the questions, whoever answers first.
 *
 * 1. With a pool of threads: all are asked at once, and this thread looks now and then whether it is to stop.
 * 2. Without: one after another, in slices of about ten milliseconds.
 * 3. Every few seconds, and when the user stops it, searches under way are asked where they stand, if anybody keeps that.
 * The answers are the same either way. When the user stops it, answers that wait for an earlier one are handed on, too.
 */
import type { SearchProgress } from '../../explore/verdict.ts'
import { Exploration, type ExploreQuestion } from '../../litmus/explore.ts'
import type { StopSignal } from '../command.ts'
import type { BegunSearch, Host, SearchPool, TimedAnswer } from '../host.ts'

const SLICE_SECONDS = 0.01
/** Between two looks at where the searches stand. */
const KEEP_SECONDS = 5

/** What is to be answered, and where an earlier search of it stood. */
export interface Asked {
  readonly question: ExploreQuestion
  readonly begun: BegunSearch | null
}

/** A question that is being searched. */
export interface Under {
  readonly question: ExploreQuestion
  readonly progress: SearchProgress | null
  /** Spent on it so far, by earlier calls too. */
  readonly seconds: number
}

export interface Watcher {
  /** One or more. */
  onAnswers(timed: readonly TimedAnswer[]): Promise<void>
  /** Every few milliseconds; what is being searched, and how many questions were answered. */
  onSlice(under: readonly Under[], answered: number): void
  /** 3. Absent: nobody keeps it. */
  readonly keep?: ((begun: readonly BegunSearch[]) => Promise<void>) | undefined
}

/** True: all were answered. False: stopped; `onSlice` was told last what was under way. */
export async function askAll(
  asked: readonly Asked[],
  threads: number,
  host: Host,
  stop: StopSignal,
  watcher: Watcher,
): Promise<boolean> {
  const usable = Math.min(threads, asked.length)
  const pool = usable > 1 ? host.openSearchPool?.(usable) : undefined
  if (pool === undefined) return askHere(asked, host, stop, watcher)
  try {
    return await askPool(asked, pool, host, stop, watcher)
  } finally {
    await pool.close()
  }
}

async function askPool(
  asked: readonly Asked[],
  pool: SearchPool,
  host: Host,
  stop: StopSignal,
  { onAnswers, onSlice, keep }: Watcher,
): Promise<boolean> {
  const searches = asked.map((one) => new PoolSearch(one, pool, host))
  let handed = 0
  let keptAt = host.wallSeconds()
  while (handed < searches.length) {
    await pool.wait()
    for (const { failure } of searches) if (failure !== null) throw failure.reason
    const ready: TimedAnswer[] = []
    for (let next = searches[handed]?.timed; next; next = searches[++handed]?.timed) ready.push(next)
    if (ready.length > 0) await onAnswers(ready)
    const left = searches.filter(({ timed }) => timed === null)
    onSlice(
      left.map((search) => search.under()).filter(({ progress }) => progress !== null),
      searches.length - left.length,
    )
    const isStopped = stop.aborted && handed < searches.length
    if (keep !== undefined && (isStopped || host.wallSeconds() - keptAt > KEEP_SECONDS)) {
      await keep((await Promise.all(left.map((search) => search.begun()))).filter((one) => one !== null))
      keptAt = host.wallSeconds()
    }
    if (!isStopped) continue
    const late = searches.slice(handed).flatMap(({ timed }) => timed ?? [])
    if (late.length > 0) await onAnswers(late)
    return false
  }
  return true
}

/** 1. One question, on whichever thread. */
class PoolSearch {
  timed: TimedAnswer | null = null
  failure: { readonly reason: unknown } | null = null
  readonly #asked: Asked
  readonly #host: Host
  readonly #answer: ReturnType<SearchPool['ask']>
  /** When it was first seen to run. */
  #startedAt: number | null = null

  constructor(asked: Asked, pool: SearchPool, host: Host) {
    this.#asked = asked
    this.#host = host
    this.#answer = pool.ask(asked.question, asked.begun?.state ?? null)
    this.#answer.answer.then(
      ({ answer, wallSeconds }) => {
        this.timed = { answer, wallSeconds: wallSeconds + this.#before }
      },
      (reason) => {
        this.failure = { reason }
      },
    )
  }

  get #seconds(): number {
    const now = this.#host.wallSeconds()
    return this.#before + now - (this.#startedAt ?? now)
  }

  /** Seconds that earlier calls spent on it. */
  get #before(): number {
    return this.#asked.begun?.wallSeconds ?? 0
  }

  under(): Under {
    const progress = this.#answer.progress()
    if (progress !== null) this.#startedAt ??= this.#host.wallSeconds()
    return { question: this.#asked.question, progress, seconds: this.#seconds }
  }

  /** Where it stands; what was not reached yet stands where it stood. Null: at its beginning, or answered meanwhile. */
  async begun(): Promise<BegunSearch | null> {
    const state = await this.#answer.state()
    if (state === null) return this.timed === null ? this.#asked.begun : null
    return { litmus: this.#asked.question.litmus, state, wallSeconds: this.#seconds }
  }
}

async function askHere(
  asked: readonly Asked[],
  host: Host,
  stop: StopSignal,
  { onAnswers, onSlice, keep }: Watcher,
): Promise<boolean> {
  let keptAt = host.wallSeconds()
  for (const [answered, { question, begun }] of asked.entries()) {
    const startedAt = host.wallSeconds() - (begun?.wallSeconds ?? 0)
    let breathedAt = host.wallSeconds()
    const exploration = new Exploration(question, begun?.state)
    const search = exploration.run()
    for (;;) {
      const { done, value } = search.next()
      const now = host.wallSeconds()
      if (done === true) {
        await onAnswers([{ answer: value, wallSeconds: now - startedAt }])
        break
      }
      if (now - breathedAt < SLICE_SECONDS) continue
      await host.breathe()
      breathedAt = host.wallSeconds()
      onSlice([{ question, progress: value, seconds: now - startedAt }], answered)
      if (keep !== undefined && (stop.aborted || breathedAt - keptAt > KEEP_SECONDS)) {
        const later = asked.slice(answered + 1).flatMap((one) => one.begun ?? [])
        await keep([{ litmus: question.litmus, state: exploration.state(), wallSeconds: now - startedAt }, ...later])
        keptAt = host.wallSeconds()
      }
      if (stop.aborted) return false
    }
  }
  return true
}
