/**
 * Where a page lies on a heat map: page by page, row by row, in cells as large as let every page fit.
 *
 * All lengths are device pixels. A row holds a multiple of 16 pages where it can, so that each row starts at a round
 * address. Where there are more pages than pixels, a cell stands for several pages and shows the most urgent of their
 * states, so that a sleeping vCPU never drowns in a million quiet neighbours.
 */
import { PageState } from '../../core/api/protocol.ts'

export interface CellLayout {
  readonly pages: number
  /** Size of a cell. Square, but for cells too small for a second cue, which fill the room they have. */
  readonly width: number
  readonly height: number
  readonly columns: number
  readonly rows: number
  readonly pagesPerCell: number
  readonly cells: number
}

export interface CellRect {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

const ROUND_COLUMNS = 16

/** `largest`: no cell grows beyond this. `cueFrom`: from this size on cells carry a second cue and stay square. */
export function layOut(pages: number, width: number, height: number, largest: number, cueFrom: number): CellLayout {
  for (let pagesPerCell = 1; pagesPerCell <= Math.max(pages, 1); pagesPerCell *= 2) {
    const cells = Math.ceil(pages / pagesPerCell)
    for (let side = largest; side >= 1; side--) {
      const square = fit(cells, side, side, width, height)
      if (!square) continue
      const stretched = side < cueFrom ? STRETCH.map(([dx, dy]) => fit(cells, side + dx, side + dy, width, height)) : []
      const best = stretched.find((candidate) => candidate !== null) ?? square
      return { pages, pagesPerCell, cells, ...best }
    }
  }
  return { pages, width: 1, height: 1, columns: 1, rows: 1, pagesPerCell: Math.max(pages, 1), cells: Math.min(pages, 1) }
}

/** How far a small cell may be from square, largest area first. */
const STRETCH: readonly (readonly [number, number])[] = [
  [2, 1],
  [1, 2],
  [2, 0],
  [0, 2],
  [1, 0],
  [0, 1],
]

function fit(cells: number, cellWidth: number, cellHeight: number, width: number, height: number) {
  const fitting = Math.floor(width / cellWidth)
  const columns = fitting > ROUND_COLUMNS ? fitting - (fitting % ROUND_COLUMNS) : fitting
  if (columns <= 0 || columns * Math.floor(height / cellHeight) < cells) return null
  return { width: cellWidth, height: cellHeight, columns, rows: Math.ceil(cells / columns) }
}

export function cellRect(layout: CellLayout, page: number): CellRect {
  const { width, height, columns, pagesPerCell } = layout
  const index = Math.floor(page / pagesPerCell)
  return { x: (index % columns) * width, y: Math.floor(index / columns) * height, width, height }
}

/** The (first) page under a point, or -1. */
export function pageAt(layout: CellLayout, x: number, y: number): number {
  const column = Math.floor(x / layout.width)
  const row = Math.floor(y / layout.height)
  if (column < 0 || row < 0 || column >= layout.columns) return -1
  const index = row * layout.columns + column
  return index < layout.cells ? index * layout.pagesPerCell : -1
}

/** How loudly a state speaks for its cell, by PageState. Missing beats resident: a cell is blue when all of it is. */
const URGENCY: readonly number[] = (() => {
  const order = [
    PageState.zero,
    PageState.resident,
    PageState.missing,
    PageState.stale,
    PageState.dirty,
    PageState.inflight,
    PageState.fault,
    PageState.error,
  ]
  const urgency: number[] = []
  order.forEach((state, rank) => {
    urgency[state] = rank
  })
  return urgency
})()

/** The state that cell `index` shows. */
export function cellState(layout: CellLayout, states: Uint8Array, index: number): number {
  const first = index * layout.pagesPerCell
  let shown = states[first] ?? PageState.missing
  const end = Math.min(first + layout.pagesPerCell, states.length)
  for (let page = first + 1; page < end; page++) {
    const state = states[page] ?? PageState.missing
    if ((URGENCY[state] ?? 0) > (URGENCY[shown] ?? 0)) shown = state
  }
  return shown
}
