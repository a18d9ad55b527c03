/**
 * Draws the timeline: a minimap of the whole run, then, for the part in view, an axis, the migration's states, under those of a real
 * migration what the model had said of it, hollow, its passes and what was injected, where there is any, the use of the wire, and one lane a vCPU on each machine with the intervals in which it slept on a missing page.
 *
 * Lengths are CSS pixels; the caller has scaled the context. `rowsFor` says what stands where, so that drawing and tests
 * agree. Colours mean what they mean on the maps: resident for running, fault for sleeping, inflight for the wire.
 */
import type { Milestones, Prediction, RunInfo, RunStatus, Series } from '../../core/api/protocol.ts'
import { formatCount, formatMs, formatTick } from '../format.ts'
import { axisEndNs, predictedNs, shiftOf } from '../prediction.ts'
import { STATUS_WORD } from '../status_words.ts'
import type { Scheme, Shade } from '../tokens.ts'
import { CHROME, STATE_SHADE } from '../tokens.ts'
import { fullWireBytes } from '../wire.ts'
import type { TimelineView } from './scale.ts'
import { ticks, timeToX, wholeRun } from './scale.ts'
import type { Sleep } from './sleeps.ts'

export interface TimelineModel {
  readonly info: RunInfo
  readonly status: RunStatus
  readonly series: Series | null
  readonly milestones: Milestones | null
  readonly prediction: Prediction | null
  readonly sleeps: readonly Sleep[]
  readonly view: TimelineView
  readonly playheadNs: number
  readonly scheme: Scheme
}

/** Left column for labels. */
export const GUTTER = 116
export const MINIMAP_HEIGHT = 18
const AXIS_HEIGHT = 16
const STATE_HEIGHT = 16
const EVENTS_HEIGHT = 15
const LEAST_LANE = 2
const MOST_LANE = 16
/** Lower lanes share one label. */
const LEAST_LABELLED = 9

export interface TimelineRow {
  readonly kind: 'minimap' | 'axis' | 'state' | 'predicted' | 'events' | 'wire' | 'source' | 'destination'
  readonly label: string
  readonly y: number
  readonly height: number
  /** The vCPU's number on lanes. */
  readonly vcpu: number
}

/** What stands where in `height` pixels; `events`: the label of their row, which is left out where it is empty. Both machines get half of what is left; lanes that do not fit are left out. */
export function rowsFor(
  vcpus: number,
  height: number,
  events = '',
  machine: RunInfo['machine'] = 'simulated',
  isPredicted = false,
): readonly TimelineRow[] {
  const rows: TimelineRow[] = []
  let y = 0
  const add = (kind: TimelineRow['kind'], label: string, rowHeight: number, gap: number, vcpu = -1): void => {
    rows.push({ kind, label, y, height: rowHeight, vcpu })
    y += rowHeight + gap
  }
  add('minimap', 'whole run', MINIMAP_HEIGHT, 2)
  add('axis', machine === 'kernel' ? 'measured time' : 'simulated time', AXIS_HEIGHT, 2)
  add('state', 'migration', STATE_HEIGHT, 2)
  if (isPredicted) add('predicted', 'predicted', STATE_HEIGHT, 2)
  if (events !== '') add('events', events, EVENTS_HEIGHT, 2)
  add('wire', 'wire', Math.max(12, Math.min(30, (height - y) * 0.24)), 3)
  const room = (height - y) / 2
  const gap = room / vcpus > LEAST_LABELLED ? 2 : 1
  const lane = Math.min(MOST_LANE, Math.max(LEAST_LANE, Math.floor(room / vcpus) - gap))
  const fitting = Math.max(0, Math.min(vcpus, Math.floor(room / (lane + gap))))
  for (const [machine, word] of [
    ['source', 'source'],
    ['destination', 'dest.'],
  ] as const) {
    const all = fitting < vcpus ? `${word} vCPUs 0–${fitting - 1}` : `${word} vCPUs`
    for (let vcpu = 0; vcpu < fitting; vcpu++)
      add(machine, lane >= LEAST_LABELLED ? `${word} vCPU ${vcpu}` : vcpu === 0 ? all : '', lane, gap, vcpu)
  }
  return rows
}

export interface Band {
  readonly name: string
  readonly fromNs: number
  readonly toNs: number
  readonly shade: Shade
}

