/**
 * captured: the memory of a real process, as `capture` recorded it, does again what it did.
 *
 * Boot populates the pages of the first look; those that were zero are only read, and stay zero. Then sample after sample:
 *
 *  1. Each page that changed between two samples is stored to once, in an order by chance, evenly over the time between them.
 *     How often it was stored to in that time nobody saw.
 *  2. Loads nobody saw either. Ours: one for each store (key `reads`), and one a millisecond at least; half of them from the pages
 *     that change in this sample, the other half from any page.
 *  3. Behind the last sample the first comes again.
 *
 * Which thread changed a page is not known: runs of 64 pages go round the vCPUs, and each does what its pages did. Pages that came
 * later lie behind those of the first look; pages that the process gave back stay as they were.
 */
import type { Prng } from '../base/prng.ts'
import { spellSize } from '../base/units.ts'
import { type CapturedMemory, ZERO_CONTENT } from './capture.ts'
import { GuestError, type GuestKind } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, type Workload } from './workload.ts'

const PAGES_PER_TURN = 64
/** At least one access in this time. */
const IDLE_US = 1000
const MOST_READS = 0.99
/** A process without a sample: nothing is known to change. */
const STILL = { timeUs: 1_000_000, runs: new Int32Array(0) }

export interface CapturedOptions {
  /** Share of accesses that load, 0 to 1. */
  readonly reads: number
  readonly vcpu: number
  readonly vcpus: number
}

/** 1 for each page of the first look that was zero. */
export function zerosOf({ contentOf, firstPages }: CapturedMemory): Uint8Array {
  return Uint8Array.from(contentOf.subarray(0, firstPages), (content) => (content === ZERO_CONTENT ? 1 : 0))
}

export class CapturedWorkload implements Workload {
  readonly accessesPerOp = 1
  readonly bootPages: number
  thinkNs = 0
  readonly #capture: CapturedMemory
  readonly #options: CapturedOptions
  readonly #prng: Prng
  readonly #changed: Int32Array
  #changedCount = 0
  #sample = -1
  /** Accesses of this sample: how many there are, and how many are done. */
  #accesses = 0
  #done = 0

  constructor(
    capture: CapturedMemory,
    readonly zeros: Uint8Array,
    options: CapturedOptions,
    prng: Prng,
  ) {
    this.bootPages = capture.firstPages
    this.#capture = capture
    this.#options = options
    this.#prng = prng
    this.#changed = new Int32Array(capture.contentOf.length)
  }

  fill(out: Int32Array): number {
    if (this.#done === this.#accesses) this.#nextSample()
    const stores = this.#changedCount
    const total = this.#accesses
    const n = Math.min(total - this.#done, BLOCK_ACCESSES)
    for (let i = 0; i < n; i++) {
      const at = this.#done + i
      // Stores are as far apart as whole accesses let them be.
      const store = Math.floor((at * stores) / total)
      const isStore = Math.floor(((at + 1) * stores) / total) > store
      const bits = this.#prng.uint32()
      out[i] = access(isStore ? this.#changed[store] : this.#loaded(bits), bits & 1, isStore)
    }
    this.#done += n
    return n
  }

  #loaded(bits: number): number {
    const near = this.#changedCount > 0 && (bits & 2) !== 0
    return near ? this.#changed[this.#prng.below(this.#changedCount)] : this.#prng.below(this.bootPages)
  }

  #nextSample(): void {
    const { samples } = this.#capture
    this.#sample = samples.length === 0 ? 0 : (this.#sample + 1) % samples.length
    const { timeUs, runs } = samples[this.#sample] ?? STILL
    const spanUs = Math.max(1, timeUs - (this.#sample === 0 ? 0 : samples[this.#sample - 1].timeUs))
    // 1.
    this.#collect(runs)
    this.#shuffle()
    // 2.
    const reads = Math.min(this.#options.reads, MOST_READS)
    const loads = Math.round((this.#changedCount * reads) / (1 - reads))
    this.#accesses = Math.max(this.#changedCount + loads, Math.ceil(spanUs / IDLE_US))
    this.#done = 0
    this.thinkNs = (spanUs * 1000) / this.#accesses
  }

  /** The pages of these runs that are this vCPU's. */
  #collect(runs: Int32Array): void {
    const { vcpu, vcpus } = this.#options
    let n = 0
    for (let r = 0; r < runs.length; r += 2) {
      const end = runs[r] + runs[r + 1]
      for (let page = runs[r]; page < end; page++)
        if (Math.floor(page / PAGES_PER_TURN) % vcpus === vcpu) this.#changed[n++] = page
    }
    this.#changedCount = n
  }

  #shuffle(): void {
    const list = this.#changed
    for (let i = this.#changedCount - 1; i > 0; i--) {
      const j = this.#prng.below(i + 1)
      const page = list[i]
      list[i] = list[j]
      list[j] = page
    }
  }
}

export const CAPTURED: GuestKind = {
  name: 'captured',
  summary: 'memory of a real process, and how it changed: the file that capture writes',
  keys: [{ key: 'reads', unit: 'share', fallback: '50%', meaning: 'share of accesses that load, which no capture sees' }],
  example: 'path/to/process.pfguest',
  op: 'one access',
  content: 'heap',
  contentSource: 'the bytes captured with --with-contents; else bytes of the kind that each page looked like',
  make(setup) {
    const { capture, vcpus, ramPages } = setup
    if (capture === null) throw new Error('a captured guest without its capture')
    const pages = capture.contentOf.length
    if (pages > ramPages)
      throw new GuestError(
        `the captured process has ${spellSize(pages * 4096)}, more than the guest's memory of ${spellSize(ramPages * 4096)}; leave --mem out, or give more`,
      )
    const zeros = zerosOf(capture)
    const reads = setup.share('reads')
    return setup.each((prng, vcpu) => new CapturedWorkload(capture, zeros, { reads, vcpu, vcpus }, prng))
  },
}
