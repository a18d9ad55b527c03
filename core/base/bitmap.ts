/**
 * A bitmap over page numbers with a count and a fast search for the next set bit, either way: QEMU's RAMBlock bitmap.
 *
 * Words are 32 bits. All operations are O(1) but `nextSet`, `prevSet`, `run` and `fill`, which go word by word.
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

  /** Clears all bits. */
  empty(): void {
    this.#words.fill(0)
    this.#count = 0
  }

  /** Clears the bits of [first, end). */
  clearRange(first: number, end: number): void {
    if (first === 0 && end === this.length) {
      this.empty()
      return
    }
    for (let i = this.nextSet(first); i >= 0 && i < end; i = this.nextSet(i + 1)) this.clear(i)
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

  /** The last set bit at or before `from`, or -1. */
  prevSet(from: number): number {
    if (from < 0 || this.length === 0) return -1
    const last = Math.min(from, this.length - 1)
    let w = last >>> 5
    let word = this.#words[w] & (-1 >>> (31 - (last & 31)))
    while (word === 0) {
      if (w === 0) return -1
      word = this.#words[--w]
    }
    return (w << 5) + 31 - Math.clz32(word)
  }

  /** How many bits from `from` on are set without a gap; at most `most`. */
  run(from: number, most: number): number {
    const end = Math.min(this.length, from + most)
    let i = from
    while (i < end) {
      // The clear bits of this word, at i and behind it.
      const clear = ~this.#words[i >>> 5] & (-1 << (i & 31))
      if (clear !== 0) {
        i = (i & ~31) + 31 - Math.clz32(clear & -clear)
        break
      }
      i = (i & ~31) + 32
    }
    return Math.max(0, Math.min(i, end) - from)
  }
}
