/**
 * The other half of core/migration/xbzrle.ts: what a destination makes of the bytes. The model sends the length of an encoding and
 * the difference of a page's words, so only tests hold the bytes against it. Source: QEMU, migration/xbzrle.c. @qemu xbzrle_decode_buffer
 */

/** Applies the first `length` bytes of an encoding to `page`; false where they are no encoding, and then `page` may be anything. */
export function xbzrleDecode(encoding: Uint8Array, length: number, page: Uint8Array): boolean {
  const byte = (at: number): number => encoding[at] ?? 0
  let d = 0
  for (let i = 0; i < length; ) {
    for (const isDifferent of [false, true]) {
      if (length - i < 2) return false
      const isLong = byte(i) >= 0x80
      if (isLong && byte(i + 1) >= 0x80) return false
      const run = isLong ? (byte(i) & 0x7f) | (byte(i + 1) << 7) : byte(i)
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
