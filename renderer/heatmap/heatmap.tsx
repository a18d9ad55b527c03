/**
 * One machine's map of pages: a canvas of cells, and a second one above it for rings that must not be limited to a cell
 * (sleeping vCPUs, the hovered page and its twin on the other machine, the pinned page).
 *
 * Both machines' maps have the same size and therefore the same layout, so a page lies at the same place on both.
 * Pairs with layout.ts (where), paint.ts (what).
 */

import type { PointerEvent } from 'react'
import { useRef } from 'react'
import { PageState } from '../../core/api/protocol.ts'
import { census } from '../census.ts'
import { formatAddress, formatPage } from '../format.ts'
import { Hot, useControls, useCrispCanvas, usePainter } from '../hooks.tsx'
import { hoveredPage, playheadNs, shownFrame, useScreen } from '../state.ts'
import { scheme, stillness } from '../theme.ts'
import type { Scheme } from '../tokens.ts'
import { CHROME, STATE_SHADE } from '../tokens.ts'
import { CUE_CSS_PX } from './cues.ts'
import type { CellLayout } from './layout.ts'
import { cellRect, layOut, pageAt } from './layout.ts'
import { CellPainter, describeStates, makeStamps, STATE_LABEL } from './paint.ts'

export type MachineName = 'source' | 'destination'

/** Room round the cells for rings, CSS pixels; the same number stands in styles/machines.css. */
const MARGIN_CSS_PX = 4
const LARGEST_CELL_CSS_PX = 20
/** A sleeping vCPU's ring breathes about this often for each second of real time. */
const PULSE_SEC = 0.9

interface Surface {
  readonly painter: CellPainter
  readonly image: ImageData
  readonly scheme: Scheme
}

