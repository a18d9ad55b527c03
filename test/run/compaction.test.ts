/**
 * Heap compaction: recycled pages make MOVE the cheaper call, pages that must be allocated make COPY the cheaper one.
 */
import { expect, it } from 'vitest'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { Compaction, type CompactionWay } from '../../core/run/compaction.ts'

function nsAPage(way: CompactionWay): number {
  const run = new Compaction({ way, pages: 64, preset: ZEN5 })
  while (run.advance()) expect(() => run.result()).toThrow('not over')
  return run.result()
}

it('recycled MOVE is cheaper than COPY, and COPY cheaper than MOVE of a fresh page', () => {
  const [recycled, copy, fresh] = [nsAPage('move recycled'), nsAPage('copy'), nsAPage('move fresh')]
  expect(recycled).toBeLessThan(copy)
  expect(copy).toBeLessThan(fresh)
})
