/**
 * phases: a database that works and checkpoints by turns, so that what is left to send goes up and down.
 *
 *  1. Work, half of each period: reads and writes of single pages, all equally likely.
 *  2. Flush, the other half: the pages are read in order, a tenth as fast, as a disk takes them, and written no more. What is dirty in
 *     the eyes of a migration now falls: the dips at which a switch costs least.
 *
 * The phases are counted in the guest's own time, as a checkpoint comes after so much work: a vCPU that waits for a page waits in
 * its phase. Source: KubeVirt VEP 248 ("search local minima": Redis, MariaDB, kernel builds under migration; its slides show the
 * dips, no table). Ours: period, halves, rates.
 */
import type { Prng } from '../base/prng.ts'
import { RATE_OPS, sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, chance, thinkNs, type Workload } from './workload.ts'

/** The flush is slower by this factor. */
const FLUSH_SLOWER = 10

export interface PhasesOptions {
  readonly setPages: number
  /** Accesses a second of this vCPU while it works. */
  readonly opsPerSec: number
  readonly writes: number
  readonly periodNs: number
}

export class PhasesWorkload implements Workload {
  readonly accessesPerOp = 1
  readonly bootPages: number
  thinkNs: number
  readonly #prng: Prng
  readonly #writes: number
  readonly #workNs: number
  /** Accesses of a whole phase of either kind. */
  readonly #workAccesses: number
  readonly #flushAccesses: number
  #flushing = false
  #left: number
  #at = 0

  constructor(options: PhasesOptions, prng: Prng) {
    this.bootPages = options.setPages
    this.#prng = prng.fork('pages')
    this.#writes = options.writes
    this.#workNs = thinkNs(options.opsPerSec, 1)
    this.#workAccesses = Math.max(1, Math.round(options.periodNs / 2 / this.#workNs))
    this.#flushAccesses = Math.max(1, Math.round(options.periodNs / 2 / this.#workNs / FLUSH_SLOWER))
    this.#left = this.#workAccesses
    this.thinkNs = this.#workNs
  }

  fill(out: Int32Array): number {
    if (this.#left === 0) {
      this.#flushing = !this.#flushing
      this.#left = this.#flushing ? this.#flushAccesses : this.#workAccesses
      this.thinkNs = this.#workNs * (this.#flushing ? FLUSH_SLOWER : 1)
    }
    const n = Math.min(BLOCK_ACCESSES, this.#left)
    this.#left -= n
    // 2.
    if (this.#flushing) {
      for (let i = 0; i < n; i++) {
        out[i] = access(this.#at, 0, false)
        if (++this.#at === this.bootPages) this.#at = 0
      }
      return n
    }
    // 1.
    for (let i = 0; i < n; i++) {
      const page = this.#prng.below(this.bootPages)
      const bits = this.#prng.uint32()
      out[i] = access(page, bits & 1, chance(bits, this.#writes))
    }
    return n
  }
}

export const PHASES: GuestKind = {
  name: 'phases',
  summary: 'a database that works and flushes by turns: dirtying comes and goes',
  keys: [
    sizeKey('set', 0.75, 'memory that it uses'),
    { key: 'rate', unit: 'rate', fallback: '400k/s', meaning: `${RATE_OPS}, while it works` },
    { key: 'writes', unit: 'share', fallback: '50%', meaning: 'share of operations that write, while it works' },
    { key: 'period', unit: 'time', fallback: '2s', meaning: 'one phase of work and one of flushing together' },
  ],
  example: 'phases:period=500ms',
  op: 'one access',
  content: 'heap',
  contentSource: 'ours',
  make(setup) {
    const writes = setup.share('writes')
    const opsPerSec = setup.rate(4096 * Math.max(writes, 0.001)) / setup.vcpus
    const options = { setPages: setup.pages(), opsPerSec, writes, periodNs: setup.timeNs('period') }
    return setup.each((prng) => new PhasesWorkload(options, prng))
  },
}
