/**
 * The forecast: the geometric series of the closed forms, a set that bounds the dirtying, and what it says of real runs.
 */
import { describe, expect, it } from 'vitest'
import { Forecaster, forecastText } from '../../core/run/forecast.ts'
import { finish, MIB, small } from './small.ts'

const SECOND = 1e9
const MB = 1e6

/** A writer of `rate` bytes a second on clean pages that a pass of one second found `found` bytes of. */
function writer(rate: number, found: number): Forecaster {
  const f = new Forecaster()
  f.passed(1 * SECOND, 0)
  f.look(1.01 * SECOND, 0)
  f.look(1.11 * SECOND, rate / 10)
  f.passed(2 * SECOND, found)
  return f
}

describe('a writer that never meets its own pages', () => {
  it('below the bandwidth converges in the time of the geometric series', () => {
    // 100 MB at 100 MB/s, dirtied at 50 MB/s: 1 + 1/2 + 1/4 + ... = 2 s.
    const forecast = writer(50 * MB, 50 * MB).forecast({
      remainingBytes: 100 * MB,
      thresholdBytes: 0,
      sendingBytesPerSec: 100 * MB,
      dirtiedBytes: 5 * MB,
    })
    expect(forecast?.kind).toBe('converges')
    if (forecast?.kind === 'converges') expect(forecast.inNs / SECOND).toBeCloseTo(2, 2)
  })

  it('above it never does, and the sentence names both rates', () => {
    const forecast = writer(120 * MB, 120 * MB).forecast({
      remainingBytes: 100 * MB,
      thresholdBytes: 1 * MB,
      sendingBytesPerSec: 100 * MB,
      dirtiedBytes: 12 * MB,
    })
    expect(forecast).toEqual({ kind: 'never', dirtyingBytesPerSec: expect.closeTo(120 * MB, 0), sendingBytesPerSec: 100 * MB })
    if (forecast !== null) expect(forecastText(forecast)).toMatch(/never converge: dirtying .*\/s, sending .*\/s/)
  })
})

describe('a throttle that has steps left', () => {
  const left = { remainingBytes: 100 * MB, thresholdBytes: 1 * MB, sendingBytesPerSec: 100 * MB, dirtiedBytes: 12 * MB }
  const step = (percent: number) => ({ share: 1 - percent / 100, mostBytesPerSec: Number.POSITIVE_INFINITY, to: `${percent} %` })

  it('names the first that makes the writer slow enough', () => {
    const forecast = writer(120 * MB, 120 * MB).forecast({ ...left, slowings: [step(10), step(20), step(30)] })
    expect(forecast).toMatchObject({ kind: 'once slowed', to: '20 %' })
    if (forecast !== null)
      expect(forecastText(forecast)).toMatch(/^will converge at the earliest when 20 %: dirtying .*, sending/)
  })

  it('that are not enough leave it at never', () => {
    expect(writer(120 * MB, 120 * MB).forecast({ ...left, slowings: [step(10)] })).toMatchObject({ kind: 'never' })
  })

  it('and a limit in bytes counts as one', () => {
    const slowings = [{ share: 1, mostBytesPerSec: 50 * MB, to: 'dirty-limit' }]
    expect(writer(120 * MB, 120 * MB).forecast({ ...left, slowings })).toMatchObject({ kind: 'once slowed', to: 'dirty-limit' })
  })
})

it('what was written since the last pass, and nobody has looked at, counts', () => {
  const left = { remainingBytes: 10 * MB, thresholdBytes: 30 * MB, sendingBytesPerSec: 1 * MB, dirtiedBytes: 12 * MB }
  expect(writer(120 * MB, 120 * MB).forecast(left)).toEqual({ kind: 'converges', inNs: 0 })
  expect(writer(120 * MB, 120 * MB).forecast({ ...left, dirtiedBytes: 132 * MB })).toMatchObject({ kind: 'never' })
})

it('a migration that may end when it next looks is said to end soon, not at once', () => {
  expect(forecastText({ kind: 'converges', inNs: 0 })).toBe('will converge within 100 ms')
})

it('a fast writer on a set that fits the threshold is done soon', () => {
  const forecast = writer(500 * MB, 10 * MB).forecast({
    remainingBytes: 10 * MB,
    thresholdBytes: 30 * MB,
    sendingBytesPerSec: 100 * MB,
    dirtiedBytes: 50 * MB,
  })
  expect(forecast).toEqual({ kind: 'converges', inNs: expect.any(Number) })
})

it('nothing is said before a pass was seen', () => {
  expect(new Forecaster().forecast({ remainingBytes: 1, thresholdBytes: 0, sendingBytesPerSec: 1, dirtiedBytes: 0 })).toBeNull()
})

describe('of runs', () => {
  const slow = { mode: 'precopy', memBytes: 16 * 2 ** 20, bandwidthBitsPerSec: 1e8 } as const

  it('that are cut short: one that would never end says so in its report', () => {
    const run = finish({ ...slow, guest: 'sweep:rate=100MB/s', timeLimitNs: 6e9 })
    expect(run.report().migration.forecast).toMatch(/never converge/)
  })

  it('that auto-converge may slow further are not given up, and their report says how much it takes by then', () => {
    const capabilities = { ...small().capabilities, 'auto-converge': true }
    const run = finish({ ...slow, guest: 'sweep:rate=50MB/s', capabilities, timeLimitNs: 6e9 })
    const { migration } = run.report()
    expect(migration.forecast).toMatch(/^will converge at the earliest when auto-converge takes \d+ % of the CPUs: dirtying/)
    expect(migration['cpu-throttle-percentage']).toBeGreaterThanOrEqual(20)
    expect(migration['expected-downtime']).toBeGreaterThan(0)
  })

  it('whose memory fits the socket buffers: what a whole pass will find is not forgotten while they drain', () => {
    const options = { mode: 'precopy', memBytes: 2 * MIB, bandwidthBitsPerSec: 1e7, guest: 'sweep:rate=5MB/s' } as const
    // Pages of a pass are in the buffers at once; 3.6 s: most of the second pass has drained.
    const run = finish({ ...options, timeLimitNs: 3.6e9 })
    expect(run.report().migration.forecast).toMatch(/never converge/)
  })

  it('that end: the time foretold half way is not far from the time it takes', () => {
    const options = { ...slow, guest: 'sweep:rate=5MB/s', downtimeLimitNs: 100e6 }
    const whole = finish(options)
    expect(whole.state.status).toBe('completed')
    // Cut where the second pass has begun.
    const cutNs = 1.8e9
    const cut = finish({ ...small(options), timeLimitNs: cutNs })
    const { forecast } = cut.progress()
    expect(forecast?.kind).toBe('converges')
    const leftNs = whole.state.downtimeStartNs - cutNs
    if (forecast?.kind === 'converges') expect(Math.abs(forecast.inNs - leftNs)).toBeLessThan(0.25 * leftNs)
  })
})
