/**
 * One experiment: two machines, a guest, a migration, and the checks, in the clock gear.
 *
 * The story, told by the main thread (`#story`):
 *  1. RAM is mapped at the source; each vCPU boots: it writes its share of the working set.
 *  2. The guest runs for a while (before); accounting is checked at the source.
 *  3. The migration starts (during): source and destination threads do the rest, until it is over, or stuck (incidents.ts).
 *  4. The guest runs on (after): at the destination, or at the source if nothing came of it.
 *  5. The vCPUs stop; every page is compared, accounting is checked, the state is hashed.
 *
 * The host calls `advance` until 'done'. Nothing here knows of host time. Pairs with drive.ts, the host's loop.
 */

import { InvariantError } from '../base/assert.ts'
import { Prng } from '../base/prng.ts'
import { ConsistencyCheck } from '../checkers/consistency.ts'
import { BLOCK, type Proc, SLEEP } from '../engine/op.ts'
import { Processors } from '../engine/processors.ts'
import { Timeline } from '../engine/timeline.ts'
import { type Capture, contentOfCapture } from '../guest/capture.ts'
import { freedPages, GUESTS, makeWorkloads, parseGuest } from '../guest/catalog.ts'
import { GuestError } from '../guest/guest_kind.ts'
import { LackeyWorkload } from '../guest/lackey.ts'
import { Shadow } from '../guest/shadow.ts'
import type { GuestContext } from '../guest/vcpu.ts'
import type { GuestPhase } from '../guest/workload.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Link } from '../hw/link.ts'
import type { MemoryContent } from '../hw/page_bytes.ts'
import { tablesOf } from '../hw/page_table.ts'
import type { CpuPreset } from '../hw/preset.ts'
import { CPU_PRESETS } from '../hw/presets/catalog.ts'
import { Identity, Machine } from '../machine/machine.ts'
import { Process } from '../machine/process.ts'
import { Blocktime } from '../migration/blocktime.ts'
import type { Compressor } from '../migration/compression.ts'
import type { Destination } from '../migration/destination.ts'
import { type Backing, mapHostPages, targetPages } from '../migration/host_page.ts'
import { MigrationState } from '../migration/migration_state.ts'
import { guestRunsBeforeNs, placeBatchPages } from '../migration/parameters.ts'
import type { ForeignPolicy } from '../migration/prepaging/checked.ts'
import type { Rates } from '../migration/rates.ts'
import type { Source } from '../migration/source.ts'
import { CpuThrottle } from '../migration/throttle.ts'
import { isProtection, type ProtectionName } from '../mm/kconfig.ts'
import type { MigrationStatus } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import { type Aftermath, guestOf } from './aftermath.ts'
import { Channels } from './channels.ts'
import { MigrationControl } from './control.ts'
import { checkAll, checkSource } from './final_checks.ts'
import { FirstTouches } from './first_touches.ts'
import { Forecaster } from './forecast.ts'
import { FreeMemory } from './free_memory.ts'
import { Incidents } from './incidents.ts'
import type { TimedInjection } from './injection.ts'
import type { MigrateOptions } from './options.ts'
import { paintPages } from './page_states.ts'
import { type RunPrepaging, runPrepaging } from './prepaging.ts'
import { makeProgress, newestNs } from './progress.ts'
import type { Progress, RunReport } from './report.ts'
import { makeReport } from './report_maker.ts'
import { startMigration } from './start_migration.ts'
import type { Throttling } from './throttling.ts'
import { VirtualMachine } from './virtual_machine.ts'
import { watch } from './witness.ts'

/** Options that cannot go together; one sentence. */
export class RunError extends Error {
  override readonly name = 'RunError'
}

/** How far a CPU may run ahead of another. */
const QUANTUM_NS = 10_000
/** Frames and window pages beyond guest RAM: buffers and page-sized areas of the migrating process. */
const SPARE_FRAMES = 4096
const SPARE_WINDOW_PAGES = 128
/** Host pages beyond that where they are huge: a temporary one, and room to align it and RAM. */
const SPARE_WINDOW_HOST_PAGES = 4

/** States that only somebody's word may end. */
const WAITS_FOR_A_WORD: readonly MigrationStatus[] = ['postcopy-paused', 'pre-switchover']

