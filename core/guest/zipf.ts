/**
 * Zipfian numbers as YCSB draws them: rank r with probability proportional to 1 / (r + 1)^theta, in constant time.
 *
 * Source: Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994; YCSB's ZipfianGenerator
 * with theta 0.99, its ranks scattered over the items by a hash (ScrambledZipfianGenerator).
 *
 * Powers come from series in plain + - * /, which IEEE 754 makes equal everywhere; Math.pow is not.
 */
import { mix32 } from '../base/hash.ts'
import type { Prng } from '../base/prng.ts'

const { LN2 } = Math

/** Natural logarithm of x > 0. */
export function ln(x: number): number {
  let k = 0
  let m = x
  while (m > 1.5) {
    m /= 2
    k++
  }
  while (m < 0.75) {
    m *= 2
    k--
  }
  const z = (m - 1) / (m + 1)
  const z2 = z * z
  let sum = 0
  let term = z
  for (let n = 1; n < 40; n += 2) {
    sum += term / n
    term *= z2
  }
  return 2 * sum + k * LN2
}

/** e^x. */
export function exp(x: number): number {
  const k = Math.round(x / LN2)
  const r = x - k * LN2
  let sum = 1
  let term = 1
  for (let n = 1; n < 20; n++) {
    term *= r / n
    sum += term
  }
  let scale = 1
  const step = k < 0 ? 0.5 : 2
  for (let i = Math.abs(k); i > 0; i--) scale *= step
  return sum * scale
}

export function power(x: number, y: number): number {
  return exp(y * ln(x))
}

/** Terms of the zeta sum that are added one by one; behind them the integral is exact enough (error below 1e-9). */
const ZETA_EXACT = 10_000

function zeta(n: number, theta: number): number {
  let sum = 0
  const exact = Math.min(n, ZETA_EXACT)
  for (let i = 1; i <= exact; i++) sum += 1 / power(i, theta)
  if (n > exact) sum += (power(n + 0.5, 1 - theta) - power(exact + 0.5, 1 - theta)) / (1 - theta)
  return sum
}

export class Zipf {
  readonly items: number
  readonly #prng: Prng
  readonly #theta: number
  readonly #zetaN: number
  readonly #alpha: number
  readonly #eta: number

  constructor(items: number, theta: number, prng: Prng) {
    this.items = items
    this.#prng = prng
    this.#theta = theta
    this.#zetaN = zeta(items, theta)
    this.#alpha = 1 / (1 - theta)
    this.#eta = (1 - power(2 / items, 1 - theta)) / (1 - zeta(2, theta) / this.#zetaN)
  }

  /** A rank in [0, items): 0 is the most popular. */
  rank(): number {
    const u = this.#prng.fraction()
    const uz = u * this.#zetaN
    if (uz < 1 || this.items === 1) return 0
    if (uz < 1 + power(0.5, this.#theta)) return Math.min(1, this.items - 1)
    const rank = Math.floor(this.items * power(this.#eta * u - this.#eta + 1, this.#alpha))
    return Math.min(rank, this.items - 1)
  }

  /** The share of all draws that a rank gets. */
  share(rank: number): number {
    return 1 / (power(rank + 1, this.#theta) * this.#zetaN)
  }

  /** An item in [0, items): ranks scattered, so that popular items are not neighbours. */
  item(): number {
    return mix32(this.rank() + 0x51ed270b) % this.items
  }
}
