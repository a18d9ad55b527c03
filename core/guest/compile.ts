/**
 * compile: building a kernel. Processes come and go; pages are taken, filled, used and freed, again and again the same ones.
 *
 * What the hypervisor sees of one unit (a compiler run over one source file):
 *  1. The exiting process before it gives its pages back; no access.
 *  2. The new process faults its pages in one by one: the kernel takes the page that was freed last (its free lists are LIFO),
 *     zeroes it, and the compiler writes to it. Behind each page it reads a header (zipfian: few headers are in every file) and
 *     looks at a page that it has already filled.
 *  3. The object file goes to fresh pages of the page cache and stays; when there are too few free pages, the oldest goes.
 * So few pages are dirtied often and most stay clean: "best case for pre-copy" among the applications of Hines et al.
 *
 * Source: Hines, Deshpande and Gopalan, OSR 2009, sections 5.2 and 5.3: a kernel compiles in 439 s on two vCPUs; mm/page_alloc.c
 * for the order of free lists. Ours: 4 files a second (1,750 in those 439 s), 16 MiB a process, 128 KiB an object file, a quarter
 * of the set for sources.
 */
import type { Prng } from '../base/prng.ts'
import { sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, thinkNs, type Workload } from './workload.ts'
import { Zipf } from './zipf.ts'

const OBJECT_PAGES = 32
const HEADER_SKEW = 0.99
/** Accesses of a process behind each page that it faults in: zeroing, writing, a header, an earlier page. */
const ACCESSES_PER_PAGE = 4

export interface CompileOptions {
  readonly setPages: number
  /** Pages [0, sourcePages) are the page cache of sources, shared by all. */
  readonly sourcePages: number
  readonly processPages: number
  readonly unitsPerSec: number
}

export class CompileWorkload implements Workload {
  readonly accessesPerOp: number
  readonly thinkNs: number
  readonly bootPages: number
  /** Compiler runs finished. */
  units = 0
  readonly #prng: Prng
  readonly #headers: Zipf
  readonly #processPages: number
  readonly #objectPages: number
  /** Free pages, the one freed last on top. */
  readonly #free: Int32Array
  #freeCount = 0
  /** Pages of the running process, in the order of its faults. */
  readonly #held: Int32Array
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
    this.#processPages = Math.max(1, Math.min(options.processPages, pages >>> 1))
    this.#objectPages = Math.min(OBJECT_PAGES, pages - this.#processPages)
    this.#free = new Int32Array(pages)
    for (let page = end - 1; page >= first; page--) this.#free[this.#freeCount++] = page
    this.#held = new Int32Array(this.#processPages)
    this.#objects = new Int32Array(pages)
    this.accessesPerOp = this.#processPages * ACCESSES_PER_PAGE + this.#objectPages
    this.thinkNs = thinkNs(options.unitsPerSec, this.accessesPerOp)
  }

  fill(out: Int32Array): number {
    let n = 0
    while (n <= BLOCK_ACCESSES - ACCESSES_PER_PAGE - OBJECT_PAGES) {
      if (this.#heldCount === this.#processPages) {
        n = this.#writeObject(out, n)
        this.#exit()
      }
      n = this.#faultIn(out, n)
    }
    return n
  }

  // 2.
  #faultIn(out: Int32Array, n: number): number {
    if (this.#freeCount === 0) this.#reclaim()
    const page = this.#free[--this.#freeCount]
    this.#held[this.#heldCount++] = page
    const bits = this.#prng.uint32()
    const earlier = this.#held[Math.floor(((bits >>> 2) / 2 ** 30) * this.#heldCount)]
    out[n] = access(page, 0, true)
    out[n + 1] = access(page, 1, true)
    out[n + 2] = access(this.#headers.item(), bits & 1, false)
    out[n + 3] = access(earlier, (bits >>> 1) & 1, false)
    return n + ACCESSES_PER_PAGE
  }

  // 3.
  #writeObject(out: Int32Array, n: number): number {
    for (let i = 0; i < this.#objectPages; i++) {
      if (this.#freeCount === 0) this.#reclaim()
      const page = this.#free[--this.#freeCount]
      this.#objects[(this.#objectsHead + this.#objectsCount++) % this.#objects.length] = page
      out[n++] = access(page, 0, true)
    }
    return n
  }

  // 1. The pages freed last are taken first.
  #exit(): void {
    while (this.#heldCount > 0) this.#free[this.#freeCount++] = this.#held[--this.#heldCount]
    this.units++
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
    return setup.each((prng, i) => {
      const [first, end] = setup.part(setPages - sourcePages, i)
      if (end === first) return null
      return new CompileWorkload(
        { setPages, sourcePages, processPages, unitsPerSec },
        sourcePages + first,
        sourcePages + end,
        prng,
      )
    })
  },
}
