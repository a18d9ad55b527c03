/**
 * What a page holds, as 64 bits, whether it is zero, and what it looks like: all that a capture keeps of it.
 *
 * Four lanes take every fourth word; each step can be undone, so two pages that differ in one lane have another digest for sure, and
 * any others with all but one chance in 2^64. It starts from numbers drawn for this capture, and never leaves this process: the file
 * tells only which pages held the same. Five times as fast as SHA-1 in Node, 0.7 us a page (docs/capture.md).
 *
 * Mixing after Appleby's MurmurHash3 (public domain).
 */
import type { ContentKind } from '../hw/page_bytes.ts'

export const PAGE_WORDS = 1024

export class PageDigest {
  low = 0
  high = 0
  isZero = false
  readonly #seed: readonly [number, number]

  constructor(seed: readonly [number, number]) {
    this.#seed = seed
  }

  /** Of the page that begins at word `at`. */
  take(words: Int32Array, at: number): void {
    let [a, b] = this.#seed
    let c = a ^ 0x9e3779b1
    let d = b ^ 0x85ebca77
    let any = 0
    for (let i = at; i < at + PAGE_WORDS; i += 4) {
      const p = words[i]
      const q = words[i + 1]
      const r = words[i + 2]
      const s = words[i + 3]
      any |= p | q | r | s
      a = Math.imul(a ^ p, 0x9e3779b1)
      a ^= a >>> 15
      b = Math.imul(b ^ q, 0x85ebca77)
      b ^= b >>> 15
      c = Math.imul(c ^ r, 0xc2b2ae3d)
      c ^= c >>> 15
      d = Math.imul(d ^ s, 0x27d4eb2f)
      d ^= d >>> 15
    }
    this.low = a ^ ((b << 7) | (b >>> 25))
    this.high = c ^ ((d << 12) | (d >>> 20))
    this.isZero = any === 0
  }
}

/** Coprime with the eight bytes of a field, so that all of its bytes are looked at. */
const STRIDE = 7
const ZERO_SHARE = 0.7
const TEXT_SHARE = 0.9
/** Of 586 bytes that are random, about 230 values are different. */
const RANDOM_VALUES = 200

/** The kind that a page of zeros, letters or noise is taken for; anything else is heap. The bounds are ours. */
export function looksLike(bytes: Uint8Array, at: number): ContentKind {
  const seen = new Uint8Array(256)
  let looks = 0
  let zeros = 0
  let letters = 0
  let values = 0
  for (let i = at; i < at + PAGE_WORDS * 4; i += STRIDE) {
    const byte = bytes[i]
    looks++
    if (byte === 0) zeros++
    else if ((byte >= 32 && byte < 127) || byte === 10 || byte === 9) letters++
    if (seen[byte] === 0) values++
    seen[byte] = 1
  }
  if (zeros >= looks * ZERO_SHARE) return 'sparse'
  if (letters >= looks * TEXT_SHARE) return 'text'
  return values >= RANDOM_VALUES ? 'random' : 'heap'
}
