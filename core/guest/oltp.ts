/**
 * oltp: sysbench's oltp_read_write on InnoDB with its pool in memory. One operation is one transaction:
 *  1. Ten point selects: an inner page of the index, then the row's leaf.
 *  2. Four range selects of 100 rows: an inner page, then the leaves in order.
 *  3. An update of an indexed column: the leaf, and the secondary index's old and new leaf. An update of another: the leaf.
 *  4. A delete and an insert of the same row: the leaf and the secondary index's leaf, each time.
 *  5. Each of the four writes goes to the undo log and to the redo log first; the commit once more to the redo log.
 *
 *     | inner pages | leaves of the table | leaves of the secondary index | undo | redo |
 *
 * Rows are drawn by sysbench's distribution "special": three of four from the hundredth part in the middle, the rest from all.
 *
 * Sources: sysbench 1.0 (oltp_read_write's numbers of queries, range_size 100, rand-spec-pct 1, rand-spec-res 75); Deshpande et al.,
 * "Agile live migration", 2016: 8 GB set, pre-copy sends 11.3 GB for 10 GB of memory. Ours: 18 rows a page of 4096 bytes (188 bytes of columns and
 * InnoDB's overhead in pages 15/16 full), shares of the pool, 500 transactions a second, half a KB of log a write.
 */
import type { Prng } from '../base/prng.ts'
import { RATE_OPS, sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, chance, thinkNs, type Workload } from './workload.ts'

const POINT_SELECTS = 10
const RANGE_SELECTS = 4
const ROWS_PER_PAGE = 18
const RANGE_PAGES = Math.ceil(100 / ROWS_PER_PAGE)
const SPECIAL_PART = 0.01
const SPECIAL_SHARE = 0.75
const LOG_BYTES = 512
const LOGGED_WRITES = 4
const PAGES_WRITTEN = 8

/** Steps 1 to 5: 20, 28, 7, 6 and 9 accesses. */
export const TRANSACTION_ACCESSES = POINT_SELECTS * 2 + RANGE_SELECTS * (1 + RANGE_PAGES) + 5 + 2 + 6 + 2 * LOGGED_WRITES + 1

export class OltpWorkload implements Workload {
  readonly accessesPerOp = TRANSACTION_ACCESSES
  readonly thinkNs: number
  readonly bootPages: number
  readonly #prng: Prng
  /** Where each part of the pool begins; a part of a small pool may be part of the one before. */
  readonly #leaves: number
  readonly #secondary: number
  readonly #undo: number
  readonly #redo: number
  #undoBytes = 0
  #redoBytes = 0
  #out: Int32Array = new Int32Array(0)
  #count = 0

  constructor(setPages: number, opsPerSec: number, prng: Prng) {
    this.bootPages = setPages
    this.#prng = prng.fork('rows')
    this.#leaves = Math.floor(setPages / 256)
    this.#secondary = Math.floor(setPages * 0.8)
    this.#undo = Math.floor(setPages * 0.96)
    this.#redo = Math.floor(setPages * 0.98)
    this.thinkNs = thinkNs(opsPerSec, TRANSACTION_ACCESSES)
  }

  fill(out: Int32Array): number {
    this.#out = out
    this.#count = 0
    while (this.#count <= BLOCK_ACCESSES - TRANSACTION_ACCESSES) this.#transaction()
    return this.#count
  }

  #transaction(): void {
    // 1.
    for (let i = 0; i < POINT_SELECTS; i++) {
      this.#inner()
      this.#touch(this.#leaf(), false)
    }
    // 2.
    for (let i = 0; i < RANGE_SELECTS; i++) {
      this.#inner()
      const from = this.#leaf()
      for (let j = 0; j < RANGE_PAGES; j++) this.#touch(Math.min(from + j, Math.max(this.#leaves, this.#secondary - 1)), false)
    }
    // 3. and 5.
    this.#log()
    this.#inner()
    this.#touch(this.#leaf(), true)
    this.#inner()
    this.#touch(this.#secondaryLeaf(), true)
    this.#touch(this.#secondaryLeaf(), true)
    this.#log()
    this.#inner()
    this.#touch(this.#leaf(), true)
    // 4. and 5.
    const row = this.#leaf()
    const entry = this.#secondaryLeaf()
    for (let i = 0; i < 2; i++) {
      this.#log()
      this.#inner()
      this.#touch(row, true)
      this.#touch(entry, true)
    }
    // 5.
    this.#redoBytes = this.#append(this.#redo, this.bootPages, this.#redoBytes)
  }

  #touch(page: number, store: boolean): void {
    this.#out[this.#count++] = access(page, page & 1, store)
  }

  #inner(): void {
    this.#touch(this.#prng.below(Math.max(1, this.#leaves)), false)
  }

  #leaf(): number {
    return this.#special(this.#leaves, this.#secondary)
  }

  #secondaryLeaf(): number {
    return this.#special(this.#secondary, this.#undo)
  }

  /** A page of [first, end). */
  #special(first: number, end: number): number {
    const pages = Math.max(1, end - first)
    const part = chance(this.#prng.uint32(), SPECIAL_SHARE) ? SPECIAL_PART : 1
    return Math.min(first, this.bootPages - 1) + Math.floor(pages * (0.5 + part * (this.#prng.fraction() - 0.5)))
  }

  #log(): void {
    this.#undoBytes = this.#append(this.#undo, this.#redo, this.#undoBytes)
    this.#redoBytes = this.#append(this.#redo, this.bootPages, this.#redoBytes)
  }

  /** Writes to the ring of pages [first, end) and answers where its next record begins. */
  #append(first: number, end: number, bytes: number): number {
    const ring = Math.max(1, end - first)
    this.#touch(Math.min(first + (Math.floor(bytes / 4096) % ring), this.bootPages - 1), true)
    return bytes + LOG_BYTES
  }
}

export const OLTP: GuestKind = {
  name: 'oltp',
  summary: "a database in memory: sysbench's read-write transactions",
  keys: [
    sizeKey('set', 0.75, 'memory of the buffer pool and its logs'),
    { key: 'rate', unit: 'rate', fallback: '500/s', meaning: RATE_OPS },
  ],
  example: 'oltp:rate=1k/s',
  op: 'one transaction',
  content: 'text',
  contentSource: 'sysbench fills its columns with groups of digits; text is the nearest here',
  make(setup) {
    const opsPerSec = setup.rate(4096 * PAGES_WRITTEN) / setup.vcpus
    const setPages = setup.pages()
    return setup.each((prng) => new OltpWorkload(setPages, opsPerSec, prng))
  },
}
