/**
 * Do footprints tell the truth? A check of a program, not of its protocol: steps that are said to commute are run both ways round.
 *
 * Source-DPOR runs one of many equal interleavings, which is sound only if steps whose footprints do not conflict really can be
 * exchanged. For random runs of the program:
 *
 * 1. A step that lets another task go on, or stops it, must conflict with what that task is about to do.
 * 2. Of two ready tasks, a and b, whose next steps do not conflict, whether b's is taken after a's or at once, a b and b a
 *    must touch the same and be followed by the same: each task's later steps, what is ready before them, and how the run ends.
 *
 * The first disagreement names the two steps: one of them touches what its footprint leaves out.
 */
import { Prng } from '../base/prng.ts'
import { nextFootprint } from '../engine/execution.ts'
import { type Footprint, footprintsConflict, Names, recordFootprints } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { type PlainFootprint, plainFootprint } from './plain_footprint.ts'
import type { Program } from './program.ts'
import { STEP_LIMIT } from './search.ts'
import { Walk } from './walk.ts'

export interface Disagreement {
  /** What is wrong, in a sentence that names the two steps. */
  readonly message: string
  /** The steps up to the two. */
  readonly prefix: readonly number[]
  readonly steps: readonly [StepTold, StepTold]
}

/** A step for a person: whose, and what it touched or would touch. */
export interface StepTold {
  readonly task: string
  readonly footprint: PlainFootprint
}

interface Step {
  readonly task: Task
  readonly footprint: Footprint
  /** Ids of the tasks that were ready before it. */
  readonly ready: readonly number[]
}

interface Run {
  readonly steps: readonly Step[]
  /** How it ended, in a word. */
  readonly end: string
  /** It ended because something broke. */
  readonly broken: boolean
}

/** Null if nothing was found to disagree in so many random runs. */
export function findDisagreement(program: Program, runs = 200, seed = 1): Disagreement | null {
  const chance = new Prng(seed).fork('commute')
  const names = new Names()
  recordFootprints(names)
  try {
    for (let n = 0; n < runs; n++) {
      const found = new Comparison(program, names, chance.fork(`${n}`)).look()
      if (found !== null) return found
    }
    return null
  } finally {
    recordFootprints(null)
  }
}

/** Exchanges that are tried on one random run. */
const EXCHANGES = 4

class Comparison {
  constructor(
    readonly program: Program,
    readonly names: Names,
    readonly prng: Prng,
  ) {}

  look(): Disagreement | null {
    const gates: Disagreement[] = []
    const whole = this.#run([], (found) => gates.push(found))
    if (gates.length > 0) return gates[0]
    const places = whole.steps.flatMap(({ ready }, depth) => (ready.length > 1 ? [depth] : []))
    for (let i = 0; i < EXCHANGES && places.length > 0; i++) {
      const depth = places[this.prng.below(places.length)]
      const found = this.#exchange(whole, depth)
      if (found !== null) return found
    }
    return null
  }

  /** Runs a schedule, and on from its end at random. 1. is told of steps that open or shut ways without saying so. */
  #run(schedule: readonly number[], unsaid: (found: Disagreement) => void): Run {
    const walk = new Walk(this.program)
    const steps: Step[] = []
    let ready = walk.ready()
    while (walk.violation === null && ready.length > 0 && steps.length < STEP_LIMIT) {
      const wanted = schedule[steps.length]
      const task = steps.length < schedule.length ? ready.find((t) => t.id === wanted) : ready[this.prng.below(ready.length)]
      if (task === undefined) return { steps, end: `task ${wanted} is not ready`, broken: false }
      const before = walk.execution.tasks
        .filter((t) => t !== task)
        .map((t) => ({ task: t, next: nextFootprint(t, walk.execution.pending(t)), was: ready.includes(t) }))
      walk.perform(task)
      const { footprint } = walk.execution
      steps.push({ task, footprint, ready: ready.map((t) => t.id) })
      ready = walk.ready()
      for (const { task: other, next, was } of before) {
        if (ready.includes(other) === was || other.state === 'done' || footprintsConflict(next, footprint)) continue
        const did = was ? 'stops' : 'lets go on'
        const told: [StepTold, StepTold] = [this.#told(task, footprint), this.#told(other, next)]
        const message = `${words(told[0])} ${did} ${words(told[1])}, and does not say that it touches it`
        unsaid({ message, prefix: walk.execution.schedule.slice(0, -1), steps: told })
      }
    }
    if (walk.violation === null && ready.length === 0) walk.end()
    return { steps, end: walk.violation?.invariant ?? walk.run.outcome(), broken: walk.violation !== null }
  }

  /** 2. Two steps from `depth` on in both orders, and then the same tasks. */
  #exchange(whole: Run, depth: number): Disagreement | null {
    const { ready } = whole.steps[depth]
    const prefix = whole.steps.slice(0, depth).map((step) => step.task.id)
    const a = ready[this.prng.below(ready.length)]
    const b = ready[this.prng.below(ready.length)]
    const ignore = () => {}
    const one = this.#run([...prefix, a, b], ignore)
    if (a === b || one.steps.length < depth + 2) return null
    const [first, second] = [one.steps[depth], one.steps[depth + 1]]
    const later = one.steps.slice(depth + 2)
    const other = this.#run([...prefix, b, a, ...later.map((step) => step.task.id)], ignore)
    // A search takes them for independent by what b touches after a, or (of a task that sleeps) by what it touches at once.
    const atOnce = other.steps[depth]?.footprint ?? first.footprint
    if (footprintsConflict(first.footprint, second.footprint) && footprintsConflict(first.footprint, atOnce)) return null
    const differs = difference(one, other, depth, this.names)
    if (differs === null) return null
    const steps: [StepTold, StepTold] = [this.#told(first.task, first.footprint), this.#told(second.task, second.footprint)]
    return { message: `${words(steps[0])} and ${words(steps[1])} do not commute: ${differs}`, prefix, steps }
  }

  #told(task: Task, footprint: Footprint): StepTold {
    return { task: task.name, footprint: plainFootprint(this.names, footprint) }
  }
}

/** Where the run that exchanged the steps at `depth` and after it goes another way; null if nowhere. */
function difference(one: Run, other: Run, depth: number, names: Names): string | null {
  // Both ways round break the same; one may have done so a step earlier.
  if (one.broken && other.broken && one.end === other.end) return null
  for (let i = depth; i < one.steps.length; i++) {
    const mine = one.steps[i]
    const theirs = other.steps[i === depth ? depth + 1 : i === depth + 1 ? depth : i]
    if (theirs === undefined) return `after the exchange the run ends at step ${other.steps.length}: ${other.end}`
    const touched = [mine, theirs].map(({ task, footprint }) =>
      words({ task: task.name, footprint: plainFootprint(names, footprint) }),
    )
    if (touched[0] !== touched[1]) return `step ${i} was ${touched[0]} and is ${touched[1]}`
    if (i > depth + 1 && `${mine.ready}` !== `${theirs.ready}`) return `before step ${i} other tasks are ready`
  }
  return one.end === other.end ? null : `the end was "${one.end}" and is "${other.end}"`
}

function words({ task, footprint }: StepTold): string {
  const modes = Object.keys(AccessMode)
  // How often a step touches a thing is nobody else's business: a walk cache saves reads that were said to be made.
  const touched = new Set(footprint.map(([object, label, mode]) => `${modes[mode]} ${label} ${object}`))
  return `${task} (${[...touched].join(', ')})`
}