export function Heatmap({ machine }: { machine: MachineName }) {
  const { player } = useControls()
  const pinned = useScreen((state) => state.pinnedPage)
  const hasRun = useScreen((state) => state.info !== null)
  const cells = useRef<HTMLCanvasElement>(null)
  const rings = useRef<HTMLCanvasElement>(null)
  const tip = useRef<HTMLDivElement>(null)
  const surface = useRef<Surface | null>(null)
  const hoversHere = useRef(false)

  const paintCells = usePainter(() => {
    const canvas = cells.current
    const context = canvas?.getContext('2d')
    const frame = shownFrame.value
    if (!canvas || !context || canvas.width === 0 || canvas.height === 0) return
    if (!frame) {
      surface.current = null
      context.clearRect(0, 0, canvas.width, canvas.height)
      return
    }
    const before = surface.current
    surface.current = surfaceFor(before, frame.source.length, canvas)
    const changed = surface.current.painter.paint(frame[machine])
    if (changed > 0 || surface.current !== before) context.putImageData(surface.current.image, 0, 0)
  }, [shownFrame, scheme])
  useCrispCanvas(cells, paintCells)

  const paintRings = usePainter(() => {
    const canvas = rings.current
    const context = canvas?.getContext('2d')
    const layout = surface.current?.painter.layout
    if (!canvas || !context) return
    context.clearRect(0, 0, canvas.width, canvas.height)
    const frame = shownFrame.value
    if (!layout || !frame) return
    const draw = (page: number, grow: number, width: number, colour: string) =>
      strokeRing(context, layout, page, grow, width, colour)
    const ratio = devicePixelRatio
    const pulse = pulseAt(playheadNs.value)
    const states = frame[machine]
    for (let page = states.indexOf(PageState.fault); page >= 0; page = states.indexOf(PageState.fault, page + 1)) {
      draw(page, (1 + 3 * pulse) * ratio, 1.5 * ratio, STATE_SHADE.fault[scheme.value])
    }
    const focus = CHROME.focus[scheme.value]
    if (pinned >= 0) draw(pinned, 1.5 * ratio, 2 * ratio, focus)
    if (hoveredPage.value >= 0) draw(hoveredPage.value, 1.5 * ratio, 2 * ratio, CHROME.playhead[scheme.value])
  }, [shownFrame, hoveredPage, playheadNs, scheme])
  useCrispCanvas(rings, paintRings)

  const move = (event: PointerEvent<HTMLCanvasElement>): void => {
    const layout = surface.current?.painter.layout
    const canvas = cells.current
    if (!layout || !canvas) return
    const box = canvas.getBoundingClientRect()
    const ratio = canvas.width / box.width
    const page = pageAt(layout, (event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio)
    hoversHere.current = page >= 0
    hoveredPage.set(page)
    placeTip(tip.current, event)
  }
  const leave = (): void => {
    hoversHere.current = false
    hoveredPage.set(-1)
  }

  usePainter(() => {
    if (tip.current) tip.current.hidden = !hoversHere.current || hoveredPage.value < 0
  }, [hoveredPage])
  usePainter(() => {
    const counts = census.value
    cells.current?.setAttribute('aria-label', describeStates(title(machine), counts ? counts[machine] : []))
  }, [census])

  return (
    <div className="map" onPointerLeave={leave}>
      <canvas ref={cells} className="map-cells" role="img" aria-label={`${title(machine)}: no pages yet`} />
      <canvas
        ref={rings}
        className="map-rings"
        role="img"
        aria-label={`${title(machine)}: rings round sleeping, hovered and chosen pages`}
        onPointerMove={move}
        onClick={() => player.pin(hoveredPage.value === pinned ? -1 : hoveredPage.value)}
      />
      {!hasRun && (
        <p className="empty">
          No pages yet: <code>migrate</code> in the terminal fills this map.
        </p>
      )}
      <div ref={tip} className="tip" hidden>
        <Hot sources={[hoveredPage, shownFrame]} text={() => tipText(hoveredPage.value)} />
      </div>
    </div>
  )
}

const title = (machine: MachineName) => (machine === 'source' ? 'Source' : 'Destination')

function surfaceFor(old: Surface | null, pages: number, canvas: HTMLCanvasElement): Surface {
  const { width, height } = canvas
  if (
    old &&
    old.scheme === scheme.value &&
    old.painter.layout.pages === pages &&
    old.image.width === width &&
    old.image.height === height
  ) {
    return old
  }
  const ratio = devicePixelRatio
  const layout = layOut(pages, width, height, Math.round(LARGEST_CELL_CSS_PX * ratio), CUE_CSS_PX * ratio)
  const image = new ImageData(width, height)
  const painter = new CellPainter(
    layout,
    new Uint32Array(image.data.buffer),
    width,
    makeStamps(layout.width, layout.height, ratio, scheme.value),
  )
  return { painter, image, scheme: scheme.value }
}

function strokeRing(
  context: CanvasRenderingContext2D,
  layout: CellLayout,
  page: number,
  grow: number,
  width: number,
  colour: string,
): void {
  const rect = cellRect(layout, page)
  const margin = MARGIN_CSS_PX * devicePixelRatio
  context.lineWidth = width
  context.strokeStyle = colour
  context.strokeRect(rect.x + margin - grow, rect.y + margin - grow, rect.width + 2 * grow, rect.height + 2 * grow)
}

/** 0 to 1, on the simulation's clock: the ring stands still while the playhead does. */
function pulseAt(timeNs: number): number {
  if (stillness()) return 0.5
  const { speedNsPerSec } = useScreen.getState()
  return 0.5 - 0.5 * Math.cos((timeNs / (speedNsPerSec * PULSE_SEC)) * 2 * Math.PI)
}

function tipText(page: number): string {
  const frame = shownFrame.value
  if (!frame || page < 0) return ''
  const name = (states: Uint8Array) => STATE_LABEL[states[page] ?? 0]
  return `page ${formatPage(page)} at ${formatAddress(page)}\nsource ${name(frame.source)}, destination ${name(frame.destination)}`
}

/** Beside the pointer, never over the cell it points at, never outside the map. */
function placeTip(tip: HTMLDivElement | null, event: PointerEvent<HTMLCanvasElement>): void {
  if (!tip) return
  const box = event.currentTarget.getBoundingClientRect()
  const x = event.clientX - box.left
  const y = event.clientY - box.top
  const left = x > box.width / 2 ? x - 14 - tip.offsetWidth : x + 14
  const top = y > box.height / 2 ? y - 12 - tip.offsetHeight : y + 14
  tip.style.transform = `translate(${Math.round(Math.max(0, left))}px, ${Math.round(Math.max(0, top))}px)`
}
