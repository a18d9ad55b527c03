/**
 * The compressors of multifd: what comes out is what the real libraries read back, packet by packet; and times grow with levels.
 */
import { constants, inflateSync } from 'node:zlib'
import { Zstd } from '@hpcc-js/wasm-zstd'
import { describe, expect, it } from 'vitest'
import { PAGE_BYTES, pageBytes } from '../../core/hw/page_bytes.ts'
import { compressNs, decompressNs, loadCompression } from '../../core/migration/compression.ts'

const PAGES = 32

function packet(first: number): Uint8Array {
  const out = new Uint32Array((PAGES * PAGE_BYTES) / 4)
  for (let i = 0; i < PAGES; i++) {
    pageBytes(out.subarray(i * 1024, (i + 1) * 1024), 'heap', first + i, first + i + 1, 7, first)
  }
  return new Uint8Array(out.buffer)
}

describe('a channel', () => {
  it('with zlib is one stream, flushed after each packet', async () => {
    const compress = (await loadCompression('zlib', 1))()
    const packets = [packet(0), packet(100), packet(200)]
    const sent = packets.map((p) => compress(p).slice())
    for (let n = 1; n <= 3; n++) {
      const read = inflateSync(Buffer.concat(sent.slice(0, n)), { finishFlush: constants.Z_SYNC_FLUSH })
      expect(Buffer.compare(read, Buffer.concat(packets.slice(0, n)))).toBe(0)
    }
    for (const bytes of sent) expect(bytes.length).toBeLessThan((PAGES * PAGE_BYTES) / 2)
  })

  it('with zstd is read back by zstd, each packet by itself', async () => {
    const compress = (await loadCompression('zstd', 1))()
    const zstd = await Zstd.load()
    for (const p of [packet(0), packet(100)]) {
      const sent = compress(p)
      expect(sent.length).toBeLessThan(p.length / 2)
      expect(Buffer.compare(zstd.decompress(sent), p)).toBe(0)
    }
  })

  it.each(['zlib', 'zstd'] as const)('with %s sends fewer bytes at a higher level', async (method) => {
    const size = async (level: number) => (await loadCompression(method, level))()(packet(3)).length
    expect(await size(9)).toBeLessThan(await size(1))
  })
})

describe('the time', () => {
  it('of 4096 bytes at level 1 is 43 us with zlib and 8 us with zstd', () => {
    expect(Math.round(compressNs('zlib', 1, 4096) / 1000)).toBe(43)
    expect(Math.round(compressNs('zstd', 1, 4096) / 1000)).toBe(8)
    expect(Math.round(decompressNs('zlib', 4096) / 100)).toBe(102)
    expect(Math.round(decompressNs('zstd', 4096) / 100)).toBe(26)
  })

  it.each([
    ['zlib', 9],
    ['zstd', 20],
  ] as const)('with %s never falls from one level to the next, up to %d', (method, highest) => {
    for (let level = 1; level < highest; level++) {
      expect(compressNs(method, level + 1, 1000)).toBeGreaterThan(compressNs(method, level, 1000))
    }
  })

  it('of level 0 of zstd is that of level 3, its default', () => {
    expect(compressNs('zstd', 0, 1000)).toBe(compressNs('zstd', 3, 1000))
  })
})
