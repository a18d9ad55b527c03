/**
 * Falsely dirty pages are counted, not computed: what is counted is what arithmetic says of a guest that writes at random.
 */
import { expect, it } from 'vitest'
import { DEFAULT_CAPABILITIES } from '../../core/migration/capabilities.ts'
import { falselyDirty } from '../../core/run/published/falsely_dirty.ts'

/** Enough that what the socket buffer takes at once, 2 MiB, is little. */
const PAGES = 16_384

function sharesOf(guest: string): readonly number[] {
  const options = { mode: 'precopy', capabilities: DEFAULT_CAPABILITIES, vcpus: 1, memBytes: PAGES * 4096 } as const
  const run = falselyDirty('run', { ...options, guest, bandwidthBitsPerSec: 1e9, downtimeLimitNs: 1e6 }, 2)
  for (let step = run.next(); ; step = run.next()) if (step.done === true) return step.value
}

it('is four in ten where a pass sees a store a page at random, and none where it sees many', () => {
  const passSeconds = (PAGES * 4104 * 8 * 1.053) / 1e9
  expect(sharesOf(`uniform:rate=${Math.round(PAGES / passSeconds)}/s,writes=100%`)[0]).toBeCloseTo(41.8, -1)
  expect(Math.max(...sharesOf('sweep:set=4M,rate=1GB/s'))).toBeLessThan(2)
})
