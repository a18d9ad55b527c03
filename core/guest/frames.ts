/**
 * Where a guest's pages lie in its memory: a kernel hands frames out in short runs, so that what is one behind the other to a program
 * is so in memory for some pages only.
 *
 * Source: mm/page_alloc.c: order-0 pages come from lists of each CPU, which take zone_batchsize pages at once from the buddy allocator:
 * 31 on a machine with more than half a GB. Where the runs lie is a matter of what was given back before: of chance, here.
 */
import type { Prng } from '../base/prng.ts'

export const RUN_PAGES = 31

/** `count` pages of [first, end) in the order in which they are handed out. [all] */
export function handedOut(first: number, end: number, prng: Prng, count = end - first): Int32Array {
  const order = shuffled(Math.ceil((end - first) / RUN_PAGES), prng)
  const pages = new Int32Array(count)
  let n = 0
  for (let i = 0; n < count; i++) {
    const from = first + order[i] * RUN_PAGES
    for (let page = from; page < Math.min(end, from + RUN_PAGES) && n < count; page++) pages[n++] = page
  }
  return pages
}

/** 0 to count - 1 in an order of chance. */
export function shuffled(count: number, prng: Prng): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = prng.below(i + 1)
    const other = order[j]
    order[j] = order[i]
    order[i] = other
  }
  return order
}
