/**
 * A page map in characters: every cell stands for a group of pages and shows the worst of their states, or else the most
 * common one. Glyphs and colours are those of the screen's heat map.
 */
import { PAGE_STATE_NAME, PageState } from './protocol.ts'

interface Look {
  readonly glyph: string
  /** Dark theme of the screen. */
  readonly rgb: readonly [number, number, number]
  /** For terminals of sixteen colours. */
  readonly basic: number
  readonly meaning: string
}

const LOOKS: Record<keyof typeof PageState, Look> = {
  missing: { glyph: '\u00b7', rgb: [0x50, 0x57, 0x5c], basic: 90, meaning: 'missing' },
  zero: { glyph: '0', rgb: [0x91, 0x92, 0x95], basic: 37, meaning: 'zero' },
  resident: { glyph: '\u2588', rgb: [0x31, 0x74, 0xf1], basic: 34, meaning: 'resident' },
  inflight: { glyph: '\u00bb', rgb: [0x3f, 0xf3, 0xe9], basic: 96, meaning: 'in flight' },
  dirty: { glyph: '\u2592', rgb: [0xfe, 0xdc, 0x63], basic: 93, meaning: 'dirty' },
  fault: { glyph: '!', rgb: [0xf5, 0x4e, 0x0e], basic: 91, meaning: 'a vCPU waits' },
  stale: { glyph: '~', rgb: [0xca, 0x89, 0xb8], basic: 35, meaning: 'stale' },
  error: { glyph: 'X', rgb: [0xf5, 0x4e, 0x0e], basic: 91, meaning: 'wrong' },
}

const BY_STATE: readonly Look[] = PAGE_STATE_NAME.map((name) => LOOKS[name])

export type ColourDepth = 'none' | 'basic' | 'full'

/** Lines of at most `width` cells, at most `height` of them. */
export function pageMap(states: Uint8Array, width: number, height: number): Uint8Array[] {
  const perCell = Math.max(1, Math.ceil(states.length / (width * height)))
  const cells = new Uint8Array(Math.ceil(states.length / perCell))
  const count = new Uint32Array(BY_STATE.length)
  for (let cell = 0; cell < cells.length; cell++) {
    count.fill(0)
    const end = Math.min((cell + 1) * perCell, states.length)
    for (let page = cell * perCell; page < end; page++) {
      const state = states[page] ?? 0
      count[state] = (count[state] ?? 0) + 1
    }
    cells[cell] = shownState(count)
  }
  const lines: Uint8Array[] = []
  for (let at = 0; at < cells.length; at += width) lines.push(cells.subarray(at, at + width))
  return lines
}

/** One line of a map, padded to `width`; a colour is set once for a row of equal cells. */
export function drawCells(cells: Uint8Array, width: number, depth: ColourDepth): string {
  let text = ''
  let before = -1
  for (const state of cells) {
    const look = BY_STATE[state]
    if (look === undefined) continue
    if (state !== before && depth !== 'none') text += colourOf(look, depth)
    before = state
    text += look.glyph
  }
  if (depth !== 'none' && text !== '') text += '\u001b[0m'
  return text + ' '.repeat(Math.max(0, width - cells.length))
}

export function legend(): string {
  const shown = ['missing', 'zero', 'resident', 'inflight', 'dirty', 'stale', 'fault', 'error'] as const
  return shown.map((name) => `${LOOKS[name].glyph} ${LOOKS[name].meaning}`).join('  ')
}

function shownState(count: Uint32Array): number {
  for (const state of [PageState.error, PageState.fault]) if ((count[state] ?? 0) > 0) return state
  let most = 0
  for (let state = 1; state < count.length; state++) if ((count[state] ?? 0) > (count[most] ?? 0)) most = state
  return most
}

function colourOf(look: Look, depth: ColourDepth): string {
  return depth === 'full' ? `\u001b[38;2;${look.rgb.join(';')}m` : `\u001b[${look.basic}m`
}
