/**
 * kv: a key-value store. An operation looks up a bucket page and reads or writes a record page; keys are zipfian with YCSB's
 * constant 0.99, half of the operations write (YCSB workload A).
 *
 * Source: Cooper et al., "Benchmarking cloud serving systems with YCSB", SoCC 2010. Ours: a bucket page for 16 pages of the set;
 * and 100,000 operations a second, what one Redis server does on a good day (Deshpande 2016 saw YCSB on Redis reach 17,112 while
 * it migrated). At 1 Gb/s a pre-copy of half a GiB then ends within QEMU's 300 ms; four times as many never would.
 */
import type { Prng } from '../base/prng.ts'
import { RATE_OPS, sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, chance, thinkNs, type Workload } from './workload.ts'
import { Zipf } from './zipf.ts'

export interface KvOptions {
  readonly setPages: number
  /** Operations a second of this vCPU. */
  readonly opsPerSec: number
  /** Share of operations that write, 0 to 1. */
  readonly writes: number
  readonly theta: number
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

  constructor(options: KvOptions, prng: Prng) {
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
      out[i] = access(item % this.#bucketPages, bits & 1, false)
      out[i + 1] = access(record, (bits >>> 1) & 1, chance(bits, this.#writes))
    }
    return BLOCK_ACCESSES
  }
}

export const KV: GuestKind = {
  name: 'kv',
  summary: 'a key-value store with zipfian reads and writes (YCSB A)',
  keys: [
    sizeKey('set', 0.75, 'memory that the store uses'),
    { key: 'rate', unit: 'rate', fallback: '100k/s', meaning: RATE_OPS },
    { key: 'writes', unit: 'share', fallback: '50%', meaning: 'share of operations that write' },
    { key: 'theta', unit: 'skew', fallback: '0.99', meaning: 'skew of the keys: 0.01 is nearly uniform, 0.99 is YCSB' },
  ],
  example: 'kv:set=64M,writes=5%',
  op: 'one get or put',
  content: 'heap',
  contentSource: 'ours: small records between pointers',
  make(setup) {
    const writes = setup.share('writes')
    // A rate in bytes counts what is written: a page an operation, for the share of operations that write.
    const opsPerSec = setup.rate(4096 * Math.max(writes, 0.001)) / setup.vcpus
    const options = { setPages: setup.pages(), opsPerSec, writes, theta: setup.skew('theta') }
    return setup.each((prng) => new KvWorkload(options, prng))
  },
}
