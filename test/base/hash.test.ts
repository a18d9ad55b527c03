/**
 * The running hash: a function of what was added and of its order, and of nothing else.
 *
 * Digests are frozen, because trace hashes are written down by people.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Hash64, mix32 } from '../../core/base/hash.ts'

function digest(...ints: number[]): string {
  const h = new Hash64()
  for (const i of ints) h.int(i)
  return h.digest()
}

function numbers(...xs: number[]): string {
  const h = new Hash64()
  for (const x of xs) h.number(x)
  return h.digest()
}

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })

describe('Hash64', () => {
  it('gives these digests, for ever', () => {
    const text = new Hash64()
    text.text('pageferry')
    expect([digest(), digest(0), digest(1, 2, 3), text.digest()]).toMatchInlineSnapshot(`
      [
        "c71b2fecd36c8cb4",
        "d091eb6fcd7d8ecb",
        "441fc76a9da62831",
        "aea7651d84d5468e",
      ]
    `)
  })

  it('is 16 hex digits', () => {
    fc.assert(
      fc.property(fc.array(int32), (xs) => {
        expect(digest(...xs)).toMatch(/^[0-9a-f]{16}$/)
      }),
    )
  })

  it('is a function of the sequence: equal for equal ones, another for a changed, swapped or longer one', () => {
    fc.assert(
      fc.property(fc.array(int32, { minLength: 2 }), fc.nat(), int32, (xs, where, y) => {
        const i = where % (xs.length - 1)
        const before = digest(...xs)
        expect(digest(...xs)).toBe(before)
        if (xs[i] !== y) expect(digest(...xs.with(i, y))).not.toBe(before)
        if (xs[i] !== xs[i + 1]) expect(digest(...xs.with(i, xs[i + 1] ?? 0).with(i + 1, xs[i] ?? 0))).not.toBe(before)
        expect(digest(...xs, 0)).not.toBe(before)
      }),
    )
  })

  it('may be read in between without changing', () => {
    const h = new Hash64()
    h.int(1)
    const first = h.digest()
    expect(h.digest()).toBe(first)
    h.int(2)
    expect(h.digest()).toBe(digest(1, 2))
  })

  it('has no two equal digests in 20,000 small inputs', () => {
    const seen = new Set<string>()
    for (let i = 0; i < 20_000; i++) seen.add(digest(i & 127, i >> 7))
    expect(seen.size).toBe(20_000)
  })

  it('tells numbers apart by all of their value: high words and fractions too', () => {
    const all = [0, 0.5, 0.25, 1, 1.5, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 33, 2 ** 52, 2 ** 53]
    expect(new Set(all.map((x) => numbers(x))).size).toBe(all.length)
  })

  it('tells texts apart by where they are cut', () => {
    const cut = (a: string, b: string) => {
      const h = new Hash64()
      h.text(a)
      h.text(b)
      return h.digest()
    }
    expect(cut('ab', 'c')).not.toBe(cut('a', 'bc'))
  })
})

describe('mix32', () => {
  it('is a bijection as far as looked: 100,000 inputs, 100,000 outputs', () => {
    expect(new Set(Array.from({ length: 100_000 }, (_, i) => mix32(i))).size).toBe(100_000)
  })

  it('flips about half of the output for each flipped input bit', () => {
    for (let bit = 0; bit < 32; bit++) {
      let flipped = 0
      for (let x = 0; x < 256; x++) {
        const difference = (mix32(x * 7919) ^ mix32((x * 7919) ^ (1 << bit))) >>> 0
        flipped += difference.toString(2).replaceAll('0', '').length
      }
      expect(flipped / 256, `input bit ${bit}`).toBeGreaterThan(13)
      expect(flipped / 256, `input bit ${bit}`).toBeLessThan(19)
    }
  })
})
