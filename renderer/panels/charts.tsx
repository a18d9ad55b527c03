/**
 * Throughput and fault latency over simulated time, one above the other on the timeline's scale, with a table for those
 * who cannot see them.
 */
import { useMemo } from 'react'
import type { Series } from '../../core/api/protocol.ts'
import { formatCount, formatTime, megabytesPerSec } from '../format.ts'
import { useSignal } from '../hooks.tsx'
import { shownSeries, useScreen } from '../state.ts'
import { STATE_SHADE } from '../tokens.ts'
import type { ChartData, ChartSpec } from './chart.tsx'
import { Chart } from './chart.tsx'
import { summarise, thin } from './latency.ts'
import { Panel } from './panel.tsx'

const MOST_POINTS = 8000
const TABLE_ROWS = 10

const THROUGHPUT: ChartSpec = {
  label: 'Throughput in megabytes a second over simulated time; the table that follows has the numbers',
  unit: 'MB/s',
  colour: STATE_SHADE.inflight,
  points: false,
  logarithmic: false,
  showTime: false,
}
const LATENCY: ChartSpec = {
  label: 'Latency of each remote fault in microseconds over simulated time; the table that follows has the percentiles',
  unit: 'µs',
  colour: STATE_SHADE.fault,
  points: true,
  logarithmic: true,
  showTime: true,
}

export function ChartsPanel() {
  const series = useSignal(shownSeries)
  const hasRun = useScreen((state) => state.info !== null)
  const throughput = useMemo(() => throughputOf(series), [series])
  const latency = useMemo(() => latencyOf(series), [series])
  const summary = useMemo(() => summarise(series?.faultLatencyNs ?? new Float64Array()), [series])
  const peak = throughput[1].reduce((most, value) => Math.max(most, value), 0)
  return (
    <Panel name="Charts" className="charts" facts="same time axis as the timeline">
      {hasRun ? (
        <>
          <h3>
            throughput <span>MB/s</span> <em>peak {formatCount(Math.round(peak))}</em>
          </h3>
          <Chart spec={THROUGHPUT} data={throughput} />
          <h3>
            fault latency <span>µs</span>
            <em>
              {summary.count > 0
                ? `p50 ${formatTime(summary.p50Ns)} · p99 ${formatTime(summary.p99Ns)} · ${formatCount(summary.count)} faults`
                : 'no remote fault yet'}
            </em>
          </h3>
          <Chart spec={LATENCY} data={latency} />
          <Twin throughput={throughput} summary={summary} />
        </>
      ) : (
        <p className="empty">
          Nothing measured yet: <code>migrate</code> draws throughput and fault latency.
        </p>
      )}
    </Panel>
  )
}

function throughputOf(series: Series | null): ChartData {
  if (!series) return [new Float64Array(), new Float64Array()]
  const { binNs, sentBytes } = series
  return [
    Float64Array.from(sentBytes, (_, bin) => (bin + 0.5) * binNs),
    Float64Array.from(sentBytes, (bytes) => megabytesPerSec(bytes, binNs)),
  ]
}

function latencyOf(series: Series | null): ChartData {
  const kept = thin(series?.faultTimeNs.length ?? 0, MOST_POINTS)
  return [
    Float64Array.from(kept, (index) => series?.faultTimeNs[index] ?? 0),
    Float64Array.from(kept, (index) => (series?.faultLatencyNs[index] ?? 0) / 1e3),
  ]
}

function Twin({ throughput, summary }: { throughput: ChartData; summary: ReturnType<typeof summarise> }) {
  const [xs, ys] = throughput
  return (
    <table className="hidden-visually">
      <caption>
        Remote faults: {summary.count}; median {formatTime(summary.p50Ns)}, 99th percentile {formatTime(summary.p99Ns)}, longest{' '}
        {formatTime(summary.maxNs)}. Throughput by simulated time:
      </caption>
      <tbody>
        {thin(xs.length, TABLE_ROWS).map((bin) => (
          <tr key={bin}>
            <th scope="row">{formatTime(xs[bin] ?? 0)}</th>
            <td>{Math.round(ys[bin] ?? 0)} MB/s</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
