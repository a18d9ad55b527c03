/**
 * Random call sequences on the model side: the same for the same seed, right cases whatever is left out of them, and an outcome of two calls at
 * once is told from one that cannot be.
 */
import { describe, expect, it } from 'vitest'
import { AllowedOutcomes } from '../../core/conform/allowed_outcomes.ts'
import { type CallStep, isTogether } from '../../core/conform/case.ts'
import { ModelWorld } from '../../core/conform/model_world.ts'
import { caseOfSequence, drawSequence, type Sequence } from '../../core/conform/random_sequence.ts'
import { readGroup } from '../../core/conform/reader.ts'
import { runCase } from '../../core/conform/runner.ts'
import { shrink } from '../../core/conform/shrink.ts'
import type { Call, Setting } from '../../core/conform/telling.ts'

const NUMBERS = Array.from({ length: 30 }, (_, n) => n)

const SETTING: Setting = {
  regions: {
    A: { pages: 2, prot: 'rw', backing: 'anon', shared: false, fill: 17, ownTable: false },
    B: { pages: 2, prot: 'rw', backing: 'anon', shared: false, ownTable: false },
  },
  uffds: {
    U: { blocking: false, userModeOnly: false, features: [], register: [{ at: 'B', length: '2p', mode: ['MISSING'] }] },
  },
}
const copy = (actor: string, src: string): Call => ({
  actor,
  call: 'uffdio_copy',
  args: { fd: 'U', dst: 'B', src, length: '1p' },
})
const load = (actor: string, at: string): Call => ({ actor, call: 'load', args: { at } })

function sequence(calls: readonly Call[], pair: Sequence['pair'] = null): Sequence {
  return { id: 'r0-planted', setting: SETTING, calls, pair }
}

describe('a random sequence', () => {
  it('is the same for the same seed, and another for another', () => {
    const of = (seed: number) => NUMBERS.map((n) => JSON.stringify(caseOfSequence(drawSequence(seed, n))))
    expect(of(7)).toEqual(of(7))
    expect(new Set([...of(7), ...of(8)]).size).toBe(60)
  })

  it('is a right case that the model itself agrees with, also in another gear', () => {
    for (const n of NUMBERS.filter((each) => each % 2 === 0)) {
      const one = caseOfSequence(drawSequence(3, n))
      const file = JSON.parse(JSON.stringify({ group: 'random', title: 'random', cases: [one] }))
      expect(readGroup(file, 'x.json').cases[0]).toEqual(one)
      for (const round of [0, 5]) {
        const found = runCase(one, (each) => new ModelWorld(each, round))
        // Who sleeps in the middle of a call at the end may still hold a page.
        if (found?.step !== one.steps.length + 1) expect(found).toBeNull()
      }
    }
  })

  it('has both kinds, and calls of all three threads', () => {
    const cases = NUMBERS.map((n) => caseOfSequence(drawSequence(1, n)))
    expect(cases.filter(({ steps }) => steps.some(isTogether)).length).toBeGreaterThan(5)
    const actors = cases.flatMap(({ steps }) => steps.flatMap((step) => (isTogether(step) ? [] : [step.actor])))
    expect(actors).toEqual(expect.arrayContaining(['t0', 't1', 't2', 'c0']))
  })

  it('leaves out calls of those who sleep, and asks those who slept', () => {
    const { steps } = caseOfSequence(sequence([load('t1', 'B'), load('t1', 'A'), copy('t0', 'A')]))
    const told = steps.slice(0, 3) as readonly CallStep[]
    expect(told.map(({ actor, call, expect: { blocked, content } }) => [actor, call, blocked ?? content ?? null])).toEqual([
      ['t1', 'load', true],
      ['t0', 'uffdio_copy', null],
      ['t1', 'await', 17],
    ])
  })
})

