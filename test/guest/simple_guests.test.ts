/**
 * The simple guests are what they are called: a key-value store, sequential writers, single pages at random.
 *
 * An access is page * 4 + word * 2 + store.
 */
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { type KvOptions, KvWorkload } from '../../core/guest/kv.ts'
import { SweepWorkload } from '../../core/guest/sweep.ts'
import { UniformWorkload } from '../../core/guest/uniform.ts'
import { access } from '../../core/guest/workload.ts'
import { made, take } from './stream_of.ts'

const base: KvOptions = { setPages: 1000, opsPerSec: 400_000, writes: 0.5, theta: 0.99 }

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

  it('begins where it is told to', () => {
    expect(take(new SweepWorkload({ ...base, from: 0.75 }, 100, 104), 1)[0]).toMatchObject({ page: 103 })
    expect(take(new SweepWorkload({ ...base, from: 1 }, 100, 104), 1)[0]).toMatchObject({ page: 103 })
  })

  it('over memory that lies in runs meets each page of its share once a round, a run from first to last, and not in order', () => {
    const runs = { pages: 31, prng: new Prng(3) }
    // 3 runs of 31, and 7 pages behind them.
    const pages = take(new SweepWorkload({ ...base, runs }, 10, 110), 1)
      .filter((a) => a.word === 0)
      .map((a) => a.page)
      .slice(0, 100)
    expect(pages.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => 10 + i))
    expect(pages[93]).toBe(103)
    for (const first of [10, 41, 72]) {
      const at = pages.indexOf(first)
      expect(pages.slice(at, at + 31)).toEqual(Array.from({ length: 31 }, (_, i) => first + i))
    }
    const orders = [1, 2, 3, 4, 5].map((seed) => {
      const workload = new SweepWorkload({ ...base, runs: { pages: 31, prng: new Prng(seed) } }, 0, 930)
      return take(workload, 1)
        .filter((a) => a.word === 0 && a.page % 31 === 0)
        .map((a) => a.page)
        .join(' ')
    })
    expect(new Set(orders).size).toBe(5)
  })
})

describe('stress', () => {
  it('reads each word before it writes it, page after page', () => {
    const taken = take(new SweepWorkload({ ...base, reads: true }, 0, 2), 1)
    expect(
      taken
        .slice(0, 9)
        .map((a) => `${a.page}${a.word}${a.store ? 'w' : 'r'}`)
        .join(' '),
    ).toBe('00r 00w 01r 01w 10r 10w 11r 11w 00r')
  })
})

describe('diabolical', () => {
  it('is one program on one vCPU that writes to half of memory and nothing else', () => {
    const vcpus = made('diabolical', 1000, 3)
    expect(vcpus.map((w) => w !== null)).toEqual([true, false, false])
    const pages = new Set(take(vcpus[0], 1).map((a) => a.page))
    expect([pages.size, Math.max(...pages)]).toEqual([500, 499])
    expect(take(vcpus[0], 1).every((a) => a.store)).toBe(true)
  })
})

describe('uniform', () => {
  it('makes half of the dirty pages of a first pass falsely dirty (facts T11)', () => {
    // A pass sends pages 0 to 999 in order while n stores come in. A page is dirty at the end if it was written at all, and
    // falsely so if its last store came before it was sent: of k stores all do with chance 1 / (k + 1). k is Poisson with mean
    // m = n / 1000, so the share is ((e^m - 1) / m - 1) / (e^m - 1): 0.418 for a store a page, a half for ever fewer.
    for (const [stores, expected] of [
      [1000, 0.418],
      [50, 0.4958],
    ] as const) {
      let [dirty, falsely] = [0, 0]
      const workload = new UniformWorkload({ ...base, writes: 1 }, new Prng(stores))
      const stream = take(workload, 200)
      for (let at = 0; at + stores <= stream.length; at += stores) {
        const last = new Map<number, number>()
        for (let i = 0; i < stores; i++) last.set(stream[at + i]?.page ?? 0, ((i + 0.5) * 1000) / stores)
        dirty += last.size
        for (const [page, time] of last) if (time < page) falsely++
      }
      // Some 250,000 or more dirty pages: three standard deviations are below 0.004.
      expect(Math.abs(falsely / dirty - expected)).toBeLessThan(0.004)
    }
  })

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
