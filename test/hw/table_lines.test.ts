/**
 * Lines of page tables in the data caches: what the first read costs, what its neighbours do, and what evicts what.
 */
import { describe, expect, it } from 'vitest'
import type { CpuPreset, Sourced } from '../../core/hw/preset.ts'
import { LINE_SHIFT, TableLines } from '../../core/hw/table_lines.ts'
import { SMALL } from './threads.ts'

const ours = (value: number): Sourced => ({ value, kind: 'ours', source: 'small enough for a test' })
const PRESET: CpuPreset = {
  ...SMALL,
  clockGHz: ours(1),
  nearTableLines: ours(4),
  nearReadCycles: ours(1),
  farTableLines: ours(8),
  farReadCycles: ours(10),
  memoryReadCycles: ours(100),
}

describe('lines of page tables', () => {
  it('a walk along neighbouring entries reads memory once in eight', () => {
    const lines = new TableLines(PRESET, 4096)
    const costs = Array.from({ length: 16 }, (_, slot) => lines.read(slot >>> LINE_SHIFT))
    expect(costs).toEqual([100, ...Array<number>(7).fill(1), 100, ...Array<number>(7).fill(1)])
  })

  it('a line that another took the near place of is far, and one that lost both places is in memory', () => {
    const lines = new TableLines(PRESET, 4096)
    expect([lines.read(0), lines.read(0)]).toEqual([100, 1])
    // Near has 4 places and far 8: 4 meets 0 near, 8 meets it in both.
    expect([lines.read(4), lines.read(0), lines.read(8), lines.read(0)]).toEqual([100, 10, 100, 100])
  })

  it('are no more places than the window has lines, and a power of two of them', () => {
    const lines = new TableLines({ ...PRESET, nearTableLines: ours(12_288), farTableLines: ours(3) }, 16)
    expect([lines.near.length, lines.far.length]).toEqual([128, 4])
  })
})
