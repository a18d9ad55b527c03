/**
 * Whole numbers of any size in few bytes: seven bits a byte, the lowest first, the top bit set where more follow (LEB128, unsigned).
 *
 * The writer grows; the reader knows where its bytes end, and a number that runs over that end, or over 2^53, is -1.
 */

const FIRST_BYTES = 256
/** Seven bits each make 49; an eighth byte may add four more. */
const MOST_BYTES = 8

export class VarintWriter {
  #bytes = new Uint8Array(FIRST_BYTES)
  #length = 0

  put(value: number): void {
    if (this.#length + MOST_BYTES > this.#bytes.length) this.#grow()
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
  }

  #grow(): void {
    const bytes = new Uint8Array(this.#bytes.length * 2)
    bytes.set(this.#bytes)
    this.#bytes = bytes
  }

  /** What was written so far; valid until the next `put`. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }
}

export class VarintReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** -1 where there is none. */
  take(): number {
    let value = 0
    for (let n = 0, scale = 1; n < MOST_BYTES && this.#at < this.#bytes.length; n++, scale *= 128) {
      const byte = this.#bytes[this.#at++]
      value += (byte & 127) * scale
      if (byte < 128) return value <= Number.MAX_SAFE_INTEGER ? value : -1
    }
    return -1
  }
}
