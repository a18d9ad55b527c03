/**
 * The loop that searches by chance have in common: so many schedules, each picked by a picker of its own, until one breaks something.
 *
 * Pairs with random.ts and pct.ts, which make the pickers.
 */
import type { Task } from '../engine/task.ts'
import { LivelockWatch } from './livelock.ts'
import type { Program } from './program.ts'
import { CHANCE_LIMIT, type Search, type SearchOptions, STEP_LIMIT } from './search.ts'
import { counterexampleOf, Tally, type TallyState } from './tally.ts'
import { Walk } from './walk.ts'

/** Picks one of the ready tasks; `step` counts from 0. */
export type Picker = (ready: readonly Task[], last: Task | null, step: number) => Task

/** Schedule n depends on n and the seed alone, so where a search stands is little more than how many it has run. */
export interface ChanceState {
  readonly tally: TallyState
  readonly cut: boolean
  /** Cut runs that were looked at for a livelock. */
  readonly looks: number
}

export class ChanceSearch {
  readonly #tally: Tally
  readonly #livelocks: LivelockWatch
  #cut: boolean

  constructor(
    readonly strategy: 'random' | 'pct',
    readonly program: Program,
    readonly options: SearchOptions,
    readonly pickerOf: (schedule: number) => Picker,
    from: ChanceState | null,
  ) {
    this.#tally = new Tally(from?.tally)
    this.#livelocks = new LivelockWatch(program, from?.looks)
    this.#cut = from?.cut ?? false
  }

  /** Where the search stands, as plain data; ask at a yield. */
  state(): ChanceState {
    return { tally: this.#tally.state(), cut: this.#cut, looks: this.#livelocks.looks }
  }

  *search(): Search {
    const { options, strategy } = this
    const limit = options.schedules ?? CHANCE_LIMIT
    const steps = options.steps ?? STEP_LIMIT
    const first = options.first ?? 0
    const tally = this.#tally
    while (tally.schedules < limit) {
      const walk = new Walk(this.program)
      const ended = runBy(walk, this.pickerOf(first + tally.schedules), steps)
      tally.ran(walk)
      const violation = ended ? walk.violation : this.#livelocks.look(walk)
      if (violation !== null) return tally.violation(strategy, counterexampleOf(walk, violation))
      if (ended) tally.completed(walk)
      else this.#cut = true
      yield tally.progress(limit - tally.schedules)
    }
    return tally.bounded(strategy, { schedules: limit, ...(this.#cut && { steps }) })
  }
}

/** Runs to the end, the first violation or the limit; false if it was cut there. */
export function runBy(walk: Walk, pick: Picker, steps: number): boolean {
  while (walk.violation === null) {
    const ready = walk.ready()
    if (ready.length === 0) {
      walk.end()
      return true
    }
    if (walk.steps >= steps) return false
    walk.perform(pick(ready, walk.last, walk.steps))
  }
  return true
}
