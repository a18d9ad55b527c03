/**
 * gc: a program with a copying collector (two semispaces), one heap a vCPU. The heap is real: objects move, and what is reachable
 * before a collection is reachable after it.
 *
 * The program, one operation:
 *  1. Allocate an object at the end of the space in use: pages are written in order.
 *  2. Hang it into a random slot of a table; what hung there before is garbage.
 *  3. Read a random object that is alive.
 * When the space is full, the collector goes over the table:
 *  4. Copy each live object, from wherever it lies, to the next place in the other space, and write its new place to the table.
 *  5. The two spaces change places: all pages of the old one are free at once and are written again, in order, from the first.
 *
 *     | semispace 0 | semispace 1 | table |
 *
 * Sources: Cheney, "A nonrecursive list compacting algorithm", 1970 (here objects hang in the table, not in one another); UFFDIO_MOVE's
 * series of 2023 on the collector that recycles its pages (facts T9). Ours: objects of 512 bytes, 200 MB/s allocated, 30 % alive.
 */
import type { Prng } from '../base/prng.ts'
import { sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, thinkNs, type Workload } from './workload.ts'

const OBJECT_BYTES = 512
const OBJECTS_PER_PAGE = 4096 / OBJECT_BYTES
/** Slots of 8 bytes in a page of the table. */
const SLOTS_PER_PAGE = 512
const ALLOCATION_ACCESSES = 3
const COPY_ACCESSES = 3

export interface GcOptions {
  readonly setPages: number
  /** Share of the heap that each of the two spaces has, at most a half. */
  readonly semispace: number
  /** Share of a space that is alive at a collection. */
  readonly live: number
  /** Objects allocated a second on this vCPU. */
  readonly opsPerSec: number
}

export class GcWorkload implements Workload {
  readonly accessesPerOp: number
  readonly thinkNs: number
  readonly bootPages: number
  collections = 0
  /** By slot of the table: where its object lies in the space in use; -1 if none hangs there yet. */
  readonly placeOf: Int32Array
  /** By place in the two spaces: the object's name, which its allocation gave it. */
  readonly objects: readonly [Int32Array, Int32Array]
  /** The space in use. */
  space: 0 | 1 = 0
  readonly #first: number
  readonly #spacePages: number
  readonly #tableFirst: number
  readonly #tablePages: number
  readonly #prng: Prng
  /** The next place in the space in use; while the collector runs, in the other. */
  #next = 0
  /** The slot that the collector is at; -1: it is not running. */
  #collecting = -1
  #named = 0

  /** Its heap is pages [first, end). */
  constructor(options: GcOptions, first: number, end: number, prng: Prng) {
    const pages = end - first
    this.bootPages = options.setPages
    this.#first = first
    this.#prng = prng.fork('objects')
    this.#spacePages = Math.max(1, Math.floor((pages - 1) * Math.min(0.5, options.semispace)))
    const objects = this.#spacePages * OBJECTS_PER_PAGE
    // One object at least dies between two collections, or the collector would have nothing to free.
    const slots = Math.max(1, Math.min(Math.floor(objects * options.live), objects - 1))
    this.#tableFirst = Math.min(first + 2 * this.#spacePages, end - 1)
    this.#tablePages = Math.max(1, Math.min(Math.ceil(slots / SLOTS_PER_PAGE), end - this.#tableFirst))
    this.placeOf = new Int32Array(slots).fill(-1)
    this.objects = [new Int32Array(objects), new Int32Array(objects)]
    // A full cycle: a collection copies `slots` objects and leaves room for the others.
    this.accessesPerOp = ALLOCATION_ACCESSES + (COPY_ACCESSES * slots) / (objects - slots)
    this.thinkNs = thinkNs(options.opsPerSec, this.accessesPerOp)
  }

  /** Between the first and the last object that a collection copies. */
  get isCollecting(): boolean {
    return this.#collecting >= 0
  }

  fill(out: Int32Array): number {
    let n = 0
    while (n <= BLOCK_ACCESSES - ALLOCATION_ACCESSES) {
      if (this.#collecting >= 0) n = this.#copyNext(out, n)
      else if (this.#next === this.objects[0].length) this.#collect()
      else n = this.#allocate(out, n)
    }
    return n
  }

  #allocate(out: Int32Array, n: number): number {
    const slot = this.#prng.below(this.placeOf.length)
    const other = this.placeOf[this.#prng.below(this.placeOf.length)]
    // 1.
    const place = this.#next++
    this.objects[this.space][place] = ++this.#named
    out[n] = this.#object(this.space, place, true)
    // 2.
    this.placeOf[slot] = place
    out[n + 1] = this.#slot(slot, true)
    // 3.
    out[n + 2] = this.#object(this.space, other < 0 ? place : other, false)
    return n + ALLOCATION_ACCESSES
  }

  #collect(): void {
    this.#collecting = 0
    this.#next = 0
  }

  // 4.
  #copyNext(out: Int32Array, n: number): number {
    const slot = this.#collecting
    const from = this.placeOf[slot]
    const other = this.space === 0 ? 1 : 0
    if (from >= 0) {
      const to = this.#next++
      this.objects[other][to] = this.objects[this.space][from]
      this.placeOf[slot] = to
      out[n++] = this.#object(this.space, from, false)
      out[n++] = this.#object(other, to, true)
      out[n++] = this.#slot(slot, true)
    }
    if (++this.#collecting < this.placeOf.length) return n
    // 5.
    this.#collecting = -1
    this.space = other
    this.collections++
    return n
  }

  #object(space: number, place: number, store: boolean): number {
    const page = this.#first + space * this.#spacePages + Math.floor(place / OBJECTS_PER_PAGE)
    return access(Math.min(page, this.#tableFirst), place & 1, store)
  }

  #slot(slot: number, store: boolean): number {
    return access(this.#tableFirst + (Math.floor(slot / SLOTS_PER_PAGE) % this.#tablePages), slot & 1, store)
  }
}

export const GC: GuestKind = {
  name: 'gc',
  summary: 'a program with a copying garbage collector: two semispaces that change places',
  keys: [
    sizeKey('set', 0.75, 'memory of all heaps together, one a vCPU'),
    { key: 'rate', unit: 'rate', fallback: '200MB/s', meaning: 'bytes allocated a second by all vCPUs together, or objects' },
    { key: 'semispace', unit: 'share', fallback: '49%', meaning: 'share of a heap that each of the two spaces has, at most 50%' },
    { key: 'live', unit: 'share', fallback: '30%', meaning: 'share of a space that is alive at a collection' },
  ],
  example: 'gc:rate=500MB/s,live=10%',
  op: 'one object of 512 bytes allocated',
  content: 'heap',
  contentSource: 'ours: objects are pointers and small numbers',
  make(setup) {
    const setPages = setup.pages()
    const opsPerSec = setup.rate(OBJECT_BYTES) / setup.vcpus
    const options = { setPages, opsPerSec, semispace: setup.share('semispace'), live: setup.share('live') }
    return setup.each((prng, i) => {
      const [first, end] = setup.part(setPages, i)
      return end > first ? new GcWorkload(options, first, end, prng) : null
    })
  },
}
