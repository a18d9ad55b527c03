/**
 * `bench mmu`: streams of accesses for the MMU model, and the model that they run on.
 *
 * 64 MiB, 16,384 pages of 4 KiB, all mapped, read and written with equal chance; the preset's own TLB, walk caches and counters.
 *
 * - zipf: keys as YCSB draws them, constant 0.99, scattered over the pages: the hot ones fit the TLB, the tail does not.
 * - uniform: any page, as likely as any other: with 4,096 entries in L2, three of four accesses walk.
 * - sequential: 64 accesses to each page, one a cache line, page after page.
 *
 * A stream is made before it is run. Running it goes through translateBlock, the way of a vCPU; who calls `run` takes the time.
 */
import { fail } from '../base/assert.ts'
import { Prng } from '../base/prng.ts'
import { access, BLOCK_ACCESSES } from '../guest/workload.ts'
import { Zipf } from '../guest/zipf.ts'
import { Cpu } from '../hw/cpu.ts'
import type { MmuCounters } from '../hw/mmu.ts'
import { translateBlock } from '../hw/mmu_block.ts'
import { PageTable, PageTablePool } from '../hw/page_table.ts'
import type { CpuPreset } from '../hw/preset.ts'
import { makePte, PTE_A, PTE_D, PTE_P, PTE_U, PTE_W } from '../hw/pte.ts'

export const MMU_BENCH_PAGES = 16_384
export const MMU_BENCH_ACCESSES = 2 ** 20
/** The stream is timed in sections: about a millisecond each, so that most of them run without another process in between. */
const SECTION_BLOCKS = 32
export const SECTION_ACCESSES = SECTION_BLOCKS * BLOCK_ACCESSES
export const SECTIONS = MMU_BENCH_ACCESSES / SECTION_ACCESSES
const ACCESSES_A_PAGE = 64
const THETA = 0.99

export const MMU_STREAMS = ['zipf', 'uniform', 'sequential'] as const
export type MmuStream = (typeof MMU_STREAMS)[number]

export class MmuBench {
  readonly #cpu: Cpu
  readonly #stream: readonly Int32Array[]
  readonly #frames = new Int32Array(BLOCK_ACCESSES)

  constructor(name: MmuStream, preset: CpuPreset, seed: number) {
    const table = new PageTable(new PageTablePool())
    for (let page = 0; page < MMU_BENCH_PAGES; page++) {
      table.pool.set(table.walkAllocate(page), makePte(page + 1, PTE_P | PTE_W | PTE_U | PTE_A | PTE_D))
    }
    this.#cpu = new Cpu(0, preset, MMU_BENCH_PAGES)
    this.#cpu.mmu.load(table)
    this.#stream = makeStream(name, new Prng(seed).fork(name))
  }

  /** Runs one section of the stream. */
  run(section: number): void {
    const { mmu } = this.#cpu
    for (let i = section * SECTION_BLOCKS; i < (section + 1) * SECTION_BLOCKS; i++) {
      const list = this.#stream[i]
      const accesses = { list, frames: this.#frames, firstPage: 0, stepNs: 0, isFault: false }
      const done = translateBlock(mmu, accesses, 0, BLOCK_ACCESSES, Number.POSITIVE_INFINITY)
      if (done !== BLOCK_ACCESSES) fail(`a page fault at access ${done} of a block: every page is mapped`)
    }
  }

  get counters(): Readonly<MmuCounters> {
    return this.#cpu.mmu.counters
  }
}

function makeStream(name: MmuStream, prng: Prng): Int32Array[] {
  const zipf = new Zipf(MMU_BENCH_PAGES, THETA, prng.fork('keys'))
  let n = 0
  const next: Record<MmuStream, () => number> = {
    zipf: () => zipf.item(),
    uniform: () => prng.below(MMU_BENCH_PAGES),
    sequential: () => Math.floor(n++ / ACCESSES_A_PAGE) % MMU_BENCH_PAGES,
  }
  const page = next[name]
  return Array.from({ length: MMU_BENCH_ACCESSES / BLOCK_ACCESSES }, () =>
    Int32Array.from({ length: BLOCK_ACCESSES }, () => access(page(), 0, (prng.uint32() & 1) !== 0)),
  )
}
