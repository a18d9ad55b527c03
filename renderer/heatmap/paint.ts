/**
 * Cells into pixels: one stamp for each page state, copied row by row into the words of an ImageData.
 *
 * The painter keeps the state that every cell shows and stamps only cells that changed, so a picture costs what
 * happened since the last one. Pure over typed arrays: no canvas is needed to test it.
 */
import { PAGE_STATE_NAME, PageState } from '../../core/api/protocol.ts'
import type { Scheme } from '../tokens.ts'
import { CHROME, CUE_SHADE, rgbaWord, STATE_SHADE } from '../tokens.ts'
import type { Ink } from './cues.ts'
import { inkAt } from './cues.ts'
import type { CellLayout } from './layout.ts'
import { cellState } from './layout.ts'

/** The colour of one ink in one state. */
export function inkColour(ink: Ink, state: number, scheme: Scheme): string {
  const name = PAGE_STATE_NAME[state] ?? 'missing'
  switch (ink) {
    case 'fill':
      return STATE_SHADE[name][scheme]
    case 'ground':
      return CHROME.ground[scheme]
    case 'outline':
      return (state === PageState.dirty ? CUE_SHADE.outlineDirty : CUE_SHADE.outlineInflight)[scheme]
    default:
      return CUE_SHADE[ink][scheme]
  }
}

/** `width` x `height` RGBA words for each page state. A cell that is not square is too small for shapes. */
export function makeStamps(width: number, height: number, ratio: number, scheme: Scheme): readonly Uint32Array[] {
  return PAGE_STATE_NAME.map((_, state) => {
    const stamp = new Uint32Array(width * height)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const ink = width === height ? inkAt(state, x, y, width, ratio, scheme) : 'fill'
        stamp[y * width + x] = rgbaWord(inkColour(ink, state, scheme))
      }
    }
    return stamp
  })
}

const UNPAINTED = 255

export class CellPainter {
  readonly #shown: Uint8Array

  constructor(
    readonly layout: CellLayout,
    readonly pixels: Uint32Array,
    /** Pixels in a row of `pixels`. */
    readonly stride: number,
    readonly stamps: readonly Uint32Array[],
  ) {
    this.#shown = new Uint8Array(layout.cells).fill(UNPAINTED)
  }

  /** Brings the pixels up to `states`; returns how many cells changed. */
  paint(states: Uint8Array): number {
    const { layout } = this
    let changed = 0
    for (let index = 0; index < layout.cells; index++) {
      const state = layout.pagesPerCell === 1 ? (states[index] ?? PageState.missing) : cellState(layout, states, index)
      if (state === this.#shown[index]) continue
      this.#shown[index] = state
      this.#stamp(index, state)
      changed++
    }
    return changed
  }

  #stamp(index: number, state: number): void {
    const { width, height, columns } = this.layout
    const stamp = this.stamps[state]
    if (!stamp) return
    let to = Math.floor(index / columns) * height * this.stride + (index % columns) * width
    for (let from = 0; from < stamp.length; from += width) {
      for (let x = 0; x < width; x++) this.pixels[to + x] = stamp[from + x] ?? 0
      to += this.stride
    }
  }
}

/** Pages in each state, by PageState. */
export function countStates(states: Uint8Array): readonly number[] {
  const counts = new Array<number>(PAGE_STATE_NAME.length).fill(0)
  for (const state of states) counts[state] = (counts[state] ?? 0) + 1
  return counts
}

/** What people call each state, by PageState. */
export const STATE_LABEL: readonly string[] = PAGE_STATE_NAME.map((name) => (name === 'inflight' ? 'in flight' : name))

/** The text twin of a map. */
export function describeStates(machine: string, counts: readonly number[]): string {
  const parts = counts.flatMap((count, state) => (count > 0 ? [`${count} ${STATE_LABEL[state]}`] : []))
  return `${machine}: ${parts.length > 0 ? parts.join(', ') : 'no pages yet'}`
}
