/**
 * How far the TLBs reach: the time of a load in a chain that goes through more and more pages, one line of each.
 *
 * Every load needs the one before it, and goes to a page that chance chose. The lines are spread over the sets of the caches. As long as
 * all pages have an entry in the L1 TLB a load costs what the cache costs; beyond that the L2 TLB is asked, and beyond that the page
 * tables. Where the steps are is for who reads the curve: the data leave the L1 cache at a place of their own.
 */
import { quantileSorted } from 'simple-statistics'
import { Prng } from '../../../core/base/prng.ts'
import type { Reach } from '../../../core/hw/calibration.ts'
import { Mapping, PAGE_BYTES } from '../sys/mapping.ts'
import { timed } from './measurement.ts'

const PAGE_COUNTS = [16, 32, 48, 64, 72, 96, 128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16_384]
const LOADS = 40_000
const ROUNDS = 5
const WORDS = PAGE_BYTES / 4
const LINES = PAGE_BYTES / 64

/** One curve; the lowest of several stands for a machine that others load. */
export function tlbReach(): Reach[] {
  const mapping = Mapping.anonymous(16_384 * PAGE_BYTES, { populate: true })
  const memory = new Uint32Array(mapping.buffer)
  const prng = new Prng(1)
  const reach = PAGE_COUNTS.map((pages) => {
    chain(memory, pages, prng)
    let at = 0
    const rounds = timed(ROUNDS, LOADS, () => {
      for (let i = 0; i < LOADS; i++) at = memory[at] as number
    })
    // What was found has to be used, or nothing need be loaded.
    if (at < 0) throw new Error('a chain was left')
    return {
      pages,
      ns: quantileSorted(
        rounds.sort((a, b) => a - b),
        0.5,
      ),
    }
  })
  mapping.unmap()
  return reach
}

/** A cycle through one line of each page, in an order of chance. */
function chain(memory: Uint32Array, pages: number, prng: Prng): void {
  const order = Array.from({ length: pages }, (_, page) => page)
  for (let i = pages - 1; i > 0; i--) {
    const j = prng.below(i + 1)
    const taken = order[i] as number
    order[i] = order[j] as number
    order[j] = taken
  }
  const wordOf = (page: number) => page * WORDS + (page % LINES) * 16
  for (let i = 0; i < pages; i++) memory[wordOf(order[i] as number)] = wordOf(order[(i + 1) % pages] as number)
}

export function lowest(curves: readonly (readonly Reach[])[]): Reach[] {
  return PAGE_COUNTS.map((pages) => {
    const loads = curves.flat().filter((one) => one.pages === pages)
    return { pages, ns: Math.min(...loads.map(({ ns }) => ns)) }
  })
}
