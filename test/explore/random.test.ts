/**
 * Searches by chance: repeatable by seed, exact in their counts, and able to find what they should find.
 */
import { describe, expect, it } from 'vitest'
import { searchPct } from '../../core/explore/pct.ts'
import { searchRandom } from '../../core/explore/random.ts'
import { replayed } from '../../core/explore/replay.ts'
import { finish } from '../../core/explore/search.ts'
import { add, type Deed, r, toy } from './toys.ts'

/** Breaks only if task 1 looks between the last two of ten steps. */
const narrow: Deed[][] = [
  [add(0), r(2), r(2), r(2), r(2), r(2), r(2), r(2), { do: 'copy', word: 0, from: 3 }, add(0)],
  [{ do: 'await', word: 0 }, r(4), { do: 'expect', word: 0 }],
]

describe.each([
  ['random', searchRandom],
  ['pct', searchPct],
] as const)('%s', (strategy, search) => {
  it('finds a narrow race, the same one with the same seed, and it replays', () => {
    const [one, two] = [1, 1].map(() => finish(search(toy(narrow), { seed: 7 })))
    expect(one).toMatchObject({ strategy, verdict: 'violation' })
    expect(two).toEqual(one)
    expect(replayed(toy(narrow), one?.counterexample?.schedule ?? []).violation?.invariant).toBe('T-ZERO')
  })

  it('runs other schedules with another seed', () => {
    const found = [1, 2, 3, 4].map((seed) => finish(search(toy(narrow), { seed })).schedules)
    expect(new Set(found).size).toBeGreaterThan(1)
  })

  it('counts its schedules and verifies nothing', () => {
    const verdict = finish(search(toy([[add(0)], [add(0)]]), { schedules: 300 }))
    expect(verdict).toMatchObject({ verdict: 'bounded', schedules: 300, bound: { schedules: 300 }, outcomes: ['20000000  '] })
  })

  it('says at how many steps it cut', () => {
    const verdict = finish(search(toy([[add(0), add(0)], [add(0)]]), { schedules: 10, steps: 2 }))
    expect(verdict).toMatchObject({ verdict: 'bounded', bound: { schedules: 10, steps: 2 } })
  })

  it('shared among workers by number, tries the same schedules', () => {
    const whole = finish(search(toy(narrow), { seed: 7 }))
    const first = whole.schedules - 1
    expect(finish(search(toy(narrow), { seed: 7, first, schedules: 1 })).counterexample).toEqual(whole.counterexample)
  })
})
