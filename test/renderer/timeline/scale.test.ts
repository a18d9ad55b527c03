/** The timeline's arithmetic and what it draws where. */
import { describe, expect, test } from 'vitest'
import type { RunStatus } from '../../../core/api/protocol.ts'
import { bandsFor, rowsFor } from '../../../renderer/timeline/draw.ts'
import { crossingView, follow, pan, tickStep, ticks, timeToX, xToTime, zoom } from '../../../renderer/timeline/scale.ts'

const view = { fromNs: 100, toNs: 1100 }

describe('timeline scale', () => {
  test('pixels and times are inverse', () => {
    expect(timeToX(view, 500, 350)).toBe(125)
    expect(xToTime(view, 500, 125)).toBe(350)
  })

  test('zooming keeps the time under the pointer where it is', () => {
    const closer = zoom({ fromNs: 0, toNs: 10_000 }, 2500, 0.5, 10_000)
    expect(closer).toEqual({ fromNs: 1250, toNs: 6250 })
    expect(timeToX(closer, 400, 2500)).toBe(100)
  })

  test('the view never leaves the run', () => {
    expect(zoom({ fromNs: 0, toNs: 10_000 }, 100, 5, 10_000)).toEqual({ fromNs: 0, toNs: 10_000 })
    expect(pan({ fromNs: 0, toNs: 1000 }, -0.5, 10_000)).toEqual({ fromNs: 0, toNs: 1000 })
    expect(pan({ fromNs: 9000, toNs: 10_000 }, 0.5, 10_000)).toEqual({ fromNs: 9000, toNs: 10_000 })
  })

  test('a playhead that runs out of view turns the page', () => {
    expect(follow(view, 1100, 5000)).toBe(view)
    expect(follow(view, 1101, 5000)).toEqual({ fromNs: 1001, toNs: 2001 })
  })

  test('the crossing is shown with a little around it, the whole run where there is none', () => {
    expect(crossingView(1000, 2000, 10_000)).toEqual({ fromNs: 940, toNs: 2100 })
    expect(crossingView(-1, -1, 10_000)).toEqual({ fromNs: 0, toNs: 10_000 })
  })

  test('ticks stand at round times and are not too many', () => {
    expect(tickStep(437, 5)).toBe(100)
    expect(tickStep(1_000_000, 400)).toBe(5000)
    expect(ticks({ fromNs: 130, toNs: 460 }, 4)).toEqual({ stepNs: 100, atNs: [200, 300, 400] })
  })
})

describe('timeline rows', () => {
  test('rows do not overlap and stay inside, for few lanes and for many', () => {
    for (const [vcpus, height] of [
      [1, 120],
      [2, 110],
      [2, 160],
      [8, 130],
      [64, 160],
    ] as const) {
      const rows = rowsFor(vcpus, height)
      rows.slice(1).forEach((row, index) => {
        const above = rows[index]
        expect(row.y).toBeGreaterThanOrEqual((above?.y ?? 0) + (above?.height ?? 0))
      })
      const last = rows.at(-1)
      expect((last?.y ?? 0) + (last?.height ?? 0)).toBeLessThanOrEqual(height)
    }
  })

  test('a real run has measured time, and under it a row for what the model had said, if it had', () => {
    const kinds = (isPredicted: boolean) => rowsFor(2, 160, '', 'kernel', isPredicted).map(({ kind }) => kind)
    expect(kinds(false)).not.toContain('predicted')
    expect(kinds(true).indexOf('predicted')).toBe(kinds(true).indexOf('state') + 1)
    expect(rowsFor(2, 160, '', 'kernel')[1]?.label).toBe('measured time')
    expect(rowsFor(2, 160)[1]?.label).toBe('simulated time')
  })

  test('bands cover the run from its start to its end without a hole', () => {
    const status: RunStatus = {
      state: 'done',
      rows: 9,
      endNs: 900,
      startedNs: 200,
      switchedNs: 250,
      completedNs: 700,
      error: '',
      migration: 'completed',
    }
    const states = [
      { timeNs: 200, status: 'setup' },
      { timeNs: 210, status: 'active' },
      { timeNs: 250, status: 'postcopy-active' },
      { timeNs: 400, status: 'postcopy-paused' },
      { timeNs: 700, status: 'completed' },
    ] as const
    const milestones = { states, passes: [], incidents: [], throttles: [], running: [], forecasts: [] }
    const bands = bandsFor(status, milestones)
    expect(bands.map((band) => band.name)).toEqual(['before', 'setup', 'pre-copy', 'post-copy', '△ paused', 'completed'])
    expect(bands.map((band) => band.fromNs)).toEqual([0, 200, 210, 250, 400, 700])
    expect(bands.map((band) => band.toNs)).toEqual([200, 210, 250, 400, 700, 900])
    expect(bandsFor(status, null).map((band) => band.name)).toEqual(['before'])
  })
})
