/**
 * The one source of chance: xoshiro128** with forkable streams.
 *
 * A run has one generator, made from its seed. Everything that needs chance forks its own stream by name, so that one
 * consumer drawing more numbers never shifts another's. All arithmetic is on 32-bit integers: the same numbers on every
 * machine. Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2018); seeding by SplitMix32.
 */

export class Prng {
  #a = 0
  #b = 0
  #c = 0
  #d = 0

  constructor(seed: number) {
    let x = seed >>> 0
    const next = () => {
      x = (x + 0x9e3779b9) | 0
      let z = x
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return z ^ (z >>> 15)
    }
    this.#a = next()
    this.#b = next()
    // The part of a seed above 32 bits goes into the other half of the state, so no two seeds share one.
    x ^= Math.imul(Math.floor(seed / 2 ** 32) >>> 0, 0x85ebca6b)
    this.#c = next()
    this.#d = next() | 1
  }

  /** An independent stream for the consumer `name`; does not advance this one. */
  fork(name: string): Prng {
    let h = this.#a ^ Math.imul(this.#b, 0x85ebca6b)
    for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193) ^ (h >>> 15)
    const child = new Prng(h >>> 0)
    child.#c ^= this.#c
    child.#d ^= this.#d
    for (let i = 0; i < 4; i++) child.uint32()
    return child
  }

  /** Uniform in [0, 2^32). */
  uint32(): number {
    const r = Math.imul(this.#b, 5)
    const result = Math.imul((r << 7) | (r >>> 25), 9)
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result >>> 0
  }

  /** Uniform in [0, n) for 1 <= n <= 2^32 by multiply and shift; the bias is below n / 2^32. */
  below(n: number): number {
    return Math.floor((this.uint32() * n) / 4294967296)
  }

  /** Uniform in [0, 1) with 32 bits. */
  fraction(): number {
    return this.uint32() / 4294967296
  }
}
