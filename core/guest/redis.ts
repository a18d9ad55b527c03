/**
 * redis: one server thread, on vCPU 0, queried by YCSB. One operation is one command:
 *  1. Look up the key in the dictionary.
 *  2. The object's header: its clock of last use is written, for reads too. A guest that only reads dirties its memory all the same.
 *  3. The value is read, or written for the share of updates.
 *
 * Sources: Deshpande et al., "Agile live migration", 2016, section V-A: 9 GB of records in 10 GB of memory, read only, uniform,
 * first over 200 MB of them and then over 6 GB; 7,653 to 17,112 operations a second and guest (Table I); V-Recover: half updates;
 * redis db.c, lookupKey: val->lru = LRU_CLOCK(). Ours: a page of the dictionary for 64 of the set; a record within one page.
 */
import type { Prng } from '../base/prng.ts'
import { sizeKey } from './guest_key.ts'
import { GuestError, type GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, chance, thinkNs, type Workload } from './workload.ts'

const PAGES_PER_DICTIONARY_PAGE = 64
const ACCESSES_PER_OP = 3

export interface RedisOptions {
  readonly setPages: number
  /** Records that are asked for lie in so many pages. */
  readonly hotPages: number
  readonly opsPerSec: number
  readonly writes: number
}

export class RedisWorkload implements Workload {
  readonly accessesPerOp = ACCESSES_PER_OP
  readonly thinkNs: number
  readonly bootPages: number
  readonly #prng: Prng
  readonly #dictionaryPages: number
  readonly #recordPages: number
  readonly #writes: number

  constructor(options: RedisOptions, prng: Prng) {
    this.bootPages = options.setPages
    this.#prng = prng.fork('keys')
    this.#dictionaryPages = Math.floor(options.setPages / PAGES_PER_DICTIONARY_PAGE)
    this.#recordPages = Math.max(1, Math.min(options.hotPages, options.setPages - this.#dictionaryPages))
    this.#writes = options.writes
    this.thinkNs = thinkNs(options.opsPerSec, ACCESSES_PER_OP)
  }

  fill(out: Int32Array): number {
    const prng = this.#prng
    const dictionary = Math.max(1, this.#dictionaryPages)
    let n = 0
    while (n <= BLOCK_ACCESSES - ACCESSES_PER_OP) {
      const key = prng.uint32()
      const bits = prng.uint32()
      const page = this.#dictionaryPages + Math.floor((key * this.#recordPages) / 2 ** 32)
      // 1.
      out[n] = access(bits % dictionary, (bits >>> 1) & 1, false)
      // 2.
      out[n + 1] = access(page, 0, true)
      // 3.
      out[n + 2] = access(page, 1, chance(bits, this.#writes))
      n += ACCESSES_PER_OP
    }
    return n
  }
}

export const REDIS: GuestKind = {
  name: 'redis',
  summary: 'Redis under YCSB: uniform queries over a hot part; reads write too',
  keys: [
    sizeKey('set', 0.75, 'memory of all records'),
    { key: 'rate', unit: 'rate', fallback: '17k/s', meaning: 'operations a second, or bytes written a second' },
    { key: 'writes', unit: 'share', fallback: '0%', meaning: 'share of operations that update a record' },
    sizeKey('hot', 0.5, 'the part of the set that is queried'),
  ],
  example: 'redis:set=9G,hot=200M',
  op: 'one command',
  content: 'text',
  contentSource: "YCSB fills its records with random printable bytes [from memory]; text is this table's nearest",
  make(setup) {
    const setPages = setup.pages()
    const hotPages = setup.pages('hot')
    if (setup.given.hot !== undefined && hotPages > setPages)
      throw new GuestError(`guest redis: hot=${setup.given.hot} is more than its set; give less, or more with set=`)
    const options = {
      setPages,
      hotPages: Math.min(hotPages, setPages),
      opsPerSec: setup.rate(4096),
      writes: setup.share('writes'),
    }
    return setup.each((prng, i) => (i === 0 ? new RedisWorkload(options, prng) : null))
  },
}
