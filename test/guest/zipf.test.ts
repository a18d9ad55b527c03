/**
 * Zipfian numbers: powers without Math that agree with Math, and ranks as often as theory says.
 *
 * YCSB's method is exact for ranks 0 and 1 and close for the rest; theory is 1 / (r + 1)^theta over the sum of all.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { exp, ln, power, Zipf } from '../../core/guest/zipf.ts'

function relative(found: number, expected: number): number {
  return expected === 0 ? Math.abs(found) : Math.abs(found / expected - 1)
}

const positive = fc.double({ min: 1e-12, max: 1e12, noNaN: true })

describe('series in plain arithmetic', () => {
  it('ln agrees with Math.log', () => {
    fc.assert(
      fc.property(positive, (x) => {
        // Near 1 the logarithm itself vanishes; there the error counts against 1.
        expect(Math.abs(ln(x) - Math.log(x)) / Math.max(1e-3, Math.abs(Math.log(x)))).toBeLessThan(1e-12)
      }),
      { numRuns: 1000 },
    )
  })

  it('exp agrees with Math.exp', () => {
    fc.assert(
      fc.property(fc.double({ min: -300, max: 300, noNaN: true }), (x) => {
        expect(relative(exp(x), Math.exp(x))).toBeLessThan(1e-12)
      }),
      { numRuns: 1000 },
    )
  })

  it('power agrees with Math.pow', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), fc.double({ min: -10, max: 10, noNaN: true }), (x, y) => {
        expect(relative(power(x, y), x ** y)).toBeLessThan(1e-12)
      }),
      { numRuns: 1000 },
    )
  })

  it('is exact where it must be', () => expect([ln(1), exp(0), power(1, 0.99), power(7, 0)]).toEqual([0, 1, 1, 1]))
})

function shares(items: number, theta: number, draws: number): number[] {
  const zipf = new Zipf(items, theta, new Prng(7))
  const count = new Array<number>(items).fill(0)
  for (let i = 0; i < draws; i++) {
    const rank = zipf.rank()
    count[rank] = (count[rank] ?? 0) + 1
  }
  return count.map((n) => n / draws)
}

function theory(items: number, theta: number): number[] {
  const weights = Array.from({ length: items }, (_, r) => 1 / (r + 1) ** theta)
  const sum = weights.reduce((a, b) => a + b)
  return weights.map((w) => w / sum)
}

function sumTo(xs: readonly number[], n: number): number {
  return xs.slice(0, n).reduce((a, b) => a + b, 0)
}

describe('ranks', () => {
  it.each([
    [1000, 0.99],
    [1000, 0.5],
    [30_000, 0.99],
  ])('of %d items with theta %d come as often as theory says', (items, theta) => {
    const found = shares(items, theta, 100_000)
    const expected = theory(items, theta)
    // 100,000 draws: five standard deviations of a share near 0.13 are 0.0053.
    for (const rank of [0, 1]) expect(Math.abs((found[rank] ?? 0) - (expected[rank] ?? 0)), `rank ${rank}`).toBeLessThan(0.006)
    for (const n of [10, 100, 500]) expect(relative(sumTo(found, n), sumTo(expected, n)), `first ${n}`).toBeLessThan(0.06)
  })

  it('with theta near 0 are nearly uniform', () => {
    const found = shares(100, 0.01, 50_000)
    expect(Math.max(...found) / Math.min(...found)).toBeLessThan(1.6)
  })

  it('and items stay in range, for any size and skew', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 99 }), fc.nat(), (items, percent, seed) => {
        const zipf = new Zipf(items, percent / 100, new Prng(seed))
        for (let i = 0; i < 30; i++) {
          for (const x of [zipf.rank(), zipf.item()]) expect(Number.isInteger(x) && x >= 0 && x < items).toBe(true)
        }
      }),
    )
  })

  it('are scattered over the items: the two most popular are not neighbours', () => {
    const zipf = new Zipf(10_000, 0.99, new Prng(3))
    const count = new Map<number, number>()
    for (let i = 0; i < 20_000; i++) {
      const item = zipf.item()
      count.set(item, (count.get(item) ?? 0) + 1)
    }
    const [first = 0, second = 0] = [...count].sort((a, b) => b[1] - a[1]).map(([item]) => item)
    expect(Math.abs(first - second)).toBeGreaterThan(1)
  })
})

it('the sum over many items is closed by an integral: rank 0 of 2,000,000 has the share that theory gives', () => {
  const zipf = new Zipf(2_000_000, 0.99, new Prng(5))
  let zeros = 0
  for (let i = 0; i < 50_000; i++) zeros += zipf.rank() === 0 ? 1 : 0
  const expected = theory(2_000_000, 0.99)[0] ?? 0
  expect(Math.abs(zeros / 50_000 - expected)).toBeLessThan(5 * Math.sqrt(expected / 50_000))
})
