/**
 * First touches at the destination: what is there and what is missing are told apart, and neither order nor page size changes
 * what they are together.
 */
import { describe, expect, it } from 'vitest'
import { FirstTouches } from '../../core/run/first_touches.ts'
import { finish, MIB } from './small.ts'

const touchesOf = (options: Parameters<typeof finish>[0]) => finish(options).report().prepaging

describe('first touches', () => {
  it('count a page once, by how it was met first', () => {
    const touches = new FirstTouches(8, 1)
    touches.touched[3] = 1
    touches.missing(3)
    touches.missing(4)
    touches.missing(4)
    touches.touched[4] = 1
    touches.touched[5] = 1
    expect(touches.report()).toEqual({ networkFaults: 1, minorFaults: 2 })
  })

  it('are those of host pages', () => {
    const touches = new FirstTouches(2048, 512)
    touches.missing(513)
    touches.missing(1000)
    touches.touched[1024] = 1
    expect(touches.report()).toEqual({ networkFaults: 1, minorFaults: 1 })
  })

  it('by demand are network faults, all of them', () => {
    const options = { guest: 'sweep:set=512k', prepaging: 'demand', timeLimitNs: 1e9 }
    expect(touchesOf(options)).toEqual({ networkFaults: 128, minorFaults: 0 })
  })

  it.each(['push-only', 'forward', 'dual', 'multi-pivot'])('of a sweep over everything are all pages, by %s', (prepaging) => {
    const { networkFaults, minorFaults } = touchesOf({ guest: 'sweep', prepaging, durationNs: 20e6 })
    expect(networkFaults + minorFaults).toBe(256)
    expect(networkFaults).toBeGreaterThan(0)
    expect(minorFaults).toBeGreaterThan(networkFaults)
  })

  it('of pages of 2 MiB are so many of those', () => {
    const options = { guest: 'sweep', memBytes: 8 * MIB, pageSizeBytes: 2 * MIB, durationNs: 50e6 }
    const { networkFaults, minorFaults } = touchesOf(options)
    expect(networkFaults + minorFaults).toBe(4)
  })

  it('meet fewer missing pages where the push follows the requests of a sequential guest', () => {
    const of = (prepaging: string) => touchesOf({ guest: 'sweep:rate=60MB/s', memBytes: 16 * MIB, prepaging }).networkFaults
    expect(of('multi-pivot:queue=64k')).toBeLessThan(of('push-only:queue=64k') / 2)
  })
})
