/**
 * One userfault after another, without a network: how long a thread waits for its page, by the call that places it.
 *
 *  1. The thread stores to a page that is missing and sleeps.   2. A handler reads the fault.   3. It receives the page into a buffer
 *  as from a socket, and places it.   4. The thread runs again: the time from 1 to here is the latency.
 *
 *  - copy: the buffer stays, UFFDIO_COPY allocates the page and copies the buffer.
 *  - move: UFFDIO_MOVE takes the buffer's page away, so that the next page is received into memory that the kernel must allocate
 *    and clear first; and other CPUs must forget the page that was taken: a second vCPU, which computes all the time (one that sleeps
 *    is spared, docs/decisions/0031; on Linux before 4.20 none was).
 *
 * Source: Andrea Arcangeli on linux-mm, 5 March 2015 (20150305185112.GL4280@redhat.com), who compares the two by this latency.
 */
import type { Proc } from '../engine/op.ts'
import { QUANTUM } from '../engine/op.ts'
import { Timeline } from '../engine/timeline.ts'
import type { Thread } from '../hw/cpu.ts'
import type { CpuPreset } from '../hw/preset.ts'
import { Identity, Machine } from '../machine/machine.ts'
import { Process } from '../machine/process.ts'
import {
  pageOfAddress,
  sys,
  UFFD_API,
  UFFD_MSG_BYTES,
  UFFDIO_REGISTER_MODE_MISSING,
  type Userfaultfd,
} from '../machine/syscall.ts'
import { Recorder } from '../trace/recorder.ts'

export interface UserfaultLatencyOptions {
  readonly way: 'copy' | 'move'
  readonly pages: number
  readonly preset: CpuPreset
}

const QUANTUM_NS = 100
const TURNS_A_SLICE = 1000

export class UserfaultLatency {
  readonly #timeline = new Timeline(QUANTUM_NS)
  readonly #machine: Machine
  readonly #process: Process
  #waitedNs = 0
  #done = 0

  constructor(readonly options: UserfaultLatencyOptions) {
    const room = 2 * options.pages + 64
    this.#machine = new Machine(
      { name: 'destination', preset: options.preset, frames: room, windowPages: room, without: new Set() },
      this.#timeline,
      new Identity(),
      new Recorder({ keep: false }),
    )
    this.#process = new Process(this.#machine)
    this.#start('main', (k) => this.#main(k), 0)
  }

  #start(name: string, life: (k: Thread) => Proc<void>, atNs: number): void {
    const k = this.#machine.makeThread(name)
    this.#process.adopt(k)
    this.#machine.start(k, life(k), atNs)
  }

  *#main(k: Thread): Proc<void> {
    const bytes = this.options.pages * 4096
    const area = yield* sys.mmap(k, this.#process, bytes)
    const buffer = yield* sys.mmap(k, this.#process, 4096)
    const uffd = sys.userfaultfd(this.#process)
    if (typeof uffd === 'number') throw new Error(`userfaultfd: ${uffd}`)
    sys.uffdioApi(this.#process, uffd, UFFD_API, 0)
    yield* sys.uffdioRegister(k, uffd, area, bytes, UFFDIO_REGISTER_MODE_MISSING)
    this.#start('handler', (handler) => this.#handler(handler, uffd, buffer), k.nowNs)
    this.#start('vcpu 0', (vcpu) => this.#vcpu(vcpu, pageOfAddress(area)), k.nowNs)
    this.#start('vcpu 1', (vcpu) => this.#compute(vcpu), k.nowNs)
  }

  *#vcpu(k: Thread, first: number): Proc<void> {
    for (let page = first; page < first + this.options.pages; page++) {
      // 1.
      const startNs = k.nowNs
      yield* this.#process.touch(k, page, true)
      // 4.
      this.#waitedNs += k.nowNs - startNs
      this.#done++
      if (k.expired) yield QUANTUM
    }
  }

  *#compute(k: Thread): Proc<void> {
    while (this.#done < this.options.pages) {
      k.cpu.charge(QUANTUM_NS)
      if (k.expired) yield QUANTUM
    }
  }

  *#handler(k: Thread, uffd: Userfaultfd, buffer: number): Proc<void> {
    const { way, preset } = this.options
    for (;;) {
      // 2.
      const { messages } = yield* sys.uffdRead(k, uffd, UFFD_MSG_BYTES)
      for (const message of messages) {
        if (!('address' in message)) continue
        // 3.
        yield* this.#process.touch(k, pageOfAddress(buffer), true)
        k.cpu.charge(preset.syscallNs.value + preset.copyPageNs.value)
        const { ret } =
          way === 'copy'
            ? yield* sys.uffdioCopy(k, this.#process, uffd, message.address, buffer, 4096, 0)
            : yield* sys.uffdioMove(k, this.#process, uffd, message.address, buffer, 4096, 0)
        if (ret !== 0) throw new Error(`${way}: ${ret}`)
      }
      if (k.expired) yield QUANTUM
    }
  }

  /** A bounded piece of the run; false when it is over. */
  advance(): boolean {
    return this.#timeline.run(TURNS_A_SLICE) === 'running'
  }

  /** Simulated ns of a fault. */
  result(): number {
    if (this.#done !== this.options.pages) throw new Error(`${this.#done} of ${this.options.pages} pages were touched`)
    return this.#waitedNs / this.#done
  }
}
