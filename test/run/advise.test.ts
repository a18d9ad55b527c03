/**
 * The choice among settings: priorities in their order, what counts as equal, the deadline, and the reasons; on made-up outcomes.
 */
import { describe, expect, it } from 'vitest'
import { candidatesOf, choose, type Outcome, outcomeOf, usualLimitNs } from '../../core/run/advise.ts'
import { contradiction } from '../../core/run/settings.ts'
import { finish, MIB, small } from './small.ts'

const NO_DEADLINE = Number.POSITIVE_INFINITY

function outcome(name: string, figures: Partial<Outcome> = {}): Outcome {
  return { name, status: 'completed', 'total-time': 100, downtime: 100, slowdown: 1, blocktime: 0, why: '', ...figures }
}

describe('the choice', () => {
  it('goes by the first priority, and names both numbers', () => {
    const short = outcome('short', { downtime: 10, 'total-time': 900 })
    const { winner, runnerUp, reasons } = choose([outcome('long', { downtime: 283 }), short], ['downtime'], NO_DEADLINE)
    expect([winner?.name, runnerUp?.name]).toEqual(['short', 'long'])
    expect(reasons[0]).toBe('short has downtime 10.0 ms; long 283 ms')
    expect(reasons[1]).toBe('the price of short: total-time 900 ms, slowdown 1.00 times, blocktime 0 ns')
  })

  it('goes by the next priority where 5 ms or 5 % are between two', () => {
    const near = [outcome('a', { downtime: 10, 'total-time': 900 }), outcome('b', { downtime: 14.9, 'total-time': 300 })]
    expect(choose(near, ['downtime', 'total-time'], NO_DEADLINE).winner?.name).toBe('b')
    expect(choose(near, ['downtime', 'total-time'], NO_DEADLINE).reasons[0]).toContain('count as equal')
    const far = [outcome('a', { downtime: 10, 'total-time': 900 }), outcome('b', { downtime: 15.1, 'total-time': 300 })]
    expect(choose(far, ['downtime', 'total-time'], NO_DEADLINE).winner?.name).toBe('a')
    const large = [outcome('a', { downtime: 1000, 'total-time': 900 }), outcome('b', { downtime: 1049, 'total-time': 300 })]
    expect(choose(large, ['downtime', 'total-time'], NO_DEADLINE).winner?.name).toBe('b')
  })

  it('changes with the order of priorities', () => {
    const two = [outcome('quick', { 'total-time': 50, slowdown: 9 }), outcome('gentle', { 'total-time': 500, slowdown: 1.1 })]
    expect(choose(two, ['total-time', 'slowdown'], NO_DEADLINE).winner?.name).toBe('quick')
    expect(choose(two, ['slowdown', 'total-time'], NO_DEADLINE).winner?.name).toBe('gentle')
  })

  it('falls to what nobody asked for, and then to the one that stands first', () => {
    const two = [outcome('a', { slowdown: 9 }), outcome('b', { slowdown: 2 })]
    expect(choose(two, ['downtime'], NO_DEADLINE).winner?.name).toBe('b')
    const { winner, reasons } = choose([outcome('a'), outcome('b')], ['downtime'], NO_DEADLINE)
    expect([winner?.name, reasons[0]?.endsWith('b is as good, and not as plain')]).toEqual(['a', true])
  })

  it('leaves out what did not complete, broke a check or is late, and says why', () => {
    const others = [
      outcome('endless', { status: 'never', downtime: 0, why: 'will never converge: dirtying 461 MiB/s, sending 113 MiB/s' }),
      outcome('wrong', { status: 'inconsistent', downtime: 0, why: 'broke a check: page 7 is stale' }),
      outcome('late', { downtime: 0, 'total-time': 400 }),
    ]
    const { winner, runnerUp, reasons } = choose([...others, outcome('sound')], ['downtime'], 300e6)
    expect([winner?.name, runnerUp]).toEqual(['sound', null])
    expect(reasons.slice(2)).toEqual([
      'endless will never converge: dirtying 461 MiB/s, sending 113 MiB/s',
      'wrong broke a check: page 7 is stale',
      'late takes 400 ms, more than the deadline of 300 ms',
    ])
  })

  it('is nobody where nothing keeps the deadline, with the nearest in one sentence', () => {
    const two = [outcome('slow', { 'total-time': 800 }), outcome('near', { 'total-time': 90 })]
    expect(choose(two, ['downtime'], 50e6)).toEqual({
      winner: null,
      runnerUp: null,
      reasons: ['nothing is done within 50.0 ms; the nearest is near, which takes 90.0 ms'],
    })
  })
})

describe('candidates', () => {
  it('can all be run, differ in name and settings, and are fewer in a quick search', () => {
    const all = candidatesOf(small(), false)
    for (const { options } of all) expect(contradiction(options)).toBeNull()
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
    expect(new Set(all.map(({ options }) => JSON.stringify(options))).size).toBe(all.length)
    const quick = candidatesOf(small(), true).map(({ options }) => options.mode)
    expect(new Set(quick)).toEqual(new Set(['precopy', 'hybrid', 'postcopy']))
    expect(quick.length).toBeLessThan(all.length)
  })

  it('compress pages on slow links only', () => {
    const compress = (bandwidthBitsPerSec: number) =>
      candidatesOf(small({ bandwidthBitsPerSec }), false).some((c) => c.options.parameters['multifd-compression'] !== 'none')
    expect([compress(1e9), compress(10e9)]).toEqual([true, false])
  })

  it('have time for ten passes over memory, and ten seconds', () => {
    expect(usualLimitNs(small())).toBe(10e9)
    expect(usualLimitNs(small({ memBytes: 125e6, bandwidthBitsPerSec: 1e8 }))).toBeGreaterThan(100e9)
  })

  it('that run out of time against a fast writer will never converge; one that auto-converge may slow further will, then', () => {
    const base = small({ guest: 'sweep', memBytes: 4 * MIB, bandwidthBitsPerSec: 5e7, timeLimitNs: 2e9, downtimeLimitNs: 1e6 })
    const of = (wanted: string) =>
      candidatesOf(base, true)
        .filter(({ name }) => name === wanted)
        .map((candidate) => {
          const run = finish(candidate.options)
          const { status, why } = outcomeOf(candidate, run.report(), run.timedOut)
          return [status, why]
        })
    const rates = 'will never converge: dirtying .*/s, sending .*/s$'
    expect(of('pre-copy')).toEqual([['never', expect.stringMatching(`^${rates}`)]])
    expect(of('pre-copy with auto-converge')).toEqual([
      [
        'unfinished',
        expect.stringMatching('^was not done at 2.00 s, and will converge at the earliest when auto-converge takes .. % of'),
      ],
    ])
  })
})
