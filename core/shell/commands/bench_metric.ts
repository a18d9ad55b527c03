/**
 * A figure of `bench`, measured several times: its median, and the lowest and the highest that were seen.
 *
 * Whole numbers: what a suite measures is a rate a second, and fractions of one would only look exact.
 */

export interface Metric {
  readonly median: number
  readonly low: number
  readonly high: number
}

export function metricOf(values: readonly number[]): Metric {
  const sorted = [...values].sort((a, b) => a - b).map((value) => Math.round(value))
  return {
    median: sorted[Math.floor(sorted.length / 2)] ?? 0,
    low: sorted[0] ?? 0,
    high: sorted[sorted.length - 1] ?? 0,
  }
}