export type RunState = 'running' | 'input' | 'waiting' | 'done'

export class MigrationRun {
  readonly pages: number
  /** What RAM of the destination is made of, and of a source that logs no stores; and how many of its pages make a host page. */
  readonly backing: Backing
  readonly hostPages: number
  /** What the guest's memory holds. */
  readonly content: MemoryContent
  readonly source: Machine
  readonly destination: Machine
  readonly sourceProcess: Process
  readonly destinationProcess: Process
  readonly state: MigrationState
  readonly channels: Channels
  readonly vm: VirtualMachine
  readonly shadow: Shadow
  readonly check: ConsistencyCheck
  readonly blocktime: Blocktime
  /** For whoever watches. */
  readonly control = new MigrationControl(this)
  readonly firstTouches: FirstTouches
  readonly free: FreeMemory
  /** Of all vCPUs. @qemu auto-converge */
  readonly throttle = new CpuThrottle()
  readonly forecaster = new Forecaster()
  rates: Rates | null = null
  throttling: Throttling | null = null
  /** The guest's memory at the moment of a background snapshot, and how long stores waited then. */
  image: Shadow | null = null
  readonly writeFaults: Blocktime
  outgoing: Source | null = null
  incoming: Destination | null = null
  ramPage = 0
  pagesPopulated = 0
  /** Simulated times at which the guest's phases began. */
  readonly phaseNs: Record<GuestPhase | 'end', number> = { boot: 0, before: 0, during: 0, after: 0, end: 0 }
  readonly incidents: Incidents
  /** What is left, at the end. */
  aftermath: Aftermath | null = null
  timedOut = false
  finished = false
  readonly #timeline: Timeline
  readonly #main: Thread
  readonly prepaging: RunPrepaging
  readonly #traces: readonly LackeyWorkload[]
  #phase: Progress['phase'] = 'boot'

