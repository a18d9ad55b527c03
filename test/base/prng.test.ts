/**
 * The generator of chance: frozen numbers, forks that do not disturb each other, numbers that are roughly uniform.
 *
 * The frozen vectors are this project's own: a change of them changes the result of every seed that anyone wrote down.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'

function draw(prng: Prng, n: number): number[] {
  return Array.from({ length: n }, () => prng.uint32())
}

/** xoshiro128** as published, on its four words. */
function published(state: readonly [number, number, number, number], n: number): number[] {
  let [a, b, c, d] = state
  const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k))
  return Array.from({ length: n }, () => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = rotl(d, 11)
    return result
  })
}

/** SplitMix32, as the seeding of the generator describes it. */
function seeded(seed: number): [number, number, number, number] {
  let x = seed
  const next = () => {
    x = (x + 0x9e3779b9) | 0
    let z = x
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return z ^ (z >>> 15)
  }
  return [next(), next(), next(), next() | 1]
}

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 })

describe('the generator', () => {
  it('draws these numbers from these seeds, for ever', () => {
    expect({ 0: draw(new Prng(0), 3), 1: draw(new Prng(1), 3), big: draw(new Prng(2 ** 40 + 7), 3) }).toMatchInlineSnapshot(`
      {
        "0": [
          1789933344,
          44971166,
          2521392804,
        ],
        "1": [
          393288148,
          2174103013,
          3814759091,
        ],
        "big": [
          210494603,
          3701771816,
          2586232761,
        ],
      }
    `)
    expect(draw(new Prng(1).fork('guest').fork('vcpu 0'), 3)).toMatchInlineSnapshot(`
      [
        3452367452,
        619895236,
        3458136932,
      ]
    `)
  })

  it('is xoshiro128** seeded by SplitMix32', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        expect(draw(new Prng(seed), 8)).toEqual(published(seeded(seed), 8))
      }),
    )
  })

  it('makes the same numbers from the same seed, others from another', () => {
    fc.assert(
      fc.property(seeds, seeds, (a, b) => {
        expect(draw(new Prng(a), 4)).toEqual(draw(new Prng(a), 4))
        if (a !== b) expect(draw(new Prng(a), 4)).not.toEqual(draw(new Prng(b), 4))
      }),
    )
  })

  it('heeds the part of a seed above 32 bits', () => {
    expect(draw(new Prng(5), 4)).not.toEqual(draw(new Prng(5 + 2 ** 32), 4))
  })

  it('tells a large seed from a small one that it would fold onto', () => {
    // 0x1_9e3779b1: its low word and the golden multiple of its high word cancel out.
    expect(draw(new Prng(0x19e3779b1), 4)).not.toEqual(draw(new Prng(0), 4))
  })
})

describe('a fork', () => {
  it('does not advance its parent, and does not care what its siblings draw', () => {
    fc.assert(
      fc.property(seeds, fc.nat(20), (seed, draws) => {
        const alone = draw(new Prng(seed).fork('keys'), 5)
        const parent = new Prng(seed)
        draw(parent.fork('choices'), draws)
        expect(draw(parent.fork('keys'), 5)).toEqual(alone)
        expect(draw(parent, 5)).toEqual(draw(new Prng(seed), 5))
      }),
    )
  })

  it('differs by name, and from its parent', () => {
    fc.assert(
      fc.property(seeds, fc.string(), fc.string(), (seed, a, b) => {
        const parent = new Prng(seed)
        expect(draw(parent.fork(a), 4)).not.toEqual(draw(new Prng(seed), 4))
        if (a !== b) expect(draw(parent.fork(a), 4)).not.toEqual(draw(parent.fork(b), 4))
      }),
    )
  })

  it('is not correlated with its sibling: two streams agree in a bit half of the time', () => {
    const a = new Prng(1).fork('vcpu 0')
    const b = new Prng(1).fork('vcpu 1')
    let equal = 0
    for (let i = 0; i < 20_000; i++) equal += (a.uint32() & 1) === (b.uint32() & 1) ? 1 : 0
    // 20,000 fair coins: a standard deviation is 71.
    expect(Math.abs(equal - 10_000)).toBeLessThan(5 * 71)
  })
})

describe('numbers in a range', () => {
  it('stay in it', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 2 ** 32 }), (seed, n) => {
        const prng = new Prng(seed)
        for (let i = 0; i < 10; i++) {
          const x = prng.below(n)
          expect(Number.isInteger(x) && x >= 0 && x < n).toBe(true)
          const f = prng.fraction()
          expect(f >= 0 && f < 1).toBe(true)
        }
      }),
    )
  })

  it.each([2, 7, 10, 64])('are spread evenly over %d values', (n) => {
    const prng = new Prng(42)
    const count = new Array<number>(n).fill(0)
    const draws = 2000 * n
    for (let i = 0; i < draws; i++) {
      const x = prng.below(n)
      count[x] = (count[x] ?? 0) + 1
    }
    const chi2 = count.reduce((sum, c) => sum + (c - 2000) ** 2 / 2000, 0)
    // Chi-square with n - 1 degrees of freedom: mean n - 1, standard deviation sqrt(2 (n - 1)).
    expect(chi2).toBeLessThan(n - 1 + 5 * Math.sqrt(2 * (n - 1)))
  })
})
