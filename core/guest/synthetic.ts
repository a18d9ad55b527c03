/**
 * The synthetic guests: kv, sweep, uniform and idle.
 *
 * - kv: a key-value store. An operation looks up a bucket page and reads or writes a record page; keys are zipfian with
 *   YCSB's constant 0.99, half of the operations write (YCSB workload A).
 * - sweep: a sequential writer. An operation rewrites one page, first and last word; each vCPU sweeps its own share.
 * - uniform: an operation reads or writes one page, any with the same probability.
 * - idle: a booted system with nothing to do: timers and daemons touch a few pages now and then.
 *
 * Sources: Cooper et al., "Benchmarking cloud serving systems with YCSB", SoCC 2010; Hines, Deshpande and Gopalan,
 * "Post-copy live migration", OSR 2009 (sweep); Xen's migration log of an idle guest (308 pages in 7.8 s).
 */
import type { Prng } from '../base/prng.ts'
import { access, BLOCK_ACCESSES, type Workload } from './workload.ts'
import { Zipf } from './zipf.ts'

export interface SyntheticOptions {
  readonly setPages: number
  /** Operations a second of this vCPU. */
  readonly opsPerSec: number
  /** Share of operations that write, 0 to 1. */
  readonly writes: number
  readonly theta: number
}

function thinkNs(opsPerSec: number, accessesPerOp: number): number {
  return 1e9 / (opsPerSec * accessesPerOp)
}

/** Buckets take one page in 16 of the set, records the rest. */
const PAGES_PER_BUCKET_PAGE = 16

export class KvWorkload implements Workload {
  readonly accessesPerOp = 2
  readonly thinkNs: number
  readonly bootPages: number
  readonly #zipf: Zipf
  readonly #prng: Prng
  readonly #bucketPages: number
  readonly #writes: number

  constructor(options: SyntheticOptions, prng: Prng) {
    this.bootPages = options.setPages
    this.#bucketPages = Math.max(1, Math.floor(options.setPages / PAGES_PER_BUCKET_PAGE))
    this.#zipf = new Zipf(Math.max(1, options.setPages - this.#bucketPages), options.theta, prng.fork('keys'))
    this.#prng = prng.fork('choices')
    this.#writes = options.writes
    this.thinkNs = thinkNs(options.opsPerSec, 2)
  }

  fill(out: Int32Array): number {
    const records = this.bootPages - this.#bucketPages
    for (let i = 0; i < BLOCK_ACCESSES; i += 2) {
      const item = this.#zipf.item()
      const bits = this.#prng.uint32()
      const record = records > 0 ? this.#bucketPages + item : 0
      const store = (bits >>> 8) / 16_777_216 < this.#writes
      out[i] = access(item % this.#bucketPages, bits & 1, false)
      out[i + 1] = access(record, (bits >>> 1) & 1, store)
    }
    return BLOCK_ACCESSES
  }
}

export class SweepWorkload implements Workload {
  readonly accessesPerOp = 2
  readonly thinkNs: number
  readonly bootPages: number
  readonly #first: number
  readonly #end: number
  #at: number

  /** Sweeps pages [first, end); boots the whole set. */
  constructor(options: SyntheticOptions, first: number, end: number) {
    this.bootPages = options.setPages
    this.#first = first
    this.#end = end
    this.#at = first
    this.thinkNs = thinkNs(options.opsPerSec, 2)
  }

  fill(out: Int32Array): number {
    let page = this.#at
    for (let i = 0; i < BLOCK_ACCESSES; i += 2) {
      out[i] = access(page, 0, true)
      out[i + 1] = access(page, 1, true)
      if (++page === this.#end) page = this.#first
    }
    this.#at = page
    return BLOCK_ACCESSES
  }
}

export class UniformWorkload implements Workload {
  readonly accessesPerOp = 1
  readonly thinkNs: number
  readonly bootPages: number
  readonly #prng: Prng
  readonly #writes: number

  constructor(options: SyntheticOptions, prng: Prng) {
    this.bootPages = options.setPages
    this.#prng = prng.fork('pages')
    this.#writes = options.writes
    this.thinkNs = thinkNs(options.opsPerSec, 1)
  }

  fill(out: Int32Array): number {
    const prng = this.#prng
    for (let i = 0; i < BLOCK_ACCESSES; i++) {
      const page = prng.below(this.bootPages)
      const bits = prng.uint32()
      out[i] = access(page, bits & 1, (bits >>> 8) / 16_777_216 < this.#writes)
    }
    return BLOCK_ACCESSES
  }
}
