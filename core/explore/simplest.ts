/**
 * The search for the simplest counterexample: what to run when a protection is left out and a person wants to see why it is there.
 *
 * 1. Depth first, bound by bound, as far as a number of runs goes: whatever it finds has the fewest preemptions.
 * 2. A few thousand runs by chance, for races too deep for that.
 * 3. Source-DPOR to the end, which finds whatever there is, or shows that there is nothing.
 * 4. What 2 or 3 find is made simpler (minimise.ts).
 *
 * Runs and steps of all parts are added up; a clean verdict is that of DPOR, with its own counts.
 */
import { type AnySearch, anySearch, type SearchState } from './any_search.ts'
import { minimise } from './minimise.ts'
import type { Program } from './program.ts'
import { addedTo, type Search, type SearchOptions } from './search.ts'
import type { Verdict } from './verdict.ts'

/** The parts in turn, and the runs of each that has no end of its own. */
const PARTS = [
  { strategy: 'dfs', runs: 5_000 },
  { strategy: 'random', runs: 3_000 },
  { strategy: 'dpor', runs: Number.POSITIVE_INFINITY },
] as const

export interface SimplestState {
  /** Number of the part. */
  readonly part: number
  /** Of the parts before this one. */
  readonly schedules: number
  readonly steps: number
  /** Where the part stands; null: at its start. */
  readonly search: SearchState | null
  /** 4. What is being made simpler: that begins anew. */
  readonly found: FoundVerdict | null
}

/** A verdict that is no claim about all interleavings: plain data. */
export type FoundVerdict = Verdict & { readonly interleavings: null }

export function searchSimplest(program: Program, options: SearchOptions = {}): Search {
  return new SimplestSearch(program, options).search()
}

export class SimplestSearch {
  #part: number
  #schedules: number
  #steps: number
  #search: AnySearch
  #found: FoundVerdict | null

  constructor(
    readonly program: Program,
    readonly options: SearchOptions,
    from: SimplestState | null = null,
  ) {
    this.#part = from?.part ?? 0
    this.#schedules = from?.schedules ?? 0
    this.#steps = from?.steps ?? 0
    this.#found = from?.found ?? null
    this.#search = this.#begin(from?.search ?? null)
  }

  /** Where the search stands, as plain data; ask at a yield. */
  state(): SimplestState {
    const found = this.#found
    // A search that has found something cannot be gone on from.
    const search = found === null ? this.#search.state() : null
    return { part: this.#part, schedules: this.#schedules, steps: this.#steps, search, found }
  }

  *search(): Search {
    while (this.#found === null) {
      const verdict = yield* addedTo(this.#search.search(), this.#schedules)
      this.#schedules += verdict.schedules
      this.#steps += verdict.steps
      if (verdict.verdict === 'violation') {
        this.#found = { ...verdict, interleavings: null, schedules: this.#schedules, steps: this.#steps }
      } else if (verdict.strategy === 'dpor' || this.#left === 0) return verdict
      else {
        this.#part++
        this.#search = this.#begin(null)
      }
    }
    return yield* simpler(this.program, this.#found)
  }

  /** Runs that are left. */
  get #left(): number {
    return (this.options.schedules ?? Number.POSITIVE_INFINITY) - this.#schedules
  }

  #begin(from: SearchState | null): AnySearch {
    const { strategy, runs } = PARTS[this.#part]
    const schedules = Math.min(runs, this.#left)
    const options = Number.isFinite(schedules) ? { ...this.options, schedules } : this.options
    return anySearch(strategy, this.program, options, from)
  }
}

/** 4. */
function* simpler(program: Program, found: FoundVerdict): Search {
  if (found.counterexample === null || found.strategy === 'dfs') return found
  const { counterexample, schedules, steps } = yield* addedTo(minimise(program, found.counterexample), found.schedules)
  return { ...found, counterexample, schedules: found.schedules + schedules, steps: found.steps + steps }
}
