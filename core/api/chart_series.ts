/**
 * The charts' columns: a fold over the recorded events into bins of simulated time.
 *
 * Bytes sent and received, pages dirtied and guest operations are sums of their bin. Blocked vCPUs is the mean number asleep over the
 * bin. Faults are one row each, in the order of waking.
 */
import { EventKind } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import type { Series } from './protocol.ts'

/** More bins than a chart can show are refused by widening them. */
const BINS_MAX = 20_000

export function chartSeries(r: Recorder, wantedBinNs: number): Series {
  const binNs = Math.max(1, wantedBinNs, r.endNs / BINS_MAX)
  const bins = Math.floor(r.endNs / binNs) + 1
  const sentBytes = new Float64Array(bins)
  const receivedBytes = new Float64Array(bins)
  const dirtiedPages = new Float64Array(bins)
  const guestOps = new Float64Array(bins)
  const blockedVcpus = new Float64Array(bins)
  const times: number[] = []
  const latencies: number[] = []
  const pages: number[] = []
  for (let row = 0; row < r.rows; row++) {
    const timeNs = r.time(row)
    const bin = Math.floor(timeNs / binNs)
    switch (r.kind(row)) {
      case EventKind.Send:
        sentBytes[bin] += r.arg(row)
        break
      case EventKind.Receive:
        receivedBytes[bin] += r.arg(row)
        break
      case EventKind.Dirty:
        dirtiedPages[bin]++
        break
      case EventKind.GuestOps:
        guestOps[bin] += r.arg(row)
        break
      case EventKind.Wake: {
        const latencyNs = r.arg(row)
        times.push(timeNs)
        latencies.push(latencyNs)
        pages.push(r.page(row))
        spread(blockedVcpus, binNs, timeNs - latencyNs, timeNs)
        break
      }
      default:
        break
    }
  }
  return {
    binNs,
    sentBytes,
    receivedBytes,
    dirtiedPages,
    guestOps,
    blockedVcpus,
    faultTimeNs: Float64Array.from(times),
    faultLatencyNs: Float64Array.from(latencies),
    faultPage: Int32Array.from(pages),
  }
}

/** Adds the share of each bin that [fromNs, toNs) covers. */
function spread(bins: Float64Array, binNs: number, fromNs: number, toNs: number): void {
  const first = Math.max(0, Math.floor(fromNs / binNs))
  const last = Math.min(bins.length - 1, Math.floor(toNs / binNs))
  for (let bin = first; bin <= last; bin++) {
    const covered = Math.min(toNs, (bin + 1) * binNs) - Math.max(fromNs, bin * binNs)
    if (covered > 0) bins[bin] += covered / binNs
  }
}
