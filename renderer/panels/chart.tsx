/**
 * One uPlot chart: it shares the timeline's view, a cursor with its neighbours, and the playhead. uPlot is loaded when
 * the first chart mounts, so that it does not delay the maps. Clicking seeks.
 */
import { useEffect, useRef } from 'react'
import type uPlot from 'uplot'
import { formatTick } from '../format.ts'
import { useControls, usePainter, useSignal } from '../hooks.tsx'
import { playheadNs, timelineView } from '../state.ts'
import { scheme } from '../theme.ts'
import type { Scheme } from '../tokens.ts'
import { CHROME } from '../tokens.ts'

export interface ChartSpec {
  /** The canvas's text twin. */
  readonly label: string
  /** A value as the axis prints it. */
  readonly format: (value: number) => string
  readonly colour: Readonly<Record<Scheme, string>>
  readonly points: boolean
  readonly logarithmic: boolean
  /** The linear scale ends here though a value be larger; Infinity: at the largest value. */
  readonly ceiling: number
  readonly showTime: boolean
}

/** x in nanoseconds. */
export type ChartData = readonly [xs: Float64Array, ys: Float64Array]
/** What was to be expected is drawn under what is: dashed, or as rings. */
export interface Curves {
  readonly is: ChartData
  readonly expected: ChartData | null
}

const SYNC = 'time'

export function Chart({ spec, data }: { spec: ChartSpec; data: Curves }) {
  const { player } = useControls()
  const box = useRef<HTMLDivElement>(null)
  const line = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const join = useRef<typeof uPlot.join | null>(null)
  const latest = useRef(data)
  latest.current = data
  const theme = useSignal(scheme)

  const place = usePainter(() => {
    const chart = plot.current
    const { fromNs, toNs } = timelineView.value
    if (!chart || !line.current) return
    const { min, max } = chart.scales.x ?? {}
    if (min !== fromNs || max !== toNs) chart.setScale('x', { min: fromNs, max: toNs })
    const x = chart.valToPos(playheadNs.value, 'x')
    const inside = x >= 0 && x <= chart.over.clientWidth
    line.current.hidden = !inside
    line.current.style.transform = `translate(${Math.round(x + chart.over.offsetLeft)}px, ${chart.over.offsetTop}px)`
    line.current.style.height = `${chart.over.clientHeight}px`
  }, [playheadNs, timelineView])

  useEffect(() => {
    const parent = box.current
    if (!parent) return
    let gone = false
    let observer: ResizeObserver | null = null
    void import('uplot').then(({ default: UPlot }) => {
      if (gone) return
      const size = () => ({ width: Math.max(40, parent.clientWidth), height: Math.max(30, parent.clientHeight) })
      join.current = UPlot.join
      const chart = new UPlot({ ...options(spec, theme), ...size() }, joined(latest.current, UPlot.join), parent)
      plot.current = chart
      chart.root.querySelector('canvas')?.setAttribute('role', 'img')
      chart.root.querySelector('canvas')?.setAttribute('aria-label', spec.label)
      chart.over.addEventListener('click', () => player.seekTime(chart.posToVal(chart.cursor.left ?? 0, 'x')))
      observer = new ResizeObserver(() => chart.setSize(size()))
      observer.observe(parent)
      place()
    })
    return () => {
      gone = true
      observer?.disconnect()
      plot.current?.destroy()
      plot.current = null
    }
  }, [spec, theme, player, place])

  useEffect(() => {
    if (join.current) plot.current?.setData(joined(data, join.current), false)
    plot.current?.root.querySelector('canvas')?.setAttribute('aria-label', spec.label)
    // setData without new scales does not draw; the x scale is the timeline's, the y scale follows the data in it.
    const { fromNs, toNs } = timelineView.value
    plot.current?.setScale('x', { min: fromNs, max: toNs })
    place()
  }, [data, spec, place])

  return (
    <div ref={box} className="chart">
      <div ref={line} className="chart-playhead" hidden />
    </div>
  )
}

/** Half of the widest label of the time axis, in pixels. */
const LABEL_HALF = 28

const toUplot = ([xs, ys]: ChartData): [number[], number[]] => [xs as unknown as number[], ys as unknown as number[]]

const NOTHING_EXPECTED: ChartData = [new Float64Array(), new Float64Array()]

/** Both on one axis, the expected one first. */
function joined({ is, expected }: Curves, join: typeof uPlot.join): uPlot.AlignedData {
  return join([toUplot(expected ?? NOTHING_EXPECTED), toUplot(is)])
}

function options(spec: ChartSpec, theme: Scheme): Omit<uPlot.Options, 'width' | 'height'> {
  const family = getComputedStyle(document.body).fontFamily
  const axis: uPlot.Axis = {
    stroke: CHROME.muted[theme],
    font: `11px ${family}`,
    grid: { stroke: CHROME.line[theme], width: 1 },
    ticks: { show: false },
  }
  const colour = spec.colour[theme]
  const faint = CHROME.muted[theme]
  return {
    legend: { show: false },
    padding: [6, 8, spec.showTime ? 0 : 6, 0],
    cursor: { sync: { key: SYNC }, drag: { x: false, y: false }, points: { show: !spec.points } },
    scales: {
      x: { time: false },
      y: spec.logarithmic
        ? { distr: 3, log: 10, range: (_chart, min, max) => [decade('down', min), decade('up', max)] }
        : { range: (_chart, _min, max) => [0, Math.min(Math.max(max * 1.08, 1), spec.ceiling)] },
    },
    axes: [
      {
        ...axis,
        size: spec.showTime ? 20 : 0,
        gap: 2,
        show: spec.showTime,
        space: 80,
        // A label stands around its tick; at the end of the axis there is no room for its second half.
        values: (chart, splits, _axis, _space, step) =>
          splits.map((ns) => (chart.valToPos(ns, 'x') > chart.over.clientWidth - LABEL_HALF ? '' : formatTick(ns, step))),
      },
      {
        ...axis,
        size: 54,
        gap: 4,
        space: 20,
        ...(spec.logarithmic && { splits: (_chart: uPlot, _axis: number, min: number, max: number) => decades(min, max) }),
        values: (_chart, splits) => splits.map((value) => (value === null ? '' : spec.format(value))),
      },
    ],
    series: [
      {},
      spec.points
        ? {
            stroke: faint,
            paths: () => null,
            points: { show: true, size: 5, fill: 'transparent', stroke: faint, width: 1, space: 0 },
          }
        : { stroke: faint, width: 1.25, dash: [4, 3], points: { show: false } },
      spec.points
        ? { stroke: colour, paths: () => null, points: { show: true, size: 3.5, fill: colour, width: 0, space: 0 } }
        : { stroke: colour, width: 1.25, fill: `${colour}40`, points: { show: false } },
    ],
  }
}

/** The power of ten next to a value. Where there is no value yet: the usual latencies, 100 µs to 10 ms in nanoseconds. */
function decade(round: 'down' | 'up', value: number | null): number {
  if (value === null || value <= 0) return round === 'up' ? 1e7 : 1e5
  // A hair to the side, so that a value that is a power of ten itself does not lie on the frame.
  return round === 'up' ? 10 ** Math.ceil(Math.log10(value) + 1e-9) : 10 ** Math.floor(Math.log10(value) - 1e-9)
}

function decades(min: number, max: number): number[] {
  const found: number[] = []
  for (let value = min; value <= max * 1.001; value *= 10) found.push(value)
  return found
}
