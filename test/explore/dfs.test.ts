/**
 * Depth-first search by preemptions: each bound has exactly the schedules it should have, the first counterexample has the fewest
 * preemptions, and what is left out as private loses no outcome.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { searchDfs } from '../../core/explore/dfs.ts'
import { replayed } from '../../core/explore/replay.ts'
import { finish, type SearchOptions } from '../../core/explore/search.ts'
import { program, small } from './random_toys.ts'
import { add, type Deed, r, toy, w } from './toys.ts'

function schedules(tasks: readonly (readonly Deed[])[], options: SearchOptions): number {
  return finish(searchDfs(toy(tasks), { everyStep: true, ...options })).schedules
}

describe('schedules with at most so many preemptions', () => {
  const two = [
    [w(0), w(0), w(0)],
    [w(0), w(0), w(0)],
  ]
  // Two tasks of n = 3 steps. None: AB, BA. One: A is left after 1 or 2 of its steps, B runs to its end, A ends; or the like for B.
  // Two: A1 B1 A2 B2 with cuts in 2 x 2 places, twice. A bound runs those of the smaller bounds again.
  it.each([
    [0, 2],
    [1, 2 + (2 + 4)],
    [2, 2 + 6 + (2 + 4 + 8)],
  ])('%i: %i in all bounds up to it', (preemptions, expected) => expect(schedules(two, { preemptions })).toBe(expected))

  it('all of them in the end: 6! / (3! 3!), and says so', () => {
    const verdict = finish(searchDfs(toy(two), { everyStep: true }))
    expect(verdict).toMatchObject({ verdict: 'verified', bound: null, interleavings: 20n })
  })

  it('stops at the schedule it is told to, with the last bound that is complete', () => {
    const verdict = finish(searchDfs(toy(two), { everyStep: true, schedules: 9 }))
    expect(verdict).toMatchObject({ verdict: 'bounded', schedules: 9, bound: { preemptions: 1, schedules: 9 } })
  })

  it('leaves out preemptions before steps that touch what no other task touches', () => {
    const own = [
      [w(0), w(2), w(2), w(2), w(0)],
      [w(1), w(1), w(1), w(0), w(1)],
    ]
    const thinned = finish(searchDfs(toy(own)))
    const full = finish(searchDfs(toy(own), { everyStep: true }))
    expect(full.interleavings).toBe(252n)
    expect(thinned).toMatchObject({ verdict: 'verified', interleavings: null, outcomes: full.outcomes })
    expect(thinned.schedules).toBeLessThan(30)
  })
})

describe('what is left out as private', () => {
  it.each([0, 1, 2])('loses no outcome and no violation with at most %i preemptions', (preemptions) => {
    let thinner = 0
    fc.assert(
      fc.property(small, (shape) => {
        const full = finish(searchDfs(program(shape), { everyStep: true, preemptions, schedules: 5_000 }))
        fc.pre(full.bound?.schedules === undefined)
        const thinned = finish(searchDfs(program(shape), { preemptions }))
        expect(thinned.counterexample?.preemptions).toBe(full.counterexample?.preemptions)
        if (full.counterexample !== null) return
        expect(thinned.outcomes).toEqual(full.outcomes)
        if (thinned.schedules < full.schedules) thinner++
      }),
      { numRuns: 100 },
    )
    if (preemptions > 0) expect(thinner).toBeGreaterThan(10)
  })
})

describe('a counterexample', () => {
  it('has the fewest preemptions, and replays', () => {
    // The reader sees 0 at once, before the writer: none. Here it has to be in between: one.
    const between = toy([
      [add(0), { do: 'copy', word: 1, from: 2 }, add(1)],
      [
        { do: 'await', word: 0 },
        { do: 'expect', word: 1 },
      ],
    ])
    const { counterexample, verdict } = finish(searchDfs(between))
    expect(verdict).toBe('violation')
    expect(counterexample).toMatchObject({ preemptions: 1, schedule: [0, 1, 1], violation: { invariant: 'T-ZERO' } })
    expect(replayed(between, counterexample?.schedule ?? []).violation?.invariant).toBe('T-ZERO')
  })

  it('of a deadlock names who waits for what', () => {
    const taking = (a: number, b: number): Deed => ({ do: 'locked', lock: a, deeds: [{ do: 'locked', lock: b, deeds: [r(0)] }] })
    const { counterexample } = finish(searchDfs(toy([[taking(0, 1)], [taking(1, 0)]])))
    expect(counterexample).toMatchObject({
      preemptions: 1,
      schedule: [0, 1],
      violation: {
        invariant: 'I-DEAD',
        message: 'deadlock at step 2: T0 waits for toy.lock 1 held by T1; T1 waits for toy.lock 0 held by T0',
      },
    })
  })
})