it('nothing is told behind a step after which two who slept wrote, or sleep again, in whatever order', () => {
  const fill = (actor: string): Call => ({ actor, call: 'fill', args: { at: 'B', value: 20 } })
  const wake: Call = { actor: 't0', call: 'uffdio_wake', args: { fd: 'U', start: 'B', length: '2p' } }
  for (const last of [copy('t0', 'A'), wake]) {
    const steps = caseOfSequence(sequence([fill('t1'), fill('t2'), last, load('t0', 'A')])).steps as readonly CallStep[]
    expect(steps.filter(({ call }) => call !== 'await').map(({ call }) => call)).toEqual(['fill', 'fill', last.call])
  }
})

it('what somebody finds where another one who slept writes at the same time is not told, but that he goes on', () => {
  const slept: Call[] = [{ actor: 't1', call: 'fill', args: { at: 'B', value: 20 } }, load('t2', 'B')]
  const told = (calls: Call[]) =>
    (caseOfSequence(sequence(calls)).steps as readonly CallStep[]).filter(({ expect: { blocked } }) => !blocked)
  expect(told([...slept, copy('t0', 'A'), load('t0', 'A')]).slice(1)).toEqual([
    { actor: 't1', call: 'await', args: {}, expect: {} },
    { actor: 't2', call: 'await', args: {}, expect: {} },
  ])
  // Two who only look find the same.
  const looked = told([load('t1', 'B'), load('t2', 'B'), copy('t0', 'A')]).filter(({ call }) => call === 'await')
  expect(looked.map(({ expect: { content } }) => content)).toEqual([17, 17])
})

describe('two calls at once', () => {
  const pair = caseOfSequence(sequence([], [copy('t0', 'A'), copy('t1', 'A+1p')]))
  const after = 'present [1 1 0] | present [1 0 0] | ret 1 | ret 1 | EAGAIN'

  it('may answer what some interleaving on the model answers', () => {
    const allowed = new AllowedOutcomes(pair)
    expect(allowed.answer(`ret 0, copy 4096; EEXIST, copy -EEXIST | ${after}`)).toBe('allowed')
    expect(allowed.answer(`EEXIST, copy -EEXIST; ret 0, copy 4096 | ${after}`)).toBe('allowed')
  })

  it('may not both win: all interleavings are run before that is said', () => {
    expect(new AllowedOutcomes(pair).answer(`ret 0, copy 4096; ret 0, copy 4096 | ${after}`)).toBe('never')
  })
})

it('an access that comes between the wake of UNREGISTER and the lock of the area may sleep for good, one that slept before may not', () => {
  const unregister: Call = { actor: 't0', call: 'uffdio_unregister', args: { fd: 'U', start: 'B', length: '2p' } }
  const allowed = new AllowedOutcomes(caseOfSequence(sequence([], [unregister, load('t1', 'B')])))
  const looks = 'present [1 1 0] | present [0 0 0] | ret 1 | ret 1'
  expect(allowed.answer(`ret 0; blocked | ${looks} | ret 32, PAGEFAULT [] address B`)).toBe('allowed')
  const told = caseOfSequence(sequence([load('t1', 'B'), unregister])).steps as readonly CallStep[]
  expect(told[2]).toMatchObject({ actor: 't1', call: 'await', expect: { content: 0 } })
})

describe('shrinking', () => {
  it('leaves only the calls without which nothing disagrees', async () => {
    const calls = [load('t0', 'A'), copy('t0', 'A'), load('t1', 'A'), load('t2', 'A+1p'), load('t1', 'B'), load('t2', 'B')]
    let asked = 0
    const short = await shrink(sequence(calls), async (candidates) => {
      asked += candidates.length
      return candidates.map((one) => [1, 4].every((i) => one.calls.some((call) => call === calls[i])))
    })
    expect(short.calls).toEqual([calls[1], calls[4]])
    expect(asked).toBeLessThan(40)
  })

  it('makes of two calls at once two calls one after the other, if those disagree too', async () => {
    const short = await shrink(sequence([load('t0', 'A')], [copy('t0', 'A'), load('t1', 'B')]), async (candidates) =>
      candidates.map(() => true),
    )
    expect(short).toMatchObject({ calls: [], pair: null })
  })
})
