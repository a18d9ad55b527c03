/**
 * The rig of the memory manager's tests: one machine with one process, in either gear, and short words for what tests do.
 *
 * `call` runs one generator to its end on a CPU and returns its value. `spawn` starts several side by side and `run` lets
 * the engine interleave them: by time in the clock gear, by a scheduler in the step gear (random by seed, unless told).
 * Pages are page numbers of the process's window; system calls take addresses, which `at` makes.
 */
import { Prng } from '../../core/base/prng.ts'
import type { State } from '../../core/checkers/invariant.ts'
import { brokenAtRest } from '../../core/checkers/invariants.ts'
import { Execution, type Outcome, type Scheduler } from '../../core/engine/execution.ts'
import type { Proc } from '../../core/engine/op.ts'
import { Timeline } from '../../core/engine/timeline.ts'
import { random } from '../../core/explore/schedulers.ts'
import type { Cpu, Thread } from '../../core/hw/cpu.ts'
import type { CpuPreset } from '../../core/hw/preset.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { pmdHuge, ptePfn, ptePresent } from '../../core/hw/pte.ts'
import { Identity, Machine } from '../../core/machine/machine.ts'
import { type PageContent, Process } from '../../core/machine/process.ts'
import { fork } from '../../core/mm/fork.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import type { Kernel } from '../../core/mm/kernel.ts'
import { addressOf, type Mm } from '../../core/mm/mm.ts'
import { mmapAnonymous } from '../../core/mm/mmap.ts'
import { pageReferenced } from '../../core/mm/rmap_walk.ts'
import { accounted, VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_WRITE, Vma } from '../../core/mm/vma.ts'
import { shrinkPage } from '../../core/mm/vmscan.ts'
import { Recorder } from '../../core/trace/recorder.ts'

export type Gear = 'clock' | 'step'
export const GEARS: readonly Gear[] = ['clock', 'step']

export const P = 4096
export const RW = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE
/** Byte address of a page. */
export const at = addressOf

/** Random, but a task goes on 7 times out of 8: long runs of one task, so that others stand still in odd places. */
export function sticky(prng: Prng): Scheduler {
  return {
    pick(ready, last) {
      const same = last === null ? -1 : ready.indexOf(last)
      return same >= 0 && prng.below(8) !== 0 ? same : prng.below(ready.length)
    },
  }
}

/** Even seeds stick to a task, odd ones do not. */
export function scheduler(seed: number): Scheduler {
  return seed % 2 === 0 ? sticky(new Prng(seed)) : random(new Prng(seed))
}

export interface RigOptions {
  readonly gear?: Gear
  readonly seed?: number
  readonly scheduler?: Scheduler
  readonly frames?: number
  readonly windowPages?: number
  readonly without?: readonly ProtectionName[]
  /** Pages of a swap device. */
  readonly swap?: number
  readonly preset?: CpuPreset
}

/** Where a spawned thread's result lands. */
export interface Handle<T> {
  readonly thread: Thread
  done: boolean
  value: T | undefined
}

export class Rig {
  readonly machine: Machine
  readonly process: Process
  readonly engine: Timeline | Execution
  readonly recorder = new Recorder({ keep: true })
  readonly #handles: Handle<unknown>[] = []
  #cpus: Cpu[] = []

  constructor(options: RigOptions = {}) {
    const gear = options.gear ?? 'clock'
    this.engine = gear === 'clock' ? new Timeline(1000) : new Execution(options.scheduler ?? scheduler(options.seed ?? 1))
    this.machine = new Machine(
      {
        name: 'destination',
        preset: options.preset ?? ZEN5,
        frames: options.frames ?? 128,
        windowPages: options.windowPages ?? 1024,
        without: new Set(options.without ?? []),
        lockdep: true,
      },
      this.engine,
      new Identity(),
      this.recorder,
    )
    if (options.swap !== undefined) this.kernel.swap.on(options.swap)
    this.process = new Process(this.machine)
  }

  get kernel(): Kernel {
    return this.machine.kernel
  }

  get mm(): Mm {
    return this.process.mm
  }

