/**
 * A machine: a kernel with its CPUs, and a factory of threads pinned to them.
 *
 * CPU numbers and thread ids are unique over the whole simulation, because one engine runs both machines. In the step
 * gear each CPU gets an interrupt task, so that an IPI is taken when the scheduler says so.
 */
import { NOTHING, type Proc } from '../engine/op.ts'
import { Cpu, Thread } from '../hw/cpu.ts'
import { irqTask } from '../hw/ipi.ts'
import type { CpuPreset } from '../hw/preset.ts'
import type { ProtectionName } from '../mm/kconfig.ts'
import { Kernel } from '../mm/kernel.ts'
import { LOCK_ORDER } from '../mm/lock_order.ts'
import { Lockdep } from '../sync/lockdep.ts'
import type { Recorder } from '../trace/recorder.ts'

/** Either gear: whatever can run tasks. */
export interface Spawner {
  readonly stepping: boolean
  spawn(task: Thread): void
}

/** Numbers that both machines draw from. */
export class Identity {
  nextCpu = 0
  nextThread = 0
}

export interface MachineOptions {
  readonly name: 'source' | 'destination'
  readonly preset: CpuPreset
  /** Physical memory, in frames. */
  readonly frames: number
  /** Size of a process's window, in pages. */
  readonly windowPages: number
  readonly without: ReadonlySet<ProtectionName>
  /** Whether every acquisition of a lock is checked; by default in the step gear. */
  readonly lockdep?: boolean
  /** Page tables that there is room for at first. */
  readonly tableNodes?: number
}

export class Machine {
  readonly kernel: Kernel
  readonly threads: Thread[] = []
  readonly windowPages: number
  /** Hardware set the dirty bit of an entry that covers `pages` pages. */
  onDirty: (k: Thread, page: number, pages: number) => void = () => {}
  /** A page fault of user code is over. */
  onFaulted: (k: Thread, page: number) => void = () => {}

  constructor(
    readonly options: MachineOptions,
    readonly engine: Spawner,
    readonly identity: Identity,
    readonly recorder: Recorder,
  ) {
    this.kernel = new Kernel(options.name, options.preset, options.frames, options.without, options.tableNodes)
    if (options.lockdep ?? engine.stepping) this.kernel.lockdep = new Lockdep(LOCK_ORDER)
    this.windowPages = options.windowPages
  }

  get name(): 'source' | 'destination' {
    return this.options.name
  }

  addCpu(): Cpu {
    const cpu = new Cpu(this.identity.nextCpu++, this.options.preset, this.windowPages)
    this.kernel.cpus.push(cpu)
    if (this.engine.stepping) {
      const irq = this.makeThread(`irq ${cpu.id}`, cpu)
      irq.daemon = true
      this.start(irq, irqTask(irq))
    }
    return cpu
  }

  /** A thread on a CPU of its own unless one is given; not started yet. */
  makeThread(name: string, cpu: Cpu = this.addCpu()): Thread {
    const lane = this.recorder.addLane({ name, machine: this.name })
    const thread = new Thread(this.identity.nextThread++, name, cpu, this.engine.stepping, lane)
    thread.lockdep = this.kernel.lockdep
    thread.memory = this.kernel.memory
    this.threads.push(thread)
    cpu.mmu.onDirty = (page, pages) => this.onDirty(thread, page, pages)
    return thread
  }

  /** Its threads stop where they are, but for those that are not its own, and none of them ever ends what it was doing. */
  crash(observers: ReadonlySet<Thread>): void {
    for (const thread of this.threads) {
      if (observers.has(thread)) continue
      thread.lockdep = null
      thread.proc = NOTHING
    }
  }

  /** Starts a thread at time `atNs` of its CPU, or now if that is later. */
  start(thread: Thread, proc: Proc<unknown>, atNs = 0): void {
    if (atNs > thread.cpu.nowNs) thread.cpu.nowNs = atNs
    thread.proc = proc
    this.engine.spawn(thread)
  }
}
