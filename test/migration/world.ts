/**
 * Two small machines, a guest and a migration between them, in either gear: the parts of core/migration joined as a run
 * joins them, but small enough for hundreds of schedules.
 *
 * Each vCPU owns every n-th page, stores to its pages a fixed number of times and then only loads. So the memory at the
 * end depends on the guest alone, neither on the gear nor on the resolver nor on the schedule.
 */
import { Prng } from '../../core/base/prng.ts'
import { ConsistencyCheck } from '../../core/checkers/consistency.ts'
import { brokenAtRest, brokenInFlight } from '../../core/checkers/invariants.ts'
import { Ledger } from '../../core/checkers/ledger.ts'
import { Execution } from '../../core/engine/execution.ts'
import { BLOCK, type Proc, QUANTUM } from '../../core/engine/op.ts'
import { Timeline } from '../../core/engine/timeline.ts'
import { Shadow } from '../../core/guest/shadow.ts'
import { type GuestContext, Vcpu } from '../../core/guest/vcpu.ts'
import { access, type Workload } from '../../core/guest/workload.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { Link } from '../../core/hw/link.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { Identity, Machine } from '../../core/machine/machine.ts'
import { Process } from '../../core/machine/process.ts'
import { sys } from '../../core/machine/syscall.ts'
import { Destination } from '../../core/migration/destination.ts'
import { deviceState } from '../../core/migration/device_state.ts'
import { MigrationState } from '../../core/migration/migration_state.ts'
import { PageMapState } from '../../core/migration/page_map.ts'
import { ForwardPolicy } from '../../core/migration/prepaging/forward.ts'
import type { PrepagingPolicy } from '../../core/migration/prepaging/policy.ts'
import { IoctlResolver, RemapResolver, type Resolver } from '../../core/migration/resolver.ts'
import { Source } from '../../core/migration/source.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import type { MigrationStatus } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { scheduler } from '../mm/rig.ts'

export type ResolverName = 'remap' | 'move' | 'copy'
export const RESOLVER_NAMES: readonly ResolverName[] = ['remap', 'move', 'copy']

export interface WorldOptions {
  readonly gear: 'clock' | 'step'
  readonly resolver: ResolverName
  readonly seed?: number
  readonly pages?: number
  readonly vcpus?: number
  readonly without?: readonly ProtectionName[]
  readonly prepaging?: PrepagingPolicy
  /** Pages that one call may place. [1] */
  readonly batchPages?: number
}

const STORES = 12

/** `STORES` stores to pages of its own, mixed with loads; then loads for ever. */
class SmallWorkload implements Workload {
  readonly accessesPerOp = 1
  readonly thinkNs = 3000
  readonly bootPages: number
  #stores = 0
  #accesses = 0
  /** Accesses after which all stores are done. */
  #lastStore = Number.POSITIVE_INFINITY

  constructor(
    readonly pages: number,
    readonly first: number,
    readonly stride: number,
    readonly prng: Prng,
  ) {
    this.bootPages = Math.ceil(pages / 2)
  }

  fill(out: Int32Array): number {
    const { pages, first, stride, prng } = this
    for (let i = 0; i < 4; i++) {
      const mine = first + stride * prng.below(Math.ceil((pages - first) / stride))
      const store = this.#stores < STORES && prng.below(2) === 0
      this.#accesses++
      if (store && ++this.#stores === STORES) this.#lastStore = this.#accesses
      out[i] = access(mine, prng.below(2), store)
    }
    return 4
  }

  isDoneAfter(accesses: number): boolean {
    return accesses >= this.#lastStore
  }
}

/** A shadow that tells the ledger of every store. */
class ToldShadow extends Shadow {
  readonly ledger: Ledger

  constructor(ledger: Ledger) {
    super(ledger.pages)
    this.ledger = ledger
  }