/** The states of the migration as bands over simulated time. */
export function bandsFor({ endNs }: Pick<RunStatus, 'endNs'>, milestones: Milestones | null): readonly Band[] {
  const states = [{ timeNs: 0, status: 'none' as const }, ...(milestones?.states ?? [])]
  return states.flatMap(({ timeNs, status }, index) => {
    const toNs = states[index + 1]?.timeNs ?? endNs
    const { word, shade, isTrouble } = STATUS_WORD[status]
    return toNs > timeNs ? [{ name: isTrouble ? `△ ${word}` : word, fromNs: timeNs, toNs, shade }] : []
  })
}

/** What the row of passes and incidents is called; empty: there is nothing to show in one. The bitmap's first sync is no pass. */
export function eventsLabel(milestones: Milestones | null): string {
  const passes = (milestones?.passes.length ?? 0) > 1 ? 'passes' : ''
  const incidents = (milestones?.incidents.length ?? 0) > 0 ? 'incidents' : ''
  return [passes, incidents].filter(Boolean).join(', ')
}

export function drawTimeline(
  context: CanvasRenderingContext2D,
  width: number,
  height: number,
  model: TimelineModel,
  font: string,
): void {
  const { scheme, view } = model
  const plot = width - GUTTER
  context.clearRect(0, 0, width, height)
  context.font = font
  context.textBaseline = 'middle'
  const { machine, vcpus } = model.info
  const rows = rowsFor(vcpus, height, eventsLabel(model.milestones), machine, model.prediction !== null)
  for (const row of rows) {
    context.fillStyle = CHROME.muted[scheme]
    context.fillText(row.label, 12, row.y + Math.max(row.height, LEAST_LABELLED) / 2 + 0.5)
  }
  context.save()
  context.translate(GUTTER, 0)
  context.beginPath()
  context.rect(0, 0, plot, height)
  context.clip()
  for (const row of rows) drawRow(context, row, plot, model)
  drawIncidents(context, rows, plot, model)
  const top = MINIMAP_HEIGHT + 2
  drawHandle(context, timeToX(view, plot, model.playheadNs), top, scheme)
  drawPlayhead(context, timeToX(view, plot, model.playheadNs), top, height, scheme)
  drawPlayhead(context, timeToX(wholeOf(model), plot, model.playheadNs), 0, MINIMAP_HEIGHT, scheme)
  context.restore()
}

function drawRow(context: CanvasRenderingContext2D, row: TimelineRow, plot: number, model: TimelineModel): void {
  switch (row.kind) {
    case 'minimap':
      drawMinimap(context, row, plot, model)
      break
    case 'axis':
      drawAxis(context, row, plot, model)
      break
    case 'state':
      drawBands(context, row, plot, model, model.view, true)
      break
    case 'predicted':
      drawPrediction(context, row, plot, model)
      break
    case 'events':
      drawPasses(context, row, plot, model)
      break
    case 'wire':
      drawWire(context, row, plot, model)
      break
    case 'source':
    case 'destination':
      drawLane(context, row, plot, model)
  }
}

const wholeOf = ({ status, prediction }: TimelineModel) => wholeRun(axisEndNs(status, prediction))

function drawMinimap(context: CanvasRenderingContext2D, row: TimelineRow, plot: number, model: TimelineModel): void {
  const { view, scheme, series } = model
  const whole = wholeOf(model)
  drawBands(context, row, plot, model, whole, false)
  context.fillStyle = STATE_SHADE.fault[scheme]
  for (const timeNs of series?.faultTimeNs ?? []) context.fillRect(timeToX(whole, plot, timeNs), row.y + row.height - 6, 1, 6)
  const from = timeToX(whole, plot, view.fromNs)
  const to = timeToX(whole, plot, view.toNs)
  context.strokeStyle = CHROME.lineStrong[scheme]
  context.lineWidth = 1
  context.strokeRect(Math.round(from) + 0.5, row.y + 0.5, Math.max(2, Math.round(to - from) - 1), row.height - 1)
}

