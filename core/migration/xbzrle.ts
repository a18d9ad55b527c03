/**
 * XBZRLE: a page as its difference from an older version of itself. XOR based zero run length encoding.
 *
 *     page = zrun nzrun [page]        zrun = length        nzrun = length, bytes        length = ULEB128, one or two bytes
 *
 * A zrun counts bytes that are the same, an nzrun brings those that differ. What follows the last difference is left out. QEMU
 * compares a long at a time where it can; the runs are the same, byte by byte.
 * Only its length is asked for: the difference itself goes as that of the page's words (xbzrle_save.ts), so nothing here decodes it.
 * Source: QEMU, docs/xbzrle.txt and migration/xbzrle.c. @qemu xbzrle_encode_buffer
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
