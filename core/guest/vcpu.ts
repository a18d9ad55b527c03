/**
 * A vCPU: runs its workload on whatever machine it is on, and checks every load against the shadow.
 *
 * 1. Boot: write each page of its share of the working set once; a page that is to be zero is read.
 * 2. Run: translate the next accesses, up to a fault or the end of the quantum; load and compare each, or store to memory and
 *    shadow at once. On a fault sleep, if the page is elsewhere. Each access is followed by computing for a while; a while that is
 *    long is slept, as a guest with nothing to do halts, and a stop ends it.
 * 3. Stop when asked, between two accesses. The same object goes on in a thread of the other machine: what moves is the
 *    workload and what was not yet done of its block, as a real vCPU's registers would.
 */
import { atOnce } from '../engine/at_once.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, INPUT, type Proc, QUANTUM, read, SLEEP, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { type Accesses, translateBlock } from '../hw/mmu_block.ts'
import type { Pfn, PhysMem } from '../hw/phys_mem.ts'
import { type Process, SignalError } from '../machine/process.ts'
import { EventKind } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import type { Shadow } from './shadow.ts'
import { BLOCK_ACCESSES, type GuestPhase, MOST_LATE_NS, VCPU_SLICE_NS, type Workload } from './workload.ts'

/** A load that did not see what the last store wrote. */
export interface Mismatch {
  readonly vcpu: number
  readonly lane: number
  readonly page: number
  readonly word: number
  readonly expected: number
  readonly found: number
  readonly foundVersion: number
  readonly timeNs: number
}

/** Takes time from the vCPUs: each runs for a slice and sleeps for a while. */
export interface Throttle {
  /** Infinity: they run freely. */
  readonly sliceNs: number
  readonly sleepNs: number
}

/** Makes a vCPU leave the guest where it may not go on as it is. @kernel KVM_EXIT_DIRTY_RING_FULL */
export interface VcpuExits {
  /** Asked after each fault. */
  isDue(k: Thread): boolean
  /** By the vCPU; how many ns it sleeps then. */
  handle(k: Thread): Proc<number>
}

/** What all vCPUs of a guest share. */
export interface GuestContext {
  readonly shadow: Shadow
  readonly recorder: Recorder
  readonly throttle?: Throttle
  exits?: VcpuExits
  phase: GuestPhase
  onMismatch(mismatch: Mismatch): void
  /** The memory of that page has failed: a touch is a machine check. */
  isPoisoned?(page: number): boolean
}

/** Above this a vCPU halts until its next access. @kernel kvm_vcpu_halt */
const LONG_THINK_NS = 20_000

const NO_ZEROS = new Uint8Array(0)

/** GuestOps events are at least this far apart. */
const OPS_EVENT_NS = 100_000

export class Vcpu {
  /** Accesses done, by phase. */
  readonly accesses: Record<GuestPhase, number> = { boot: 0, before: 0, during: 0, after: 0 }
  loadsChecked = 0
  /** Set to stop the vCPU at its next access. */
  stopRequested = false
  running = false
  /** It touched memory that has failed. Its guest has no handler for that: this vCPU halts for good, the others run on. */
  machineChecked = false
  /** Called when it has stopped. */
  onStopped: (k: Thread) => void = () => {}
  readonly #block = new Int32Array(BLOCK_ACCESSES)
  readonly #frames = new Int32Array(BLOCK_ACCESSES)
  #cursor = 0
  #limit = 0
  #opsReported = 0
  #opsReportedNs = 0
  /** When it last began to run, where it is throttled. */
  #sliceStartNs = 0
  /** Where it booted: there whatever a fault takes is its own time. */
  #home: Process | null = null
  /** On a measured host: when its next access is due. */
  #dueNs = 0

  constructor(
    readonly index: number,
    readonly workload: Workload | null,
    readonly context: GuestContext,
  ) {}

  get totalAccesses(): number {
    const a = this.accesses
    return a.boot + a.before + a.during + a.after
  }