function drawBands(
  context: CanvasRenderingContext2D,
  row: TimelineRow,
  plot: number,
  model: TimelineModel,
  view: TimelineView,
  labelled: boolean,
): void {
  for (const band of bandsFor(model.status, model.milestones)) {
    const from = Math.max(0, timeToX(view, plot, band.fromNs))
    const to = Math.min(plot, timeToX(view, plot, band.toNs))
    if (to <= 0 || from >= plot) continue
    context.fillStyle = band.shade[model.scheme]
    context.fillRect(from, row.y, Math.max(1, to - from - 1), row.height)
    if (!labelled || to - from < context.measureText(band.name).width + 12) continue
    context.fillStyle = CHROME.text[model.scheme]
    context.fillText(band.name, from + 6, row.y + row.height / 2 + 0.5)
  }
}

/** Under what was measured, from the same start on: the states that the model went through, hollow, and how long it took. */
function drawPrediction(
  context: CanvasRenderingContext2D,
  row: TimelineRow,
  plot: number,
  { view, scheme, prediction, status }: TimelineModel,
): void {
  const shift = shiftOf(prediction, status)
  if (prediction === null || shift === null) return
  const { startedNs, completedNs, series, milestones } = prediction
  const endNs = completedNs >= 0 ? completedNs : series.binNs * series.sentBytes.length
  const x = (ns: number) => Math.max(-1, Math.min(plot + 1, timeToX(view, plot, ns + shift)))
  const middle = row.y + row.height / 2 + 0.5
  context.lineWidth = 1
  for (const { name, fromNs, toNs, shade } of bandsFor({ endNs }, milestones)) {
    if (fromNs < startedNs) continue
    const [from, to] = [x(fromNs), x(toNs)]
    if (to <= 0 || from >= plot) continue
    context.fillStyle = shade[scheme]
    context.globalAlpha = 0.35
    context.fillRect(from, row.y, Math.max(1, to - from - 1), row.height)
    context.globalAlpha = 1
    context.strokeStyle = CHROME.lineStrong[scheme]
    context.strokeRect(Math.round(from) + 0.5, row.y + 0.5, Math.max(1, Math.round(to - from) - 2), row.height - 1)
    context.fillStyle = CHROME.muted[scheme]
    if (to - from >= context.measureText(name).width + 12) context.fillText(name, from + 6, middle)
  }
  const totalNs = predictedNs(prediction)
  const text = totalNs === null ? 'would not end' : formatMs(totalNs / 1e6)
  const { width } = context.measureText(text)
  context.fillStyle = CHROME.text[scheme]
  context.fillText(text, Math.min(x(endNs) + 6, plot - width - 6), middle)
}

function drawAxis(context: CanvasRenderingContext2D, row: TimelineRow, plot: number, { view, scheme }: TimelineModel): void {
  const { stepNs, atNs } = ticks(view, Math.max(2, plot / 90))
  for (const ns of atNs) {
    const x = Math.round(timeToX(view, plot, ns)) + 0.5
    context.fillStyle = CHROME.line[scheme]
    context.fillRect(x - 0.5, row.y + row.height, 1, 1000)
    context.fillStyle = CHROME.muted[scheme]
    const label = formatTick(ns, stepNs)
    if (x + 3 + context.measureText(label).width <= plot) context.fillText(label, x + 3, row.y + row.height / 2 + 1)
  }
}

function drawWire(
  context: CanvasRenderingContext2D,
  row: TimelineRow,
  plot: number,
  { view, scheme, series, info }: TimelineModel,
): void {
  if (!series) return
  const most = fullWireBytes(info, series)
  const bottom = row.y + row.height
  context.fillStyle = STATE_SHADE.inflight[scheme]
  context.globalAlpha = 0.75
  const first = Math.max(0, Math.floor(view.fromNs / series.binNs))
  const last = Math.min(series.receivedBytes.length - 1, Math.ceil(view.toNs / series.binNs))
  for (let bin = first; bin <= last; bin++) {
    const high = Math.min(1, (series.receivedBytes[bin] ?? 0) / most) * row.height
    if (high <= 0) continue
    const from = timeToX(view, plot, bin * series.binNs)
    context.fillRect(from, bottom - high, Math.max(1, timeToX(view, plot, (bin + 1) * series.binNs) - from), high)
  }
  context.globalAlpha = 1
  context.fillStyle = CHROME.line[scheme]
  context.fillRect(0, bottom, plot, 1)
}

