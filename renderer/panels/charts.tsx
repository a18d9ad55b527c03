/**
 * Throughput and fault latency over simulated time, one above the other on the timeline's scale, with a table for those who cannot see them.
 * Of a run on the real kernel they are measured, over what the model had predicted.
 */
import { useMemo } from 'react'
import type { Prediction, Series } from '../../core/api/protocol.ts'
import { formatCount, formatTick, formatTime, megabytesPerSec } from '../format.ts'
import { useSignal } from '../hooks.tsx'
import { shiftOf } from '../prediction.ts'
import { shownPrediction, shownSeries, useScreen } from '../state.ts'
import { STATE_SHADE } from '../tokens.ts'
import type { ChartData, ChartSpec, Curves } from './chart.tsx'
import { Chart } from './chart.tsx'
import { summarise, thin } from './latency.ts'
import { Panel } from './panel.tsx'

const MOST_POINTS = 8000
const TABLE_ROWS = 10

/** A burst into an empty socket buffer is far above what the wire carries; the scale is the wire's. */
const HEADROOM = 1.3

const LATENCY: ChartSpec = {
  label: 'Latency of each remote fault over time; the table that follows has the percentiles',
  format: (ns) => formatTick(ns, ns),
  colour: STATE_SHADE.fault,
  points: true,
  logarithmic: true,
  ceiling: Number.POSITIVE_INFINITY,
  showTime: true,
}

const throughputSpec = (linkMbPerSec: number): ChartSpec => ({
  label: 'Throughput in megabytes a second over time; the table that follows has the numbers',
  format: (value) => formatCount(Number(value.toPrecision(3))),
  colour: STATE_SHADE.inflight,
  points: false,
  logarithmic: false,
  ceiling: linkMbPerSec * HEADROOM,
  showTime: false,
})

export function ChartsPanel() {
  const series = useSignal(shownSeries)
  const prediction = useSignal(shownPrediction)
  const startedNs = useScreen((state) => state.status?.startedNs ?? -1)
  const hasRun = useScreen((state) => state.info !== null)
  const over = useScreen((state) => state.status !== null && state.status.state !== 'running')
  const isReal = useScreen((state) => state.info?.machine === 'kernel')
  /** Of a socket that nobody paced: Infinity. */
  const link = useScreen((state) => (state.info?.bandwidthBitsPerSec ?? Number.POSITIVE_INFINITY) / 8e6)
  const throughput = useMemo(() => curves(throughputOf, series, prediction, startedNs), [series, prediction, startedNs])
  const latency = useMemo(() => curves(latencyOf, series, prediction, startedNs), [series, prediction, startedNs])
  const summary = useMemo(() => summarise(series?.faultLatencyNs ?? new Float64Array()), [series])
  const said = useMemo(() => (prediction === null ? null : summarise(prediction.series.faultLatencyNs)), [prediction])
  const spec = useMemo(() => throughputSpec(link), [link])
  return (
    <Panel name="Charts" className="charts" facts={isReal ? 'measured on the real kernel' : 'same time axis as the timeline'}>
      {hasRun ? (
        <>
          <h3>
            throughput <span>MB/s</span> {said !== null && <Key sign="dashes" />} <em>{linkName(link, isReal)}</em>
          </h3>
          <Chart spec={spec} data={throughput} />
          <h3>
            fault latency {said !== null && said.count > 0 && <Key sign="ring" />}
            <em>
              {summary.count > 0
                ? `p50 ${formatTime(summary.p50Ns)} · p99 ${formatTime(summary.p99Ns)} · ${formatCount(summary.count)} faults`
                : over
                  ? 'no remote fault'
                  : 'no remote fault yet'}
            </em>
          </h3>
          <Chart spec={LATENCY} data={latency} />
          <Twin throughput={throughput.is} summary={summary} said={said} />
        </>
      ) : (
        <p className="empty">
          Nothing measured yet: <code>migrate</code> draws throughput and fault latency.
        </p>
      )}
    </Panel>
  )
}

/** How what the model had said is drawn. */
function Key({ sign }: { sign: 'dashes' | 'ring' }) {
  return (
    <span className={`predicted-key ${sign}`} title="What the model had said before the run began">
      predicted
    </span>
  )
}

/** `startedNs`: of the run; before that there is nothing to lay a prediction over. */
function curves(
  draw: (series: Series | null) => ChartData,
  series: Series | null,
  prediction: Prediction | null,
  startedNs: number,
): Curves {
  const shift = shiftOf(prediction, { startedNs })
  if (prediction === null || shift === null) return { is: draw(series), expected: null }
  const [xs, ys] = draw(prediction.series)
  return { is: draw(series), expected: [xs.map((ns) => ns + shift), ys] }
}

/** `link` in MB/s. */
function linkName(link: number, isReal: boolean): string {
  if (!Number.isFinite(link)) return 'a socket, not paced'
  return `${isReal ? 'paced to' : 'link'} ${formatCount(Math.round(link))} MB/s`
}

function throughputOf(series: Series | null): ChartData {
  if (!series) return [new Float64Array(), new Float64Array()]
  const { binNs, receivedBytes } = series
  return [
    Float64Array.from(receivedBytes, (_, bin) => (bin + 0.5) * binNs),
    Float64Array.from(receivedBytes, (bytes) => megabytesPerSec(bytes, binNs)),
  ]
}

function latencyOf(series: Series | null): ChartData {
  const kept = thin(series?.faultTimeNs.length ?? 0, MOST_POINTS)
  return [
    Float64Array.from(kept, (index) => series?.faultTimeNs[index] ?? 0),
    Float64Array.from(kept, (index) => series?.faultLatencyNs[index] ?? 0),
  ]
}

type Summary = ReturnType<typeof summarise>

function Twin({ throughput, summary, said }: { throughput: ChartData; summary: Summary; said: Summary | null }) {
  const [xs, ys] = throughput
  return (
    <table className="hidden-visually">
      <caption>
        Remote faults: {summary.count}; median {formatTime(summary.p50Ns)}, 99th percentile {formatTime(summary.p99Ns)}, longest{' '}
        {formatTime(summary.maxNs)}.{' '}
        {said !== null &&
          `The model had said ${said.count}; median ${formatTime(said.p50Ns)}, 99th percentile ${formatTime(said.p99Ns)}. `}
        Throughput by time:
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
