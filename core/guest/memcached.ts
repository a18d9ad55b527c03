/**
 * memcached: Facebook's ETC pool. One operation is one request:
 *  1. Look up the key's bucket.
 *  2. GET: read the item. If its time of last use is more than a minute old, write it: the item goes to the head of its list.
 *     SET: write the item.
 *
 * The rank of a key gives how often it is asked for, and so how likely a minute has passed since it was last written (renewals
 * with a dead time: 1 / (1 + requests a minute)); ranks are taken to a factor of two.
 *
 * Sources: Atikoglu et al., "Workload analysis of a large-scale key-value store", SIGMETRICS 2012: GET to SET 30 to 1, 1 % of the
 * keys take 55 % of the requests, values of 500 bytes or less; memcached's ITEM_UPDATE_INTERVAL of 60 s. The skew 0.92 follows: over
 * a million keys 1 % then take 55 %. Ours: 8 items a page, a page of buckets for 64 of items, the rate.
 */
import { mix32 } from '../base/hash.ts'
import type { Prng } from '../base/prng.ts'
import { RATE_OPS, sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, chance, thinkNs, type Workload } from './workload.ts'
import { Zipf } from './zipf.ts'

const ITEMS_PER_PAGE = 8
const ITEM_PAGES_PER_BUCKET_PAGE = 64
const UPDATE_INTERVAL_S = 60

export interface MemcachedOptions {
  readonly setPages: number
  /** Requests a second of this vCPU, and of all. */
  readonly opsPerSec: number
  readonly allOpsPerSec: number
  readonly writes: number
  readonly theta: number
}

export class MemcachedWorkload implements Workload {
  readonly accessesPerOp = 2
  readonly thinkNs: number
  readonly bootPages: number
  readonly #ranks: Zipf
  readonly #prng: Prng
  readonly #bucketPages: number
  readonly #items: number
  readonly #writes: number
  /** By log2 of the rank: how likely a GET writes the item's time. */
  readonly #bumps: Float64Array

  constructor(options: MemcachedOptions, prng: Prng) {
    const { setPages, theta } = options
    this.bootPages = setPages
    this.#bucketPages = setPages === 1 ? 0 : Math.max(1, Math.floor(setPages / (ITEM_PAGES_PER_BUCKET_PAGE + 1)))
    this.#items = (setPages - this.#bucketPages) * ITEMS_PER_PAGE
    this.#ranks = new Zipf(this.#items, theta, prng.fork('keys'))
    this.#prng = prng.fork('choices')
    this.#writes = options.writes
    this.#bumps = Float64Array.from({ length: 32 }, (_, log2) => {
      const share = this.#ranks.share(Math.min(2 ** log2, this.#items) - 1)
      return 1 / (1 + share * options.allOpsPerSec * UPDATE_INTERVAL_S)
    })
    this.thinkNs = thinkNs(options.opsPerSec, 2)
  }

  fill(out: Int32Array): number {
    const buckets = Math.max(1, this.#bucketPages)
    for (let i = 0; i < BLOCK_ACCESSES; i += 2) {
      const rank = this.#ranks.rank()
      const hash = mix32(rank + 0x2545f491)
      const bits = this.#prng.uint32()
      // 1.
      out[i] = access(hash % buckets, bits & 1, false)
      // 2.
      const page = this.#bucketPages + Math.floor((mix32(hash ^ 0x9e3779b9) % this.#items) / ITEMS_PER_PAGE)
      const writes = chance(bits, this.#writes) || this.#prng.fraction() < this.#bumps[31 - Math.clz32(rank + 1)]
      out[i + 1] = access(page, (bits >>> 1) & 1, writes)
    }
    return BLOCK_ACCESSES
  }
}

export const MEMCACHED: GuestKind = {
  name: 'memcached',
  summary: "a cache of small items: Facebook's ETC pool, 30 GETs to a SET",
  keys: [
    sizeKey('set', 0.75, 'memory for items and buckets'),
    { key: 'rate', unit: 'rate', fallback: '100k/s', meaning: RATE_OPS },
    { key: 'writes', unit: 'share', fallback: '3.2%', meaning: 'share of requests that are SETs' },
    {
      key: 'theta',
      unit: 'skew',
      fallback: '0.92',
      meaning: 'skew of the keys: at 0.92 the first 1 % of a million take 55 % of the requests',
    },
  ],
  example: 'memcached:rate=50k/s',
  op: 'one GET or SET',
  content: 'heap',
  contentSource: 'ours: small items of mixed kinds',
  make(setup) {
    const writes = setup.share('writes')
    const allOpsPerSec = setup.rate(4096 * Math.max(writes, 0.001))
    const options = {
      setPages: setup.pages(),
      opsPerSec: allOpsPerSec / setup.vcpus,
      allOpsPerSec,
      writes,
      theta: setup.skew('theta'),
    }
    return setup.each((prng) => new MemcachedWorkload(options, prng))
  },
}
