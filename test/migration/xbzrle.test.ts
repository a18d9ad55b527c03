/**
 * XBZRLE: what is decoded is what was encoded, the bytes are those of QEMU's format, and what is too long is said to be.
 *
 * The page cache: a page stays in its place for two generations after it was last asked for.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { QUANTUM } from '../../core/engine/op.ts'
import { PAGE_BYTES, pageBytes } from '../../core/hw/page_bytes.ts'
import { PageCache } from '../../core/migration/page_cache.ts'
import { XBZRLE_OVERFLOW, xbzrleEncode } from '../../core/migration/xbzrle.ts'
import { Encoded, Xbzrle } from '../../core/migration/xbzrle_save.ts'
import { runToIdle } from '../engine/tasks.ts'
import { clockThreads, type ThreadBody } from '../hw/threads.ts'
import { xbzrleDecode } from './xbzrle_decode.ts'

function encode(old: readonly number[], fresh: readonly number[], room = 4096): number[] {
  const out = new Uint8Array(room)
  const length = xbzrleEncode(Uint8Array.from(old), Uint8Array.from(fresh), out)
  return length === XBZRLE_OVERFLOW ? [XBZRLE_OVERFLOW] : [...out.subarray(0, length)]
}

describe('an encoding', () => {
  it.each([
    ['nothing, where nothing differs', [7, 7, 7], [7, 7, 7], []],
    ['same bytes, then what differs', [1, 2, 3, 4], [1, 2, 9, 8], [2, 2, 9, 8]],
    ['no same bytes at first', [1, 2, 3], [5, 2, 3], [0, 1, 5]],
    ['two differences with one byte between them', [1, 2, 3], [5, 2, 6], [0, 1, 5, 1, 1, 6]],
  ])('holds %s', (_, old, fresh, bytes) => expect(encode(old, fresh)).toEqual(bytes))

  it('takes two bytes for a run of 128 or more', () => {
    const old = new Array<number>(300).fill(0)
    const fresh = [...old]
    fresh[299] = 1
    expect(encode(old, fresh)).toEqual([(299 & 0x7f) | 0x80, 299 >> 7, 1, 1])
  })

  it('says when there is no room', () => {
    expect(encode([1, 2, 3, 4], [5, 6, 7, 8], 4)).toEqual([XBZRLE_OVERFLOW])
    expect(encode([1, 2, 3, 4], [5, 6, 7, 8], 6)).toEqual([0, 4, 5, 6, 7, 8])
  })

  it('gives back the newer page, whatever the two pages are', () => {
    const page = fc.uint8Array({ minLength: 64, maxLength: 600, max: 3 })
    const property = fc.property(page, fc.uint8Array({ minLength: 600, maxLength: 600, max: 3 }), (old, other) => {
      const fresh = other.subarray(0, old.length)
      const out = new Uint8Array(4 * old.length)
      const length = xbzrleEncode(old, fresh, out)
      const decoded = old.slice()
      expect(xbzrleDecode(out, length, decoded)).toBe(true)
      expect(decoded).toEqual(fresh)
    })
    fc.assert(property)
  })

  it.each([
    ['a run past the end of the page', [200, 1, 1, 5]],
    ['no bytes behind a run that brings some', [0, 3, 1]],
    ['a length of three bytes', [0x80, 0x80, 1, 1]],
    ['half a pair', [3]],
  ])('is refused if it has %s', (_, bytes) => {
    expect(xbzrleDecode(Uint8Array.from(bytes), bytes.length, new Uint8Array(64))).toBe(false)
  })

  it('of a page after one more store is below 64 bytes, after 60 more below a quarter of it', () => {
    const [old, fresh] = [new Uint32Array(1024), new Uint32Array(1024)]
    const out = new Uint8Array(PAGE_BYTES)
    const bytes = (words: Uint32Array) => new Uint8Array(words.buffer)
    pageBytes(old, 'heap', 9, 1, 2, 100)
    pageBytes(fresh, 'heap', 9, 3, 2, 101)
    expect(xbzrleEncode(bytes(old), bytes(fresh), out)).toBeLessThan(64)
    pageBytes(fresh, 'heap', 9, 3, 4, 160)
    const length = xbzrleEncode(bytes(old), bytes(fresh), out)
    expect(length).toBeGreaterThan(64)
    expect(length).toBeLessThan(PAGE_BYTES / 4)
  })
})

describe('the page cache', () => {
  const content = (version: number) => ({ word0: version * 2, word1: version * 3, version })
  const found = (cache: PageCache, page: number, generation: number) => {
    const out = { word0: 0, word1: 0, version: 0 }
    return cache.find(page, generation, out) ? out : null
  }

  it('gives back what was put in last', () => {
    const cache = new PageCache(4)
    expect(found(cache, 6, 1)).toBe(null)
    expect(cache.insert(6, content(1), 1)).toBe(true)
    expect(cache.insert(6, content(2), 1)).toBe(true)
    expect(found(cache, 6, 1)).toEqual(content(2))
    expect(found(cache, 2, 1)).toBe(null)
  })

  it('keeps a page in its place for two generations after it was last asked for', () => {
    const cache = new PageCache(4)
    cache.insert(1, content(1), 1)
    expect(found(cache, 1, 3)).not.toBe(null)
    expect(cache.insert(5, content(2), 4)).toBe(false)
    expect(cache.insert(5, content(2), 5)).toBe(true)
    expect(found(cache, 1, 5)).toBe(null)
    expect(found(cache, 5, 5)).toEqual(content(2))
  })

  it('has a power of two of places', () => expect(() => new PageCache(3)).toThrow(/power of two/))
})

describe('the source', () => {
  const content = (version: number) => ({ word0: version, word1: 5, version })

  /** Encodes one page in its versions 1, 2, 2, 60 with a generation each, after the first pass; what each answered. */
  function encode(isLastPass: boolean) {
    const xbzrle = new Xbzrle(4096, 'heap')
    const answers: number[] = []
    const body: ThreadBody = function* (k) {
      answers.push(xbzrle.encode(k, 7, content(1), 1, false))
      xbzrle.start()
      for (const [generation, version] of [1, 2, 2, 60].entries())
        answers.push(xbzrle.encode(k, 7, content(version), generation + 2, isLastPass && generation > 0))
      yield QUANTUM
    }
    runToIdle(clockThreads(100, [body]).timeline)
    return { xbzrle, answers }
  }

  it('remembers a page from the second pass on, sends what differs, and nothing if nothing does', () => {
    const { xbzrle, answers } = encode(false)
    const [first, second, third, same, later] = answers
    expect([first, second, same]).toEqual([Encoded.whole, Encoded.whole, Encoded.unchanged])
    expect(third).toBeGreaterThan(0)
    expect(later).toBeGreaterThan(third ?? 0)
    expect([xbzrle.cacheMiss, xbzrle.pages, xbzrle.overflow, xbzrle.bytes]).toEqual([1, 3, 0, (third ?? 0) + (later ?? 0)])
  })

  it('remembers nothing more in the last pass, so that what it compares with stays what was sent before', () => {
    const { answers } = encode(true)
    // The second time version 2 differs from version 1, as it did the first time.
    expect(answers[3]).toBe(answers[2])
  })

  it('tells the rates of a period of a second or more', () => {
    const { xbzrle } = encode(false)
    xbzrle.synced(999_999_999, 4)
    expect([xbzrle.cacheMissRate, xbzrle.encodingRate]).toEqual([0, 0])
    xbzrle.synced(1_000_000_000, 4)
    expect(xbzrle.cacheMissRate).toBe(1 / 4)
    expect(xbzrle.encodingRate).toBe((3 * PAGE_BYTES) / xbzrle.bytes)
  })
})
