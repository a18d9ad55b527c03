/**
 * Litmus tests of remap_anon_pages: against itself, against stores through old TLB entries, and against the reverse map.
 * Source: Andrea Arcangeli, remap_anon_pages, 2013 and 2014.
 */
import { MADV_DONTFORK, madvise } from '../../mm/madvise.ts'
import { remapAnonPages } from '../../mm/remap_anon_pages.ts'
import { answers, expectEqual, type Litmus } from '../litmus.ts'
import { at, P, type World } from '../world.ts'

/** A written page in an area of its own, and an empty area that cannot be merged with it. */
export function sourceAndDestination(world: World, pages = 1): { src: number; dst: number } {
  const src = world.map(pages)
  const dst = world.map(pages)
  world.call((k) => madvise(k, world.mm, at(src), pages * P, MADV_DONTFORK))
  for (let i = 0; i < pages; i++) world.store(src + i, 100 + i)
  return { src, dst }
}

export const REMAP: readonly Litmus[] = [
  {
    name: 'two-movers-one-destination',
    title: 'Two calls of remap_anon_pages place a page at one destination, one over the other',
    result: 'never',
    refs: ['R36'],
    protections: ['remap-pte-recheck'],
    memoryModel: 'sc',
    start: `
      src0 -> page 100     src1 -> page 101     dst -> none
      A: remap dst <- src0                      B: remap dst <- src1`,
    world: {},
    build(world) {
      const { src, dst } = sourceAndDestination(world, 2)
      const movers = [0, 1].map((n) =>
        world.actor(`mover${n}`, n, (k) => remapAnonPages(k, world.mm, at(dst), at(src + n), P, 0)),
      )
      return {
        judge: () => expectEqual('I-ONCE', 'calls that placed a page', 1, movers.filter((m) => m.value === P).length),
        outcome: () => answers(world),
      }
    },
  },
]