  override store(page: number, word: number): number {
    const value = super.store(page, word)
    this.ledger.stored(page, this.version[page] ?? 0)
    return value
  }
}

export class World {
  readonly engine: Timeline | Execution
  readonly recorder = new Recorder({ keep: true })
  readonly source: Machine
  readonly destination: Machine
  readonly from: Process
  readonly to: Process
  readonly stream: Link
  readonly state = new MigrationState(this.recorder)
  readonly statuses: MigrationStatus[] = []
  readonly shadow: Shadow
  readonly ledger: Ledger
  /** The first thing that the ledger shows to be wrong, in flight. */
  wrongOnTheWay: string | null = null
  readonly check: ConsistencyCheck
  readonly vcpus: Vcpu[]
  readonly workloads: SmallWorkload[]
  readonly pages: number
  readonly resolver: Resolver
  readonly incoming: Destination
  readonly outgoing: Source
  readonly ramPage = 1
  outcome = ''
  readonly #guest: GuestContext

  constructor(readonly options: WorldOptions) {
    const seed = options.seed ?? 1
    this.pages = options.pages ?? 8
    const vcpus = options.vcpus ?? 2
    this.engine = options.gear === 'clock' ? new Timeline(5000) : new Execution(scheduler(seed))
    const identity = new Identity()
    const make = (name: 'source' | 'destination') =>
      new Machine(
        { name, preset: ZEN5, frames: this.pages + 64, windowPages: this.pages + 16, without: new Set(options.without ?? []) },
        this.engine,
        identity,
        this.recorder,
      )
    this.source = make('source')
    this.destination = make('destination')
    this.from = new Process(this.source)
    this.to = new Process(this.destination)
    const link = (name: string) =>
      new Link({ name, bandwidthBitsPerSec: 1e9, rttNs: 20_000, sendBufferBytes: 20_000, receiveBufferBytes: 300_000 })
    this.stream = link('stream')
    const returnPath = link('return path')
    this.ledger = new Ledger(this.pages)
    this.shadow = new ToldShadow(this.ledger)
    this.check = new ConsistencyCheck(this.shadow, this.recorder)
    this.#guest = { shadow: this.shadow, recorder: this.recorder, phase: 'before', onMismatch: (m) => this.check.load(m) }
    // The guest is the same for every schedule: its stream has a seed of its own.
    this.workloads = Array.from(
      { length: vcpus },
      (_, i) => new SmallWorkload(this.pages, i, vcpus, new Prng(77).fork(`vcpu ${i}`)),
    )
    this.vcpus = this.workloads.map((w, i) => new Vcpu(i, w, this.#guest))
    const { resolver, batchPages = 1 } = options
    this.resolver =
      resolver === 'remap'
        ? new RemapResolver(this.to, 1, 1, batchPages)
        : new IoctlResolver(this.to, resolver, 1, 1, false, batchPages)
    this.#tellPlacements()
    const common = {
      ramPage: this.ramPage,
      pages: this.pages,
      stream: this.stream,
      returnPath,
      recorder: this.recorder,
      deviceState: deviceState(8, vcpus),
    }
    this.outgoing = new Source({
      ...common,
      hostPages: 1,
      process: this.from,
      state: this.state,
      policy: options.prepaging ?? new ForwardPolicy(),
      stopVcpus: (k) => this.#stop(k),
    })
    this.incoming = new Destination({
      ...common,
      process: this.to,
      resolver: this.resolver,
      startVcpus: (k) => {
        this.ledger.handsOver()
        for (const v of this.vcpus) this.#start(v, this.destination, this.to, k.nowNs)
      },
    })
    this.state.onChange = (status) => {
      this.statuses.push(status)
    }
    const main = this.source.makeThread('main')
    this.source.start(main, this.#story(main))
  }

  /** Runs to the end; false if somebody waits for ever. */
  run(): boolean {
    if (this.engine instanceof Execution) this.outcome = this.engine.run(400_000, () => this.#look())
    else {
      while (this.engine.run(10_000) === 'running');
      const left = [...this.source.threads, ...this.destination.threads].filter((t) => t.state !== 'done')
      this.outcome = left.length === 0 ? 'done' : `waits: ${left.map((t) => `${t.name} for ${t.waitsFor}`).join('; ')}`
    }
    if (this.outcome !== 'done') return false
    this.check.comparePages(this.to, this.ramPage, () => true, 0, 0)
    return true
  }

  /** Each page that the resolver says it placed. */
  #tellPlacements(): void {
    const { resolver, ledger, ramPage } = this
    const place = resolver.place.bind(resolver)
    const placeRun = resolver.placeRun.bind(resolver)
    resolver.place = function* (k, page, content, channel) {
      const placing = yield* place(k, page, content, channel)
      if (placing === 'placed') ledger.placed(page - ramPage, content?.version ?? 0)
      return placing
    }
    resolver.placeRun = function* (k, page, batch, pages, channel) {
      const placed = yield* placeRun(k, page, batch, pages, channel)
      for (let i = 0; i < placed; i++) ledger.placed(page - ramPage + i, batch.content(i)?.version ?? 0)
      return placed
    }
  }

  /** The kernels are looked at when the run is over: their TLBs are those of a real CPU, too large to ask after every step. */
  #look(): void {
    this.wrongOnTheWay ??= brokenInFlight({ kernels: [], ledger: this.ledger })?.message ?? null
  }

  *#story(k: Thread): Proc<void> {
    const { from, vcpus, destination, source } = this
    from.adopt(k)
    yield* sys.mmap(k, from, this.pages * 4096)
    const boot = vcpus[0]
    if (boot !== undefined) yield* boot.boot(k, from, this.ramPage, 0, this.workloads[0]?.bootPages ?? 0)
    for (const v of vcpus) this.#start(v, source, from, k.nowNs)
    const begin = (machine: Machine, name: string, life: (t: Thread) => Proc<void>) => {
      const t = machine.makeThread(name)
      machine.start(t, life(t), k.nowNs)
    }
    const { incoming, outgoing, to, pages } = this
    begin(destination, 'main', function* (t) {
      to.adopt(t)
      yield* sys.mmap(t, to, pages * 4096)
      yield* incoming.main(t)
    })
    begin(destination, 'listen', (t) => incoming.listen(t))
    begin(destination, 'fault', (t) => incoming.fault(t))
    begin(source, 'return path', (t) => outgoing.returnPath(t))
    begin(source, 'migration', (t) => outgoing.migrate(t))
    while (!this.state.isOver || !this.vcpus.every((v, i) => v.running && this.workloads[i]?.isDoneAfter(v.accesses.before))) {
      k.cpu.nowNs += 20_000
      yield QUANTUM
    }
    yield* this.#stop(k)
  }

  #start(vcpu: Vcpu, machine: Machine, process: Process, atNs: number): void {
    const k = machine.makeThread(`vCPU ${vcpu.index}`)
    this.ledger.runs(machine.name, true)
    vcpu.stopRequested = false
    process.adopt(k)
    machine.start(k, vcpu.run(k, process, this.ramPage), atNs)
  }

