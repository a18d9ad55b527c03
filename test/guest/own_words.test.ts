/**
 * The words that vCPUs own on real memory: no two share one, a stamp tells its version, and a wrong word is called what it is.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { faultOf, MOST_OWNERS, ownStamp, ownWordAt, versionAt, versionOf } from '../../core/guest/own_words.ts'

const page = fc.integer({ min: 0, max: 2 ** 22 })
const word = fc.integer({ min: 0, max: 1 })
const vcpu = fc.integer({ min: 0, max: MOST_OWNERS - 1 })
const version = fc.integer({ min: 1, max: 2 ** 31 - 1 })

describe('an own word', () => {
  it('belongs to one vCPU alone, and lies in its page', () => {
    const places = new Set<number>()
    for (let owner = 0; owner < MOST_OWNERS; owner++) for (let w = 0; w < 2; w++) places.add(ownWordAt(3, w, owner))
    expect(places.size).toBe(2 * MOST_OWNERS)
    for (const at of places) expect(Math.floor(at / 1024)).toBe(3)
  })

  it('has a version of its own', () => {
    const places = new Set<number>()
    for (let p = 0; p < 8; p++) for (let w = 0; w < 2; w++) for (let v = 0; v < 4; v++) places.add(versionAt(p, w, v, 8))
    expect([places.size, Math.max(...places)]).toEqual([64, 63])
  })
})

describe('a stamp', () => {
  it('tells which store left it, and is never zero', () => {
    fc.assert(
      fc.property(page, word, vcpu, version, (p, w, v, n) => {
        const stamp = ownStamp(p, w, v, n)
        return stamp !== 0 && versionOf(stamp, p, w, v) === n
      }),
    )
  })

  it('is zero where nothing was stored', () => expect(ownStamp(7, 1, 2, 0)).toBe(0))
})

describe('a wrong word', () => {
  it.each([
    ['lost', 0],
    ['stale', ownStamp(5, 0, 1, 8)],
    ['misplaced', ownStamp(5, 0, 1, 11)],
    ['misplaced', 12345],
  ])('is %s', (cause, found) => expect(faultOf(found, 5, 0, 1, 10)).toBe(cause))

  it("is hardly ever taken for an old one where it is another page's", () => {
    const causes = Array.from({ length: 1000 }, (_, p) => faultOf(ownStamp(p + 1, 0, 0, 3), 0, 0, 0, 10))
    expect(causes.filter((cause) => cause === 'misplaced').length).toBeGreaterThan(998)
  })
})
