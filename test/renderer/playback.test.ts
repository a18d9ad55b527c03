/** The playhead's arithmetic. */
import { describe, expect, test } from 'vitest'
import {
  advance,
  crossingNs,
  fittingSpeed,
  leadIn,
  SPEED_MAX,
  SPEED_MIN,
  sliderToSpeed,
  speedToSlider,
} from '../../renderer/playback.ts'

const crossing = { pages: 8192, bandwidthBitsPerSec: 1e9, rttNs: 150_000, startedNs: 40e6, completedNs: 340e6 }

describe('playback', () => {
  test('a second of real time moves the playhead by the speed', () => {
    let playheadNs = 0
    for (let frame = 0; frame < 60; frame++) playheadNs = advance(playheadNs, 1000 / 60, 5e6, 1e9, true).playheadNs
    expect(playheadNs).toBeCloseTo(5e6, 0)
  })

  test('the playhead waits at the end of a run that still grows, and ends with one that does not', () => {
    expect(advance(999, 16, 1e9, 1000, true)).toEqual({ playheadNs: 1000, ended: false })
    expect(advance(999, 16, 1e9, 1000, false)).toEqual({ playheadNs: 1000, ended: true })
  })

  test('a tab that was hidden for a minute goes on instead of jumping', () => {
    expect(advance(0, 60_000, 1e6, 1e12, false).playheadNs).toBe(100_000)
  })

  test('time never runs backwards, whatever the clock does', () => {
    expect(advance(500, -20, 1e6, 1000, false).playheadNs).toBe(500)
  })

  test('a known crossing takes twenty seconds to watch', () => {
    expect(crossingNs(crossing) / fittingSpeed(crossing)).toBe(20)
  })

  test('an unknown crossing is judged by what the wire needs at least', () => {
    const wireNs = 8192 * 4096 * 8
    expect(crossingNs({ ...crossing, startedNs: -1, completedNs: -1 })).toBe(wireNs + 1_500_000)
  })

  test('playing begins a little before the start, and never before zero', () => {
    expect(leadIn(crossing)).toBe(25e6)
    expect(leadIn({ ...crossing, startedNs: 1e6, completedNs: 301e6 })).toBe(0)
  })

  test('the slider is logarithmic and its two directions agree', () => {
    expect(sliderToSpeed(0)).toBe(SPEED_MIN)
    expect(sliderToSpeed(1)).toBeCloseTo(SPEED_MAX, 0)
    for (const speed of [1e3, 2.5e6, 1e9]) expect(sliderToSpeed(speedToSlider(speed))).toBeCloseTo(speed, -1)
    expect(sliderToSpeed(0.5) / sliderToSpeed(0.25)).toBeCloseTo(sliderToSpeed(0.75) / sliderToSpeed(0.5), 6)
  })
})
