/**
 * The streams of `bench mmu` are what they say: their shares of hits and walks follow from the sizes of the TLB levels.
 *
 * No speed is asserted: hosts differ.
 */
import { describe, expect, it } from 'vitest'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { MMU_BENCH_PAGES, MmuBench, type MmuStream, SECTION_ACCESSES, SECTIONS } from '../../core/run/bench_mmu.ts'

/** Shares of L1 hits, L2 hits and walks in `sections` sections, after one that fills the TLB. */
function shares(name: MmuStream, sections: number, seed = 1): { l1: number; l2: number; walks: number } {
  const bench = new MmuBench(name, ZEN5, seed)
  bench.run(0)
  const before = { ...bench.counters }
  for (let i = 1; i <= sections; i++) bench.run(i)
  const { l1Hits, l2Hits, walks } = bench.counters
  const all = sections * SECTION_ACCESSES
  expect(l1Hits + l2Hits + walks - before.l1Hits - before.l2Hits - before.walks).toBe(all)
  return {
    l1: (l1Hits - before.l1Hits) / all,
    l2: (l2Hits - before.l2Hits) / all,
    walks: (walks - before.walks) / all,
  }
}

describe('the streams of bench mmu', () => {
  it('uniform hits a level as often as the level holds a page: 96 and 4,000 of 16,384', () => {
    const { l1, l2 } = shares('uniform', 4)
    expect(l1).toBeCloseTo(ZEN5.l1Entries.value / MMU_BENCH_PAGES, 2)
    expect(l2).toBeCloseTo((ZEN5.l2Entries.value - ZEN5.l1Entries.value) / MMU_BENCH_PAGES, 1)
  })

  it('sequential walks once for each page, that is for each 64 accesses', () => {
    const { l1, l2, walks } = shares('sequential', SECTIONS - 1)
    expect([l1, l2, walks]).toEqual([63 / 64, 0, 1 / 64])
  })

  it('zipf hits L1 for a good part, L2 for most of the rest, and still walks', () => {
    const { l1, l2, walks } = shares('zipf', 4)
    expect(l1).toBeGreaterThan(0.3)
    expect(l2).toBeGreaterThan(0.3)
    expect(walks).toBeGreaterThan(0.1)
  })

  it('one seed makes one stream, another makes another', () => {
    expect(shares('uniform', 1)).toEqual(shares('uniform', 1))
    expect(shares('uniform', 1, 2)).not.toEqual(shares('uniform', 1))
  })
})
