/**
 * quicksort: processes that fill an array with random keys, sort it, and begin again. The sorts are real; what a page holds is
 * eight keys instead of a thousand, so the order in which pages are touched is the algorithm's own and the host's memory small.
 *
 *  1. Fill: each page in order is written.
 *  2. Sort the range on top of the stack by Hoare's partition: i runs up, j runs down, and keys on the wrong side change places.
 *     A page is read when i or j comes to it, and written at the first exchange there. The larger part goes on the stack first,
 *     so the stack stays low.
 *  3. A range of eight keys or less is sorted in place (its one or two pages read and written).
 *  4. Sorted: count it, and go to 1.
 *
 * Processes are shared out to the vCPUs, and each vCPU runs its own in turn, a block of accesses at a time, as a scheduler does.
 * One operation is one page touched. Sources: Hoare, "Quicksort", 1962; Hines et al., OSR 2009, figure 17: 1 to 128 processes that
 * sort random arrays, 512 MB together; V-Recover: one of 400 MB, sorted again and again. Ours: 5 us a page (1,024 keys of 4 bytes, 5 ns each).
 */
import type { Prng } from '../base/prng.ts'
import { sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, thinkNs, type Workload } from './workload.ts'

const KEYS_PER_PAGE_LOG2 = 3
const KEYS_PER_PAGE = 1 << KEYS_PER_PAGE_LOG2
const SMALL_RANGE = 8
/** Most accesses of one step: a small range, two pages read and written. */
const STEP_ACCESSES = 4

/** One process: an array in pages [first, first + pages). */
export class SortingProcess {
  readonly keys: Int32Array
  /** Times it was sorted. */
  sorts = 0
  readonly #first: number
  readonly #prng: Prng
  /** Ranges still to be sorted: low and high, in turn. */
  readonly #stack: number[] = []
  #filled = 0
  #low = 0
  #high = -1
  /** i > j: no range is being parted. */
  #i = 1
  #j = 0
  #pivot = 0
  /** Pages that i and j are on, and whether each was written since it came there. */
  #pageI = -1
  #pageJ = -1
  #wroteI = false
  #wroteJ = false

  constructor(first: number, pages: number, prng: Prng) {
    this.#first = first
    this.#prng = prng
    this.keys = new Int32Array(pages * KEYS_PER_PAGE)
  }