  /** Writes guest pages [first, end) once, both words; reads those that are zero. */
  *boot(k: Thread, process: Process, ramPage: number, first: number, end: number): Proc<void> {
    const { shadow } = this.context
    const phys = process.machine.kernel.phys
    const clock = k.cpu
    this.#home = process
    const zeros = this.workload?.zeros ?? NO_ZEROS
    for (let page = first; page < end; page++) {
      const isStore = zeros[page] !== 1
      const words = isStore ? 2 : 1
      for (let word = 0; word < words; word++) {
        if (k.stepping) clock.mmu.touchEntry(ramPage + page)
        let pfn = clock.mmu.translate(ramPage + page, isStore)
        if (pfn < 0) {
          if (process.isCalm(k)) pfn = atOnce(process.touchAfterMiss(k, ramPage + page, isStore))
          else pfn = yield* process.touchAfterMiss(k, ramPage + page, isStore)
        }
        if (!isStore) continue
        phys.words[pfn * 2 + word] = shadow.store(page, word)
        phys.version[pfn]++
      }
      this.accesses.boot += words
      if (k.expired) yield QUANTUM
    }
  }

  /** Runs until stopRequested. */
  *run(k: Thread, process: Process, ramPage: number): Proc<void> {
    const { context } = this
    const { recorder, throttle } = context
    const phys = process.machine.kernel.phys
    const cpu = k.cpu
    const mmu = cpu.mmu
    const workload = this.workload
    this.running = true
    this.#dueNs = k.nowNs
    recorder.event(k.nowNs, EventKind.VcpuRun, k.lane, -1, 1)
    const accessNs = cpu.preset.accessCycles.value / cpu.preset.clockGHz.value
    const accesses: Accesses = { list: this.#block, frames: this.#frames, firstPage: ramPage, stepNs: accessNs, isFault: false }
    // What was left of a block is done at its own pace.
    let haltNs = this.#pace(k, accesses, accessNs)
    while (!this.stopRequested) {
      if (workload === null || this.machineChecked) {
        k.park('its workload')
        if (!this.stopRequested) yield BLOCK
        continue
      }
      if (this.#cursor === this.#limit) {
        this.#cursor = 0
        this.#limit = workload.fill(this.#block)
        if (this.#limit === 0) {
          yield INPUT
          continue
        }
        haltNs = this.#pace(k, accesses, accessNs)
      }
      if (k.stepping) {
        const { page, isStore } = this.#next(ramPage)
        yield isStore ? write(page, 'tlb') : read(page, 'tlb')
        mmu.touchEntry(page)
        let pfn = mmu.translate(page, isStore)
        if (pfn < 0) {
          try {
            pfn = yield* process.touch(k, page, isStore)
          } catch (e) {
            this.#machineCheck(e, ramPage)
            continue
          }
        }
        this.#performOne(k, phys, pfn, accesses.stepNs)
        if (context.exits?.isDue(k) === true) yield* this.#leaveGuest(k, context.exits)
      } else {
        const from = this.#cursor
        this.#cursor = translateBlock(mmu, accesses, from, haltNs > 0 ? from + 1 : this.#limit, cpu.sliceEndNs)
        this.#perform(k, phys, from, this.#cursor)
        if (accesses.isFault) {
          const { page, isStore } = this.#next(ramPage)
          let pfn: Pfn
          const sinceNs = k.nowNs
          try {
            pfn = yield* process.touchAfterMiss(k, page, isStore)
          } catch (e) {
            this.#machineCheck(e, ramPage)
            continue
          }
          if (process !== this.#home) this.#dueNs += k.nowNs - sinceNs
          this.#performOne(k, phys, pfn, accesses.stepNs)
          if (context.exits?.isDue(k) === true) yield* this.#leaveGuest(k, context.exits)
        }
      }
      if (haltNs > 0) yield* this.#halt(k, haltNs)
      if (haltNs > 0 || cpu.nowNs >= cpu.sliceEndNs) {
        if (cpu.nowNs - this.#opsReportedNs >= OPS_EVENT_NS) this.#reportOps(k)
        if (throttle !== undefined && cpu.nowNs - this.#sliceStartNs >= throttle.sliceNs)
          yield* this.#waitForSlice(k, throttle.sleepNs)
        else if (haltNs === 0) yield QUANTUM
      }
    }
    this.#reportOps(k)
    this.running = false
    recorder.event(k.nowNs, EventKind.VcpuRun, k.lane, -1, 0)
    this.onStopped(k)
  }

  /** The signal for a page whose memory has failed is the guest's machine check; any other is a bug. */
  #machineCheck(e: unknown, ramPage: number): void {
    if (!(e instanceof SignalError) || this.context.isPoisoned?.(e.page - ramPage) !== true) throw e
    this.machineChecked = true
  }

  /** Sets the time that an access of the present block takes; answers how long the vCPU halts behind each, 0 if it computes. */
  #pace(k: Thread, accesses: Accesses, accessNs: number): number {
    const thinkNs = this.workload?.thinkNs ?? 0
    const { program } = k.cpu.preset
    const halts = thinkNs > (program === undefined ? LONG_THINK_NS : program.haltNs.value) && !k.stepping
    const sleepNs = (program?.sleepNs?.value ?? 0) * Math.min(1, thinkNs / VCPU_SLICE_NS)
    const workNs = Math.max(accessNs, program?.accessNs?.value ?? 0) + sleepNs
    accesses.stepNs = halts ? Math.min(workNs, thinkNs) : Math.max(accessNs, thinkNs)
    return halts ? Math.max(0, thinkNs - workNs) : 0
  }

  /**
   * Until its next access. On a measured host that is when the clock says so: what it had to wait for a processor is made up for, as far
   * as a real vCPU does (main/kernel/migrate/vcpu_thread.ts).
   */
  *#halt(k: Thread, haltNs: number): Proc<void> {
    let ns = haltNs
    if (k.cpu.preset.program !== undefined) {
      this.#dueNs = Math.max(this.#dueNs + (this.workload?.thinkNs ?? 0), k.nowNs - MOST_LATE_NS)
      ns = this.#dueNs - k.nowNs
    }
    if (ns > 0) yield* this.#sleep(k, ns, 'its next access')
    else if (k.expired) yield QUANTUM
  }

  *#leaveGuest(k: Thread, exits: VcpuExits): Proc<void> {
    const ns = yield* exits.handle(k)
    if (ns > 0) yield* this.#sleep(k, ns, 'its share of dirty pages')
  }

