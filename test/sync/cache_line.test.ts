/**
 * The cache line of a lock word: free for who had it last, a transfer for everybody else, one after the other; and no waiting
 * for a time that only a CPU running ahead can have left.
 */
import { expect, it } from 'vitest'
import { Clock } from '../../core/engine/task.ts'
import { CacheLine } from '../../core/sync/cache_line.ts'

const TRANSFER_NS = 75

/** Touches by CPUs in turn, all of them at time 0 to begin with; answers each CPU's clock. */
function touch(line: CacheLine, cpus: readonly number[], clocks: readonly Clock[]): number[] {
  for (const cpu of cpus) line.touch(clocks[cpu] ?? new Clock(99))
  return clocks.map((clock) => clock.nowNs)
}

const make = (n: number) => Array.from({ length: n }, (_, id) => new Clock(id))

it('costs its holder nothing, and another CPU one transfer', () => {
  expect(touch(new CacheLine(TRANSFER_NS), [0, 0, 0], make(1))).toEqual([TRANSFER_NS])
  expect(touch(new CacheLine(TRANSFER_NS), [0, 0, 1], make(2))).toEqual([TRANSFER_NS, 2 * TRANSFER_NS])
})

it('goes from CPU to CPU one after the other: n askers at once wait 1, 2, ... n transfers', () => {
  expect(touch(new CacheLine(TRANSFER_NS), [0, 1, 2, 3], make(4))).toEqual([75, 150, 225, 300])
})

it('is not waited for longer than a queue of CPUs can be: beyond that a CPU has run ahead', () => {
  const [ahead, behind] = [new Clock(0), new Clock(1)]
  const line = new CacheLine(TRANSFER_NS)
  ahead.nowNs = 10_000
  line.touch(ahead)
  line.touch(behind)
  expect(behind.nowNs).toBe(TRANSFER_NS)
})