/** A block for each pass: as high as the share of memory that it has to send, with the number of pages where there is room. */
function drawPasses(
  context: CanvasRenderingContext2D,
  row: TimelineRow,
  plot: number,
  { view, scheme, milestones, info, status }: TimelineModel,
): void {
  const passes = milestones?.passes ?? []
  if (passes.length < 2) return
  const end = milestones?.states.find(({ timeNs, status: state }) => timeNs >= (passes[0]?.timeNs ?? 0) && state !== 'active')
  passes.forEach(({ timeNs, dirtyPages }, index) => {
    const toNs = passes[index + 1]?.timeNs ?? Math.max(timeNs, end?.timeNs ?? status.endNs)
    const from = timeToX(view, plot, timeNs)
    const to = timeToX(view, plot, toNs)
    if (to < 0 || from > plot) return
    const high = Math.max(1, Math.min(1, dirtyPages / info.pages) * row.height)
    context.globalAlpha = 0.4
    context.fillStyle = STATE_SHADE.dirty[scheme]
    context.fillRect(from, row.y + row.height - high, Math.max(1, to - from - 1), high)
    context.globalAlpha = 1
    const text = formatCount(dirtyPages)
    if (to - from < context.measureText(text).width + 8) return
    context.fillStyle = CHROME.text[scheme]
    context.fillText(text, Math.max(0, from) + 4, row.y + row.height / 2 + 0.5)
  })
}

/** What was injected: a flag with its name, and a veil over all rows below for as long as it lasts. */
function drawIncidents(
  context: CanvasRenderingContext2D,
  rows: readonly TimelineRow[],
  plot: number,
  { view, scheme, milestones, status }: TimelineModel,
): void {
  const row = rows.find(({ kind }) => kind === 'events')
  const last = rows.at(-1)
  if (row === undefined || last === undefined) return
  const height = last.y + last.height - row.y
  let free = 0
  for (const { name, fromNs, toNs } of milestones?.incidents ?? []) {
    const from = timeToX(view, plot, fromNs)
    const to = timeToX(view, plot, Math.min(toNs, status.endNs))
    context.fillStyle = CHROME.warn[scheme]
    context.globalAlpha = 0.18
    context.fillRect(from, row.y, Math.max(1, to - from), height)
    context.globalAlpha = 1
    context.fillRect(from - 0.5, row.y, 1, height)
    const text = `△ ${name.replace('-', ' ')}`
    if (from < free) continue
    context.fillText(text, from + 4, row.y + row.height / 2 + 0.5)
    free = from + 8 + context.measureText(text).width
  }
}

/** Thin line: the vCPU is here and may run. Block: it sleeps. Nothing: the guest is on the other machine. */
function drawLane(context: CanvasRenderingContext2D, row: TimelineRow, plot: number, model: TimelineModel): void {
  const { view, status, scheme, sleeps } = model
  const middle = row.y + row.height / 2
  const thick = Math.max(2, Math.min(6, row.height * 0.45))
  context.fillStyle = STATE_SHADE.resident[scheme]
  for (const { lane, machine, fromNs, toNs } of model.milestones?.running ?? []) {
    if (machine !== row.kind || lane !== `vCPU ${row.vcpu}`) continue
    const from = Math.max(0, timeToX(view, plot, fromNs))
    const to = Math.min(plot, timeToX(view, plot, Math.min(toNs, status.endNs)))
    if (to > from) context.fillRect(from, middle - thick / 2, to - from, thick)
  }
  if (row.kind === 'source') return
  context.fillStyle = STATE_SHADE.fault[scheme]
  for (const sleep of sleeps) {
    if (sleep.lane !== `vCPU ${row.vcpu}` || sleep.toNs < view.fromNs || sleep.fromNs > view.toNs) continue
    const x = timeToX(view, plot, sleep.fromNs)
    context.fillRect(x, row.y, Math.max(1, timeToX(view, plot, sleep.toNs) - x), row.height)
  }
}

function drawPlayhead(context: CanvasRenderingContext2D, x: number, top: number, bottom: number, scheme: Scheme): void {
  context.fillStyle = CHROME.playhead[scheme]
  context.fillRect(Math.round(x) - 0.5, top, 1.5, bottom - top)
}

/** What one would take hold of: a small wedge on top of the playhead. */
function drawHandle(context: CanvasRenderingContext2D, x: number, top: number, scheme: Scheme): void {
  context.fillStyle = CHROME.playhead[scheme]
  context.beginPath()
  context.moveTo(x - 5, top)
  context.lineTo(x + 5.5, top)
  context.lineTo(x + 0.25, top + 7)
  context.fill()
}