  /** Goes on from where it was until `out` is nearly full; answers how many accesses it wrote. */
  run(out: Int32Array, room: number): number {
    let n = 0
    while (n <= room - STEP_ACCESSES) {
      if (this.#filled < this.keys.length) n = this.#fillPage(out, n)
      else if (this.#i <= this.#j) n = this.#partition(out, n)
      else n = this.#next(out, n)
    }
    return n
  }

  // 1.
  #fillPage(out: Int32Array, n: number): number {
    out[n++] = this.#access(this.#filled, true)
    for (let i = 0; i < KEYS_PER_PAGE; i++) this.keys[this.#filled++] = this.#prng.uint32() | 0
    if (this.#filled === this.keys.length) this.#stack.push(0, this.keys.length - 1)
    return n
  }

  // 2. One exchange, or one step of i or j to another page.
  #partition(out: Int32Array, start: number): number {
    const { keys } = this
    let n = start
    while (keys[this.#i] < this.#pivot) {
      this.#i++
      if (this.#i >>> KEYS_PER_PAGE_LOG2 !== this.#pageI) break
    }
    n = this.#arriveI(out, n)
    if (keys[this.#i] < this.#pivot) return n
    while (keys[this.#j] > this.#pivot) {
      this.#j--
      if (this.#j >>> KEYS_PER_PAGE_LOG2 !== this.#pageJ) break
    }
    n = this.#arriveJ(out, n)
    if (this.#j >= 0 && keys[this.#j] > this.#pivot) return n
    if (this.#i <= this.#j) {
      if (this.#i < this.#j) n = this.#exchange(out, n)
      this.#i++
      this.#j--
    }
    if (this.#i > this.#j) this.#split()
    return n
  }

  #arriveI(out: Int32Array, n: number): number {
    const page = this.#i >>> KEYS_PER_PAGE_LOG2
    if (page === this.#pageI) return n
    this.#pageI = page
    this.#wroteI = false
    out[n] = this.#access(this.#i, false)
    return n + 1
  }

  #arriveJ(out: Int32Array, n: number): number {
    const page = this.#j >>> KEYS_PER_PAGE_LOG2
    if (page === this.#pageJ || this.#j < 0) return n
    this.#pageJ = page
    this.#wroteJ = false
    out[n] = this.#access(this.#j, false)
    return n + 1
  }

  #exchange(out: Int32Array, n: number): number {
    const { keys } = this
    const key = keys[this.#i]
    keys[this.#i] = keys[this.#j]
    keys[this.#j] = key
    if (!this.#wroteI) out[n++] = this.#access(this.#i, true)
    if (!this.#wroteJ) out[n++] = this.#access(this.#j, true)
    this.#wroteI = true
    this.#wroteJ = true
    return n
  }

  #split(): void {
    const left = this.#j - this.#low
    const right = this.#high - this.#i
    const [low, high] = [this.#low, this.#high]
    if (left > right) {
      this.#push(low, this.#j)
      this.#push(this.#i, high)
    } else {
      this.#push(this.#i, high)
      this.#push(low, this.#j)
    }
  }

  #push(low: number, high: number): void {
    if (high > low) this.#stack.push(low, high)
  }

  // 3. and 4.
  #next(out: Int32Array, n: number): number {
    const high = this.#stack.pop()
    const low = this.#stack.pop()
    if (high === undefined || low === undefined) {
      this.sorts++
      this.#filled = 0
      return n
    }
    if (high - low < SMALL_RANGE) return this.#insertionSort(out, n, low, high)
    this.#low = low
    this.#high = high
    this.#i = low
    this.#j = high
    this.#pageI = -1
    this.#pageJ = -1
    this.#pivot = this.keys[low + ((high - low) >>> 1)]
    return n
  }

  #insertionSort(out: Int32Array, n: number, low: number, high: number): number {
    const { keys } = this
    for (let i = low + 1; i <= high; i++) {
      const key = keys[i]
      let j = i - 1
      while (j >= low && keys[j] > key) {
        keys[j + 1] = keys[j]
        j--
      }
      keys[j + 1] = key
    }
    for (let page = low >>> KEYS_PER_PAGE_LOG2; page <= high >>> KEYS_PER_PAGE_LOG2; page++) {
      out[n++] = this.#access(Math.max(low, page << KEYS_PER_PAGE_LOG2), false)
      out[n++] = this.#access(Math.max(low, page << KEYS_PER_PAGE_LOG2), true)
    }
    return n
  }

  #access(key: number, store: boolean): number {
    return access(this.#first + (key >>> KEYS_PER_PAGE_LOG2), (key >>> (KEYS_PER_PAGE_LOG2 - 1)) & 1, store)
  }
}

export class QuicksortWorkload implements Workload {
  readonly accessesPerOp = 1
  readonly thinkNs: number
  #turn = 0

  constructor(
    readonly bootPages: number,
    readonly processes: readonly SortingProcess[],
    pagesPerSec: number,
  ) {
    this.thinkNs = thinkNs(pagesPerSec, 1)
  }

  fill(out: Int32Array): number {
    const running = this.processes[this.#turn]
    this.#turn = (this.#turn + 1) % this.processes.length
    return running.run(out, BLOCK_ACCESSES)
  }
}

export const QUICKSORT: GuestKind = {
  name: 'quicksort',
  summary: 'processes that sort random arrays, again and again; the sorts are real',
  keys: [
    sizeKey('set', 0.75, 'memory of all arrays together'),
    { key: 'rate', unit: 'rate', fallback: '400k/s', meaning: 'pages touched a second by all vCPUs together, or bytes' },
    { key: 'processes', unit: 'count', fallback: '8', meaning: 'processes, each with its own array; shared out to the vCPUs' },
  ],
  example: 'quicksort:set=128M,processes=32',
  op: 'one page touched',
  content: 'random',
  contentSource: 'Hines et al.: arrays of random numbers',
  make(setup) {
    const setPages = setup.pages()
    const processes = Math.min(setup.count('processes'), setPages)
    const busy = Math.min(processes, setup.vcpus)
    const edge = (p: number) => Math.floor((setPages * p) / processes)
    return setup.each((prng, vcpu) => {
      const own = Array.from({ length: processes }, (_, p) => p).filter((p) => p % setup.vcpus === vcpu)
      if (own.length === 0) return null
      const sorting = own.map((p) => new SortingProcess(edge(p), edge(p + 1) - edge(p), prng.fork(`process ${p}`)))
      return new QuicksortWorkload(setPages, sorting, setup.rate(4096) / busy)
    })
  },
}
