/**
 * One page's life: its state on both machines now, its neighbourhood under a lens, and everything that happened to it.
 * It speaks of the hovered page, else the clicked one, else the page of the newest remote fault.
 */
import { useEffect, useRef, useState } from 'react'
import type { EventRow } from '../../core/api/protocol.ts'
import { formatAddress, formatKind, formatPage, formatTime } from '../format.ts'
import type { MachineName } from '../heatmap/heatmap.tsx'
import { makeStamps, STATE_LABEL } from '../heatmap/paint.ts'
import { Swatch } from '../heatmap/swatch.tsx'
import { useControls, useCrispCanvas, usePainter, useSignal } from '../hooks.tsx'
import { focusedPage, hoveredPage, shownFrame, useScreen } from '../state.ts'
import { scheme } from '../theme.ts'
import { CHROME } from '../tokens.ts'
import { Panel } from './panel.tsx'

const BIOGRAPHY_ROWS = 60
/** Hovering must settle for this long before the engine is asked for a biography. */
const SETTLE_MS = 60
const LENS_CELL_CSS_PX = 12

export function InspectorPanel() {
  const { player } = useControls()
  const page = useSignal(focusedPage)
  const pinned = useScreen((state) => state.pinnedPage)
  const open = useScreen((state) => state.inspectorOpen)
  const hasRun = useScreen((state) => state.info !== null)
  const shown = hasRun && page >= 0
  return (
    <Panel
      name="Inspector"
      className={open ? 'inspector open' : 'inspector'}
      facts={<Attention pinned={pinned} onRelease={() => player.pin(-1)} />}
    >
      {shown ? (
        <>
          <div className="page-head">
            <b className="mono">page {formatPage(page)}</b> <span className="mono muted">{formatAddress(page)}</span>
          </div>
          <div className="twins">
            <Twin machine="source" page={page} />
            <Twin machine="destination" page={page} />
          </div>
          <Biography page={page} />
        </>
      ) : (
        <p className="empty">
          {hasRun ? (
            'Hover a page to see it on both machines; click it to keep it.'
          ) : (
            <>
              No pages yet: <code>migrate</code> in the terminal brings some.
            </>
          )}
        </p>
      )}
    </Panel>
  )
}

function Attention({ pinned, onRelease }: { pinned: number; onRelease: () => void }) {
  const hovered = useSignal(hoveredPage)
  const focused = useSignal(focusedPage)
  if (hovered >= 0) return <>hovered</>
  if (pinned < 0) return <>{focused >= 0 && 'newest fault'}</>
  return (
    <button type="button" className="small" onClick={onRelease} title="Let go of the page (Esc)">
      kept ✕
    </button>
  )
}

function Twin({ machine, page }: { machine: MachineName; page: number }) {
  const frame = useSlowState(machine, page)
  return (
    <div className={`twin ${machine}`}>
      <Lens machine={machine} page={page} />
      <div>
        <span className="muted">{machine}</span>
        <span className="twin-state">
          <Swatch key={frame} state={frame} /> {STATE_LABEL[frame]}
        </span>
      </div>
    </div>
  )
}

/** The page's state; renders only when it changes. */
function useSlowState(machine: MachineName, page: number): number {
  const read = () => shownFrame.value?.[machine][page] ?? 0
  const [state, setState] = useState(read)
  usePainter(() => setState(read()), [shownFrame, focusedPage])
  return state
}

/** The pages on either side of the one in question, large enough for the second cues. */
function Lens({ machine, page }: { machine: MachineName; page: number }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const paint = usePainter(() => {
    const element = canvas.current
    const context = element?.getContext('2d')
    const states = shownFrame.value?.[machine]
    if (!element || !context || !states) return
    const ratio = devicePixelRatio
    const cell = Math.round(LENS_CELL_CSS_PX * ratio)
    const stamps = makeStamps(cell, cell, ratio, scheme.value)
    const fitting = Math.floor(element.width / cell)
    const columns = fitting % 2 === 0 ? fitting - 1 : fitting
    context.clearRect(0, 0, element.width, element.height)
    const first = page - (columns >> 1)
    const left = Math.round((element.width - columns * cell) / 2)
    const top = Math.round((element.height - cell) / 2)
    for (let column = 0; column < columns; column++) {
      const stamp = stamps[states[first + column] ?? -1]
      if (!stamp) continue
      const image = new ImageData(cell, cell)
      new Uint32Array(image.data.buffer).set(stamp)
      context.putImageData(image, left + column * cell, top)
    }
    context.strokeStyle = CHROME.playhead[scheme.value]
    context.lineWidth = Math.round(1.5 * ratio)
    context.strokeRect(left + (columns >> 1) * cell - ratio, top - ratio, cell + ratio, cell + ratio)
  }, [shownFrame, scheme])
  useCrispCanvas(canvas, paint)
  return <canvas ref={canvas} className="lens" role="img" aria-label={`${machine}: the pages next to ${formatPage(page)}`} />
}

function Biography({ page }: { page: number }) {
  const { player } = useControls()
  const rows = useScreen((state) => state.status?.rows ?? 0)
  const [events, setEvents] = useState<readonly EventRow[]>([])
  const list = useRef<HTMLOListElement>(null)
  useEffect(() => {
    // A growing run adds to the page's life, so its length is a reason to ask again.
    if (rows === 0) return
    let wanted = true
    const wait = setTimeout(async () => {
      const found = await player.engine.biography(page, BIOGRAPHY_ROWS)
      if (wanted) setEvents(found)
    }, SETTLE_MS)
    return () => {
      wanted = false
      clearTimeout(wait)
    }
  }, [player, page, rows])
  usePainter(() => {
    const now = shownFrame.value?.row ?? 0
    for (const item of list.current?.children ?? []) {
      if (item instanceof HTMLElement) item.classList.toggle('future', Number(item.dataset.row) >= now)
    }
  }, [shownFrame])
  if (events.length === 0) return <p className="empty">Nothing has happened to this page.</p>
  return (
    <ol className="biography" ref={list} aria-label="Biography, oldest first">
      {events.map((event) => (
        <li key={event.row} data-row={event.row}>
          <button type="button" onClick={() => player.seekRow(event.row + 1)} title={`Go to event #${event.row}`}>
            <span className="when">{formatTime(event.timeNs)}</span>
            <b data-kind={event.kind}>{formatKind(event.kind)}</b>
            <span className="lane">
              {event.machine === 'source' ? 'source' : 'dest.'} {event.lane}
            </span>
          </button>
        </li>
      ))}
    </ol>
  )
}
