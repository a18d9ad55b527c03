/**
 * A search that is stopped and taken up again from its state, as text, ends as the search that was never stopped; one that is
 * begun from another program's state refuses.
 */
import { describe, expect, it } from 'vitest'
import { anySearch, type SearchState } from '../../core/explore/any_search.ts'
import { DfsSearch, type DfsState } from '../../core/explore/dfs.ts'
import { DporSearch, type DporState } from '../../core/explore/dpor.ts'
import type { Program } from '../../core/explore/program.ts'
import type { SearchOptions } from '../../core/explore/search.ts'
import { finish } from '../../core/explore/search.ts'
import { SimplestSearch } from '../../core/explore/simplest.ts'
import type { Verdict } from '../../core/explore/verdict.ts'
import { add, type Deed, r, toy, w } from './toys.ts'

const locked: Deed = { do: 'locked', lock: 0, deeds: [add(2)] }
const tasks: Deed[][] = [
  [w(0), locked, { do: 'spawn', deeds: [add(0)] }],
  [locked, r(0), { do: 'sleep', flag: 0 }],
  [{ do: 'set', flag: 0 }],
]
const breaks: Deed[][] = [
  [add(0), r(2), r(2), { do: 'copy', word: 0, from: 3 }, r(2), add(0)],
  [r(2), add(2), { do: 'await', word: 0 }, add(2), { do: 'expect', word: 0 }],
  [add(2), add(2)],
]

function dfs(program: Program, options: SearchOptions, from: DfsState | null) {
  return new DfsSearch(program, options, from)
}

function dpor(program: Program, options: SearchOptions, from: DporState | null) {
  return new DporSearch(program, options, from)
}

describe.each<[string, Deed[][], SearchOptions]>([
  ['clean', tasks, {}],
  ['broken', breaks, {}],
  ['bounded', tasks, { preemptions: 2 }],
])('%s', (_, deeds, options) => {
  const program = toy(deeds)
  const whole = { dfs: finish(dfs(program, options, null).search()), dpor: finish(dpor(program, options, null).search()) }

  it.each([1, 7, 20, 300])('dfs stopped after %i runs', (schedules) => {
    const stopped = dfs(program, { ...options, schedules: Math.min(schedules, whole.dfs.schedules - 1) }, null)
    expect(finish(stopped.search()).verdict).toBe('bounded')
    expect(finish(dfs(program, options, plain(stopped.state())).search())).toEqual(whole.dfs)
  })

  it.each([1, 2, 20, 60])('dpor stopped after %i runs', (schedules) => {
    const stopped = dpor(program, { ...options, schedules: Math.min(schedules, whole.dpor.schedules - 1) }, null)
    expect(finish(stopped.search()).verdict).toBe('bounded')
    expect(finish(dpor(program, options, plain(stopped.state())).search())).toEqual(whole.dpor)
  })

  it('stopped at a yield again and again', () => {
    expect(inTurns(dpor, program, options)).toEqual(whole.dpor)
    expect(inTurns(dfs, program, options)).toEqual(whole.dfs)
  })
})

describe('stopped every 100 runs', () => {
  // Three tasks of eight steps on three words: 24! / 8!^3 interleavings.
  const long = toy([0, 1, 2].map((task) => [0, 1, 2, 0, 1, 2, 0, 1].map((word) => add((word + task) % 3))))
  const limits = { dpor: 3_000, dfs: 3_000, random: 2_000, pct: 2_000 } as const

  it.each(['dpor', 'dfs', 'random', 'pct'] as const)('%s', (strategy) => {
    const options = { schedules: limits[strategy], seed: 3 }
    let turns = 0
    const make = (program: Program, o: SearchOptions, from: SearchState | null) => {
      turns++
      return anySearch(strategy, program, o, from)
    }
    expect(inTurns(make, long, options)).toEqual(finish(anySearch(strategy, long, options, null).search()))
    expect(turns).toBeGreaterThan(10)
  })

  it('the search for the simplest, through all its parts', () => {
    const options = { schedules: 9_000 }
    const parts = new Set<number>()
    const make = (program: Program, o: SearchOptions, from: ReturnType<SimplestSearch['state']> | null) => {
      parts.add(from?.part ?? 0)
      return new SimplestSearch(program, o, from)
    }
    expect(inTurns(make, long, options)).toEqual(finish(new SimplestSearch(long, options).search()))
    expect([...parts]).toEqual([0, 1, 2])
  })

  it('what chance found is made simpler again from its start', () => {
    const program = toy(breaks)
    const whole = finish(new SimplestSearch(program, {}).search())
    const random = finish(anySearch('random', program, {}, null).search())
    const found = plain({ ...random, interleavings: null })
    const resumed = new SimplestSearch(program, {}, { part: 1, schedules: 9, steps: 90, search: null, found })
    expect(finish(resumed.search()).counterexample?.preemptions).toBe(whole.counterexample?.preemptions)
  })
})

describe("another program's state", () => {
  it.each(['dpor', 'dfs'] as const)('is refused by %s', (strategy) => {
    const search = anySearch(strategy, toy(tasks), { schedules: 5 }, null)
    finish(search.search())
    expect(() => anySearch(strategy, toy([[], []]), {}, search.state())).toThrow('not ready')
    expect(() => anySearch('pct', toy(tasks), {}, search.state())).toThrow('cannot go on')
  })
})

/** Every 100th yield ends the search; the next one begins from its state. */
function inTurns<S>(
  make: (program: Program, options: SearchOptions, from: S | null) => { search(): ReturnType<DporSearch['search']>; state(): S },
  program: Program,
  options: SearchOptions,
): Verdict {
  let state: S | null = null
  for (;;) {
    const search = make(program, options, state)
    const running = search.search()
    for (let yields = 0; yields < 100; yields++) {
      const { done, value } = running.next()
      if (done === true) return value
    }
    state = plain(search.state())
  }
}

function plain<S>(state: S): S {
  return JSON.parse(JSON.stringify(state)) as S
}
