/**
 * Probabilistic concurrency testing: the ready task of the highest priority runs, and at d - 1 random steps the running task
 * falls below all others.
 *
 * 1. Each task gets a random priority above d when it is first seen.
 * 2. d - 1 change points are drawn among the k steps of a first run, which never leaves a task that can go on and is not counted.
 * 3. At change point i the task about to run gets priority i, below every priority of 1.
 *
 * A bug of depth d (so many steps have to come in one order) is hit by a schedule with a chance of 1 / (n k^(d-1)) or more.
 * Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A randomized scheduler with probabilistic guarantees of finding
 * bugs" (2010).
 */
import { Prng } from '../base/prng.ts'
import type { Task } from '../engine/task.ts'
import { ChanceSearch, type ChanceState, type Picker } from './chance.ts'
import type { Program } from './program.ts'
import { replayed } from './replay.ts'
import type { Search, SearchOptions } from './search.ts'

export function searchPct(program: Program, options: SearchOptions = {}): Search {
  return pctSearch(program, options).search()
}

export function pctSearch(program: Program, options: SearchOptions, from: ChanceState | null = null): ChanceSearch {
  const chance = new Prng(options.seed ?? 1).fork('pct')
  const depth = options.depth ?? 3
  const steps = Math.max(1, replayed(program, [], options.steps).steps)
  return new ChanceSearch('pct', program, options, (n) => byPriority(chance.fork(`${n}`), depth, steps), from)
}

function byPriority(prng: Prng, depth: number, steps: number): Picker {
  const priorities = new Map<Task, number>()
  // 2.
  const changes = new Map<number, number>()
  for (let i = 1; i < depth; i++) changes.set(prng.below(steps), i)
  const priority = (task: Task) => {
    let p = priorities.get(task)
    if (p === undefined) {
      // 1.
      p = depth + prng.fraction()
      priorities.set(task, p)
    }
    return p
  }
  const highest = (ready: readonly Task[]) => ready.reduce((best, task) => (priority(task) > priority(best) ? task : best))
  return (ready, _last, step) => {
    const fallTo = changes.get(step)
    // 3.
    if (fallTo !== undefined) priorities.set(highest(ready), fallTo)
    return highest(ready)
  }
}
