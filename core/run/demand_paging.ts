/**
 * Demand paging without a network: vCPUs touch memory that is in the page cache but not mapped, and somebody maps it.
 *
 * The load of KVM's selftest demand_paging_test -u MINOR -s shmem: each vCPU stores once to each page of its own share.
 *  - through userfaultfd: as many readers as vCPUs, each with an epoll instance: wait, read one message, UFFDIO_CONTINUE. All on
 *    one descriptor (-a), or each vCPU's share on a descriptor of its own with one reader.
 *  - through the vCPU's exit (-w, KVM_CAP_EXIT_ON_MISSING): the hypervisor looks without a lock, finds nothing, and returns to
 *    user code, where the vCPU's own thread does UFFDIO_CONTINUE and enters the guest again. No queue, nobody to wake.
 *
 * What comes out is simulated time, from locks, cache lines, walks of wait queues and wake-ups as core/mm and core/sync price
 * them. A seed draws when vCPUs start and how long the guest takes between two pages.
 *
 * Source: tools/testing/selftests/kvm/demand_paging_test.c; the series for KVM_CAP_EXIT_ON_MISSING, 2023.
 */
import { Prng } from '../base/prng.ts'
import { type Proc, QUANTUM } from '../engine/op.ts'
import { Timeline } from '../engine/timeline.ts'
import type { Thread } from '../hw/cpu.ts'
import type { CpuPreset } from '../hw/preset.ts'
import { Identity, Machine } from '../machine/machine.ts'
import { Process } from '../machine/process.ts'
import {
  addressOf,
  MADV_DONTNEED,
  MAP_SHARED,
  O_CLOEXEC,
  O_NONBLOCK,
  PROT_READ,
  PROT_WRITE,
  pageOfAddress,
  sys,
  UFFD_API,
  UFFD_MSG_BYTES,
  UFFDIO_REGISTER_MODE_MINOR,
  type Userfaultfd,
} from '../machine/syscall.ts'
import { CacheLine } from '../sync/cache_line.ts'
import { Recorder } from '../trace/recorder.ts'

export interface DemandPagingOptions {
  readonly vcpus: number
  readonly pagesPerVcpu: number
  readonly way: 'one-uffd' | 'uffd-per-vcpu' | 'vcpu-exit'
  readonly preset: CpuPreset
  /** A stage-2 fault besides what core/mm does: exit, KVM's own look, the second-level entry, entry. */
  readonly stage2Ns: number
  /** From the kernel's answer to user code of the vCPU's thread and back to the guest. */
  readonly exitNs: number
  readonly seed: number
}

/** How far a CPU may run ahead of another: less than a cache line takes. */
const QUANTUM_NS = 100
/** Longest time of the guest between two pages. */
const GUEST_NS = 200
/** vCPUs start within this time. */
const STAGGER_NS = 10_000
const TURNS_A_SLICE = 2000

export class DemandPaging {
  readonly #timeline = new Timeline(QUANTUM_NS)
  readonly #machine: Machine
  readonly #process: Process
  readonly #prng: Prng
  /** The word of kvm.mmu_lock, which each stage-2 fault takes and leaves for reading. */
  readonly #mmuLock: CacheLine
  #ram = 0
  #startNs = 0
  #endNs = 0
  #done = 0