  constructor(
    readonly options: MigrateOptions,
    readonly recorder: Recorder,
    /** Checks that cost time and change no result: lockdep on both machines. */
    checks: { readonly lockdep: boolean } = { lockdep: false },
    /** The user's own prepaging policy, where the options name a file: loaded by whoever can. */
    policy: ForeignPolicy | null = null,
    /** The CPU, where options.cpu names a file: read by whoever can. */
    cpu: CpuPreset | null = null,
    /** Makes the compressor of a channel, where the options name one: its library, too, has to be loaded before. */
    readonly compressor: (() => Compressor) | null = null,
    /** The captured process, where options.guest names its file: read by whoever can. */
    capture: Capture | null = null,
  ) {
    const parsed = parseGuest(options.guest)
    if (!parsed.ok) throw new RunError(parsed.message)
    const preset = cpu ?? CPU_PRESETS.find((p) => p.id === options.cpu)
    if (preset === undefined)
      throw new RunError(`unknown CPU "${options.cpu}"; known are ${CPU_PRESETS.map((p) => p.id).join(', ')}`)
    this.#timeline = new Timeline(QUANTUM_NS, Processors.shared(preset.program?.processors?.value))
    const without = new Set<ProtectionName>()
    for (const name of options.without) {
      if (!isProtection(name)) throw new RunError(`unknown protection "${name}"`)
      without.add(name)
    }
    const kind = GUESTS.find(({ name }) => name === parsed.guest.kind)
    this.content = capture === null ? (kind?.content ?? 'heap') : contentOfCapture(capture)
    this.pages = options.memBytes / 4096
    this.backing = options.pageSizeBytes === 4096 ? 'small' : options.resolver === 'copy' ? 'hugetlb' : 'thp'
    this.hostPages = targetPages(this.backing)
    if (options.pageSizeBytes !== this.hostPages * 4096)
      throw new RunError(`pages of ${options.pageSizeBytes} bytes are not known`)
    if (this.pages % this.hostPages !== 0)
      throw new RunError(`${options.memBytes} bytes are not a whole number of pages of ${options.pageSizeBytes}`)
    this.prepaging = runPrepaging(options, this.pages / this.hostPages, policy)
    const prng = new Prng(options.seed)
    const identity = new Identity()
    const channelBuffers = preset.program === undefined ? 0 : 2 * placeBatchPages(preset)
    const windowPages = this.pages + SPARE_WINDOW_PAGES + channelBuffers + (this.hostPages - 1) * SPARE_WINDOW_HOST_PAGES
    const make = (name: 'source' | 'destination') =>
      new Machine(
        {
          name,
          preset,
          frames: this.pages + SPARE_FRAMES,
          windowPages,
          without,
          lockdep: checks.lockdep,
          tableNodes: tablesOf(windowPages),
        },
        this.#timeline,
        identity,
        recorder,
      )
    this.source = make('source')
    this.destination = make('destination')
    for (const { kernel } of [this.source, this.destination]) kernel.faultPath = options.faults
    this.sourceProcess = new Process(this.source)
    this.destinationProcess = new Process(this.destination)
    this.channels = new Channels(options, this.content, preset)
    this.state = new MigrationState(recorder)
    this.shadow = new Shadow(this.pages)
    this.check = new ConsistencyCheck(this.shadow, recorder)
    this.blocktime = new Blocktime(options.vcpus)
    this.writeFaults = new Blocktime(options.vcpus)
    this.firstTouches = new FirstTouches(this.destination.windowPages, this.hostPages)
    const guest: GuestContext = {
      shadow: this.shadow,
      recorder,
      throttle: this.throttle,
      phase: 'boot',
      onMismatch: (m) => this.check.load(m),
      isPoisoned: (page) => this.incidents.poisoned.has(page),
    }
    let workloads: ReturnType<typeof makeWorkloads>
    try {
      workloads = makeWorkloads(parsed.guest, this.pages, options.vcpus, prng.fork('guest'), capture)
      this.free = new FreeMemory(workloads, this.pages, this.shadow)
      const tables = { pages: this.pages, guestPageBytes: options.guestPageSizeBytes, hostIsHuge: this.backing !== 'small' }
      const freed = freedPages(parsed.guest, this.free.first, this.pages)
      this.vm = new VirtualMachine(workloads, guest, freed, options.nested ? tables : null)
    } catch (e) {
      throw e instanceof GuestError ? new RunError(e.message) : e
    }
    const refusal = this.free.refusal(options)
    if (refusal !== null) throw new RunError(refusal)
    this.#traces = workloads.filter((w) => w instanceof LackeyWorkload)
    this.#main = this.source.makeThread('main')
    watch(this, this.source)
    watch(this, this.destination)
    this.source.start(this.#main, this.#story(this.#main))
    const observers = [this.#main]
    if (Number.isFinite(options.timeLimitNs)) {
      const limit = this.source.makeThread('time limit')
      observers.push(limit)
      // While somebody's word is waited for, no time passes.
      this.#timeline.bystander = limit
      this.source.start(limit, this.#limit(limit))
    }
    this.incidents = new Incidents(this, observers, prng)
  }

  /** Runs at most `turns` turns of tasks; 'input': feed the next block of the trace that is dry; 'waiting': for somebody's word. */
  advance(turns: number): RunState {
    if (this.finished) return 'done'
    switch (this.#run(turns)) {
      case 'running':
        return 'running'
      case 'input':
        return 'input'
      case 'stopped':
      case 'idle':
        if (!this.finished && !this.timedOut) {
          if (this.control.attended && WAITS_FOR_A_WORD.includes(this.state.status)) return 'waiting'
          if (this.#timeline.bystander !== null) {
            // Nobody will say a word: what is left is the time limit.
            this.#timeline.bystander = null
            return 'running'
          }
          const asleep = [...this.source.threads, ...this.destination.threads].filter((t) => t.state === 'blocked')
          throw new Error(`everything waits: ${asleep.map((t) => `${t.name} for ${t.waitsFor}`).join('; ')}`)
        }
        this.finished = true
        return 'done'
    }
  }

  /** A kernel that lacks a protection may stumble over what it broke: that ends the run, and is its verdict. */
  #run(turns: number): ReturnType<Timeline['run']> {
    try {
      return this.#timeline.run(turns)
    } catch (error) {
      if (!(error instanceof InvariantError) || this.options.without.length === 0) throw error
      const k = this.#main
      const what = `${error.invariant}: ${error.message}`
      this.check.accounting(what, 'the kernel itself', k.nowNs, k.lane)
      if (!this.state.isOver && this.state.status !== 'none') {
        this.state.set(k, 'failed')
        this.state.error = what
      }
      this.phaseNs.end = k.nowNs
      this.#phase = 'done'
      this.finished = true
      return 'stopped'
    }
  }

  /** The trace that waits for input, counted as the guest names them; -1 if none does. */
  get dryTrace(): number {
    return this.#traces.findIndex((trace) => trace.isDry)
  }

  /** The next bytes of trace `index`, which waits for them, or null at its end (it starts over). */
  feed(index: number, block: Uint8Array | null): void {
    this.#traces[index].feed(block)
    this.#timeline.resumeInput()
  }

  // The story.

  *#story(k: Thread): Proc<void> {
    const { options } = this
    // 1.
    this.sourceProcess.adopt(k)
    const logs = options.mode !== 'postcopy'
    const backing = logs && this.backing === 'hugetlb' ? 'thp' : this.backing
    this.ramPage = yield* mapHostPages(k, this.sourceProcess, this.pages, backing)
    yield* this.vm.boot(k, this.sourceProcess, this.ramPage)
    // 2.
    this.#enter('before', k)
    yield* this.#sleep(k, guestRunsBeforeNs(k.cpu.preset))
    if (options.balloonBytes > 0)
      yield* this.free.inflate(k, this.sourceProcess, this.ramPage, this.hostPages, options.balloonBytes)
    checkSource(this, k)
    // 3.
    this.#enter('during', k)
    const { outgoing, incoming } = startMigration(this, k)
    this.outgoing = outgoing
    this.incoming = incoming
    yield* this.#untilOver(k)
    // 4.
    if (this.state.endNs > k.cpu.nowNs) k.cpu.nowNs = this.state.endNs
    this.#enter('after', k)
    if (this.state.status === 'completed' || (this.state.isOver && guestOf(this) === 'source')) {
      yield* this.#sleep(k, options.durationNs)
      yield* this.vm.stop(k)
    }
    // 5.
    this.phaseNs.end = k.nowNs
    checkAll(this, k)
    this.#phase = 'done'
    this.finished = true
    this.#timeline.stop()
  }

  /** Until the migration is over; or stuck, and still so after what would be the time after. */
  *#untilOver(k: Thread): Proc<void> {
    const { state, incidents } = this
    for (;;) {
      while (!state.isOver && !incidents.isStuck) {
        k.park('the migration to end')
        if (!state.isOver && !incidents.isStuck) yield BLOCK
      }
      if (state.isOver) return
      yield* this.#sleep(k, this.options.durationNs)
      if (incidents.isStuck) return
    }
  }

