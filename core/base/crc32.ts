/**
 * CRC-32, the checksum of gzip, PNG and Ethernet: tells a damaged file from a whole one, and nothing about who wrote it.
 *
 * Fed in blocks of any size. Source: ISO 3309, RFC 1952 section 8; reflected polynomial 0xEDB88320, a table of 256.
 */

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let bit = 0; bit < 8; bit++) c = (c & 1) === 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
  return c
})

export class Crc32 {
  #state = 0xffffffff

  add(bytes: Uint8Array): void {
    let c = this.#state
    for (let i = 0; i < bytes.length; i++) c = TABLE[(c ^ bytes[i]) & 0xff] ^ (c >>> 8)
    this.#state = c
  }

  /** Of everything added so far. */
  get value(): number {
    return (this.#state ^ 0xffffffff) >>> 0
  }
}
