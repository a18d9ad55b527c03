/**
 * The determinism guard: the same schedule must give the same run, or nothing that a search says of a program is true.
 *
 * A run's hash is over each step's task, label, object and mode, what it touched, and how the run ended.
 */
import { Hash64 } from '../base/hash.ts'
import { Prng } from '../base/prng.ts'
import { Names, recordFootprints } from '../engine/footprint.ts'
import { runBy } from './chance.ts'
import { plainFootprint } from './plain_footprint.ts'
import type { Program } from './program.ts'
import { refuse } from './schedulers.ts'
import { STEP_LIMIT } from './search.ts'
import { Walk } from './walk.ts'

export interface DeterminismCheck {
  readonly schedule: readonly number[]
  readonly first: string
  readonly second: string
  readonly same: boolean
}

/** Runs a schedule drawn by the seed, and then the very same once more. */
export function checkDeterminism(program: Program, seed = 1, steps = STEP_LIMIT): DeterminismCheck {
  const prng = new Prng(seed).fork('determinism')
  const walk = new Walk(program)
  runBy(walk, (ready) => ready[prng.below(ready.length)], steps)
  const schedule = [...walk.execution.schedule]
  const [first, second] = [hashOf(program, schedule), hashOf(program, schedule)]
  return { schedule, first, second, same: first === second }
}

/** The hash of one run by a schedule. */
export function hashOf(program: Program, schedule: readonly number[]): string {
  const hash = new Hash64()
  const names = new Names()
  recordFootprints(names)
  try {
    const walk = new Walk(program)
    while (walk.violation === null) {
      const ready = walk.ready()
      if (ready.length === 0) walk.end()
      if (ready.length === 0 || walk.steps >= schedule.length) break
      const id = schedule[walk.steps]
      walk.perform(ready.find((task) => task.id === id) ?? refuse(walk.steps, id))
      addStep(hash, walk, names)
    }
    hash.text(walk.violation === null ? walk.run.outcome() : walk.violation.invariant + walk.violation.message)
  } finally {
    recordFootprints(null)
  }
  return hash.digest()
}

function addStep(hash: Hash64, walk: Walk, names: Names): void {
  const { execution } = walk
  hash.int(walk.last?.id ?? -1)
  const op = execution.performed
  hash.text(op === null ? 'wake-up' : op.label)
  hash.int(op === null ? -1 : op.object)
  for (const [object, label, mode] of plainFootprint(names, execution.footprint)) {
    hash.int(object)
    hash.text(label)
    hash.int(mode)
  }
}
