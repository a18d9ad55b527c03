/**
 * compile: building a kernel. Processes come and go; pages are taken, filled, used and freed, again and again the same ones.
 *
 * What the hypervisor sees of one unit (a compiler run over one source file):
 *  1. The exiting process before it gives its pages back, area by area in the order of addresses (zap_pte_range); no access.
 *  2. The new process faults its pages in one by one, now in this area, now in that: the kernel takes the page that was freed last
 *     (its free lists are LIFO), zeroes it, and the compiler writes to it. Behind each page it reads a header (zipfian: few headers are
 *     in every file) and looks at a page that it has already filled.
 *  3. The object file goes to fresh pages of the page cache and stays; when there are too few free pages, the oldest goes.
 * So few pages are dirtied often and most stay clean: "best case for pre-copy" among the applications of Hines et al. And since pages are
 * freed in another order than they were taken, the free list, at first in runs (frames.ts), is soon in no order at all: what lies one
 * behind the other in a process lies anywhere in memory. The guest is met in the middle of its build, with half of it behind it.
 *
 * Source: Hines, Deshpande and Gopalan, OSR 2009, sections 5.2 and 5.3: a kernel compiles in 439 s on two vCPUs; mm/page_alloc.c
 * for the order of free lists. Ours: 4 files a second (1,750 in those 439 s), 16 MiB a process, by half more or less, in four areas
 * that grow by turns (data, heap, stack, mapped files); 128 KiB an object file, a quarter of the set for sources.
 */
import type { Prng } from '../base/prng.ts'
import { handedOut } from './frames.ts'
import { sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, thinkNs, type Workload } from './workload.ts'
import { Zipf } from './zipf.ts'

const OBJECT_PAGES = 32
const HEADER_SKEW = 0.99
/** Accesses of a process behind each page that it faults in: zeroing, writing, a header, an earlier page. */
const ACCESSES_PER_PAGE = 4
const AREAS = 4
/** Files of the build that all vCPUs together have compiled before anybody looks. */
const UNITS_BEFORE = 875

export interface CompileOptions {
  readonly setPages: number
  /** Pages [0, sourcePages) are the page cache of sources, shared by all. */
  readonly sourcePages: number
  readonly processPages: number
  readonly unitsPerSec: number
  /** Units that it has finished before. [0] */
  readonly unitsBefore?: number
}

export class CompileWorkload implements Workload {
  readonly accessesPerOp: number
  readonly thinkNs: number
  readonly bootPages: number
  /** Compiler runs finished. */
  units = 0
  readonly #prng: Prng
  readonly #headers: Zipf
  /** Of a process on the average, and of the one that runs. */
  readonly #processPages: number
  #sizePages = 0
  readonly #objectPages: number
  /** Free pages, the one freed last on top. */
  readonly #free: Int32Array
  #freeCount = 0
  /** Pages of the running process, in the order of its faults, and of each in which of its areas it is. */
  readonly #held: Int32Array
  readonly #areaOf: Uint8Array
  #heldCount = 0
  /** Pages of object files, the oldest first: a ring. */
  readonly #objects: Int32Array
  #objectsHead = 0
  #objectsCount = 0

