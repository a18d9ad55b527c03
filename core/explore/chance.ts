/**
 * The loop that searches by chance have in common: so many schedules, each picked by a picker of its own, until one breaks something.
 *
 * Pairs with random.ts and pct.ts, which make the pickers.
 */
import type { Task } from '../engine/task.ts'
import { LivelockWatch } from './livelock.ts'
import type { Program } from './program.ts'
import { CHANCE_LIMIT, SCHEDULES_A_YIELD, type Search, type SearchOptions, STEP_LIMIT } from './search.ts'
import { counterexampleOf, Tally } from './tally.ts'
import { Walk } from './walk.ts'

/** Picks one of the ready tasks; `step` counts from 0. */
export type Picker = (ready: readonly Task[], last: Task | null, step: number) => Task

export function* searchByChance(
  strategy: 'random' | 'pct',
  program: Program,
  options: SearchOptions,
  pickerOf: (schedule: number) => Picker,
): Search {
  const limit = options.schedules ?? CHANCE_LIMIT
  const steps = options.steps ?? STEP_LIMIT
  const tally = new Tally()
  const livelocks = new LivelockWatch(program)
  let cut = false
  const first = options.first ?? 0
  for (let n = first; n < first + limit; n++) {
    const walk = new Walk(program)
    const ended = runBy(walk, pickerOf(n), steps)
    tally.ran(walk)
    const violation = ended ? walk.violation : livelocks.look(walk)
    if (violation !== null) return tally.violation(strategy, counterexampleOf(walk, violation))
    if (ended) tally.completed(walk)
    else cut = true
    if (tally.schedules % SCHEDULES_A_YIELD === 0) yield tally.progress(limit - tally.schedules)
  }
  return tally.bounded(strategy, { schedules: limit, ...(cut && { steps }) })
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
