/**
 * mm-dirty: mig_mon's mm_dirty, the load of Peter Xu's post-copy measurements (13 of 16 GB prefaulted, random, as fast as it can).
 *
 * - random: a store to the first byte of a random page. sequential: each page in turn is read (the tool checks what it wrote in
 *   the last round) and then written. once: all pages are written at the start, and that was it; the guest's timer ticks on.
 * - With a rate, the tool dirties that much at full speed each second and sleeps until the next: it comes in bursts.
 * - One thread, on vCPU 0; prefaulting is shared by all.
 *
 * Source: xzpeter/mig_mon, mm_dirty.c and README. Ours: a page takes 100 ns at full speed (one miss to memory); 100 ticks a second.
 */
import type { Prng } from '../base/prng.ts'
import { sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, type Workload } from './workload.ts'

export const DIRTY_PATTERNS = ['random', 'sequential', 'once'] as const
export type DirtyPattern = (typeof DIRTY_PATTERNS)[number]

const FULL_SPEED_NS = 100
const FULL_SPEED = '10M/s'
const TICK_NS = 10_000_000
const SECOND_NS = 1e9

export class MmDirtyWorkload implements Workload {
  readonly accessesPerOp: number
  readonly bootPages: number
  thinkNs: number
  readonly #pattern: DirtyPattern
  readonly #prng: Prng
  readonly #pagesPerSec: number
  #at = 0
  /** Pages still to be dirtied in this second. */
  #left: number

  constructor(setPages: number, pattern: DirtyPattern, pagesPerSec: number, prng: Prng) {
    this.bootPages = setPages
    this.accessesPerOp = pattern === 'sequential' ? 2 : 1
    this.#pattern = pattern
    this.#prng = prng
    // More than full speed it cannot do.
    this.#pagesPerSec = Math.max(1, Math.min(Math.round(pagesPerSec), SECOND_NS / FULL_SPEED_NS))
    this.#left = this.#pagesPerSec
    this.thinkNs = FULL_SPEED_NS / this.accessesPerOp
  }

  fill(out: Int32Array): number {
    if (this.#pattern === 'once') {
      this.thinkNs = TICK_NS
      out[0] = access(0, 0, false)
      return 1
    }
    if (this.#left === 0) this.#left = this.#pagesPerSec
    // The last page of a second is a block of its own: the sleep until the next second stands behind it.
    const pages = Math.min(BLOCK_ACCESSES / this.accessesPerOp, this.#left > 1 ? this.#left - 1 : 1)
    const sleeps = this.#left === 1
    this.#left -= pages
    this.thinkNs = (sleeps ? SECOND_NS - (this.#pagesPerSec - 1) * FULL_SPEED_NS : FULL_SPEED_NS) / this.accessesPerOp
    return this.#dirty(out, pages)
  }

  #dirty(out: Int32Array, pages: number): number {
    const { bootPages } = this
    if (this.#pattern === 'random') {
      for (let i = 0; i < pages; i++) out[i] = access(this.#prng.below(bootPages), 0, true)
      return pages
    }
    for (let i = 0; i < 2 * pages; i += 2) {
      out[i] = access(this.#at, 0, false)
      out[i + 1] = access(this.#at, 0, true)
      if (++this.#at === bootPages) this.#at = 0
    }
    return 2 * pages
  }
}

export const MM_DIRTY: GuestKind = {
  name: 'mm-dirty',
  summary: "mig_mon's mm_dirty, the load of QEMU's post-copy measurements",
  keys: [
    sizeKey('set', 13 / 16, 'memory that it dirties'),
    {
      key: 'rate',
      unit: 'rate',
      fallback: FULL_SPEED,
      meaning: 'pages or bytes dirtied a second, in one burst a second; usually as fast as it can',
    },
    {
      key: 'pattern',
      unit: 'word',
      fallback: 'random',
      words: DIRTY_PATTERNS,
      meaning: 'random, sequential, or once and never again',
    },
  ],
  example: 'mm-dirty:rate=500MB/s',
  op: 'one page dirtied',
  content: 'sparse',
  contentSource: 'mig_mon mm_dirty.c: one byte a page is written, the rest is zero',
  make(setup) {
    const pattern = DIRTY_PATTERNS.find((p) => p === setup.word('pattern')) ?? 'random'
    const [setPages, rate] = [setup.pages(), setup.rate(4096)]
    return setup.each((prng, i) => (i === 0 ? new MmDirtyWorkload(setPages, pattern, rate, prng) : null))
  },
}
