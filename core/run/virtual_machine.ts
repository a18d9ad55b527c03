/**
 * The guest as a virtual machine: its vCPUs, booted, stopped and started as one, on whichever machine it is.
 *
 * The vCPUs (core/guest/vcpu.ts) move as objects; each start makes them a thread on the machine where they go on.
 * @qemu vm_start, vm_stop_force_state
 */
import { BLOCK, type Proc } from '../engine/op.ts'
import { type GuestContext, Vcpu } from '../guest/vcpu.ts'
import type { Workload } from '../guest/workload.ts'
import type { Thread } from '../hw/cpu.ts'
import { NestedPaging, type NestedShape } from '../hw/nested_paging.ts'
import type { Machine } from '../machine/machine.ts'
import type { Process } from '../machine/process.ts'

export class VirtualMachine {
  readonly vcpus: readonly Vcpu[]
  /** The thread that runs each vCPU now, on whichever machine. */
  readonly threads: Thread[] = []
  /** What the vCPUs touch from their next start on is written down here (hw/mmu.ts). */
  walked: Uint8Array | null = null
  #booting: number

  /** One workload a vCPU; null: it idles. */
  constructor(
    workloads: readonly (Workload | null)[],
    readonly guest: GuestContext,
    /** Pages behind the working set that booting writes, too. */
    readonly freedPages = 0,
    /** Its own page tables; null: it runs on the host's. */
    readonly tables: Omit<NestedShape, 'ramPage'> | null = null,
  ) {
    this.vcpus = workloads.map((w, i) => new Vcpu(i, w, guest))
    this.#booting = workloads.length
  }

  /** Each vCPU writes its share of the working set; when all have, they go on to run. Answers then. */
  *boot(main: Thread, process: Process, ramPage: number): Proc<void> {
    const { machine } = process
    for (const vcpu of this.vcpus) {
      const k = this.#makeThread(vcpu, machine, ramPage)
      this.threads[vcpu.index] = k
      machine.start(k, this.#life(k, main, vcpu, process, ramPage))
    }
    while (this.#booting > 0) {
      main.park('the guest to boot')
      if (this.#booting > 0) yield BLOCK
    }
    this.guest.phase = 'before'
    for (const k of this.threads) k.wake(main.nowNs)
  }

  #makeThread(vcpu: Vcpu, machine: Machine, ramPage: number): Thread {
    const k = machine.makeThread(`vCPU ${vcpu.index}`)
    const { preset, mmu } = k.cpu
    if (this.tables !== null) mmu.nest(new NestedPaging(preset, machine.windowPages, { ...this.tables, ramPage }))
    return k
  }

  *#life(k: Thread, main: Thread, vcpu: Vcpu, process: Process, ramPage: number): Proc<void> {
    const { vcpus, guest } = this
    const pages = Math.max(...vcpus.map((v) => v.workload?.bootPages ?? 0)) + this.freedPages
    const edge = (n: number) => Math.floor((pages * n) / vcpus.length)
    process.adopt(k)
    yield* vcpu.boot(k, process, ramPage, edge(vcpu.index), edge(vcpu.index + 1))
    this.#booting--
    if (this.#booting === 0) main.wake(k.nowNs)
    while (guest.phase === 'boot') {
      k.park('the other vCPUs to boot')
      if (guest.phase === 'boot') yield BLOCK
    }
    yield* vcpu.run(k, process, ramPage)
  }

  get isRunning(): boolean {
    return this.vcpus.some((v) => v.running)
  }

  /** Stops every vCPU wherever it runs; sleeps until the last has stopped. */
  *stop(k: Thread): Proc<void> {
    for (const vcpu of this.vcpus) {
      vcpu.stopRequested = true
      vcpu.onStopped = (v) => k.wake(v.nowNs)
      this.threads[vcpu.index].wake(k.nowNs)
    }
    while (this.isRunning) {
      k.park('the vCPUs to stop')
      if (this.isRunning) yield BLOCK
    }
  }

  /** The machine where it ran is gone, and those vCPUs with it. */
  crashed(k: Thread, machine: Machine): void {
    for (const vcpu of this.vcpus) {
      if (!machine.threads.includes(this.threads[vcpu.index])) continue
      vcpu.running = false
      vcpu.onStopped(k)
    }
  }

  /** Starts every vCPU in `process`, each where it stopped. */
  start(k: Thread, process: Process, ramPage: number): void {
    const { machine } = process
    for (const vcpu of this.vcpus) {
      const thread = this.#makeThread(vcpu, machine, ramPage)
      this.threads[vcpu.index] = thread
      vcpu.stopRequested = false
      process.adopt(thread)
      thread.cpu.mmu.walked = this.walked
      machine.start(thread, vcpu.run(thread, process, ramPage), k.nowNs)
    }
  }
}
