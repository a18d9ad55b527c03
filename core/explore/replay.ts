/**
 * Replay: one recorded schedule, step by step, as a search of a single run.
 *
 * The run goes on after the end of the schedule by the rule "stay on the task, else the first that is ready", so that a prefix
 * can be replayed too. A task that is not ready when its turn comes means that the code is not the code that was recorded.
 * `stepThrough` is the same for whoever looks on.
 */
import type { Task } from '../engine/task.ts'
import { LivelockWatch } from './livelock.ts'
import type { Program } from './program.ts'
import { refuse } from './schedulers.ts'
import { type Search, type SearchOptions, STEP_LIMIT } from './search.ts'
import { counterexampleOf, Tally } from './tally.ts'
import { Walk } from './walk.ts'

/** One step after another; yields after each step with the walk as it then is, and returns it at its end. */
export function* stepThrough(program: Program, schedule: readonly number[], steps = STEP_LIMIT): Generator<Walk, Walk, void> {
  const walk = new Walk(program)
  while (walk.violation === null) {
    const ready = walk.ready()
    if (ready.length === 0) {
      if (walk.steps < schedule.length) refuse(walk.steps, schedule[walk.steps])
      walk.end()
      break
    }
    if (walk.steps >= Math.max(steps, schedule.length)) break
    walk.perform(chosen(ready, walk, schedule))
    yield walk
  }
  return walk
}

function chosen(ready: readonly Task[], walk: Walk, schedule: readonly number[]): Task {
  if (walk.steps >= schedule.length) return stayOn(ready, walk.last)
  const id = schedule[walk.steps]
  return ready.find((task) => task.id === id) ?? refuse(walk.steps, id)
}

/** The task that ran last if it can go on, else the first that can run. */
export function stayOn(ready: readonly Task[], last: Task | null): Task {
  return last !== null && ready.includes(last) ? last : ready[0]
}

// biome-ignore lint/correctness/useYield: a search of one run has no progress to tell
export function* searchReplay(program: Program, schedule: readonly number[], options: SearchOptions = {}): Search {
  const walk = replayed(program, schedule, options.steps)
  const tally = new Tally()
  tally.ran(walk)
  if (walk.violation !== null) return tally.violation('replay', counterexampleOf(walk, walk.violation))
  if (walk.ready().length > 0) {
    const livelock = new LivelockWatch(program).look(walk)
    if (livelock !== null) return tally.violation('replay', counterexampleOf(walk, livelock))
    return tally.bounded('replay', { schedules: 1, steps: walk.steps })
  }
  tally.completed(walk)
  return tally.bounded('replay', { schedules: 1 })
}

/** Replays without looking at the steps between. */
export function replayed(program: Program, schedule: readonly number[], steps = STEP_LIMIT): Walk {
  const walking = stepThrough(program, schedule, steps)
  for (;;) {
    const { done, value } = walking.next()
    if (done === true) return value
  }
}
