/**
 * The tiny machine that a litmus test runs on: a kernel, a process or two, CPUs with small TLBs, all in the step gear.
 *
 * What stands at the start is made with the same calls that run later (mmap, stores, fork), by a thread in the clock gear that
 * runs each to its end at once: no step, no choice, no cost to speak of. Then the actors are spawned, and a scheduler decides.
 * Memory is split among the CPUs, so that two CPUs that allocate do not depend on each other.
 */
import { fail } from '../base/assert.ts'
import { Execution, type Scheduler } from '../engine/execution.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc } from '../engine/op.ts'
import { type Cpu, Thread } from '../hw/cpu.ts'
import { HUGE_PAGES, ptePfn, ptePresent } from '../hw/pte.ts'
import { Identity, Machine } from '../machine/machine.ts'
import { type PageContent, Process } from '../machine/process.ts'
import { fork } from '../mm/fork.ts'
import type { ProtectionName, Variants } from '../mm/kconfig.ts'
import type { FaultPath, Kernel } from '../mm/kernel.ts'
import { addressOf, type Mm } from '../mm/mm.ts'
import { mmapAnonymous } from '../mm/mmap.ts'
import { VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_WRITE, type Vma } from '../mm/vma.ts'
import { type MemoryModel, WeakMemory } from '../sync/weak_memory.ts'
import { Recorder } from '../trace/recorder.ts'
import { LITMUS_CPU } from './litmus_cpu.ts'

export const P = 4096
export const RW = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE
/** Byte address of a page of the window. */
export const at = addressOf

export interface WorldOptions {
  /** CPUs of the machine; actors name them from 0. [2] */
  readonly cpus?: number
  /** Frames for each CPU's list. [7] */
  readonly framesPerCpu?: number
  /** Huge pages that there is memory for. [0] */
  readonly hugePages?: number
  /** Pages of a process's window. [64] */
  readonly windowPages?: number
  readonly faultPath?: FaultPath
  /** How the machine's memory reorders. ['sc'] */
  readonly memoryModel?: MemoryModel
  readonly variants?: Partial<Variants>
  /** Slots of a swap device; none without. */
  readonly swap?: number
}

/** A thread of control, and what it answered. */
export interface Actor<T = unknown> {
  readonly thread: Thread
  done: boolean
  value: T | undefined
}

export class World {
  readonly execution: Execution
  readonly machine: Machine
  readonly process: Process
  /** Every process of the machine, for whoever checks. */
  readonly processes: Process[] = []
  readonly actors: Actor[] = []
  readonly #builder: Thread
  readonly #cpus: Cpu[] = []

  constructor(scheduler: Scheduler, without: ReadonlySet<ProtectionName>, options: WorldOptions = {}) {
    const cpus = options.cpus ?? 2
    const hugePages = options.hugePages ?? 0
    const small = 1 + cpus * (options.framesPerCpu ?? 7)
    this.execution = new Execution(scheduler)
    this.machine = new Machine(
      {
        name: 'destination',
        preset: LITMUS_CPU,
        frames: hugePages === 0 ? small : (Math.ceil(small / HUGE_PAGES) + hugePages) * HUGE_PAGES,
        windowPages: options.windowPages ?? 64,
        without,
        lockdep: false,
        tableNodes: 6,
      },
      this.execution,
      new Identity(),
      new Recorder({ keep: false }),
    )
    const { kernel } = this
    kernel.pages.splitAmongCpus(cpus, hugePages)
    if (options.faultPath !== undefined) kernel.faultPath = options.faultPath
    Object.assign(kernel.variants, options.variants)
    if (options.swap !== undefined) kernel.swap.on(options.swap)
    this.process = this.newProcess()
    for (let n = 0; n < cpus; n++) this.#cpus.push(this.machine.addCpu())
    if (options.memoryModel !== undefined && options.memoryModel !== 'sc') this.#reorder(options.memoryModel, without)
    this.#builder = new Thread(-1, 'set-up', this.#cpus[0], false, 0)
  }

