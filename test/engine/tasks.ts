/**
 * Tasks for tests of either gear: a body is a generator over its task, its place in the list is its id.
 *
 * `stepTasks` spawns them in the step gear under a scheduler, `clockTasks` in the clock gear, each on a CPU of its own unless
 * told otherwise. Pairs with core/engine/execution.ts and core/engine/timeline.ts.
 */
import { Execution, type Scheduler } from '../../core/engine/execution.ts'
import { NOTHING, type Proc, QUANTUM, SLEEP } from '../../core/engine/op.ts'
import type { Processors } from '../../core/engine/processors.ts'
import { Clock, Task } from '../../core/engine/task.ts'
import { Timeline } from '../../core/engine/timeline.ts'

export type Body = (k: Task) => Proc<void>

export function stepTasks(scheduler: Scheduler, bodies: readonly Body[]): Execution {
  const execution = new Execution(scheduler)
  bodies.forEach((body, id) => {
    const task = new Task(id, nameOf(id), new Clock(id), true)
    task.proc = body(task)
    execution.spawn(task)
  })
  return execution
}

export function clockTasks(
  quantumNs: number,
  bodies: readonly Body[],
  cpuOf: (id: number) => number = (id) => id,
  processors: Processors | null = null,
): { timeline: Timeline; tasks: Task[] } {
  const timeline = new Timeline(quantumNs, processors)
  const clocks = new Map<number, Clock>()
  const tasks = bodies.map((body, id) => {
    const cpu = cpuOf(id)
    const clock = clocks.get(cpu) ?? new Clock(cpu)
    clocks.set(cpu, clock)
    const task = new Task(id, nameOf(id), clock, false)
    task.proc = body(task)
    timeline.spawn(task)
    return task
  })
  return { timeline, tasks }
}

/** Runs to the end; more turns than this is a test that hangs. */
export function runToIdle(timeline: Timeline, turns = 100_000): void {
  const state = timeline.run(turns)
  if (state !== 'idle') throw new Error(`the timeline is ${state} after ${timeline.turns} turns`)
}

/** A body that does one thing and is over. */
export function once(act: (k: Task) => void): Body {
  return function* (k) {
    yield* NOTHING
    act(k)
  }
}

/** Task 0 is A, task 1 is B. */
export function nameOf(id: number): string {
  return String.fromCharCode(65 + id)
}

/** Notes each turn, then charges `costsNs` one a turn. */
export function worker(story: string[], costsNs: readonly number[]): Body {
  return function* (k) {
    for (const ns of costsNs) {
      story.push(`${k.name}${k.nowNs}`)
      k.clock.charge(ns)
      yield QUANTUM
    }
  }
}

export function* sleepFor(k: Task, ns: number): Proc<void> {
  k.wakeAtNs = k.nowNs + ns
  yield SLEEP
}
