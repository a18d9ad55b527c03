/**
 * Random-schedule search for the tests of protections: the first seed whose schedule breaks something, and what.
 *
 * A scenario builds a rig for a seed, runs it in the step gear and answers with what is wrong, or null. An exception of the
 * model (a failed invariant, lockdep) is wrong too, and so is a run that does not end.
 */
import { Prng } from '../../core/base/prng.ts'
import type { Scheduler } from '../../core/engine/execution.ts'
import { Rig, type RigOptions } from './rig.ts'

export interface Break {
  readonly seed: number
  readonly why: string
}

type Options = Omit<RigOptions, 'gear' | 'seed' | 'scheduler'> & {
  /** Mean length of a task's turn in steps; 1 (the default) picks anew at each step. Races that need long turns want more. */
  readonly turn?: number
}

/** Picks at random, but stays with a task for `turn` steps on average. */
function inTurns(seed: number, turn: number): Scheduler {
  const prng = new Prng(seed)
  return {
    pick(ready, last) {
      const same = last === null ? -1 : ready.indexOf(last)
      return same >= 0 && prng.below(turn) > 0 ? same : prng.below(ready.length)
    },
  }
}

export type Scenario = (rig: Rig) => () => string | null

/** `scenario` spawns its threads and answers with the check to make when all are done. */
export function firstBreak(seeds: number, options: Options, scenario: Scenario): Break | null {
  for (let seed = 1; seed <= seeds; seed++) {
    const why = runOne(seed, options, scenario)
    if (why !== null) return { seed, why }
  }
  return null
}

function runOne(seed: number, options: Options, scenario: Scenario): string | null {
  try {
    const scheduler = options.turn === undefined ? undefined : { scheduler: inTurns(seed, options.turn) }
    const rig = new Rig({ ...options, gear: 'step', seed, ...scheduler })
    const check = scenario(rig)
    const outcome = rig.run()
    return outcome === 'done' ? check() : `${outcome}: ${rig.waits().join('; ')}`
  } catch (e) {
    return e instanceof Error ? e.message : String(e)
  }
}