  /** Each vCPU has one live thread, which may not have had its first turn yet. */
  *#stop(k: Thread): Proc<void> {
    let left = this.vcpus.length
    for (const vcpu of this.vcpus) {
      vcpu.stopRequested = true
      vcpu.onStopped = (v) => {
        left--
        k.wake(v.nowNs)
      }
    }
    while (left > 0) {
      k.park('the vCPUs to stop')
      if (left > 0) yield BLOCK
    }
    for (const { name } of [this.source, this.destination]) this.ledger.runs(name, false)
  }

  /** The guest's memory at the destination, two words a page. */
  memory(): number[] {
    const { tables, phys } = this.destination.kernel
    return Array.from({ length: this.pages * 2 }, (_, i) => {
      const slot = this.to.mm.table.walk(this.ramPage + (i >> 1))
      const pte = slot < 0 ? 0 : tables.get(slot)
      return (pte & 1) === 0 ? -1 : (phys.words[Math.floor(pte / 4096) * 2 + (i & 1)] ?? -1)
    })
  }

  /** What is wrong at the end, or null. */
  fault(): string | null {
    if (this.outcome !== 'done') return this.outcome
    if (this.state.status !== 'completed') return `${this.state.status}: ${this.incoming.error}`
    if (this.check.first !== null) return this.check.first.message
    if (this.incoming.map.states.some((s) => s !== PageMapState.received)) return 'a page was not received'
    if (this.incoming.duplicates > 0) return `${this.incoming.duplicates} pages came twice`
    const { ledger } = this
    ledger.completes()
    const atRest = brokenAtRest({ kernels: [this.source.kernel, this.destination.kernel], ledger })
    return this.wrongOnTheWay ?? atRest?.message ?? null
  }
}
