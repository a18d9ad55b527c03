/**
 * The synthetic guests keep to what they were told: set, share of writes, rate; and are what they are called.
 *
 * An access is page * 4 + word * 2 + store.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { KvWorkload, SweepWorkload, type SyntheticOptions, UniformWorkload } from '../../core/guest/synthetic.ts'
import { access, BLOCK_ACCESSES, type Workload } from '../../core/guest/workload.ts'

interface Access {
  readonly page: number
  readonly word: number
  readonly store: boolean
}

function take(workload: Workload, blocks: number): Access[] {
  const out = new Int32Array(BLOCK_ACCESSES)
  const taken: Access[] = []
  for (let b = 0; b < blocks; b++) {
    const n = workload.fill(out)
    for (const a of out.subarray(0, n)) taken.push({ page: a >>> 2, word: (a >>> 1) & 1, store: (a & 1) === 1 })
  }
  return taken
}

const base: SyntheticOptions = { setPages: 1000, opsPerSec: 400_000, writes: 0.5, theta: 0.99 }

const makers: Record<string, (o: SyntheticOptions, seed: number) => Workload> = {
  kv: (o, seed) => new KvWorkload(o, new Prng(seed)),
  sweep: (o) => new SweepWorkload(o, 0, o.setPages),
  uniform: (o, seed) => new UniformWorkload(o, new Prng(seed)),
}

const kinds = Object.entries(makers)

describe.each(kinds)('%s', (_name, make) => {
  it('stays in its set, of any size, and boots just that', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), (setPages, seed) => {
        const workload = make({ ...base, setPages }, seed)
        expect(workload.bootPages).toBe(setPages)
        const outside = take(workload, 1).filter((a) => a.page < 0 || a.page >= setPages)
        expect(outside).toEqual([])
      }),
      { numRuns: 40 },
    )
  })

  it('thinks so long that operations come at the rate asked for', () => {
    for (const opsPerSec of [2000, 400_000, 3e6]) {
      const workload = make({ ...base, opsPerSec }, 1)
      expect(1e9 / (workload.thinkNs * workload.accessesPerOp)).toBeCloseTo(opsPerSec, 3)
    }
  })

  it('does the same for the same seed', () => {
    expect(take(make(base, 9), 2)).toEqual(take(make(base, 9), 2))
  })

  it('fills whole operations', () => {
    const workload = make(base, 1)
    expect(workload.fill(new Int32Array(BLOCK_ACCESSES)) % workload.accessesPerOp).toBe(0)
  })
})

describe('kv', () => {
  it.each([0, 0.05, 0.5, 1])('writes in a share of %d of its operations, and never a bucket page', (writes) => {
    const taken = take(new KvWorkload({ ...base, writes }, new Prng(1)), 20)
    const buckets = taken.filter((_, i) => i % 2 === 0)
    const records = taken.filter((_, i) => i % 2 === 1)
    expect(buckets.some((a) => a.store)).toBe(false)
    const share = records.filter((a) => a.store).length / records.length
    // 20,480 operations: five standard deviations of a fair coin are 0.018.
    expect(Math.abs(share - writes)).toBeLessThan(writes === 0 || writes === 1 ? 1e-9 : 0.018)
  })

  it('looks up one of 62 bucket pages, then one of the 938 record pages', () => {
    const taken = take(new KvWorkload(base, new Prng(1)), 20)
    // 1000 / 16 = 62 bucket pages, the rest are records.
    expect(Math.max(...taken.filter((_, i) => i % 2 === 0).map((a) => a.page))).toBeLessThan(62)
    expect(Math.min(...taken.filter((_, i) => i % 2 === 1).map((a) => a.page))).toBeGreaterThanOrEqual(62)
  })

  it('is skewed: a tenth of its pages takes more than half of its accesses', () => {
    const count = new Map<number, number>()
    for (const { page } of take(new KvWorkload(base, new Prng(1)), 20)) count.set(page, (count.get(page) ?? 0) + 1)
    const sorted = [...count.values()].sort((a, b) => b - a)
    const sum = (xs: number[]) => xs.reduce((a, b) => a + b, 0)
    expect(sum(sorted.slice(0, 100)) / sum(sorted)).toBeGreaterThan(0.5)
  })
})

describe('sweep', () => {
  it('writes first and last word of each page of its share in order, and starts over', () => {
    const taken = take(new SweepWorkload(base, 5, 8), 1)
    // 5 5 6 6 7 7 5 5 ...
    expect(
      taken
        .slice(0, 8)
        .map((a) => `${a.page}${a.word}${a.store ? 'w' : 'r'}`)
        .join(' '),
    ).toBe('50w 51w 60w 61w 70w 71w 50w 51w')
    expect(taken.every((a) => a.store)).toBe(true)
  })

  it('goes on in the next block where it was', () => {
    const pages = take(new SweepWorkload(base, 0, 1000), 3).filter((a) => a.word === 0)
    expect(pages.map((a) => a.page)).toEqual(pages.map((_, i) => i % 1000))
  })
})

describe('uniform', () => {
  it('touches all pages alike and writes in its share', () => {
    const taken = take(new UniformWorkload({ ...base, setPages: 100, writes: 0.1 }, new Prng(1)), 50)
    const count = new Array<number>(100).fill(0)
    for (const { page } of taken) count[page] = (count[page] ?? 0) + 1
    const expected = taken.length / 100
    const chi2 = count.reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0)
    // 99 degrees of freedom: 99 + 5 sqrt(198).
    expect(chi2).toBeLessThan(99 + 5 * Math.sqrt(198))
    expect(Math.abs(taken.filter((a) => a.store).length / taken.length - 0.1)).toBeLessThan(0.006)
  })
})

it('an access packs page, word and store', () => {
  expect([access(0, 0, false), access(0, 0, true), access(0, 1, false), access(3, 1, true)]).toEqual([0, 1, 2, 15])
})
