/**
 * A running 64-bit hash of integers: two 32-bit lanes with different multipliers, mixed at the end.
 *
 * Not cryptographic. It tells two runs apart and proves two runs equal for all practical purposes; it uses 32-bit integer
 * arithmetic only, so Node and browser agree. Mixing follows MurmurHash3's finaliser (Appleby, public domain).
 */

export function mix32(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

const LO_PRIME = 0x01000193
const LO_STEP = 0x9e3779b9
const HI_PRIME = 0x85ebca6b

export class Hash64 {
  #lo = 0x243f6a88
  #hi = 0x13198a2e

  /** Adds the low 32 bits of `x`. */
  int(x: number): void {
    // Through locals, and as 32 bits at each step: a field that once held more is a double from then on.
    let lo = (Math.imul(this.#lo ^ x, LO_PRIME) + LO_STEP) | 0
    lo ^= lo >>> 15
    const hi = Math.imul(this.#hi ^ (x + lo), HI_PRIME)
    this.#lo = lo
    this.#hi = hi ^ (hi >>> 13)
  }

  /** Adds the low 32 bits of each of four, as four calls of `int` would. */
  row(a: number, b: number, c: number, d: number): void {
    let lo = (Math.imul(this.#lo ^ a, LO_PRIME) + LO_STEP) | 0
    lo ^= lo >>> 15
    let hi = Math.imul(this.#hi ^ (a + lo), HI_PRIME)
    hi ^= hi >>> 13
    lo = (Math.imul(lo ^ b, LO_PRIME) + LO_STEP) | 0
    lo ^= lo >>> 15
    hi = Math.imul(hi ^ (b + lo), HI_PRIME)
    hi ^= hi >>> 13
    lo = (Math.imul(lo ^ c, LO_PRIME) + LO_STEP) | 0
    lo ^= lo >>> 15
    hi = Math.imul(hi ^ (c + lo), HI_PRIME)
    hi ^= hi >>> 13
    lo = (Math.imul(lo ^ d, LO_PRIME) + LO_STEP) | 0
    lo ^= lo >>> 15
    hi = Math.imul(hi ^ (d + lo), HI_PRIME)
    this.#lo = lo
    this.#hi = hi ^ (hi >>> 13)
  }

  /** Adds a non-negative number up to 2^53, or a fraction, by its value. */
  number(x: number): void {
    const whole = Math.floor(x)
    this.int(whole | 0)
    this.int(Math.floor(whole / 4294967296) | 0)
    if (whole !== x) this.int(Math.floor((x - whole) * 4294967296) | 0)
  }

  text(s: string): void {
    for (let i = 0; i < s.length; i++) this.int(s.charCodeAt(i))
    this.int(s.length)
  }

  /** 16 hex digits over everything added so far. */
  digest(): string {
    const a = mix32(this.#lo ^ Math.imul(this.#hi, 0x27d4eb2f))
    const b = mix32(this.#hi ^ a)
    return a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0')
  }
}
