/** What cells look like, drawn above the assertion: `#` fill, `.` ground, the cue's letter else. */
import { describe, expect, test } from 'vitest'
import { PAGE_STATE_NAME, PageState } from '../../../core/api/protocol.ts'
import { inkAt } from '../../../renderer/heatmap/cues.ts'
import { layOut } from '../../../renderer/heatmap/layout.ts'
import { CellPainter, countStates, describeStates, inkColour, makeStamps } from '../../../renderer/heatmap/paint.ts'
import type { Scheme } from '../../../renderer/tokens.ts'
import { rgbaWord, STATE_SHADE } from '../../../renderer/tokens.ts'

const LETTER = { fill: '#', ground: '.', mark: '/', chevron: '>', ring: 'O', cross: 'X', outline: 'o' } as const

function picture(state: number, size: number, scheme: Scheme = 'dark', ratio = 1): string {
  const rows: string[] = []
  for (let y = 0; y < size; y++) {
    rows.push(Array.from({ length: size }, (_, x) => LETTER[inkAt(state, x, y, size, ratio, scheme)]).join(''))
  }
  return rows.join(' ')
}

describe('second cues', () => {
  test('at four pixels each state that acts has its own shape', () => {
    expect(picture(PageState.missing, 4)).toBe('#### #### #### ####')
    expect(picture(PageState.resident, 4)).toBe('#### #### #### ####')
    expect(picture(PageState.zero, 4)).toBe('#### #..# #..# ####')
    expect(picture(PageState.dirty, 4)).toBe('..## .### #### ####')
    expect(picture(PageState.fault, 4)).toBe('OOOO O##O O##O OOOO')
    expect(picture(PageState.stale, 4)).toBe('/##/ ##/# #/## /##/')
    expect(picture(PageState.error, 4)).toBe('X##X #XX# #XX# X##X')
    expect(picture(PageState.inflight, 4)).toContain('>')
  })

  test('from six pixels on a line of ground separates cells', () => {
    expect(picture(PageState.resident, 6)).toBe('#####. #####. #####. #####. #####. ......')
  })

  test('the chevron points to the right: its tip lies right of its ends', () => {
    const rows = picture(PageState.inflight, 12).split(' ').slice(0, 11)
    const columns = rows.map((row) => row.indexOf('>')).filter((column) => column >= 0)
    expect(Math.max(...columns)).toBe(columns[Math.floor(columns.length / 2)])
    expect(columns[0]).toBeLessThan(Math.max(...columns))
  })

  test('below four pixels cells are plain, on dense displays too', () => {
    for (let state = 0; state < PAGE_STATE_NAME.length; state++) {
      expect(picture(state, 3)).toBe('### ### ###')
      expect(picture(state, 7, 'dark', 2)).not.toMatch(/[^# ]/)
    }
  })

  test('in the light scheme the two pale states carry a darker outline, in the dark one they do not', () => {
    for (const size of [4, 5, 8, 16]) {
      expect(picture(PageState.inflight, size, 'light')).toContain('o')
      expect(picture(PageState.dirty, size, 'light')).toContain('o')
      expect(picture(PageState.inflight, size, 'dark')).not.toContain('o')
    }
  })

  test('all eight states differ from each other at four pixels, in shape or in colour', () => {
    for (const scheme of ['dark', 'light'] as const) {
      const looks = PAGE_STATE_NAME.map((_, state) => makeStamps(4, 4, 1, scheme)[state]?.join())
      expect(new Set(looks).size).toBe(PAGE_STATE_NAME.length)
    }
  })
})

describe('painting', () => {
  const layout = layOut(4, 8, 8, 4, 4)
  const fresh = () => new CellPainter(layout, new Uint32Array(64), 8, makeStamps(4, 4, 1, 'dark'))

  test("a cell's pixels are its state's stamp at its place", () => {
    const painter = fresh()
    painter.paint(Uint8Array.from([0, 0, 0, PageState.resident]))
    expect(layout).toMatchObject({ columns: 2, rows: 2 })
    expect(painter.pixels[4 * 8 + 4]).toBe(rgbaWord(STATE_SHADE.resident.dark))
    expect(painter.pixels[7 * 8 + 7]).toBe(rgbaWord(STATE_SHADE.resident.dark))
    expect(painter.pixels[3 * 8 + 4]).toBe(rgbaWord(STATE_SHADE.missing.dark))
  })

  test('only cells that changed are painted again', () => {
    const painter = fresh()
    expect(painter.paint(Uint8Array.from([0, 1, 2, 3]))).toBe(4)
    expect(painter.paint(Uint8Array.from([0, 1, 2, 3]))).toBe(0)
    expect(painter.paint(Uint8Array.from([0, 1, 5, 3]))).toBe(1)
  })

  test('painting step by step gives the same pixels as painting at once', () => {
    const slow = fresh()
    for (const states of [
      [0, 0, 0, 0],
      [4, 0, 3, 0],
      [4, 5, 2, 7],
    ])
      slow.paint(Uint8Array.from(states))
    const quick = fresh()
    quick.paint(Uint8Array.from([4, 5, 2, 7]))
    expect(slow.pixels).toEqual(quick.pixels)
  })

  test('an error is an X in white on dark, in black on light, over the colour of a fault', () => {
    expect(inkColour('cross', PageState.error, 'dark')).toBe('#FFFFFF')
    expect(inkColour('cross', PageState.error, 'light')).toBe('#000000')
    expect(inkColour('fill', PageState.error, 'dark')).toBe(STATE_SHADE.fault.dark)
  })
})

describe('text twin', () => {
  test('it names each state that occurs, with its number of pages', () => {
    const counts = countStates(Uint8Array.from([2, 2, 5, 3]))
    expect(describeStates('Destination', counts)).toBe('Destination: 2 resident, 1 in flight, 1 fault')
    expect(describeStates('Source', [])).toBe('Source: no pages yet')
  })
})
