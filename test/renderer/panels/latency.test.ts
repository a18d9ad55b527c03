/** Percentiles and thinning. */
import { describe, expect, test } from 'vitest'
import type { MigrationStatus } from '../../../core/api/protocol.ts'
import { percentile, summarise, thin } from '../../../renderer/panels/latency.ts'
import { STATUS_WORD } from '../../../renderer/status_words.ts'

describe('latency', () => {
  test('percentiles are values that occurred, by nearest rank', () => {
    const sorted = Float64Array.from({ length: 100 }, (_, index) => index + 1)
    expect([percentile(sorted, 0.5), percentile(sorted, 0.99), percentile(sorted, 1)]).toEqual([50, 99, 100])
    expect(percentile(new Float64Array(), 0.5)).toBe(0)
  })

  test('a summary does not depend on the order and leaves its input alone', () => {
    const latencies = Float64Array.of(30, 10, 20)
    expect(summarise(latencies)).toEqual({ count: 3, p50Ns: 20, p99Ns: 30, maxNs: 30 })
    expect([...latencies]).toEqual([30, 10, 20])
  })

  test('thinning keeps the first, the last and no more than was asked, but for the last', () => {
    expect(thin(3, 10)).toEqual([0, 1, 2])
    expect(thin(10, 4)).toEqual([0, 3, 6, 9])
    expect(thin(11, 4)).toEqual([0, 3, 6, 9, 10])
    expect(thin(0, 4)).toEqual([])
  })
})

describe('phase strip', () => {
  test('every status on the road lights its segment, and none before it', () => {
    const road = [
      'none',
      'setup',
      'active',
      'pre-switchover',
      'device',
      'postcopy-active',
      'postcopy-paused',
      'completed',
    ] as const
    const phaseOf = (status: MigrationStatus) => STATUS_WORD[status].phase
    expect(road.map(phaseOf)).toEqual([-1, 0, 1, 2, 2, 3, 3, 4])
    expect((['cancelling', 'cancelled', 'failed', 'colo'] as const).map(phaseOf)).toEqual([4, 4, 4, 3])
  })
})
