/**
 * One picture of a running migration as lines of text: two page maps, progress with rate and time left, throughput, fault
 * latency, requests, and the verdict so far. A pure function of what is known; live_view.ts decides when to draw it.
 */
import { formatCount, formatRate, formatTime } from '../base/units.ts'
import type { Progress } from '../run/report.ts'
import { type ColourDepth, drawCells, legend, pageMap } from './page_map.ts'

export interface LiveFacts {
  readonly progress: Progress
  readonly vcpus: number
  /** PageState a page. */
  readonly source: Uint8Array
  readonly destination: Uint8Array
  /** Bits a simulated second between two drawings, oldest first. */
  readonly rates: readonly number[]
  /** Pages a second of host time, and seconds left at that pace; 0 while unknown. */
  readonly pagesPerSecond: number
  readonly secondsLeft: number
}

const WIDEST_MAP = 64
const NARROWEST_MAP = 12
const SPARKS = '\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588'

export function liveFrame(facts: LiveFacts, columns: number, rows: number, depth: ColourDepth): string[] {
  // The last column is left empty: some terminals wrap when it is written.
  const width = columns - 1
  const fit = (text: string) => (text.length > width ? text.slice(0, Math.max(0, width)) : text)
  const mapWidth = Math.min(WIDEST_MAP, Math.floor((width - 3) / 2))
  const mapHeight = Math.min(8, rows - 7)
  const lines: string[] = []
  if (mapWidth >= NARROWEST_MAP && mapHeight >= 1) {
    const source = pageMap(facts.source, mapWidth, mapHeight)
    const destination = pageMap(facts.destination, mapWidth, mapHeight)
    lines.push(`${'SOURCE'.padEnd(mapWidth)}   DESTINATION`)
    source.forEach((cells, at) => {
      lines.push(`${drawCells(cells, mapWidth, depth)}   ${drawCells(destination[at] ?? new Uint8Array(), mapWidth, depth)}`)
    })
    if (legend().length <= width) lines.push(legend())
  }
  const { progress } = facts
  lines.push(fit(progressLine(facts, width)))
  if (width < 40) return lines
  const now = facts.rates[facts.rates.length - 1] ?? 0
  const latency =
    progress.latencyP50Ns === 0
      ? 'no remote fault yet'
      : `p50 ${formatTime(progress.latencyP50Ns)}  p99 ${formatTime(progress.latencyP99Ns)}`
  lines.push(fit(`throughput ${formatRate(now).padEnd(10)} ${sparkline(facts.rates, 24).padEnd(24)}  fault latency ${latency}`))
  const blocked = `${progress.vcpusBlocked}/${facts.vcpus}`
  lines.push(
    verdict(
      `requests ${formatCount(progress.requests)}   blocked vCPUs ${blocked}   loads checked ${formatCount(progress.loadsChecked)}   `,
      progress,
      width,
      depth,
    ),
  )
  return lines
}

/** Newest on the right; the highest is the largest of those shown. */
export function sparkline(values: readonly number[], width: number): string {
  const shown = values.slice(-width)
  const most = Math.max(...shown)
  return shown.map((value) => SPARKS.charAt(most > 0 ? Math.min(7, Math.floor((value / most) * 8)) : 0)).join('')
}

/** Share of the phase that has a countable end: booting, or the migration. */
export function shareDone({ phase, pagesPopulated, pagesReceived, pagesTotal }: Progress): number {
  if (phase === 'after' || phase === 'done') return 1
  const done = phase === 'during' ? pagesReceived : phase === 'boot' ? pagesPopulated : 0
  return pagesTotal > 0 ? Math.min(1, done / pagesTotal) : 0
}

function progressLine(facts: LiveFacts, width: number): string {
  const { progress, pagesPerSecond, secondsLeft } = facts
  const { phase, status, pagesPopulated, pagesReceived, pagesTotal, nowNs } = progress
  const name = { boot: 'guest boots', before: 'guest runs', during: status, after: 'guest runs on', done: status }[phase].padEnd(
    15,
  )
  if (phase === 'before') return `${name} ${formatTime(nowNs)} of simulated time`
  const done = phase === 'boot' ? pagesPopulated : pagesReceived
  const percent = `${Math.floor(shareDone(progress) * 100)} %`.padStart(5)
  if (width < 40) return `${name.trim()} ${percent.trim()}`
  const left = secondsLeft > 0 ? `  ${secondsLeft < 10 ? secondsLeft.toFixed(1) : Math.ceil(secondsLeft)} s left` : ''
  const rate = pagesPerSecond > 0 ? `  ${formatCount(pagesPerSecond)} pages/s${left}` : ''
  const figures = `${percent}  ${formatCount(done)} of ${formatCount(pagesTotal)} pages${rate}`
  const barWidth = Math.min(30, width - name.length - figures.length - 4)
  if (barWidth < 6) return `${name}${figures}`
  const full = Math.round(shareDone(progress) * barWidth)
  return `${name} [${'\u2588'.repeat(full)}${'\u2591'.repeat(barWidth - full)}] ${figures}`
}

function verdict(before: string, { mismatches }: Progress, width: number, depth: ColourDepth): string {
  const text =
    mismatches === 0 ? '\u2713 consistent so far' : `\u2715 ${formatCount(mismatches)} mismatch${mismatches === 1 ? '' : 'es'}`
  if (before.length + text.length > width) return `${before}${text}`.slice(0, width)
  return depth === 'none' ? before + text : `${before}\u001b[${mismatches === 0 ? 32 : 31}m${text}\u001b[0m`
}
