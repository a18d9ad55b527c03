/**
 * The compressors of multifd: zlib and zstd themselves, on a channel's packets of real page bytes; and what they cost.
 *
 *  zlib: one stream a channel for the whole migration, flushed after each packet, as QEMU does: pako, zlib in plain JavaScript.
 *  zstd: libzstd compiled to WebAssembly. One frame a packet; QEMU keeps one stream, so that a packet may refer to the one before,
 *        and saves the frame's header of some 6 bytes. That library has one stream for all channels, which would mix them.
 *
 * The time that they would take comes from lzbench (both on Silesia): level 1 on a Core i7-9700K from zstd's own page, other
 * levels by their ratio to level 1 in lzbench's README; between two published levels, by the geometric mean in proportion.
 * Source: QEMU, migration/multifd-zlib.c and multifd-zstd.c; https://facebook.github.io/zstd/; lzbench 1.7.1, README.md.
 */
import { Deflate } from 'pako'
import { fail } from '../base/assert.ts'

export type Compression = 'none' | 'zlib' | 'zstd'

/** One channel's compressor: what it puts on the wire for a packet. */
export type Compressor = (packet: Uint8Array) => Uint8Array

const Z_SYNC_FLUSH = 2
/** What zstd means by level 0. */
const ZSTD_DEFAULT_LEVEL = 3
/** More than a packet of 512 KiB can become: each packet comes out in one piece. */
const OUTPUT_BYTES = 640 * 1024

/** Loads the library; answers what makes a channel's compressor. */
export async function loadCompression(method: 'zlib' | 'zstd', level: number): Promise<() => Compressor> {
  if (method === 'zlib') return () => zlibCompressor(level)
  const { Zstd } = await import('@hpcc-js/wasm-zstd')
  const zstd = await Zstd.load()
  return () => (packet) => zstd.compress(packet, level)
}

/** @qemu multifd_zlib_send_prepare */
function zlibCompressor(level: number): Compressor {
  if (level < 0 || level > 9) fail(`zlib level ${level}`)
  const stream = new Deflate({ level: level as 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9, chunkSize: OUTPUT_BYTES })
  let out = new Uint8Array(0)
  stream.onData = (chunk) => {
    out = chunk as Uint8Array<ArrayBuffer>
  }
  return (packet) => {
    stream.push(packet, Z_SYNC_FLUSH)
    return out
  }
}

/** MB/s at level 1, and how much slower other levels compress. Decompression is about as fast at each. */
const SPEED = {
  zlib: {
    level1: 95,
    decompress: 400,
    slower: [
      [1, 1],
      [6, 66 / 20],
      [9, 66 / 8.3],
    ],
  },
  zstd: {
    level1: 510,
    decompress: 1580,
    slower: [
      [1, 1],
      [2, 242 / 185],
      [5, 242 / 88],
      [8, 242 / 30],
      [11, 242 / 15],
      [15, 242 / 4.78],
      [18, 242 / 2.75],
      [22, 242 / 1.39],
    ],
  },
} as const

/** Level 0 of zlib stores. MB/s of memcpy in the same table. */
const STORE_SPEED = 8657

/** CPU time for `bytes` before compression. */
export function compressNs(method: 'zlib' | 'zstd', level: number, bytes: number): number {
  if (level === 0 && method === 'zlib') return (bytes * 1000) / STORE_SPEED
  const { level1, slower } = SPEED[method]
  const wanted = level === 0 ? ZSTD_DEFAULT_LEVEL : level
  const above = slower.findIndex(([l]) => l >= wanted)
  const [highLevel, high] = slower[above]
  const [lowLevel, low] = slower[Math.max(0, above - 1)]
  const part = highLevel === lowLevel ? 0 : (wanted - lowLevel) / (highLevel - lowLevel)
  return ((bytes * 1000) / level1) * low * (high / low) ** part
}

/** CPU time for `bytes` after decompression. */
export function decompressNs(method: 'zlib' | 'zstd', bytes: number): number {
  return (bytes * 1000) / SPEED[method].decompress
}
