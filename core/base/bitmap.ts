/**
 * A bitmap over page numbers with a count and a fast search for the next set bit: QEMU's RAMBlock bitmap.
 *
 * Words are 32 bits. All operations are O(1) but `nextSet` and `fill`, which go word by word.
 */

export class Bitmap {
  readonly length: number
  readonly #words: Int32Array
  #count = 0

  constructor(length: number) {
    this.length = length
    this.#words = new Int32Array((length + 31) >>> 5)
  }

  get count(): number {
    return this.#count
  }

  has(i: number): boolean {
    return ((this.#words[i >>> 5] >>> (i & 31)) & 1) !== 0
  }

  /** Sets bit i; true if it was clear. */
  set(i: number): boolean {
    const w = i >>> 5
    const bit = 1 << (i & 31)
    if ((this.#words[w] & bit) !== 0) return false
    this.#words[w] |= bit
    this.#count++
    return true
  }

  /** Clears bit i; true if it was set. */
  clear(i: number): boolean {
    const w = i >>> 5
    const bit = 1 << (i & 31)
    if ((this.#words[w] & bit) === 0) return false
    this.#words[w] &= ~bit
    this.#count--
    return true
  }

  fill(): void {
    this.#words.fill(-1)
    const rest = this.length & 31
    if (rest !== 0) this.#words[this.#words.length - 1] = (1 << rest) - 1
    this.#count = this.length
  }

  /** The first set bit at or after `from`, or -1. */
  nextSet(from: number): number {
    if (from >= this.length) return -1
    let w = from >>> 5
    let word = this.#words[w] & (-1 << (from & 31))
    while (word === 0) {
      w++
      if (w >= this.#words.length) return -1
      word = this.#words[w]
    }
    return (w << 5) + 31 - Math.clz32(word & -word)
  }
}
