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
 * The answer depends on the question alone. Question, answer, and where a search stands pass between threads and stand in checkpoints.
 */
import { fail } from '../base/assert.ts'
import { type AnyStrategy, anySearch, type SearchState } from '../explore/any_search.ts'
import type { Program, Violation } from '../explore/program.ts'
import type { Long, Search, SearchOptions } from '../explore/search.ts'
import { type FoundVerdict, SimplestSearch, type SimplestState } from '../explore/simplest.ts'
import type { Bound, Verdict } from '../explore/verdict.ts'
import type { ProtectionName } from '../mm/kconfig.ts'
import type { MemoryModel } from '../sync/weak_memory.ts'
import type { Litmus } from './litmus.ts'
import { litmusNamed } from './museum.ts'
import { programOf } from './program.ts'
import { spellSchedule } from './schedule_text.ts'

export const SEARCH_STRATEGIES = ['dpor', 'dfs', 'random', 'pct'] as const satisfies readonly AnyStrategy[]
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

/** Where the answering of a question stands, as plain data. */
export interface ExplorationState {
  /** Number of the part. */
  readonly part: number
  /** What DPOR said that was stopped by the number of schedules; null: it was not run, or not stopped. */
  readonly whole: FoundVerdict | null
  readonly search: PartState
}

/** Where the search of a part stands. */
export type PartState = SearchState | { readonly strategy: 'simplest'; readonly state: SimplestState }

/** Answers a question, and yields how far it is. */
export function explore(question: ExploreQuestion): Long<ExploreAnswer> {
  return new Exploration(question).run()
}

/** The answering of one question. Begun from a state, it answers as if it had never been stopped. */
export class Exploration {
  readonly #litmus: Litmus
  readonly #program: Program
  readonly #options: SearchOptions
  readonly #parts: readonly Part[]
  #part: number
  #whole: FoundVerdict | null
  #search: { search(): Search; state(): PartState }

  /** Throws where the state is one of another program. */
  constructor(
    readonly question: ExploreQuestion,
    from: ExplorationState | null = null,
  ) {
    const { without, seed, preemptions, schedules, steps, strategy } = question
    this.#litmus = litmusNamed(question.litmus) ?? fail(`no litmus test is called ${question.litmus}`)
    this.#program = programOf(this.#litmus, new Set(without), question.model ?? this.#litmus.memoryModel)
    const usual = strategy === 'random' || strategy === 'pct' ? USUAL_RANDOM_SCHEDULES : USUAL_SCHEDULES
    const given = { ...(preemptions === null ? {} : { preemptions }), ...(steps === null ? {} : { steps }) }
    this.#options = { ...given, seed, schedules: schedules ?? usual }
    this.#parts = partsOf(this.#litmus, question)
    this.#part = from?.part ?? 0
    this.#whole = from?.whole ?? null
    this.#search = this.#begin(from?.search ?? null)
  }

  /** Ask at a yield. */
  state(): ExplorationState {
    return { part: this.#part, whole: this.#whole, search: this.#search.state() }
  }

  *run(): Long<ExploreAnswer> {
    for (;;) {
      const verdict = yield* this.#search.search()
      if (this.#isLast(verdict)) return answer(this.#litmus, this.question, this.#withWhole(verdict))
      if (verdict.strategy === 'dpor' && this.#parts[this.#part] === 'dpor') this.#whole = { ...verdict, interleavings: null }
      this.#part++
      this.#search = this.#begin(null)
    }
  }

  /** Whether this verdict needs nothing more; a bound of schedules may be followed by another part. */
  #isLast({ verdict, bound }: Verdict): boolean {
    if (this.#part === this.#parts.length - 1 || verdict !== 'bounded') return true
    return this.#parts[this.#part] === 'dpor' && bound?.schedules === undefined
  }

  /** 2, second half. The bounds of dfs rise by themselves; the last that was searched whole is its answer's. */
  #withWhole(verdict: Verdict): Verdict {
    const whole = this.#whole
    if (whole === null || verdict.verdict !== 'bounded') return verdict
    const preemptions = verdict.bound?.preemptions
    const outcomes = [...new Set([...whole.outcomes, ...verdict.outcomes])].sort()
    return { ...whole, bound: { ...whole.bound, ...(preemptions !== undefined && { preemptions }) }, outcomes }
  }

  #begin(from: PartState | null): { search(): Search; state(): PartState } {
    const part = this.#parts[this.#part] ?? fail(`there is no part ${this.#part} of this search`)
    if (part !== 'simplest') {
      if (from?.strategy === 'simplest') fail(`${part} cannot go on from a state of ${from.strategy}`)
      return anySearch(part, this.#program, this.#options, from)
    }
    if (from !== null && from.strategy !== part) fail(`${part} cannot go on from a state of ${from.strategy}`)
    const search = new SimplestSearch(this.#program, this.#options, from?.state)
    return { search: () => search.search(), state: () => ({ strategy: part, state: search.state() }) }
  }
}

type Part = SearchStrategy | 'simplest'

/** The searches that answer a question, one after another until one needs no other. */
function partsOf(litmus: Litmus, { strategy, preemptions, without }: ExploreQuestion): readonly Part[] {
  // 1.
  if (strategy !== null) return [strategy]
  if (preemptions !== null) return ['dfs']
  // 3.
  if (without.length > 0 || litmus.breaks !== undefined) return ['simplest', 'dpor', 'dfs']
  // 2.
  return ['dpor', 'dfs']
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