  cpu(n: number): Cpu {
    while (this.#cpus.length <= n) this.#cpus.push(this.machine.addCpu())
    const cpu = this.#cpus[n]
    if (cpu === undefined) throw new Error(`no CPU ${n}`)
    return cpu
  }

  /** Starts a thread on CPU `n` of the rig. */
  spawn<T>(name: string, n: number, body: (k: Thread) => Proc<T>, process = this.process): Handle<T> {
    const k = this.machine.makeThread(name, this.cpu(n))
    const handle: Handle<T> = { thread: k, done: false, value: undefined }
    this.#handles.push(handle)
    function* life(): Proc<void> {
      process.adopt(k)
      handle.value = yield* body(k)
      handle.done = true
    }
    this.machine.start(k, life())
    return handle
  }

  /** A thread that serves the others: a run does not wait for it. */
  daemon(name: string, n: number, body: (k: Thread) => Proc<unknown>): Thread {
    const handle = this.spawn(name, n, body)
    this.#handles.pop()
    handle.thread.daemon = true
    return handle.thread
  }

  /** Runs until all spawned threads are done, or nothing can run any more. `afterStep`: step gear. */
  run(maxSteps = 200_000, afterStep: (step: number) => void = () => {}): Outcome {
    const { engine } = this
    if (engine instanceof Execution) return engine.run(engine.step + maxSteps, () => afterStep(engine.step))
    for (;;) {
      const state = engine.run(maxSteps)
      if (state === 'idle') return this.#handles.every((h) => h.done) ? 'done' : 'deadlock'
      return state === 'running' ? 'bound' : 'done'
    }
  }

  /** User code runs on every CPU, as far as the kernel knows: none is in lazy mode. */
  wakeCpus(): void {
    for (const cpu of this.#cpus) cpu.resume()
  }

  /** What the threads that are not done wait for. */
  waits(): string[] {
    return this.#handles.filter((h) => !h.done).map((h) => `${h.thread.name}: ${h.thread.waitsFor}`)
  }

  /** Runs one generator to its end on CPU `n` and returns its value. */
  call<T>(body: (k: Thread) => Proc<T>, n = 0, process = this.process): T {
    const handle = this.spawn('caller', n, body, process)
    const outcome = this.run()
    if (!handle.done) throw new Error(`${outcome}: ${this.waits().join('; ')}`)
    return handle.value as T
  }

  /** A thread on CPU `n` that does something at once, without going through the engine. */
  act<T>(body: (k: Thread) => T, n = 0): T {
    const k = this.machine.makeThread('actor', this.cpu(n))
    this.process.adopt(k)
    return body(k)
  }

  /** fork(2) on CPU `n`: the child as a process. */
  fork(n = 0, parent = this.process): Process {
    const mm = this.call((k) => fork(k, parent.mm), n, parent)
    return new Process(this.machine, mm)
  }

  /** Maps `pages` anonymous pages at the lowest gap that is a multiple of `align`; returns the first. */
  map(pages: number, flags = RW, align = 1): number {
    const address = this.call((k) => mmapAnonymous(k, this.mm, pages * P, flags, align))
    if (address < 0) throw new Error(`mmap answered ${address}`)
    return (address - at(0)) / P
  }

  /** Puts an area where the test wants it, as a file mapping or with flags that mmap does not offer. */
  place(start: number, pages: number, flags = RW, ops: 'file' | null = null): Vma {
    const vma = new Vma(this.kernel.newId(), start, start + pages, accounted(flags), ops)
    this.mm.tree.insert(vma)
    return vma
  }

  store(page: number, value: number, n = 0, process = this.process): void {
    this.call((k) => process.writePage(k, page, { word0: value, word1: value, version: value }), n, process)
  }

  load(page: number, n = 0, process = this.process): number {
    const out: PageContent = { word0: 0, word1: 0, version: 0 }
    this.call((k) => process.readPage(k, page, out), n, process)
    return out.word0
  }

  /** Sends a page to swap, used or not: its accessed bits are asked first. True if it went. */
  evict(page: number, n = 0, process = this.process): boolean {
    const pfn = this.frame(page, process.mm)
    if (pfn < 0) throw new Error(`page ${page} is not in memory`)
    return this.call((k) => evictFrame(k, this.kernel, pfn), n, process)
  }

  pte(page: number, mm = this.mm): number {
    return mm.table.lookup(page)
  }

  /** Whether 2 MiB are mapped at once there. */
  isHuge(page: number, mm = this.mm): boolean {
    const slot = mm.table.pmdSlot(page)
    return slot >= 0 && pmdHuge(this.kernel.tables.get(slot))
  }

  /** The frame mapped at a page, or -1. */
  frame(page: number, mm = this.mm): number {
    const pte = this.pte(page, mm)
    return ptePresent(pte) ? ptePfn(pte) : -1
  }

  vma(page: number, mm = this.mm): Vma {
    const vma = mm.tree.walk(page)
    if (vma === null || !vma.contains(page)) throw new Error(`no area at page ${page}`)
    return vma
  }

  /** The areas as [start, end). */
  areas(mm = this.mm): [number, number][] {
    return mm.tree.areas.map((v) => [v.start, v.end])
  }

  /** The machine as a check sees it. */
  get state(): State {
    const kernels = [this.kernel]
    return this.engine instanceof Execution ? { kernels, execution: this.engine } : { kernels }
  }

  /** The first invariant that does not hold, or null. Nothing may be in flight. */
  audit(): string | null {
    const broken = brokenAtRest(this.state)
    return broken === null ? null : `${broken.invariant}: ${broken.message}`
  }
}

/** One frame through reclaim, after its accessed bits were cleared. */
export function* evictFrame(k: Thread, kernel: Kernel, pfn: number): Proc<boolean> {
  kernel.pages.get(pfn)
  yield* pageReferenced(k, kernel, pfn, false)
  const out = yield* shrinkPage(k, kernel, pfn)
  kernel.pages.put(pfn)
  return out
}

/** Runs `body` for seeds 1 to `n`; returns the seeds for which it answered true. */
export function seedsWhere(n: number, body: (seed: number) => boolean): number[] {
  const found: number[] = []
  for (let seed = 1; seed <= n; seed++) if (body(seed)) found.push(seed)
  return found
}

/** The first seed up to `n` for which `body` answers true, or -1. */
export function firstSeed(n: number, body: (seed: number) => boolean): number {
  for (let seed = 1; seed <= n; seed++) if (body(seed)) return seed
  return -1
}

/** What `body` threw, as its message, or null. */
export function failure(body: () => void): string | null {
  try {
    body()
    return null
  } catch (e) {
    return e instanceof Error ? e.message : String(e)
  }
}
