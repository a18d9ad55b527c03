/**
 * uniform and idle: single pages, all equally likely.
 *
 * - uniform: an operation reads or writes one page. With equal chances a page that a pass of pre-copy finds dirty was as often
 *   written before the pass sent it as after: half of the dirty pages in pass 1 are falsely so (facts T11's bound).
 * - idle: a booted system with nothing to do: timers and daemons touch a few pages now and then.
 *
 * Sources for idle: Xen's migration log of an idle guest (308 pages dirtied in 7.8 s, about 40 a second); a QEMU log of an idle guest of
 * 16 GiB, of whose page records 74 % are zero pages. Xen counts distinct pages; how often each is written is ours.
 */
import type { Prng } from '../base/prng.ts'
import { RATE_OPS, sizeKey } from './guest_key.ts'
import type { GuestKind, GuestSetup } from './guest_kind.ts'
import { access, BLOCK_ACCESSES, chance, thinkNs, type Workload } from './workload.ts'

export interface UniformOptions {
  readonly setPages: number
  /** Accesses a second of this vCPU. */
  readonly opsPerSec: number
  /** Share of accesses that write, 0 to 1. */
  readonly writes: number
}

export class UniformWorkload implements Workload {
  readonly accessesPerOp = 1
  readonly thinkNs: number
  readonly bootPages: number
  readonly #prng: Prng
  readonly #writes: number

  constructor(options: UniformOptions, prng: Prng) {
    this.bootPages = options.setPages
    this.#prng = prng.fork('pages')
    this.#writes = options.writes
    this.thinkNs = thinkNs(options.opsPerSec, 1)
  }

  fill(out: Int32Array): number {
    const prng = this.#prng
    for (let i = 0; i < BLOCK_ACCESSES; i++) {
      const page = prng.below(this.bootPages)
      const bits = prng.uint32()
      out[i] = access(page, bits & 1, chance(bits, this.#writes))
    }
    return BLOCK_ACCESSES
  }
}

function make(setup: GuestSetup): (Workload | null)[] {
  const writes = setup.share('writes')
  const opsPerSec = setup.rate(4096 * Math.max(writes, 0.001)) / setup.vcpus
  const options = { setPages: setup.pages(), opsPerSec, writes }
  return setup.each((prng) => new UniformWorkload(options, prng))
}

export const UNIFORM: GuestKind = {
  name: 'uniform',
  summary: 'reads and writes of single pages, all equally likely',
  keys: [
    sizeKey('set', 1, 'memory that it uses'),
    { key: 'rate', unit: 'rate', fallback: '1M/s', meaning: RATE_OPS },
    { key: 'writes', unit: 'share', fallback: '50%', meaning: 'share of accesses that write' },
  ],
  example: 'uniform:rate=200k/s,writes=10%',
  op: 'one access',
  content: 'heap',
  contentSource: 'ours',
  make,
}

export const IDLE: GuestKind = {
  name: 'idle',
  summary: 'a booted system with nothing to do; three quarters of its memory are zero',
  keys: [
    sizeKey('set', 0.25, 'memory that is not zero'),
    { key: 'rate', unit: 'rate', fallback: '2k/s', meaning: RATE_OPS },
    { key: 'writes', unit: 'share', fallback: '2%', meaning: 'share of accesses that write' },
  ],
  example: 'idle',
  op: 'one access',
  content: 'text',
  contentSource: 'ours: page cache of programs and files',
  make,
}
