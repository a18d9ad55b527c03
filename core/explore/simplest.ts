/**
 * The search for the simplest counterexample: what to run when a protection is left out and a person wants to see why it is there.
 *
 * 1. Depth first, bound by bound, as far as a number of runs goes: whatever it finds has the fewest preemptions.
 * 2. A few thousand runs by chance, for races too deep for that.
 * 3. Source-DPOR to the end, which finds whatever there is, or shows that there is nothing.
 *
 * What 2 or 3 find is made simpler (minimise.ts). Runs and steps of all parts are added up; a clean verdict is that of DPOR, with its
 * own counts.
 */
import { searchDfs } from './dfs.ts'
import { searchDpor } from './dpor.ts'
import { minimise } from './minimise.ts'
import type { Program } from './program.ts'
import { searchRandom } from './random.ts'
import type { Search, SearchOptions } from './search.ts'
import type { Verdict } from './verdict.ts'

const DFS_RUNS = 5_000
const RANDOM_RUNS = 3_000

export function* searchSimplest(program: Program, options: SearchOptions = {}): Search {
  let left = options.schedules ?? Number.POSITIVE_INFINITY
  let schedules = 0
  let steps = 0
  let part = 0
  for (;;) {
    const verdict = yield* partOf(part++, program, options, left)
    schedules += verdict.schedules
    steps += verdict.steps
    left -= verdict.schedules
    if (verdict.verdict === 'violation') return simpler(program, { ...verdict, schedules, steps })
    if (verdict.strategy === 'dpor' || left === 0) return verdict
  }
}

function partOf(part: number, program: Program, options: SearchOptions, left: number): Search {
  // 1.
  if (part === 0) return searchDfs(program, { ...options, schedules: Math.min(DFS_RUNS, left) })
  // 2.
  if (part === 1) return searchRandom(program, { ...options, schedules: Math.min(RANDOM_RUNS, left) })
  // 3.
  return searchDpor(program, Number.isFinite(left) ? { ...options, schedules: left } : options)
}

function simpler(program: Program, verdict: Verdict): Verdict {
  if (verdict.counterexample === null || verdict.strategy === 'dfs') return verdict
  const { counterexample, schedules, steps } = minimise(program, verdict.counterexample)
  return { ...verdict, counterexample, schedules: verdict.schedules + schedules, steps: verdict.steps + steps }
}