  /** Its processes live in pages [first, end). */
  constructor(options: CompileOptions, first: number, end: number, prng: Prng) {
    const pages = end - first
    this.bootPages = options.setPages
    this.#prng = prng.fork('pages')
    this.#headers = new Zipf(Math.max(1, options.sourcePages), HEADER_SKEW, prng.fork('headers'))
    // The largest process, half as large again, and its object file fit.
    this.#processPages = Math.max(1, Math.min(options.processPages, pages >>> 1))
    const largest = Math.min(this.#processPages + (this.#processPages >>> 1), pages)
    this.#objectPages = Math.min(OBJECT_PAGES, pages - largest)
    this.#free = new Int32Array(pages)
    for (const page of handedOut(first, end, prng.fork('frames')).reverse()) this.#free[this.#freeCount++] = page
    this.#held = new Int32Array(largest)
    this.#areaOf = new Uint8Array(largest)
    this.#objects = new Int32Array(pages)
    this.accessesPerOp = this.#processPages * ACCESSES_PER_PAGE + this.#objectPages
    this.thinkNs = thinkNs(options.unitsPerSec, this.accessesPerOp)
    this.#begin()
    for (let unit = 0; unit < (options.unitsBefore ?? 0); unit++) {
      while (this.#heldCount < this.#sizePages) this.#take(this.#prng.uint32())
      for (let i = 0; i < this.#objectPages; i++) this.#toObject()
      this.#exit()
    }
    this.units = 0
  }

  fill(out: Int32Array): number {
    let n = 0
    while (n <= BLOCK_ACCESSES - ACCESSES_PER_PAGE - OBJECT_PAGES) {
      if (this.#heldCount === this.#sizePages) {
        n = this.#writeObject(out, n)
        this.#exit()
      }
      n = this.#faultIn(out, n)
    }
    return n
  }

  /** A process begins. */
  #begin(): void {
    const pages = Math.round(this.#processPages * (0.5 + this.#prng.fraction()))
    this.#sizePages = Math.max(1, Math.min(this.#held.length, pages))
  }

  // 2.
  #faultIn(out: Int32Array, n: number): number {
    const bits = this.#prng.uint32()
    const page = this.#take(bits)
    const earlier = this.#held[Math.floor(((bits >>> 4) / 2 ** 28) * this.#heldCount)]
    out[n] = access(page, 0, true)
    out[n + 1] = access(page, 1, true)
    out[n + 2] = access(this.#headers.item(), bits & 1, false)
    out[n + 3] = access(earlier, (bits >>> 1) & 1, false)
    return n + ACCESSES_PER_PAGE
  }

  #take(bits: number): number {
    if (this.#freeCount === 0) this.#reclaim()
    const page = this.#free[--this.#freeCount]
    this.#areaOf[this.#heldCount] = (bits >>> 2) % AREAS
    this.#held[this.#heldCount++] = page
    return page
  }

  // 3.
  #writeObject(out: Int32Array, n: number): number {
    for (let i = 0; i < this.#objectPages; i++) out[n++] = access(this.#toObject(), 0, true)
    return n
  }

  #toObject(): number {
    if (this.#freeCount === 0) this.#reclaim()
    const page = this.#free[--this.#freeCount]
    this.#objects[(this.#objectsHead + this.#objectsCount++) % this.#objects.length] = page
    return page
  }

  // 1.
  #exit(): void {
    for (let area = 0; area < AREAS; area++)
      for (let i = 0; i < this.#heldCount; i++) if (this.#areaOf[i] === area) this.#free[this.#freeCount++] = this.#held[i]
    this.#heldCount = 0
    this.units++
    this.#begin()
  }

  #reclaim(): void {
    this.#free[this.#freeCount++] = this.#objects[this.#objectsHead]
    this.#objectsHead = (this.#objectsHead + 1) % this.#objects.length
    this.#objectsCount--
  }
}

export const COMPILE: GuestKind = {
  name: 'compile',
  summary: 'a kernel build: processes that come and go and reuse the same pages',
  keys: [
    sizeKey('set', 0.75, 'memory for sources, compilers and object files'),
    {
      key: 'rate',
      unit: 'rate',
      fallback: '4/s',
      meaning: 'files compiled a second by all vCPUs together, or bytes of their processes a second',
    },
    { key: 'process', unit: 'size', fallback: '16M', meaning: 'memory of one compiler' },
  ],
  example: 'compile:rate=20/s',
  op: 'one file compiled',
  content: 'text',
  contentSource: 'ours: sources in the page cache',
  make(setup) {
    const setPages = setup.pages()
    const sourcePages = Math.max(1, setPages >>> 2)
    const processPages = setup.pages('process')
    const unitsPerSec = setup.rate(processPages * 4096) / setup.vcpus
    const unitsBefore = Math.round(UNITS_BEFORE / setup.vcpus)
    return setup.each((prng, i) => {
      const [first, end] = setup.part(setPages - sourcePages, i)
      if (end === first) return null
      return new CompileWorkload(
        { setPages, sourcePages, processPages, unitsPerSec, unitsBefore },
        sourcePages + first,
        sourcePages + end,
        prng,
      )
    })
  },
}