  #enter(phase: GuestPhase, k: Thread): void {
    this.#phase = phase
    // The host measures phases.
    this.#timeline.pause()
    this.vm.guest.phase = phase
    this.phaseNs[phase] = k.nowNs
  }

  *#sleep(k: Thread, ns: number): Proc<void> {
    k.wakeAtNs = k.nowNs + ns
    yield SLEEP
  }

  *#limit(k: Thread): Proc<void> {
    yield* this.#sleep(k, this.options.timeLimitNs)
    this.timedOut = true
    this.phaseNs.end = k.nowNs
    this.state.endNs ||= k.nowNs
    this.#timeline.stop()
  }

  // What may be asked while it runs.

  /** Makes something happen, as --inject does. */
  inject(injection: TimedInjection): void {
    this.incidents.inject(injection)
  }

  // What is told.

  get nowNs(): number {
    return newestNs(this)
  }

  /** Every channel between the machines, both ways. */
  get links(): readonly Link[] {
    return [...this.channels.outgoing, this.channels.returnPath]
  }

  get phase(): Progress['phase'] {
    return this.#phase
  }

  progress(): Progress {
    return makeProgress(this, this.#phase)
  }

  /** PageState of every guest page on both machines, for a live map. */
  pageStates(source: Uint8Array, destination: Uint8Array): void {
    paintPages(this, source, destination)
  }

  report(): RunReport {
    return makeReport(this)
  }
}
