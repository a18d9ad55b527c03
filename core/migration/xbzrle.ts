/**
 * XBZRLE: a page as its difference from an older version of itself. XOR based zero run length encoding.
 *
 *     page = zrun nzrun [page]        zrun = length        nzrun = length, bytes        length = ULEB128, one or two bytes
 *
 * A zrun counts bytes that are the same, an nzrun brings those that differ. What follows the last difference is left out. QEMU
 * compares a long at a time where it can; the runs are the same, byte by byte.
 * Source: QEMU, docs/xbzrle.txt and migration/xbzrle.c. @qemu xbzrle_encode_buffer, xbzrle_decode_buffer
 */

/** The encoding would not be shorter than `out`. */
export const XBZRLE_OVERFLOW = -1

/** Writes the encoding into `out`; its length, 0 if nothing differs, or XBZRLE_OVERFLOW. */
export function xbzrleEncode(old: Uint8Array, fresh: Uint8Array, out: Uint8Array): number {
  const end = fresh.length
  let at = 0
  let d = 0
  while (at < end) {
    if (d + 2 > out.length) return XBZRLE_OVERFLOW
    const same = at
    while (at < end && old[at] === fresh[at]) at++
    if (at === end) break
    d = writeLength(out, d, at - same)
    if (d + 2 > out.length) return XBZRLE_OVERFLOW
    const differs = at
    while (at < end && old[at] !== fresh[at]) at++
    d = writeLength(out, d, at - differs)
    if (d + at - differs > out.length) return XBZRLE_OVERFLOW
    for (let i = differs; i < at; i++) out[d++] = fresh[i]
  }
  return d
}

/** Applies the first `length` bytes of an encoding to `page`; false where they are no encoding, and then `page` may be anything. */
export function xbzrleDecode(encoding: Uint8Array, length: number, page: Uint8Array): boolean {
  let d = 0
  for (let i = 0; i < length; ) {
    for (const isDifferent of [false, true]) {
      if (length - i < 2) return false
      const isLong = encoding[i] >= 0x80
      if (isLong && encoding[i + 1] >= 0x80) return false
      const run = isLong ? (encoding[i] & 0x7f) | (encoding[i + 1] << 7) : encoding[i]
      if (run === 0 && (isDifferent || i > 0)) return false
      i += isLong ? 2 : 1
      if (d + run > page.length) return false
      if (isDifferent) {
        if (i + run > length) return false
        page.set(encoding.subarray(i, i + run), d)
        i += run
      }
      d += run
    }
  }
  return true
}

/** @qemu uleb128_encode_small */
function writeLength(out: Uint8Array, d: number, length: number): number {
  if (length < 0x80) {
    out[d] = length
    return d + 1
  }
  out[d] = (length & 0x7f) | 0x80
  out[d + 1] = length >>> 7
  return d + 2
}
