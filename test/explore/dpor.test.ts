/**
 * Source-DPOR: as many traces as there are, no outcome lost, and the interleavings that the traces stand for are all there are.
 *
 * Small counts are worked out by hand in the comments; beyond that, random programs are run by depth-first search with every
 * step, which knows nothing of independence, and with sleep sets alone, which know nothing of races; all have to agree.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Proc, read, write } from '../../core/engine/op.ts'
import { searchDfs } from '../../core/explore/dfs.ts'
import { searchDpor } from '../../core/explore/dpor.ts'
import type { Program } from '../../core/explore/program.ts'
import { replayed } from '../../core/explore/replay.ts'
import { finish } from '../../core/explore/search.ts'
import { stepTasks } from '../engine/tasks.ts'
import { program, small } from './random_toys.ts'
import { type Deed, r, toy, w } from './toys.ts'

function counts(tasks: readonly (readonly Deed[])[]) {
  const { verdict, traces, interleavings } = finish(searchDpor(toy(tasks)))
  return { verdict, traces, interleavings }
}

describe('traces and interleavings by hand', () => {
  it.each<[string, Deed[][], number, bigint]>([
    ['one task', [[w(0), w(1)]], 1, 1n],
    // Two tasks of 3 steps: 6! / (3! 3!) interleavings. Independent: one trace. Dependent: each is a trace.
    [
      'two tasks, three independent writes each',
      [
        [w(0), w(0), w(0)],
        [w(1), w(1), w(1)],
      ],
      1,
      20n,
    ],
    [
      'two tasks, three writes of one word each',
      [
        [w(0), w(0), w(0)],
        [w(0), w(0), w(0)],
      ],
      20,
      20n,
    ],
    // Three tasks of one step: 3! orders.
    ['three writers', [[w(0)], [w(0)], [w(0)]], 6, 6n],
    // The writer comes first, second or third among the readers: which readers before it, 2^2.
    ['two readers and a writer', [[r(0)], [r(0)], [w(0)]], 4, 6n],
    // Readers and writers of the paper: the writer and n readers that first do something of their own: 2^n, and 7! / (2! 2! 2!) orders.
    ['three readers with a word of their own', [[w(0)], [w(1), r(0)], [w(2), r(0)], [w(3), r(0)]], 8, 630n],
    // A write then a read of the other's word (store buffering): 3 of the 6 orders differ: both read first is not sequential.
    [
      'store buffering',
      [
        [w(0), r(1)],
        [w(1), r(0)],
      ],
      3,
      6n,
    ],
    // x = x + 1 twice: r w r w in 6 orders; r0 r1 commute, so the pairs that differ in their order only are one trace.
    [
      'lost update',
      [
        [r(0), w(0)],
        [r(0), w(0)],
      ],
      4,
      6n,
    ],
  ])('%s', (_, tasks, traces, interleavings) => {
    expect(counts(tasks)).toEqual({ verdict: 'verified', traces, interleavings })
  })
})

/** Task 0 looks for the last zero from the end on; task j sets word j to word j - 1 plus one. */
function lastZero(n: number): Program {
  return (scheduler) => {
    const words = new Int32Array(n + 1)
    let zero = n
    const looks = function* (): Proc<void> {
      for (zero = n; ; zero--) {
        yield read(zero, 'word')
        if (words[zero] === 0) return
      }
    }
    const sets = (j: number) =>
      function* (): Proc<void> {
        yield read(j - 1, 'word')
        const before = words[j - 1] ?? 0
        yield write(j, 'word')
        words[j] = before + 1
      }
    const bodies = [looks, ...Array.from({ length: n }, (_, i) => sets(i + 1))]
    return { execution: stepTasks(scheduler, bodies), check: () => null, finish: () => null, outcome: () => `${zero} ${words}` }
  }
}

describe('the last zero, from the paper', () => {
  // n = 1: only word 1 is looked at before or after its write: 2. In general (n + 3) 2^(n - 2).
  it.each([
    [1, 2],
    [2, 5],
    [5, 64],
    [8, 704],
  ])('%i writers: %i traces', (n, traces) =>
    expect(finish(searchDpor(lastZero(n)))).toMatchObject({ verdict: 'verified', traces }),
  )
})

describe('against searches that know less', () => {
  it('same verdict, same outcomes, same number of interleavings; as many traces as sleep sets alone', () => {
    let verified = 0
    fc.assert(
      fc.property(small, (shape) => {
        const naive = finish(searchDfs(program(shape), { everyStep: true, schedules: 5_000 }))
        fc.pre(naive.verdict !== 'bounded')
        const dpor = finish(searchDpor(program(shape)))
        expect(dpor.verdict).toBe(naive.verdict)
        if (naive.verdict === 'violation') return
        expect(dpor.interleavings).toBe(naive.interleavings)
        expect(dpor.outcomes).toEqual(naive.outcomes)
        const asleep = finish(searchDpor(program(shape), { everyStep: true }))
        expect(asleep).toMatchObject({ traces: dpor.traces, interleavings: dpor.interleavings })
        verified++
      }),
      { numRuns: 150 },
    )
    expect(verified).toBeGreaterThan(30)
  })

  it('its counterexamples replay', () => {
    let broken = 0
    fc.assert(
      fc.property(small, (shape) => {
        const { counterexample } = finish(searchDpor(program(shape)))
        fc.pre(counterexample !== null)
        if (counterexample === null) return
        expect(replayed(program(shape), counterexample.schedule).violation).toEqual(counterexample.violation)
        broken++
      }),
      { numRuns: 20 },
    )
    expect(broken).toBeGreaterThan(5)
  })
})
