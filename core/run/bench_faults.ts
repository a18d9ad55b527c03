/**
 * `bench faults`: what a fault path is worth, in the shape of the published measurements of speculative faults.
 *
 * - ebizzy: 24 threads of one process on 24 CPUs, each again and again: mmap 512 KiB, store to every page, munmap; ten such chunks stay. Faults of
 *   one thread meet the mmap and munmap of the others at mmap_lock, or do not. Metric: records (such rounds) a second.
 * - compile: 24 processes of one thread each, as a parallel build has them: each maps its memory bit by bit, touches it, works,
 *   and ends. Nobody meets anybody at any mmap_lock. Metric: faults a second.
 *
 * Everything is simulated time: what differs between two paths is how long threads wait for locks, and what each fault costs.
 * A seed draws the pauses between two rounds. The quantum is small, because the order at the lock is what is measured.
 *
 * What decides, measured by leaving each out: the cache line of mmap_lock's word, which readers pass around too (cache_line.ts), and
 * the waking of sleepers one by one by whoever leaves the lock (rwsem.ts). Areas of all threads merge into few, so the locks and
 * counts of areas are shared as well.
 *
 * Source of the load: ebizzy -mTt on 24 CPUs, +70.83 %, and 91.9 % of the faults speculative on 48; kernbench within 1 % (v12, 2019).
 */
import { Prng } from '../base/prng.ts'
import { type Proc, QUANTUM, SLEEP } from '../engine/op.ts'
import { Timeline } from '../engine/timeline.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZEN5 } from '../hw/presets/zen5.ts'
import { Identity, Machine } from '../machine/machine.ts'
import { Process } from '../machine/process.ts'
import { pageOfAddress, sys } from '../machine/syscall.ts'
import type { FaultCounters } from '../mm/kernel.ts'
import { Recorder } from '../trace/recorder.ts'
import type { FaultPathOption } from './options.ts'

export const BENCH_CPUS = 24
/** How far a CPU may run ahead of another. Less than the least that a thread does between two locks. */
const QUANTUM_NS = 100
/** A chunk of ebizzy: 512 KiB. The published run has 11,846,569 faults at 9,383 records a second for ten seconds: 126 a record. */
const CHUNK_PAGES = 128
/** Chunks that ebizzy maps and touches before it starts, and keeps: what it copies from. */
const KEPT_CHUNKS = 10
/** Longest pause between two rounds: choosing what to do next. */
const PAUSE_NS = 1000
/** The load starts here; before, ebizzy prepares. */
const START_NS = 3_000_000
/** A compiler maps this much at a time, this often, and works this long on each page. */
const HEAP_PAGES = 32
const HEAPS = 8
const WORK_NS = 2000
const TURNS_A_SLICE = 2000

export const FAULT_LOADS = ['ebizzy', 'compile'] as const
export type FaultLoad = (typeof FAULT_LOADS)[number]

export interface FaultBenchResult {
  /** ebizzy: records a second. compile: faults a second. */
  readonly perSecond: number
  readonly faults: FaultCounters
}

export class FaultBench {
  readonly #timeline = new Timeline(QUANTUM_NS)
  readonly #machine: Machine
  readonly #prng: Prng
  readonly #untilNs: number
  #rounds = 0
  #lastNs = 0

  /** Runs for `durationNs` of simulated time. */
  constructor(
    readonly load: FaultLoad,
    path: FaultPathOption,
    seed: number,
    durationNs: number,
  ) {
    this.#prng = new Prng(seed).fork(load)
    this.#untilNs = START_NS + durationNs
    const pages = load === 'ebizzy' ? (BENCH_CPUS + KEPT_CHUNKS) * CHUNK_PAGES : HEAPS * HEAP_PAGES
    this.#machine = new Machine(
      {
        name: 'source',
        preset: ZEN5,
        frames: (load === 'ebizzy' ? pages : BENCH_CPUS * pages) + 64,
        windowPages: pages + 1,
        without: new Set(),
      },
      this.#timeline,
      new Identity(),
      new Recorder({ keep: false }),
    )
    this.#machine.kernel.faultPath = path
    const shared = load === 'ebizzy' ? new Process(this.#machine) : null
    for (let n = 0; n < BENCH_CPUS; n++) {
      const k = this.#machine.makeThread(`${load} ${n}`)
      const prng = this.#prng.fork(`thread ${n}`)
      const process = shared ?? new Process(this.#machine)
      process.adopt(k)
      const isFirst = n === 0 && load === 'ebizzy'
      this.#machine.start(
        k,
        isFirst ? this.#main(k, process, prng) : this.#life(k, process, prng),
        isFirst ? 0 : START_NS + prng.below(10_000),
      )
    }
  }

  /** The thread that prepares what ebizzy keeps, before the others start; then it is one of them. */
  *#main(k: Thread, process: Process, prng: Prng): Proc<void> {
    const pages = KEPT_CHUNKS * CHUNK_PAGES
    yield* touchAll(k, process, pageOfAddress(yield* sys.mmap(k, process, pages * 4096)), pages, 0)
    if (k.nowNs > START_NS) throw new Error(`preparing took until ${k.nowNs} ns`)
    k.wakeAtNs = START_NS
    yield SLEEP
    yield* this.#life(k, process, prng)
  }

  *#life(k: Thread, process: Process, prng: Prng): Proc<void> {
    while (k.nowNs < this.#untilNs) {
      if (this.load === 'ebizzy') yield* this.#record(k, process)
      else yield* this.#compile(k, process)
      this.#rounds++
      if (k.nowNs > this.#lastNs) this.#lastNs = k.nowNs
      k.cpu.charge(prng.below(PAUSE_NS))
      if (k.expired) yield QUANTUM
    }
  }

  *#record(k: Thread, process: Process): Proc<void> {
    const address = yield* sys.mmap(k, process, CHUNK_PAGES * 4096)
    if (k.expired) yield QUANTUM
    yield* touchAll(k, process, pageOfAddress(address), CHUNK_PAGES, 0)
    yield* sys.munmap(k, process, address, CHUNK_PAGES * 4096)
    if (k.expired) yield QUANTUM
  }

  /** The process stays: what is unmapped at its end is unmapped here. */
  *#compile(k: Thread, process: Process): Proc<void> {
    const heaps: number[] = []
    for (let i = 0; i < HEAPS; i++) {
      const address = yield* sys.mmap(k, process, HEAP_PAGES * 4096)
      heaps.push(address)
      yield* touchAll(k, process, pageOfAddress(address), HEAP_PAGES, WORK_NS)
    }
    for (const address of heaps) yield* sys.munmap(k, process, address, HEAP_PAGES * 4096)
  }

  /** A bounded piece of the run; false when it is over. */
  advance(): boolean {
    return this.#timeline.run(TURNS_A_SLICE) === 'running'
  }

  result(): FaultBenchResult {
    const { faults } = this.#machine.kernel
    const done = this.load === 'ebizzy' ? this.#rounds : faults.total
    return { perSecond: (done * 1e9) / (this.#lastNs - START_NS), faults }
  }
}

function* touchAll(k: Thread, process: Process, first: number, pages: number, workNs: number): Proc<void> {
  for (let page = first; page < first + pages; page++) {
    yield* process.touch(k, page, true)
    k.cpu.charge(workNs)
    if (k.expired) yield QUANTUM
  }
}
