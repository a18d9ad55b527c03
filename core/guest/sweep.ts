/**
 * The sequential writers: sweep, stress and diabolical.
 *
 * - sweep: goes over its set again and again and rewrites first and last word of each page; each vCPU sweeps its own share. With
 *   `run` what is one behind the other to the program lies in pieces, as a kernel hands out frames: Linux takes them from the free
 *   lists by batches of 31 (mm/page_alloc.c, zone_batchsize).
 * - stress: the load of QEMU's guestperf: every vCPU XORs its share of memory with one page of random bytes, over and over, so
 *   each word is read and then written.
 * - diabolical: one program on vCPU 0 that writes to half of memory faster than the link can carry.
 *
 * Sources: Hines, Deshpande and Gopalan, "Post-copy live migration", OSR 2009 (sweep); qemu tests/migration/stress.c (stress);
 * Clark et al., "Live migration of virtual machines", NSDI 2005, section 6.5: a C program that writes constantly to 256 MB of a
 * guest of 512 MB (diabolical; the order of its writes is ours). Ours: all rates.
 */
import type { Prng } from '../base/prng.ts'
import { shuffled } from './frames.ts'
import { RATE_BYTES, sizeKey } from './guest_key.ts'
import type { GuestKind, GuestSetup } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, thinkNs, type Workload } from './workload.ts'

export interface SweepOptions {
  /** What the guest boots, all vCPUs together. */
  readonly setPages: number
  /** Pages a second of this vCPU. */
  readonly opsPerSec: number
  /** Each word is read before it is written. */
  readonly reads?: boolean
  /** Where in its share it begins, 0 to 1. [0] */
  readonly from?: number
  /** Its memory lies in runs of so many pages, in an order of chance; without: from first to last. */
  readonly runs?: { readonly pages: number; readonly prng: Prng }
}

export class SweepWorkload implements Workload {
  readonly accessesPerOp: number
  readonly thinkNs: number
  readonly bootPages: number
  readonly #reads: boolean
  readonly #first: number
  readonly #end: number
  /** Where the run lies that is swept as the n-th, in runs. */
  readonly #order: Int32Array | null
  readonly #runPages: number
  #at: number

  /** Sweeps pages [first, end). */
  constructor(options: SweepOptions, first: number, end: number) {
    this.#reads = options.reads === true
    this.accessesPerOp = this.#reads ? 4 : 2
    this.bootPages = options.setPages
    this.#first = first
    this.#end = end
    const { from = 0, runs } = options
    this.#at = first + Math.min(end - first - 1, Math.floor((end - first) * from))
    this.#runPages = runs?.pages ?? 1
    this.#order = runs === undefined ? null : shuffled(Math.floor((end - first) / runs.pages), runs.prng)
    this.thinkNs = thinkNs(options.opsPerSec, this.accessesPerOp)
  }

  fill(out: Int32Array): number {
    let at = this.#at
    let n = 0
    while (n < BLOCK_ACCESSES) {
      const page = this.#order === null ? at : this.#placeOf(at, this.#order)
      if (this.#reads) out[n++] = access(page, 0, false)
      out[n++] = access(page, 0, true)
      if (this.#reads) out[n++] = access(page, 1, false)
      out[n++] = access(page, 1, true)
      if (++at === this.#end) at = this.#first
    }
    this.#at = at
    return n
  }

  /** What is left behind the last whole run stays where it is. */
  #placeOf(at: number, order: Int32Array): number {
    const n = at - this.#first
    const run = Math.floor(n / this.#runPages)
    return run < order.length ? this.#first + order[run] * this.#runPages + (n % this.#runPages) : at
  }
}

/** Each vCPU sweeps its own share; one without a page idles. */
function sharedOut(setup: GuestSetup, reads: boolean): (Workload | null)[] {
  const options = { setPages: setup.pages(), opsPerSec: setup.rate(4096) / setup.vcpus, reads }
  const isSpread = setup.given.run !== undefined
  return setup.each((prng, i) => {
    const [first, end] = setup.part(options.setPages, i)
    if (end === first) return null
    const from = reads ? 0 : setup.share('from')
    const runs = isSpread ? { pages: Math.min(setup.pages('run'), end - first), prng: prng.fork('runs') } : undefined
    return new SweepWorkload({ ...options, from, ...(runs === undefined ? {} : { runs }) }, first, end)
  })
}

export const SWEEP: GuestKind = {
  name: 'sweep',
  summary: 'a sequential writer that goes over its set again and again',
  keys: [
    sizeKey('set', 1, 'memory that it sweeps'),
    { key: 'rate', unit: 'rate', fallback: '1GB/s', meaning: RATE_BYTES },
    { key: 'from', unit: 'share', fallback: '0%', meaning: 'where in its set a vCPU begins' },
    {
      key: 'run',
      unit: 'size',
      fallback: 'all of it',
      meaning: 'memory that lies in one piece; the pieces are in an order of chance',
    },
  ],
  example: 'sweep:rate=500MB/s',
  op: 'one page rewritten',
  content: 'heap',
  contentSource: 'ours',
  make: (setup) => sharedOut(setup, false),
}

export const STRESS: GuestKind = {
  name: 'stress',
  summary: "QEMU guestperf's load: every vCPU XORs its share of memory over and over",
  keys: [sizeKey('set', 1, 'memory that it works on'), { key: 'rate', unit: 'rate', fallback: '4GB/s', meaning: RATE_BYTES }],
  example: 'stress:rate=2GB/s',
  op: 'one page read, XORed and written',
  content: 'random',
  contentSource: 'qemu tests/migration/stress.c: XOR with bytes of /dev/urandom',
  make: (setup) => sharedOut(setup, true),
}

export const DIABOLICAL: GuestKind = {
  name: 'diabolical',
  summary: "Clark's writer: one program that writes to half of memory faster than the link carries",
  keys: [
    sizeKey('set', 0.5, 'memory that it writes to'),
    { key: 'rate', unit: 'rate', fallback: '2GB/s', meaning: 'bytes written a second, or pages a second' },
  ],
  example: 'diabolical:set=256M',
  op: 'one page rewritten',
  content: 'sparse',
  contentSource: 'ours: a simple C program that writes, Clark et al. say no more',
  make(setup) {
    const options = { setPages: setup.pages(), opsPerSec: setup.rate(4096) }
    return setup.each((_, i) => (i === 0 ? new SweepWorkload(options, 0, options.setPages) : null))
  },
}
