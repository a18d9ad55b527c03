/**
 * Percentiles and thinning for the charts: exact over the whole run, never estimated.
 * Pure functions over the series' columns; charts.tsx draws what they return and says it in words.
 */

/** The smallest value that at least `share` of the values do not exceed; 0 where there are none. */
export function percentile(sorted: Float64Array, share: number): number {
  if (sorted.length === 0) return 0
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? 0
}

export interface LatencySummary {
  readonly count: number
  readonly p50Ns: number
  readonly p99Ns: number
  readonly maxNs: number
}

export function summarise(latencyNs: Float64Array): LatencySummary {
  const sorted = latencyNs.slice().sort()
  return { count: sorted.length, p50Ns: percentile(sorted, 0.5), p99Ns: percentile(sorted, 0.99), maxNs: sorted.at(-1) ?? 0 }
}

/** Every nth index such that at most `most` are left, the last one kept. */
export function thin(count: number, most: number): readonly number[] {
  const step = Math.max(1, Math.ceil(count / most))
  const kept: number[] = []
  for (let index = 0; index < count; index += step) kept.push(index)
  if (count > 0 && kept.at(-1) !== count - 1) kept.push(count - 1)
  return kept
}
