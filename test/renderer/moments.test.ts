/** What holds at one moment of a run, from its milestones. */
import { describe, expect, test } from 'vitest'
import type { Milestones } from '../../core/api/protocol.ts'
import { forecastAt, incidentsAt, lastAt, pauseEndsAt } from '../../renderer/moments.ts'

const NONE: Milestones = { states: [], passes: [], incidents: [], throttles: [], running: [], forecasts: [] }
const FOREVER = Number.POSITIVE_INFINITY

describe('moments', () => {
  test('the last one at or before a time, or none', () => {
    const at = (timeNs: number) => lastAt([{ timeNs: 10 }, { timeNs: 20 }], timeNs)?.timeNs
    expect([at(9), at(10), at(19), at(20), at(99)]).toEqual([undefined, 10, 10, 20, 20])
  })

  test('a forecast is told in pre-copy only', () => {
    const milestones: Milestones = {
      ...NONE,
      states: [
        { timeNs: 0, status: 'active' },
        { timeNs: 50, status: 'device' },
      ],
      forecasts: [
        { timeNs: 10, sentence: 'will converge in 1 s', never: false },
        { timeNs: 40, sentence: '', never: false },
      ],
    }
    const sentences = [5, 10, 39, 45, 60].map((timeNs) => forecastAt(milestones, timeNs)?.sentence)
    expect(sentences).toEqual([undefined, 'will converge in 1 s', 'will converge in 1 s', undefined, undefined])
    expect(forecastAt(null, 10)).toBeNull()
  })

  test('an incident is under way from its beginning to before its end', () => {
    const milestones: Milestones = { ...NONE, incidents: [{ name: 'link-down', fromNs: 5, toNs: 9 }] }
    expect([4, 5, 8, 9].map((timeNs) => incidentsAt(milestones, timeNs).length)).toEqual([0, 1, 1, 0])
  })

  test('a pause ends with the next state, and has no end where there is none', () => {
    const paused = { timeNs: 10, status: 'postcopy-paused' as const }
    const whole: Milestones = { ...NONE, states: [paused, { timeNs: 30, status: 'postcopy-recover-setup' }] }
    expect([9, 10, 29, 30].map((timeNs) => pauseEndsAt(whole, timeNs))).toEqual([null, 30, 30, null])
    expect(pauseEndsAt({ ...NONE, states: [paused] }, 20)).toBe(FOREVER)
  })
})
