/**
 * Digests of pages: another for every page that differs, zero pages known; and what a page is taken for.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { looksLike, PAGE_WORDS, PageDigest } from '../../core/guest/page_digest.ts'
import { CONTENT_KINDS, pageBytes } from '../../core/hw/page_bytes.ts'

function digest(words: Int32Array, seed: readonly [number, number] = [1, 2]): readonly [number, number] {
  const one = new PageDigest(seed)
  one.take(words, 0)
  return [one.low, one.high]
}

const pages = fc.int32Array({ minLength: PAGE_WORDS, maxLength: PAGE_WORDS })

describe('a digest', () => {
  it('is another where one word is', () => {
    fc.assert(
      fc.property(pages, fc.nat(PAGE_WORDS - 1), fc.integer({ min: 1, max: 0xffffffff }), (page, at, flip) => {
        const other = page.slice()
        other[at] = (page[at] ?? 0) ^ flip
        expect(digest(other)).not.toEqual(digest(page))
      }),
    )
  })

  it('is another where two words changed places', () => {
    fc.assert(
      fc.property(pages, fc.nat(PAGE_WORDS - 1), fc.nat(PAGE_WORDS - 1), (page, a, b) => {
        const other = page.slice()
        other[a] = page[b] ?? 0
        other[b] = page[a] ?? 0
        fc.pre(other.some((word, i) => word !== page[i]))
        expect(digest(other)).not.toEqual(digest(page))
      }),
    )
  })

  it('never meets another among 20,000 pages that differ in their highest bits alone', () => {
    const page = new Int32Array(PAGE_WORDS)
    const seen = new Set<string>()
    for (let n = 0; n < 20_000; n++) {
      for (let bit = 0; bit < 15; bit++) page[bit * 4] = (n >> bit) & 1 ? -0x80000000 : 0
      seen.add(digest(page).join())
    }
    expect(seen.size).toBe(20_000)
  })

  it('is another for another seed', () => {
    const page = new Int32Array(PAGE_WORDS).fill(77)
    expect(digest(page, [1, 2])).not.toEqual(digest(page, [1, 3]))
    expect(digest(page, [1, 2])).not.toEqual(digest(page, [2, 2]))
  })

  it('knows a page of zeros, at any place', () => {
    const words = new Int32Array(PAGE_WORDS * 2)
    words[PAGE_WORDS * 2 - 1] = 1
    const one = new PageDigest([5, 6])
    one.take(words, 0)
    expect(one.isZero).toBe(true)
    one.take(words, PAGE_WORDS)
    expect(one.isZero).toBe(false)
  })
})

describe.each(CONTENT_KINDS)('a page of %s', (kind) => {
  it('is taken for what it is', () => {
    const words = new Uint32Array(PAGE_WORDS)
    for (let page = 0; page < 50; page++) {
      pageBytes(words, kind, page, 1, 2, 2)
      expect(looksLike(new Uint8Array(words.buffer), 0)).toBe(kind)
    }
  })
})
