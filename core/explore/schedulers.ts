/**
 * The schedulers of the step gear that need no search: round robin, random by seed, and replay of a schedule.
 *
 * A schedule is the list of task ids in the order they ran. As text it is run-length coded, `0*3 1 0*2`, short enough to
 * paste. Replay refuses to go on when the recorded task is not ready: then the code is not the code that was recorded.
 */

import type { Prng } from '../base/prng.ts'
import type { Scheduler } from '../engine/execution.ts'
import type { Task } from '../engine/task.ts'

export function roundRobin(): Scheduler {
  let next = 0
  return {
    pick(ready) {
      let best = 0
      let bestDistance = Number.POSITIVE_INFINITY
      for (let i = 0; i < ready.length; i++) {
        const distance = ready[i].id >= next ? ready[i].id - next : ready[i].id - next + 1e9
        if (distance < bestDistance) {
          bestDistance = distance
          best = i
        }
      }
      next = ready[best].id + 1
      return best
    },
  }
}

export function random(prng: Prng): Scheduler {
  return { pick: (ready) => prng.below(ready.length) }
}

export class ReplayError extends Error {
  override readonly name = 'ReplayError'
}

/** What replay says when a recorded task cannot run. */
export function refuse(step: number, id: number): never {
  throw new ReplayError(`step ${step}: task ${id} is not ready; the code differs from what was recorded`)
}

export function replay(schedule: readonly number[]): Scheduler {
  return {
    pick(ready, _last, step) {
      if (step >= schedule.length) throw new ReplayError(`the schedule ends at step ${step}, but the run goes on`)
      const i = ready.findIndex((t: Task) => t.id === schedule[step])
      return i < 0 ? refuse(step, schedule[step]) : i
    },
  }
}

/** `[0,0,0,1,0]` as `0*3 1 0`, or with other signs for "so many times" and "then". */
export function scheduleText(schedule: readonly number[], times: '*' | 'x' = '*', then = ' '): string {
  const parts: string[] = []
  for (let i = 0; i < schedule.length; ) {
    let j = i
    while (j < schedule.length && schedule[j] === schedule[i]) j++
    parts.push(j - i === 1 ? `${schedule[i]}` : `${schedule[i]}${times}${j - i}`)
    i = j
  }
  return parts.join(then)
}

/** The inverse of scheduleText; null if the text is not a schedule. */
export function parseSchedule(text: string): number[] | null {
  return text.trim() === '' ? [] : parseParts(text.trim().split(/\s+/), '*', 10_000_000)
}

/** The tasks of parts like `0*3`; null if one is none, or if there are more than `most` steps. */
export function parseParts(parts: readonly string[], times: '*' | 'x', most: number): number[] | null {
  const steps: number[] = []
  for (const part of parts) {
    const found = /^(\d{1,6})(?:([*x])(\d{1,7}))?$/.exec(part)
    if (found === null || (found[2] ?? times) !== times) return null
    const count = Number(found[3] ?? 1)
    if (count < 1 || steps.length + count > most) return null
    for (let i = 0; i < count; i++) steps.push(Number(found[1]))
  }
  return steps
}
