/**
 * Counterexamples made simple: what chance finds with many switches is brought down to the fewest, and still breaks the same.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { searchDfs } from '../../core/explore/dfs.ts'
import { minimise } from '../../core/explore/minimise.ts'
import { searchRandom } from '../../core/explore/random.ts'
import { replayed } from '../../core/explore/replay.ts'
import { finish } from '../../core/explore/search.ts'
import { searchSimplest } from '../../core/explore/simplest.ts'
import { add, type Deed, r, toy, w } from './toys.ts'

/** Task 1 must come between steps 3 and 4 of task 0, and task 2 before it. */
const race: Deed[][] = [
  [r(3), r(3), { do: 'copy', word: 0, from: 2 }, add(0), r(3)],
  [r(3), add(3), { do: 'expect', word: 0 }, r(3)],
  [add(3), add(0), r(3)],
]

describe('minimise', () => {
  it('brings what chance found down to what depth-first search finds', () => {
    const program = toy(race)
    const best = finish(searchDfs(program)).counterexample
    for (let seed = 1; seed <= 10; seed++) {
      const found = finish(searchRandom(program, { seed })).counterexample
      if (found === null) throw new Error('chance found nothing')
      const { counterexample } = finish(minimise(program, found))
      expect(counterexample.preemptions).toBe(best?.preemptions)
      expect(counterexample.schedule).toHaveLength(best?.schedule.length ?? 0)
    }
  })

  it('keeps the invariant', () => {
    const program = toy(race)
    const found = finish(searchRandom(program, { seed: 3 })).counterexample
    if (found === null) throw new Error('chance found nothing')
    const { counterexample } = finish(minimise(program, found))
    expect(replayed(program, counterexample.schedule).violation).toEqual(counterexample.violation)
    expect(counterexample.violation.invariant).toBe(found.violation.invariant)
  })
})

describe('the simplest counterexample', () => {
  const step = fc.oneof(
    fc.nat(2).map(r),
    fc.nat(2).map(w),
    fc.nat(2).map(add),
    fc.constant<Deed>({ do: 'copy', word: 0, from: 2 }),
  )
  const body = fc.array(step, { minLength: 1, maxLength: 4 })

  it('is there exactly when there is one, and replays', () => {
    fc.assert(
      fc.property(fc.tuple(body, body, fc.nat(2)), ([one, two, word]) => {
        const program = toy([one, [...two, { do: 'expect', word }]])
        const full = finish(searchDfs(program, { everyStep: true }))
        const simplest = finish(searchSimplest(program))
        expect(simplest.verdict).toBe(full.verdict)
        if (simplest.counterexample === null) return
        expect(simplest.counterexample.preemptions).toBe(full.counterexample?.preemptions)
        expect(replayed(program, simplest.counterexample.schedule).violation).toEqual(simplest.counterexample.violation)
      }),
    )
  })

  it('says verified with the counts of DPOR', () => {
    expect(finish(searchSimplest(toy([[w(0)], [w(0)]])))).toMatchObject({
      strategy: 'dpor',
      verdict: 'verified',
      traces: 2,
      interleavings: 2n,
    })
  })
})
