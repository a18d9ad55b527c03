/**
 * A CPU: a clock, an MMU, an interrupt flag and a queue of interrupts; and a thread, the task that runs on it.
 *
 * Pairs with ipi.ts, which sends and handles the interrupts.
 */
import { Clock, Task } from '../engine/task.ts'
import { Mmu } from './mmu.ts'
import type { CpuPreset } from './preset.ts'

/** An interrupt that waits to be taken: what to do on the target, then the sender's acknowledgement. */
export interface PendingIpi {
  readonly handle: () => void
  readonly acknowledge: () => void
}

export class Cpu extends Clock {
  readonly mmu: Mmu
  /** Depth of interrupt disabling; an IPI is taken at 0 only. @kernel local_irq_disable */
  irqOff = 0
  /** Who disabled them last, where it said so. */
  irqOffBy: Task | null = null
  readonly pending: PendingIpi[] = []
  ipisTaken = 0
  /** What INVLPG takes. */
  readonly invlpgNs: number
  /** No user code runs on it, and it keeps what it has loaded until some does. @kernel cpu_tlbstate_shared.is_lazy */
  isLazy = false
  /** In lazy mode it was spared a flush of the address space that it has loaded. @kernel cpu_tlbstate.ctxs (tlb_gen) */
  missedFlush = false
  /** It is told by interrupts to flush; else an instruction of another CPU reaches it, whatever it does. */
  readonly #flushesByIpi: boolean

  constructor(
    id: number,
    readonly preset: CpuPreset,
    windowPages: number,
  ) {
    super(id)
    this.invlpgNs = preset.invlpgCycles.value / preset.clockGHz.value
    this.#flushesByIpi = preset.ipiHandleNs.value > 0
    this.mmu = new Mmu(preset, windowPages, this)
  }

  /** @kernel enter_lazy_tlb */
  override idle(): void {
    super.idle()
    this.isLazy = this.#flushesByIpi
  }

  /** Back from the idle task: what was missed meanwhile is made good at once, and in full. @kernel switch_mm_irqs_off */
  override resume(): void {
    super.resume()
    this.isLazy = false
    if (!this.missedFlush) return
    this.missedFlush = false
    this.mmu.flushAll()
  }
}

/** A thread of control on a CPU; what kernel code calls `current`. */
export class Thread extends Task {
  /** A signal that ends the thread is pending: long loops in the kernel stop. @kernel fatal_signal_pending */
  fatalSignal = false

  constructor(
    id: number,
    name: string,
    readonly cpu: Cpu,
    stepping: boolean,
    /** Index of its lane in the trace. */
    readonly lane: number,
  ) {
    super(id, name, cpu, stepping)
  }
}
