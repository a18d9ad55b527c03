/**
 * The wire between the machines: how full it is, what is on it, what was asked for, and the last events in words.
 * Use of the wire is that of the series' bin under the playhead; everything else are counters of the shown frame.
 */
import { useEffect, useRef, useState } from 'react'
import type { EventRow, FrameCounters, RunInfo, Series } from '../../core/api/protocol.ts'
import { slowly } from '../census.ts'
import { formatBitRate, formatBytes, formatCount, formatKind, formatTime } from '../format.ts'
import { Hot, useControls, usePainter } from '../hooks.tsx'
import { incidentsAt } from '../moments.ts'
import { playheadNs, shownFrame, shownMilestones, shownSeries, useScreen } from '../state.ts'
import { fullWireBytes } from '../wire.ts'
import { Panel } from './panel.tsx'

const LOG_ROWS = 120
/** Not about the wire, and so many that they would drown what is. */
const NOT_LOGGED: readonly string[] = ['GuestOps', 'Shootdown']
const LOG_SHOWN = 30
const LOG_EVERY_MS = 150

export function LinkPanel() {
  const info = useScreen((state) => state.info)
  const quiet = info ? linkFacts(info) : ''
  return (
    <Panel name="Link" className="link" facts={<Hot sources={[playheadNs, shownMilestones]} text={() => incidents() || quiet} />}>
      {info ? (
        <>
          <Wire />
          <EventLog />
        </>
      ) : (
        <p className="empty">
          The wire is idle: <code>migrate</code> puts pages on it.
        </p>
      )}
    </Panel>
  )
}

/** What the link is; of a real one, as much as was asked of it. */
function linkFacts({ machine, bandwidthBitsPerSec, rttNs }: RunInfo): string {
  if (machine === 'kernel')
    return bandwidthBitsPerSec === null ? 'socket, not paced' : `socket, ${formatBitRate(bandwidthBitsPerSec)}`
  return `${formatBitRate(bandwidthBitsPerSec ?? 0)} · RTT ${formatTime(rttNs ?? 0).replace('.0 ', ' ')}`
}

const isDown = () => (shownFrame.value?.counters.linksDown ?? 0) > 0

/** `3, last left 1,204`; the bitmap's first sync is no pass. */
function passes(counters: FrameCounters | undefined): string {
  const done = (counters?.passes ?? 0) - 1
  return done < 1 ? '0' : `${formatCount(done)}, left ${formatCount(counters?.dirtyAtPass ?? 0)} pg`
}

/** What was injected and is under way. */
function incidents(): string {
  const now = incidentsAt(shownMilestones.value, playheadNs.value)
  return now.map(({ name }) => `△ ${name.replace('-', ' ')}`).join(', ')
}

/** Where there are more than the stream. */
function channelNames({ urgentChannel, multifdChannels }: RunInfo): string {
  if (!urgentChannel && multifdChannels === 0) return ''
  return ['stream', urgentChannel ? 'urgent' : '', multifdChannels > 0 ? `${multifdChannels} multifd` : '']
    .filter(Boolean)
    .join(', ')
}

function Wire() {
  const channels = useScreen((state) => (state.info ? channelNames(state.info) : ''))
  const bar = useRef<HTMLMeterElement>(null)
  usePainter(() => {
    if (bar.current) bar.current.value = utilisation()
  }, [playheadNs, shownSeries])
  const counter = (text: () => string) => <Hot sources={[shownFrame]} text={text} />
  const counters = () => shownFrame.value?.counters
  return (
    <div className="wire">
      <div className="wire-way">
        <span>data</span>
        <meter ref={bar} className="bar" aria-label="Use of the link" min={0} max={1} />
        <Hot sources={[playheadNs, shownSeries, shownFrame]} text={() => (isDown() ? '△ down' : use())} />
      </div>
      <div className="wire-way back">
        <span>requests</span>
        <span className="pips" aria-hidden="true">
          {counter(() => '▪'.repeat(Math.min(counters()?.requestsPending ?? 0, 12)))}
        </span>
        {counter(() => `${counters()?.requestsPending ?? 0} open`)}
      </div>
      <dl className="pairs">
        <dt>on wire</dt>
        <dd>
          {counter(() => `${formatCount(counters()?.pagesInFlight ?? 0)} pg, ${formatBytes(counters()?.bytesInFlight ?? 0)}`)}
        </dd>
        <dt>sent</dt>
        <dd>{counter(() => formatBytes(counters()?.bytesSent ?? 0))}</dd>
        <dt>zero pages</dt>
        <dd>{counter(() => formatCount(counters()?.zeroPagesSent ?? 0))}</dd>
        <dt>requests</dt>
        <dd>{counter(() => formatCount(counters()?.requests ?? 0))}</dd>
        <dt>passes</dt>
        <dd>{counter(() => passes(counters()))}</dd>
        {channels && (
          <>
            <dt>channels</dt>
            <dd>{channels}</dd>
          </>
        )}
      </dl>
    </div>
  )
}

/** Share of the full wire used in the bin under the playhead. */
function utilisation(): number {
  const series = shownSeries.value
  const { info } = useScreen.getState()
  if (!series || !info) return 0
  return Math.min(1, bytesNow(series) / fullWireBytes(info, series))
}

/** In words: a share of the link, or, where nobody set what it carries, how much goes over it. */
function use(): string {
  const series = shownSeries.value
  if (!series || useScreen.getState().info?.bandwidthBitsPerSec !== null) return `${Math.round(utilisation() * 100)} %`
  return formatBitRate((bytesNow(series) * 8e9) / series.binNs)
}

/** In the bin under the playhead. */
function bytesNow({ receivedBytes, binNs }: Series): number {
  return receivedBytes[Math.floor(playheadNs.value / binNs)] ?? 0
}

/** The newest events up to the playhead, newest first. */
function EventLog() {
  const { player } = useControls()
  const [rows, setRows] = useState<readonly EventRow[]>([])
  useEffect(() => {
    let asking = false
    const read = async (): Promise<void> => {
      const frame = shownFrame.value
      if (!frame || asking) return
      asking = true
      try {
        const found = await player.engine.events(Math.max(0, frame.row - LOG_ROWS), frame.row)
        setRows(
          found
            .filter((row) => !NOT_LOGGED.includes(row.kind))
            .slice(-LOG_SHOWN)
            .toReversed(),
        )
      } finally {
        asking = false
      }
      if (shownFrame.value && shownFrame.value.row !== frame.row && !useScreen.getState().playing) void read()
    }
    void read()
    return slowly(LOG_EVERY_MS, shownFrame.watch, () => void read())
  }, [player])
  return (
    <ol className="log" aria-label="Last events, newest first">
      {rows.map((row) => (
        <li key={row.row}>
          <button
            type="button"
            tabIndex={-1}
            title={`${formatTime(row.timeNs)} · ${row.text}`}
            onClick={() => player.seekRow(row.row + 1)}
          >
            <span className="log-row">{row.row}</span> <b data-kind={row.kind}>{formatKind(row.kind)}</b>{' '}
            <span>{row.page >= 0 ? `0x${row.page.toString(16)}` : row.text}</span>
          </button>
        </li>
      ))}
    </ol>
  )
}
