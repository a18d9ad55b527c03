/**
 * What a full wire is: what the link carries, or, on a real socket that nobody paced, the most that went over it.
 *
 * For pictures that show the wire as a share. Pairs with core/api/chart_series.ts.
 */
import type { RunInfo, Series } from '../core/api/protocol.ts'

/** Bytes of one bin. */
export function fullWireBytes({ bandwidthBitsPerSec }: RunInfo, { receivedBytes, binNs }: Series): number {
  if (bandwidthBitsPerSec !== null) return (bandwidthBitsPerSec / 8e9) * binNs
  return receivedBytes.reduce((most, bytes) => Math.max(most, bytes), 1)
}
