/**
 * The bitmap against a plain Set: the same answers after any calls, at lengths around the word size.
 *
 * Lengths of 31, 32, 33, 63, 64 and 65 are where a word's edge would show.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bitmap } from '../../core/base/bitmap.ts'

type Call =
  | { readonly what: 'set' | 'clear' | 'has' | 'next' | 'prev' | 'run'; readonly at: number }
  | { readonly what: 'fill'; readonly at: 0 }

const length = fc.oneof(fc.constantFrom(1, 31, 32, 33, 63, 64, 65), fc.integer({ min: 1, max: 300 }))
const call: fc.Arbitrary<Call> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({ what: fc.constantFrom('set', 'set', 'clear', 'has', 'next', 'prev', 'run'), at: fc.nat(400) }),
  },
  { weight: 1, arbitrary: fc.constant<Call>({ what: 'fill', at: 0 }) },
)

function nextIn(set: ReadonlySet<number>, from: number): number {
  return [...set].filter((i) => i >= from).sort((a, b) => a - b)[0] ?? -1
}

function previousIn(set: ReadonlySet<number>, from: number): number {
  return [...set].filter((i) => i <= from).sort((a, b) => b - a)[0] ?? -1
}

function runIn(set: ReadonlySet<number>, from: number, most: number): number {
  let n = 0
  while (n < most && set.has(from + n)) n++
  return n
}

describe('a bitmap', () => {
  it('answers as a set does', () => {
    fc.assert(
      fc.property(length, fc.array(call, { maxLength: 60 }), (n, calls) => {
        const bitmap = new Bitmap(n)
        const set = new Set<number>()
        for (const { what, at } of calls) {
          const i = at % n
          if (what === 'set') {
            expect(bitmap.set(i)).toBe(!set.has(i))
            set.add(i)
          } else if (what === 'clear') expect(bitmap.clear(i)).toBe(set.delete(i))
          else if (what === 'has') expect(bitmap.has(i)).toBe(set.has(i))
          else if (what === 'next') expect(bitmap.nextSet(at)).toBe(nextIn(set, at))
          else if (what === 'prev') expect(bitmap.prevSet(at)).toBe(previousIn(set, at))
          else if (what === 'run') for (const most of [1, 7, 400]) expect(bitmap.run(i, most)).toBe(runIn(set, i, most))
          else {
            bitmap.fill()
            for (let j = 0; j < n; j++) set.add(j)
          }
          expect(bitmap.count).toBe(set.size)
        }
        for (let i = 0; i <= n; i++) expect(bitmap.nextSet(i)).toBe(nextIn(set, i))
      }),
      { numRuns: 300 },
    )
  })

  it.each([1, 31, 32, 33, 64, 1000])('of %d bits, filled, has just these and is walked through by nextSet', (n) => {
    const bitmap = new Bitmap(n)
    bitmap.fill()
    const seen: number[] = []
    for (let i = bitmap.nextSet(0); i >= 0; i = bitmap.nextSet(i + 1)) seen.push(i)
    expect(seen).toEqual(Array.from({ length: n }, (_, i) => i))
    expect(bitmap.count).toBe(n)
    expect(bitmap.run(0, n + 1)).toBe(n)
    const back: number[] = []
    for (let i = bitmap.prevSet(n); i >= 0; i = bitmap.prevSet(i - 1)) back.push(i)
    expect(back).toEqual([...seen].reverse())
    for (const i of seen) bitmap.clear(i)
    expect([bitmap.count, bitmap.nextSet(0), bitmap.prevSet(n), bitmap.run(0, n)]).toEqual([0, -1, -1, 0])
  })

  it('of no bits is empty, also when filled', () => {
    const bitmap = new Bitmap(0)
    bitmap.fill()
    expect([bitmap.count, bitmap.nextSet(0), bitmap.prevSet(0)]).toEqual([0, -1, -1])
  })
})