  constructor(readonly options: DemandPagingOptions) {
    const pages = options.vcpus * options.pagesPerVcpu
    this.#prng = new Prng(options.seed).fork('demand paging')
    this.#machine = new Machine(
      { name: 'source', preset: options.preset, frames: pages + 64, windowPages: pages + 64, without: new Set() },
      this.#timeline,
      new Identity(),
      new Recorder({ keep: false }),
    )
    this.#mmuLock = new CacheLine(options.preset.lineTransferNs.value, this.#machine.kernel.cpus)
    this.#process = new Process(this.#machine)
    this.#start('main', (k) => this.#main(k))
  }

  #start(name: string, life: (k: Thread) => Proc<void>, atNs = 0): void {
    const k = this.#machine.makeThread(name)
    this.#process.adopt(k)
    this.#machine.start(k, life(k), atNs)
  }

  /** Fills the page cache, unmaps, registers; then starts readers and vCPUs. */
  *#main(k: Thread): Proc<void> {
    const { vcpus, pagesPerVcpu, way } = this.options
    const bytes = vcpus * pagesPerVcpu * 4096
    const file = sys.memfdCreate(this.#process, bytes)
    const address = yield* sys.mmap(k, this.#process, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, 0, file)
    this.#ram = pageOfAddress(address)
    for (let page = this.#ram; page < this.#ram + vcpus * pagesPerVcpu; page++) yield* this.#process.touch(k, page, true)
    yield* sys.madvise(k, this.#process, address, bytes, MADV_DONTNEED)
    const shares = way === 'uffd-per-vcpu' ? vcpus : 1
    const uffds: Userfaultfd[] = []
    for (let n = 0; n < shares; n++) uffds.push(yield* this.#register(k, address + (n * bytes) / shares, bytes / shares))
    this.#startNs = k.nowNs + STAGGER_NS
    for (let n = 0; n < vcpus; n++) {
      const uffd = uffds[n % shares]
      if (way !== 'vcpu-exit') this.#start(`reader ${n}`, (reader) => this.#reader(reader, uffd), k.nowNs)
      const prng = this.#prng.fork(`vcpu ${n}`)
      const first = this.#ram + n * pagesPerVcpu
      this.#start(`vcpu ${n}`, (vcpu) => this.#vcpu(vcpu, prng, first, uffd), this.#startNs + prng.below(STAGGER_NS))
    }
  }

  *#register(k: Thread, address: number, bytes: number): Proc<Userfaultfd> {
    const uffd = sys.userfaultfd(this.#process, O_CLOEXEC | O_NONBLOCK)
    if (typeof uffd === 'number') throw new Error(`userfaultfd: ${uffd}`)
    sys.uffdioApi(this.#process, uffd, UFFD_API, 0)
    const { ret } = yield* sys.uffdioRegister(k, uffd, address, bytes, UFFDIO_REGISTER_MODE_MINOR)
    if (ret !== 0) throw new Error(`UFFDIO_REGISTER: ${ret}`)
    return uffd
  }

  *#reader(k: Thread, uffd: Userfaultfd): Proc<void> {
    const epoll = yield* sys.epollAdd(k, uffd)
    for (;;) {
      yield* sys.epollWait(k, epoll)
      const { messages } = yield* sys.uffdRead(k, uffd, UFFD_MSG_BYTES)
      for (const message of messages) {
        if (k.expired) yield QUANTUM
        if ('address' in message) yield* this.#continue(k, uffd, message.address)
      }
      if (k.expired) yield QUANTUM
    }
  }

  *#continue(k: Thread, uffd: Userfaultfd, address: number): Proc<void> {
    const { ret } = yield* sys.uffdioContinue(k, uffd, address, 4096, 0)
    if (ret !== 0) throw new Error(`UFFDIO_CONTINUE: ${ret}`)
  }

  *#vcpu(k: Thread, prng: Prng, first: number, uffd: Userfaultfd): Proc<void> {
    const { pagesPerVcpu, way, stage2Ns, exitNs, preset } = this.options
    for (let page = first; page < first + pagesPerVcpu; page++) {
      k.cpu.charge(prng.below(GUEST_NS) + stage2Ns)
      if (k.expired) yield QUANTUM
      if (way === 'vcpu-exit') {
        k.cpu.charge(preset.faultNs.value + exitNs)
        yield* this.#continue(k, uffd, addressOf(page))
        k.cpu.charge(stage2Ns)
        if (k.expired) yield QUANTUM
      }
      yield* this.#process.touch(k, page, true)
      if (k.expired) yield QUANTUM
      this.#mmuLock.touch(k.cpu)
      if (k.expired) yield QUANTUM
      this.#mmuLock.touch(k.cpu)
      if (k.expired) yield QUANTUM
    }
    this.#done += pagesPerVcpu
    if (k.nowNs > this.#endNs) this.#endNs = k.nowNs
  }

  /** A bounded piece of the run; false when it is over. */
  advance(): boolean {
    return this.#timeline.run(TURNS_A_SLICE) === 'running'
  }

  /** Pages a second, of all vCPUs together. */
  result(): number {
    const { vcpus, pagesPerVcpu } = this.options
    if (this.#done !== vcpus * pagesPerVcpu) throw new Error(`${this.#done} of ${vcpus * pagesPerVcpu} pages were touched`)
    return (this.#done * 1e9) / (this.#endNs - this.#startNs)
  }
}
