/**
 * What `explore` does for one litmus test: a question as plain data, a search, and an answer as plain data.
 *
 * 1. A strategy was asked for: that search, with the bounds given.
 * 2. Every protection is on: dynamic partial-order reduction to the end. Where that takes more schedules than there are to be,
 *    depth-first under a rising bound of preemptions, so that the answer can name the largest bound that was searched whole.
 * 3. Something is left out: simplest.ts looks for a violation with few preemptions and few steps. Where it finds none, as in 2.
 *    So it is where a litmus test shows a kernel that had the race (`breaks`): there the violation is the witness of "sometimes",
 *    and the test is verified by it.
 *
 * The answer depends on the question alone. Question and answer pass between threads and stand in checkpoints.
 */
import { fail } from '../base/assert.ts'
import { searchDfs } from '../explore/dfs.ts'
import { searchDpor } from '../explore/dpor.ts'
import { searchPct } from '../explore/pct.ts'
import type { Program, Violation } from '../explore/program.ts'
import { searchRandom } from '../explore/random.ts'
import type { Search, SearchOptions } from '../explore/search.ts'
import { searchSimplest } from '../explore/simplest.ts'
import type { Bound, SearchProgress, Verdict } from '../explore/verdict.ts'
import type { ProtectionName } from '../mm/kconfig.ts'
import type { MemoryModel } from '../sync/weak_memory.ts'
import type { Litmus } from './litmus.ts'
import { litmusNamed } from './museum.ts'
import { programOf } from './program.ts'
import { spellSchedule } from './schedule_text.ts'

export const SEARCH_STRATEGIES = ['dpor', 'dfs', 'random', 'pct'] as const
export type SearchStrategy = (typeof SEARCH_STRATEGIES)[number]

export interface ExploreQuestion {
  /** Name of the litmus test. */
  readonly litmus: string
  /** Left out, sorted. */
  readonly without: readonly ProtectionName[]
  /** Null: the litmus test's own. */
  readonly model: MemoryModel | null
  /** Null: whatever answers best. */
  readonly strategy: SearchStrategy | null
  readonly seed: number
  readonly preemptions: number | null
  readonly schedules: number | null
  readonly steps: number | null
}

export interface ExploreAnswer {
  readonly schema: 'pageferry.explore/1'
  readonly litmus: string
  readonly protections: readonly ProtectionName[]
  readonly memoryModel: MemoryModel
  readonly strategy: Verdict['strategy']
  readonly verdict: Verdict['verdict']
  readonly invariant: string | null
  /** The counterexample is what the litmus test is there to show: that it breaks sometimes. */
  readonly isWitness: boolean
  readonly bound: Bound | null
  readonly schedules: number
  readonly traces: number
  /** Digits; null where they were not counted. */
  readonly interleavings: string | null
  readonly steps: number
  readonly depth: number
  /** Of the counterexample. */
  readonly preemptions: number | null
  /** For `replay`. */
  readonly schedule: string | null
  readonly outcomes: readonly string[]
  readonly counterexample: (Violation & { readonly steps: number; readonly preemptions: number }) | null
}

/** Schedules of a search without a limit of its own: a few minutes of one core at most. */
export const USUAL_SCHEDULES = 2_000_000
/** And of random and pct, which have no end of their own. */
export const USUAL_RANDOM_SCHEDULES = 10_000
const SEARCHES: Record<SearchStrategy, (program: Program, options: SearchOptions) => Search> = {
  dpor: searchDpor,
  dfs: searchDfs,
  random: searchRandom,
  pct: searchPct,
}

/** Answers a question, and yields how far it is. */
export function* explore(question: ExploreQuestion): Generator<SearchProgress, ExploreAnswer, void> {
  const litmus = litmusNamed(question.litmus) ?? fail(`no litmus test is called ${question.litmus}`)
  return answer(litmus, question, yield* search(litmus, question))
}

function* search(litmus: Litmus, question: ExploreQuestion): Search {
  const { strategy, without, seed, preemptions, schedules, steps } = question
  const program = programOf(litmus, new Set(without), question.model ?? litmus.memoryModel)
  const given = { ...(preemptions === null ? {} : { preemptions }), ...(steps === null ? {} : { steps }), seed }
  // 1.
  if (strategy !== null) {
    const usual = strategy === 'random' || strategy === 'pct' ? USUAL_RANDOM_SCHEDULES : USUAL_SCHEDULES
    return yield* SEARCHES[strategy](program, { ...given, schedules: schedules ?? usual })
  }
  const limit = schedules ?? USUAL_SCHEDULES
  if (preemptions !== null) return yield* searchDfs(program, { ...given, schedules: limit })
  // 3.
  if (without.length > 0 || litmus.breaks !== undefined) {
    const found = yield* searchSimplest(program, { ...given, schedules: limit })
    if (found.verdict !== 'bounded') return found
  }
  // 2.
  const whole = yield* searchDpor(program, { ...given, schedules: limit })
  if (whole.verdict !== 'bounded' || whole.bound?.schedules === undefined) return whole
  return yield* boundedByPreemptions(program, whole, { ...given, schedules: limit })
}

/** 2, second half. The bounds of dfs rise by themselves; the last that was searched whole is its answer's. */
function* boundedByPreemptions(program: Program, whole: Verdict, options: SearchOptions): Search {
  const verdict = yield* searchDfs(program, options)
  if (verdict.verdict !== 'bounded') return verdict
  const preemptions = verdict.bound?.preemptions
  const outcomes = [...new Set([...whole.outcomes, ...verdict.outcomes])].sort()
  return { ...whole, bound: { ...whole.bound, ...(preemptions !== undefined && { preemptions }) }, outcomes }
}

function answer(litmus: Litmus, question: ExploreQuestion, found: Verdict): ExploreAnswer {
  const { without } = question
  const model = question.model ?? litmus.memoryModel
  const { counterexample, bound, schedules, traces, interleavings, steps, depth, outcomes } = found
  const isWitness = without.length === 0 && counterexample !== null && counterexample.violation.invariant === litmus.breaks
  return {
    schema: 'pageferry.explore/1',
    litmus: litmus.name,
    protections: without,
    memoryModel: model,
    strategy: found.strategy,
    verdict: isWitness ? 'verified' : found.verdict,
    invariant: counterexample?.violation.invariant ?? null,
    isWitness,
    bound,
    schedules,
    traces,
    interleavings: interleavings === null ? null : String(interleavings),
    steps,
    depth,
    preemptions: counterexample?.preemptions ?? null,
    schedule: counterexample === null ? null : spellSchedule({ litmus, without, model, steps: counterexample.schedule }),
    outcomes,
    counterexample:
      counterexample === null
        ? null
        : { ...counterexample.violation, steps: counterexample.schedule.length, preemptions: counterexample.preemptions },
  }
}
