/**
 * The shadow: each store has a stamp of its own, by which page and version are known again.
 *
 * A stamp is 32 bits, so two may be equal by chance: among n of them about n^2 / 2^33 pairs.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Shadow, stamp } from '../../core/guest/shadow.ts'

describe('a stamp', () => {
  it('is never zero, and differs between versions of a page', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 24),
        fc.integer({ min: 1, max: 1e6 }),
        fc.integer({ min: 1, max: 5000 }),
        (page, version, later) => {
          expect(stamp(page, version)).toBeGreaterThan(0)
          expect(stamp(page, version)).not.toBe(stamp(page, version + later))
        },
      ),
    )
  })

  it('differs between pages: 100,000 of one version are all different', () => {
    expect(new Set(Array.from({ length: 100_000 }, (_, page) => stamp(page, 1))).size).toBe(100_000)
  })

  it('collides no more often than chance: 300 pages of 300 versions', () => {
    const seen = new Set<number>()
    for (let page = 0; page < 300; page++) for (let version = 1; version <= 300; version++) seen.add(stamp(page, version))
    // 90,000 stamps: about 0.9 pairs are expected equal.
    expect(90_000 - seen.size).toBeLessThan(8)
  })
})

describe('the shadow', () => {
  it('remembers the last store to each word, and how many a page had', () => {
    const store = fc.record({ page: fc.nat(7), word: fc.nat(1) })
    fc.assert(
      fc.property(fc.array(store), (stores) => {
        const shadow = new Shadow(8)
        const words = new Map<string, number>()
        for (const { page, word } of stores) words.set(`${page}.${word}`, shadow.store(page, word))
        for (let page = 0; page < 8; page++) {
          expect(shadow.version[page]).toBe(stores.filter((s) => s.page === page).length)
          for (const word of [0, 1]) expect(shadow.words[page * 2 + word]).toBe(words.get(`${page}.${word}`) ?? 0)
        }
        expect(shadow.written).toBe(new Set(stores.map((s) => s.page)).size)
      }),
    )
  })
})