  /** Throttled. */
  *#waitForSlice(k: Thread, ns: number): Proc<void> {
    yield* this.#sleep(k, ns, 'its next time slice')
    this.#sliceStartNs = k.nowNs
  }

  /** Who stops the guest wakes it. */
  *#sleep(k: Thread, ns: number, what: string): Proc<void> {
    k.park(what)
    k.wakeAtNs = k.nowNs + ns
    if (!this.stopRequested) yield SLEEP
    k.unpark()
  }

  /** The access at the cursor. */
  #next(ramPage: number): { page: number; isStore: boolean } {
    const a = this.#block[this.#cursor]
    return { page: ramPage + (a >>> 2), isStore: (a & 1) !== 0 }
  }

  /** The access at the cursor, whose frame is known. */
  #performOne(k: Thread, phys: PhysMem, pfn: Pfn, stepNs: number): void {
    const at = this.#cursor++
    this.#frames[at] = pfn
    this.#perform(k, phys, at, at + 1)
    k.cpu.nowNs += stepNs
  }

  /** Loads and stores whose frames are known. Nobody else ran since they were translated. */
  #perform(k: Thread, phys: PhysMem, from: number, to: number): void {
    const { shadow } = this.context
    const { words, version } = phys
    let loads = 0
    for (let i = from; i < to; i++) {
      const a = this.#block[i]
      const page = a >>> 2
      const word = (a >>> 1) & 1
      const pfn = this.#frames[i]
      const at = pfn * 2 + word
      if (k.stepping) touch(pfn, 'page.content', (a & 1) !== 0 ? AccessMode.write : AccessMode.read)
      if ((a & 1) !== 0) {
        words[at] = shadow.store(page, word)
        version[pfn]++
        continue
      }
      loads++
      const found = words[at]
      const expected = shadow.words[page * 2 + word]
      if (found !== expected) this.#mismatch(k, { page, word, expected, found, foundVersion: version[pfn] })
    }
    this.loadsChecked += loads
    this.accesses[this.context.phase] += to - from
  }

  #mismatch(k: Thread, what: Pick<Mismatch, 'page' | 'word' | 'expected' | 'found' | 'foundVersion'>): void {
    this.context.onMismatch({ vcpu: this.index, lane: k.lane, ...what, timeNs: k.nowNs })
  }

  #reportOps(k: Thread): void {
    const a = this.accesses
    const done = a.before + a.during + a.after
    const ops = Math.floor((done - this.#opsReported) / (this.workload?.accessesPerOp ?? 1))
    this.#opsReportedNs = k.nowNs
    if (ops === 0) return
    this.#opsReported += ops * (this.workload?.accessesPerOp ?? 1)
    this.context.recorder.event(k.nowNs, EventKind.GuestOps, k.lane, -1, ops)
  }

  /** Operations in a phase. */
  ops(phase: GuestPhase): number {
    return Math.floor(this.accesses[phase] / (this.workload?.accessesPerOp ?? 1))
  }
}
