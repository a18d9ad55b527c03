/**
 * Search by chance: each schedule picks among the ready tasks at random.
 *
 * Every other schedule stays on the running task 7 times out of 8, which lets others stand still in odd places for long: that
 * finds many a race several times sooner. Schedule n depends on the seed and n alone. It never verifies anything.
 */
import { Prng } from '../base/prng.ts'
import type { Task } from '../engine/task.ts'
import { ChanceSearch, type ChanceState } from './chance.ts'
import type { Program } from './program.ts'
import type { Search, SearchOptions } from './search.ts'

export function searchRandom(program: Program, options: SearchOptions = {}): Search {
  return randomSearch(program, options).search()
}

export function randomSearch(program: Program, options: SearchOptions, from: ChanceState | null = null): ChanceSearch {
  const chance = new Prng(options.seed ?? 1).fork('random')
  const pickerOf = (n: number) => {
    const prng = chance.fork(`${n}`)
    return n % 2 === 0 ? sticky(prng) : uniform(prng)
  }
  return new ChanceSearch('random', program, options, pickerOf, from)
}

function uniform(prng: Prng) {
  return (ready: readonly Task[]) => ready[prng.below(ready.length)]
}

function sticky(prng: Prng) {
  return (ready: readonly Task[], last: Task | null) => {
    if (last !== null && ready.includes(last) && prng.below(8) !== 0) return last
    return ready[prng.below(ready.length)]
  }
}
