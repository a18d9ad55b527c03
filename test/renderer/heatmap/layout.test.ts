/** Where pages lie on the map. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PageState } from '../../../core/api/protocol.ts'
import { cellRect, cellState, layOut, pageAt } from '../../../renderer/heatmap/layout.ts'

const sizes = {
  pages: fc.integer({ min: 1, max: 300_000 }),
  width: fc.integer({ min: 1, max: 1200 }),
  height: fc.integer({ min: 1, max: 800 }),
}

describe('heat map layout', () => {
  test('every page lies inside the canvas, whatever the sizes', () => {
    fc.assert(
      fc.property(fc.record(sizes), ({ pages, width, height }) => {
        const layout = layOut(pages, width, height, 20, 4)
        const rect = cellRect(layout, pages - 1)
        expect(layout.columns * layout.width).toBeLessThanOrEqual(width)
        expect(rect.y + rect.height).toBeLessThanOrEqual(height)
        expect(layout.cells * layout.pagesPerCell).toBeGreaterThanOrEqual(pages)
      }),
    )
  })

  test("the page found under any point of a cell is that cell's first page", () => {
    fc.assert(
      fc.property(fc.record(sizes), fc.nat(), ({ pages, width, height }, seed) => {
        const layout = layOut(pages, width, height, 20, 4)
        const page = seed % pages
        const rect = cellRect(layout, page)
        const found = pageAt(layout, rect.x + rect.width - 0.5, rect.y + rect.height - 0.5)
        expect(found).toBe(page - (page % layout.pagesPerCell))
      }),
    )
  })

  test('points beside the cells belong to no page', () => {
    const layout = layOut(20, 170, 100, 10, 4)
    expect(layout).toMatchObject({ width: 10, height: 10, columns: 16, rows: 2 })
    expect([pageAt(layout, -1, 5), pageAt(layout, 165, 5), pageAt(layout, 45, 15), pageAt(layout, 5, 25)]).toEqual([
      -1, -1, -1, -1,
    ])
    expect(pageAt(layout, 35, 15)).toBe(19)
  })

  test('rows hold a multiple of 16 pages, so that each starts at a round address', () => {
    expect(layOut(8192, 448, 316, 20, 4).columns % 16).toBe(0)
  })

  test('cells with a second cue are square; smaller ones fill the room they have', () => {
    expect(layOut(4096, 448, 316, 20, 4)).toMatchObject({ width: 5, height: 5 })
    expect(layOut(8192, 312, 212, 20, 4)).toMatchObject({ width: 3, height: 2 })
  })

  test('with more pages than pixels a cell stands for several', () => {
    const layout = layOut(1_048_576, 900, 600, 20, 4)
    expect(layout).toMatchObject({ width: 1, height: 1, pagesPerCell: 2, cells: 524_288 })
  })

  test('a cell of several pages shows the most urgent: a fault drowns in nothing, and blue means all of it is there', () => {
    const layout = { pages: 8, width: 1, height: 1, columns: 2, rows: 1, pagesPerCell: 4, cells: 2 }
    const { resident, missing, fault, inflight } = PageState
    const states = Uint8Array.from([resident, missing, resident, resident, resident, inflight, fault, missing])
    expect([cellState(layout, states, 0), cellState(layout, states, 1)]).toEqual([missing, fault])
  })
})
