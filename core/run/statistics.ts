/**
 * What several seeds say together: the median, and bounds between which the true median lies.
 *
 * The bounds are order statistics, which ask nothing of how the values are spread: between the lowest and the highest of n values
 * the true median lies with probability 1 - 2^(1 - n) (93.75 % for five, 98.4 % for seven); where there are enough values, the
 * narrowest symmetric pair that still holds it with 95 % is taken.
 * Source: David and Nagaraja, Order Statistics, 7.1.
 */
import { median as medianOf, quantile } from 'simple-statistics'

const CONFIDENCE = 0.95

export interface Metric {
  readonly median: number
  readonly low: number
  readonly high: number
}

export function summary(values: readonly number[]): Metric {
  const sorted = [...values].sort((a, b) => a - b)
  const cut = valuesOutside(sorted.length)
  return { median: medianOf(sorted), low: sorted[cut], high: sorted[sorted.length - 1 - cut] }
}

/** A quarter of the values lies below the first, and above the second. */
export function quartiles(values: readonly number[]): readonly [low: number, high: number] {
  return [quantile([...values], 0.25), quantile([...values], 0.75)]
}

/** How many values may be left out at either end with the median still between the others. */
function valuesOutside(n: number): number {
  const left = (1 - CONFIDENCE) / 2
  let cut = 0
  while (cut < (n - 1) / 2 && fewerThan(cut + 2, n) <= left) cut++
  return cut
}

/** Probability that fewer than `k` of n values lie below the median. */
function fewerThan(k: number, n: number): number {
  let term = 0.5 ** n
  let sum = 0
  for (let i = 0; i < k; i++) {
    sum += term
    term = (term * (n - i)) / (i + 1)
  }
  return sum
}