  /** Gives each CPU its store buffers: the lanes are threads of the machine. */
  #reorder(model: Exclude<MemoryModel, 'sc'>, without: ReadonlySet<ProtectionName>): void {
    const memory = new WeakMemory(model, without)
    for (const cpu of this.#cpus) {
      memory.addCpu(cpu, (name, proc) => {
        const lane = this.machine.makeThread(name, cpu)
        this.machine.start(lane, proc)
        return lane
      })
    }
    this.kernel.memory = memory
  }

  get kernel(): Kernel {
    return this.machine.kernel
  }

  get mm(): Mm {
    return this.process.mm
  }

  newProcess(): Process {
    const process = new Process(this.machine)
    this.processes.push(process)
    return process
  }

  cpu(n: number): Cpu {
    const cpu = this.#cpus[n]
    if (cpu === undefined) fail(`no CPU ${n}`)
    return cpu
  }

  /** Set-up: runs one call to its end on CPU `n`, before any actor is spawned. */
  call<T>(body: (k: Thread) => Proc<T>, n = 0, process = this.process): T {
    const cpu = this.cpu(n)
    const k = n === 0 ? this.#builder : new Thread(-1, 'set-up', cpu, false, 0)
    cpu.sliceEndNs = Number.POSITIVE_INFINITY
    process.adopt(k)
    const proc = body(k)
    for (;;) {
      const { done, value } = proc.next()
      if (done === true) {
        cpu.nowNs = 0
        return value
      }
      fail(`setting up waits: ${value.kind}`)
    }
  }

  /** Set-up: runs threads of a process on CPU `n` by turns, each until it waits, until all have ended. */
  callAll(bodies: readonly ((k: Thread) => Proc<void>)[], n: number, process: Process): void {
    const cpu = this.cpu(n)
    let procs = bodies.map((body) => {
      const k = new Thread(-1, 'set-up', cpu, false, 0)
      process.adopt(k)
      return body(k)
    })
    cpu.sliceEndNs = Number.POSITIVE_INFINITY
    while (procs.length > 0) procs = procs.filter((proc) => proc.next().done !== true)
    cpu.nowNs = 0
  }

  /** Set-up: `pages` anonymous pages of the process at a multiple of `align`; the first page's number. */
  map(pages: number, flags = RW, process = this.process, align = 1): number {
    const address = this.call((k) => mmapAnonymous(k, process.mm, pages * P, flags, align), 0, process)
    if (address < 0) fail(`mmap answered ${address}`)
    return (address - at(0)) / P
  }

  /** Set-up: a store of the process on CPU `n`, which leaves the page mapped and cached in that CPU's TLB. */
  store(page: number, value: number, n = 0, process = this.process): void {
    this.call((k) => process.writePage(k, page, { word0: value, word1: value, version: value }), n, process)
  }

  /** Set-up: a load of the process on CPU `n`; what it found. */
  load(page: number, n = 0, process = this.process): number {
    const out: PageContent = { word0: 0, word1: 0, version: 0 }
    this.call((k) => process.readPage(k, page, out), n, process)
    return out.word0
  }

  /** Set-up: a child with an address space of its own. */
  fork(n = 0, parent = this.process): Process {
    return this.addProcess(this.call((k) => fork(k, parent.mm), n, parent))
  }

  /** A process with that address space, which fork made. */
  addProcess(mm: Mm): Process {
    const process = new Process(this.machine, mm)
    this.processes.push(process)
    return process
  }

  /** A thread of `process` on CPU `n`; it takes part from the first step on. */
  actor<T>(name: string, n: number, body: (k: Thread) => Proc<T>, process = this.process): Actor<T> {
    const k = this.machine.makeThread(name, this.cpu(n))
    const actor: Actor<T> = { thread: k, done: false, value: undefined }
    this.actors.push(actor)
    process.adopt(k)
    this.machine.start(k, life(actor, body(k)))
    return actor
  }

  /** An actor that serves the others: a run does not wait for it to end. */
  daemon(name: string, n: number, body: (k: Thread) => Proc<unknown>, process = this.process): Actor {
    const actor = this.actor(name, n, body, process)
    actor.thread.daemon = true
    return actor
  }

  /** The frame mapped at a page, or -1. */
  frame(page: number, mm = this.mm): number {
    const pte = mm.table.lookup(page)
    return ptePresent(pte) ? ptePfn(pte) : -1
  }

  vma(page: number, mm = this.mm): Vma {
    const vma = mm.tree.walk(page)
    if (vma === null || !vma.contains(page)) fail(`no area at page ${page}`)
    return vma
  }

  /** First word of the frame that the page table maps at a page; -1 if none does. */
  word(page: number, mm = this.mm): number {
    const pfn = this.frame(page, mm)
    return pfn < 0 ? -1 : this.kernel.phys.words[pfn * 2]
  }
}

function* life<T>(actor: Actor<T>, body: Proc<T>): Proc<void> {
  actor.value = yield* body
  touch(actor.thread.id, 'task', AccessMode.write)
  actor.done = true
}
