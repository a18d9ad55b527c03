/**
 * A run that reached the step limit: does it go round for ever?
 *
 * 1. Its last steps repeat with a period: the same tasks take the same steps with the same footprints.
 * 2. No step of the period writes: locks are taken and given back, and all that is shared is as it was a period ago.
 * 3. Every task that was ready at any time in a period takes part in it: no one else could bring a change.
 *
 * Then it is a livelock. Short of a task that counts its turns on its own, nothing will ever end it, and 1,000 steps of the same are
 * asked for before it is said. Where this cannot be said the run is only cut, and the bound names the limit.
 */
import { type Footprint, Names, recordFootprints } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'
import type { Program, Violation } from './program.ts'
import { Walk } from './walk.ts'

/** Steps that have to repeat. */
const TAIL = 1_000
const LONGEST_PERIOD = 100
/** Cut runs that a search looks at. */
const LOOKS = 8

export class LivelockWatch {
  /** Cut runs that were looked at. */
  looks: number

  constructor(
    readonly program: Program,
    looks = 0,
  ) {
    this.looks = looks
  }

  /** A run has been cut; what it shows, or null. */
  look(cut: Walk): Violation | null {
    if (cut.steps < TAIL + LONGEST_PERIOD || this.looks >= LOOKS) return null
    this.looks++
    return livelockOf(this.program, cut.execution.schedule)
  }
}

interface Step {
  readonly task: number
  readonly footprint: Footprint
  /** Tasks that were ready before it. */
  readonly ready: readonly number[]
}

function livelockOf(program: Program, schedule: readonly number[]): Violation | null {
  const steps = lastSteps(program, schedule)
  const period = periodOf(steps)
  if (period === 0) return null
  const turn = steps.slice(-period)
  const partners = new Set(turn.map((step) => step.task))
  if (turn.some(({ footprint }) => writes(footprint))) return null
  if (turn.some(({ ready }) => ready.some((id) => !partners.has(id)))) return null
  const { execution } = new Walk(program)
  const names = execution.tasks.filter((task) => partners.has(task.id)).map((task) => task.name)
  return {
    invariant: 'I-WAIT',
    message: `livelock: ${names.join(', ')} repeat the same ${period} steps and change nothing`,
  }
}

/** The last steps of the schedule, run once more with footprints. */
function lastSteps(program: Program, schedule: readonly number[]): Step[] {
  const walk = new Walk(program)
  const quiet = schedule.length - TAIL
  for (let step = 0; step < quiet; step++) walk.follow(schedule[step])
  recordFootprints(new Names())
  try {
    return schedule.slice(quiet).map((task) => {
      const ready = walk.ready().map((t) => t.id)
      walk.follow(task)
      return { task, footprint: walk.execution.footprint, ready }
    })
  } finally {
    recordFootprints(null)
  }
}

/** The shortest period with which all steps repeat; 0: none. */
function periodOf(steps: readonly Step[]): number {
  for (let period = 1; period <= LONGEST_PERIOD; period++) {
    if (steps.every((step, i) => i < period || same(step, steps[i - period]))) return period
  }
  return 0
}

function same(a: Step, b: Step): boolean {
  if (a.task !== b.task || a.footprint.length !== b.footprint.length) return false
  return a.footprint.every((x, i) => x === b.footprint[i])
}

function writes(footprint: Footprint): boolean {
  for (let i = 1; i < footprint.length; i += 2) if (footprint[i] === AccessMode.write) return true
  return false
}
