/**
 * stream: McCalpin's STREAM. Three arrays of doubles, four kernels one after the other, over and over; each vCPU does its own
 * part of every array, as OpenMP's static schedule shares out the loops. One operation is one page of a kernel's result.
 *
 *     copy   c = a          add    c = a + b
 *     scale  b = q c        triad  a = b + q c
 *
 * So each array is written once or twice in a cycle (c twice), in order, and all of memory is dirty after three kernels.
 *
 * Sources: stream.c 5.10; V-Recover: arrays of 1.5 GB in all, 50 repeats of each kernel. Ours: 5 GB/s written.
 */
import { sizeKey } from './guest_key.ts'
import type { GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, thinkNs, type Workload } from './workload.ts'

const [A, B, C] = [0, 1, 2]
/** What each kernel reads, and what it writes. */
export const STREAM_KERNELS = [
  { name: 'copy', reads: [A], writes: C },
  { name: 'scale', reads: [C], writes: B },
  { name: 'add', reads: [A, B], writes: C },
  { name: 'triad', reads: [B, C], writes: A },
] as const

const MAX_ACCESSES = 3

export class StreamWorkload implements Workload {
  /** Copy and scale touch two pages for one of result, add and triad three. */
  readonly accessesPerOp = 2.5
  readonly thinkNs: number
  readonly bootPages: number
  /** Times that all four kernels were done. */
  repeats = 0
  readonly #arrayPages: number
  readonly #first: number
  readonly #end: number
  #kernel = 0
  #at: number

  /** Does pages [first, end) of each of the three arrays, which lie one behind the other. */
  constructor(setPages: number, arrayPages: number, first: number, end: number, pagesPerSec: number) {
    this.bootPages = setPages
    this.#arrayPages = arrayPages
    this.#first = first
    this.#end = end
    this.#at = first
    this.thinkNs = thinkNs(pagesPerSec, this.accessesPerOp)
  }

  fill(out: Int32Array): number {
    let n = 0
    while (n <= BLOCK_ACCESSES - MAX_ACCESSES) {
      const { reads, writes } = STREAM_KERNELS[this.#kernel]
      for (let i = 0; i < reads.length; i++) out[n++] = access(reads[i] * this.#arrayPages + this.#at, this.repeats & 1, false)
      out[n++] = access(writes * this.#arrayPages + this.#at, this.repeats & 1, true)
      if (++this.#at === this.#end) this.#next()
    }
    return n
  }

  #next(): void {
    this.#at = this.#first
    if (++this.#kernel < STREAM_KERNELS.length) return
    this.#kernel = 0
    this.repeats++
  }
}

export const STREAM: GuestKind = {
  name: 'stream',
  summary: "McCalpin's STREAM: three arrays, copy, scale, add, triad",
  keys: [
    sizeKey('set', 0.75, 'memory of the three arrays together'),
    { key: 'rate', unit: 'rate', fallback: '5GB/s', meaning: 'bytes written a second by all vCPUs together, or pages of result' },
  ],
  example: 'stream:set=1536M',
  op: 'one page of a result',
  content: 'sparse',
  contentSource: 'stream.c: all elements of an array are equal; sparse is the nearest here',
  make(setup) {
    const arrayPages = Math.floor(setup.pages() / 3)
    const setPages = 3 * arrayPages
    const pagesPerSec = setup.rate(4096) / setup.vcpus
    return setup.each((_, i) => {
      const [first, end] = setup.part(arrayPages, i)
      return end > first ? new StreamWorkload(setPages, arrayPages, first, end, pagesPerSec) : null
    })
  },
}
