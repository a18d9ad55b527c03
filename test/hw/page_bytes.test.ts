/**
 * A page's bytes: zeros where its words are zero, the same for the same content, and little changed by one store.
 */
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CONTENT_KINDS, type ContentKind, PAGE_BYTES, pageBytes } from '../../core/hw/page_bytes.ts'

function bytesOf(kind: ContentKind, page: number, word0: number, word1: number, version: number): Uint8Array {
  const words = new Uint32Array(PAGE_BYTES / 4).fill(0xdeadbeef)
  pageBytes(words, kind, page, word0, word1, version)
  return new Uint8Array(words.buffer)
}

function differing(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((n, byte, i) => n + (byte === b[i] ? 0 : 1), 0)
}

const uint32 = fc.integer({ min: 1, max: 0xffffffff })
const kinds = fc.constantFrom(...CONTENT_KINDS)
const pages = fc.nat(1 << 24)
const versions = fc.nat(1 << 20)

describe('the bytes of a page', () => {
  it('are zeros if both words are, whatever else it has', () => {
    const property = fc.property(kinds, pages, versions, (kind, page, version) => {
      expect(bytesOf(kind, page, 0, 0, version).every((b) => b === 0)).toBe(true)
    })
    fc.assert(property)
  })

  it('begin and end with its words, and are the same each time', () => {
    const property = fc.property(kinds, pages, uint32, uint32, versions, (kind, page, word0, word1, version) => {
      const bytes = bytesOf(kind, page, word0, word1, version)
      const view = new DataView(bytes.buffer)
      expect([view.getUint32(0, true), view.getUint32(4092, true)]).toEqual([word0, word1])
      expect(bytesOf(kind, page, word0, word1, version)).toEqual(bytes)
    })
    fc.assert(property)
  })

  it('change by a field of 8 bytes and a word at one store, and by 64 fields at most however many', () => {
    const property = fc.property(
      kinds,
      pages,
      uint32,
      versions,
      fc.integer({ min: 1, max: 200 }),
      (kind, page, word0, version, stores) => {
        const before = bytesOf(kind, page, word0, 77, version)
        expect(differing(before, bytesOf(kind, page, word0 ^ 1, 77, version + 1))).toBeLessThanOrEqual(8 + 4)
        expect(differing(before, bytesOf(kind, page, word0 ^ 1, 77, version + stores))).toBeLessThanOrEqual(
          Math.min(64, stores) * 8 + 4,
        )
      },
    )
    fc.assert(property)
  })

  it('of a kind that stores leave random are changed by every store', () => {
    for (let version = 0; version < 200; version++) {
      const changed = differing(bytesOf('random', 5, 1, 2, version), bytesOf('random', 5, 1, 2, version + 1))
      expect(changed).toBeGreaterThan(0)
    }
  })

  it.each([
    ['heap', 0.3, 0.5],
    ['text', 0.2, 0.5],
    ['sparse', 0.05, 0.15],
    ['random', 1, 1.01],
  ] as const)('of %s shrink to a share of %d to %d under zlib at level 1', (kind, low, high) => {
    const packet = new Uint8Array(64 * PAGE_BYTES)
    for (let page = 0; page < 64; page++) packet.set(bytesOf(kind, page, page + 1, page + 2, page * 3), page * PAGE_BYTES)
    const share = deflateSync(packet, { level: 1 }).length / packet.length
    expect(share).toBeGreaterThan(low)
    expect(share).toBeLessThan(high)
  })
})
