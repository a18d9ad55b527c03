/**
 * Incidents: what a run was told to let go wrong, and what is done about it, in one thread that is no part of either machine.
 *
 *  1. An injection is armed until the migration enters its state; then it waits for its time, happens, and is over after its duration.
 *     Weather (loss, duplicate, reorder) holds from the beginning.
 *  2. A link that goes down breaks the connection, every channel of it, and no new one can be made until it is up.
 *  3. Recovery: a post-copy that is paused gets a new connection when the link is up, if the run is told to recover, or somebody asks.
 *  4. A machine that crashes: its threads stop where they are, and its sockets are reset.
 *  5. Memory that fails, at the source, of a page that the guest has written and that was not sent: the first behind the middle of RAM.
 *     The source knows at once (SIGBUS, BUS_MCEERR_AO), and tells the destination when it is the page's turn. It is lost: a vCPU that
 *     touches it gets a machine check, and halts.
 *  6. What cannot be done in a state is refused, as QEMU does, and said so: a cancel once the guest was handed over, a pause before, a
 *     recovery where the source has given up what it sent.
 *
 * isStuck: the migration is paused, and nothing that is known, and nobody who is there, will let it go on. The run then ends as it is.
 */
import { assert } from '../base/assert.ts'
import type { Prng } from '../base/prng.ts'
import { BLOCK, type Proc, SLEEP } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Link } from '../hw/link.ts'
import { LinkWeather, type PacketCounts } from '../hw/link_weather.ts'
import type { Machine } from '../machine/machine.ts'
import { addressOf, errnoName, sys } from '../machine/syscall.ts'
import { setupNs } from '../migration/parameters.ts'
import { EventKind, INCIDENT_NAME, type IncidentName, type MigrationStatus } from '../trace/event.ts'
import type { TimedInjection } from './injection.ts'
import type { MigrationRun } from './migration_run.ts'

/** One that happened, for the report. */
export interface HappenedIncident {
  readonly what: IncidentName
  readonly atNs: number
  /** Why nothing came of it; empty: it took place. */
  readonly refused: string
}

type Deed = Pick<TimedInjection, 'what' | 'durationNs' | 'value'>

interface Appointment {
  readonly atNs: number
  readonly keep: (k: Thread) => Proc<void>
}

/** @qemu qmp_migrate_cancel */
const CANCELLABLE: readonly MigrationStatus[] = ['setup', 'active', 'pre-switchover', 'device', 'wait-unplug']
/** @qemu qmp_migrate_pause */
const PAUSABLE: readonly MigrationStatus[] = ['postcopy-active', 'postcopy-recover']

export class Incidents {
  readonly happened: HappenedIncident[] = []
  readonly crashed = new Set<Machine>()
  /** Guest pages whose memory has failed. */
  readonly poisoned = new Set<number>()
  readonly #run: MigrationRun
  /** Made when there is something for it to do. */
  #thread: Thread | null = null
  /** Threads that are no part of the machine that they stand on; the first lends its CPU. */
  readonly #observers: Set<Thread>
  readonly #armed: TimedInjection[] = []
  readonly #agenda: Appointment[] = []
  readonly #enteredNs = new Map<MigrationStatus, number>()
  #upAtNs = 0
  #recovers: boolean
  #bandwidthBitsPerSec: number
  #extraFlightNs = 0

  /** `observers` stand on the source and belong to neither machine. */
  constructor(run: MigrationRun, observers: readonly Thread[], prng: Prng) {
    this.#run = run
    this.#observers = new Set(observers)
    this.#recovers = run.options.recover
    this.#bandwidthBitsPerSec = run.options.bandwidthBitsPerSec
    const share = { loss: 0, duplicate: 0, reorder: 0 }
    for (const injection of run.options.inject) {
      if ('share' in injection) share[injection.what] = injection.share
      else this.#armed.push(injection)
    }
    if (share.loss + share.duplicate + share.reorder > 0)
      for (const [i, link] of run.links.entries()) link.weather = new LinkWeather(share, prng.fork(`weather of link ${i}`))
  }

  /** Packets of all links, where there is weather. */
  get packets(): PacketCounts | null {
    const sum: PacketCounts = { sent: 0, lost: 0, retransmitted: 0, duplicated: 0, reordered: 0 }
    let any = false
    for (const { weather } of this.#run.links) {
      if (weather === null) continue
      any = true
      for (const name of Object.keys(sum) as (keyof PacketCounts)[]) sum[name] += weather.counts[name]
    }
    return any ? sum : null
  }

  get isStuck(): boolean {
    if (this.#run.state.status !== 'postcopy-paused') return false
    if (this.crashed.size > 0 || this.isDownForGood || !this.canRecover) return true
    return !this.#recovers && !this.#run.control.attended
  }

  /** What was on its way is on the source still. @qemu migrate_prepare: "Postcopy recovery cannot work when release-ram capability is set" */
  get canRecover(): boolean {
    return !this.#run.options.capabilities['release-ram']
  }

  /** Whether the migration has ever been in that state. */
  wasIn(status: MigrationStatus): boolean {
    return this.#enteredNs.has(status)
  }

  /** The link never comes back. */
  get isDownForGood(): boolean {
    return this.#upAtNs === Number.POSITIVE_INFINITY
  }

  /** 1., at any time: for whoever drives the run. */
  inject(injection: TimedInjection): void {
    const enteredNs = this.#enteredNs.get(stateOf(injection))
    if (enteredNs === undefined) this.#armed.push(injection)
    else this.#at(Math.max(this.#run.nowNs, enteredNs + injection.afterNs), (k) => this.#happen(k, injection))
  }

  /** As soon as may be; or why not. */
  command(what: 'cancel' | 'pause'): string | null {
    const refused = this.#refusal(what)
    if (refused !== '') return refused
    this.#at(this.#run.nowNs, (k) => this.#happen(k, { what, durationNs: null }))
    return null
  }

  /** 3., asked for. @qemu migrate_recover, migrate -r */
  recover(): void {
    this.#recovers = true
    if (this.#run.state.status === 'postcopy-paused') this.#planRecovery(this.#run.nowNs)
  }

  /** The migration entered a state. */
  entered(status: MigrationStatus, nowNs: number): void {
    if (!this.#enteredNs.has(status)) this.#enteredNs.set(status, nowNs)
    for (const injection of this.#armed.filter((i) => stateOf(i) === status)) {
      this.#armed.splice(this.#armed.indexOf(injection), 1)
      this.#at(nowNs + injection.afterNs, (k) => this.#happen(k, injection))
    }
    if (status === 'postcopy-paused' && this.#recovers && !this.isStuck) this.#planRecovery(nowNs)
  }

  // The thread.

  #at(atNs: number, keep: Appointment['keep']): void {
    let i = this.#agenda.length
    while (i > 0 && this.#agenda[i - 1].atNs > atNs) i--
    this.#agenda.splice(i, 0, { atNs, keep })
    if (this.#thread === null) this.#makeThread()
    else this.#thread.wake(atNs)
  }

  #makeThread(): void {
    const { source } = this.#run
    const [first] = this.#observers
    const k = source.makeThread('incidents', first.cpu)
    this.#observers.add(k)
    this.#thread = k
    source.start(k, this.#life(k))
  }

  *#life(k: Thread): Proc<void> {
    for (;;) {
      const next = this.#agenda[0]
      if (next !== undefined && next.atNs <= k.nowNs) {
        this.#agenda.shift()
        yield* next.keep(k)
        continue
      }
      k.park('something to happen')
      if (next === undefined) yield BLOCK
      else {
        k.wakeAtNs = next.atNs
        yield SLEEP
      }
    }
  }

  *#happen(k: Thread, injection: Deed): Proc<void> {
    const { what, durationNs } = injection
    const refused = this.#refusal(what)
    this.happened.push({ what, atNs: k.nowNs, refused })
    if (refused !== '') return
    this.#tell(k, what, false)
    const untilNs = durationNs === null ? Number.POSITIVE_INFINITY : k.nowNs + durationNs
    yield* this.#begin(k, injection, untilNs)
    if (durationNs !== null && LASTING.includes(what)) this.#at(untilNs, (thread) => this.#over(thread, what))
  }

  #tell(k: Thread, what: IncidentName, over: boolean): void {
    const index = INCIDENT_NAME.indexOf(what)
    this.#run.recorder.event(k.nowNs, EventKind.Incident, k.lane, -1, over ? ~index : index)
  }

  /** 6. */
  #refusal(what: IncidentName): string {
    const { status } = this.#run.state
    if (what === 'cancel' && !CANCELLABLE.includes(status)) return `a migration that is ${status} cannot be cancelled`
    if (what === 'poison' && this.#unsent() < 0) return 'every page that the guest has written was sent'
    if (what === 'pause' && !PAUSABLE.includes(status)) return `a migration that is ${status} cannot be paused`
    return ''
  }

  *#begin(k: Thread, { what, value = 0 }: Deed, untilNs: number): Proc<void> {
    const { source, destination, state, incoming } = this.#run
    switch (what) {
      case 'link-down':
        this.#upAtNs = Math.max(this.#upAtNs, untilNs)
        return yield* this.#disconnect(k)
      case 'pause':
        return yield* this.#disconnect(k)
      case 'cancel':
        state.set(k, 'cancelling')
        return yield* this.#disconnect(k)
      case 'latency':
        return this.#change(k, this.#bandwidthBitsPerSec, value)
      case 'rate':
        return this.#change(k, value, this.#extraFlightNs)
      case 'handler-stall':
        if (incoming !== null) incoming.faultsStallUntilNs = untilNs
        return
      case 'poison':
        return yield* this.#poison(k, this.#unsent())
      case 'source-crash':
        return yield* this.#crash(k, source)
      case 'destination-crash':
        return yield* this.#crash(k, destination)
    }
  }

  *#over(k: Thread, what: IncidentName): Proc<void> {
    this.#tell(k, what, true)
    if (what === 'latency') this.#change(k, this.#bandwidthBitsPerSec, 0)
    if (what === 'rate') this.#change(k, this.#run.options.bandwidthBitsPerSec, this.#extraFlightNs)
    // Where nothing was connected yet, nobody makes a new connection.
    if (what === 'link-down' && this.#run.state.status === 'none') yield* this.#reconnect(k)
  }

  #change(k: Thread, bandwidthBitsPerSec: number, extraFlightNs: number): void {
    this.#bandwidthBitsPerSec = bandwidthBitsPerSec
    this.#extraFlightNs = extraFlightNs
    for (const link of this.#run.links) link.change(k, bandwidthBitsPerSec, extraFlightNs)
  }

  /** 2. */
  *#disconnect(k: Thread): Proc<void> {
    for (const link of this.#links()) if (!link.broken) yield* link.disconnect(k)
  }

  *#reconnect(k: Thread): Proc<void> {
    for (const link of this.#links()) yield* link.reconnect(k)
  }

  /** None after the end: what was connected is closed. */
  #links(): readonly Link[] {
    return this.#run.state.isOver ? [] : this.#run.links
  }

  /** 3. */
  #planRecovery(nowNs: number): void {
    this.#at(Math.max(nowNs, this.#upAtNs), (k) => this.#recover(k))
  }

  *#recover(k: Thread): Proc<void> {
    const { state, incoming } = this.#run
    if (state.status !== 'postcopy-paused' || this.isStuck) return
    // The destination has not found out yet.
    if (incoming?.isPaused !== true || k.nowNs < this.#upAtNs) return this.#planRecovery(k.nowNs + setupNs(k.cpu.preset))
    state.set(k, 'postcopy-recover-setup')
    k.wakeAtNs = k.nowNs + setupNs(k.cpu.preset)
    yield SLEEP
    if (this.crashed.size > 0 || k.nowNs < this.#upAtNs) return state.set(k, 'postcopy-paused')
    yield* this.#reconnect(k)
  }

  /** 5. */
  *#poison(k: Thread, page: number): Proc<void> {
    const { sourceProcess, ramPage, outgoing } = this.#run
    this.poisoned.add(page)
    outgoing?.ram.poisoned.add(page)
    const failed = yield* sys.hwpoison(k, sourceProcess, addressOf(ramPage + page))
    assert(failed === 0, `the memory of page ${page} answered ${errnoName(failed)}`)
  }

  /** The page that fails; -1: there is none. */
  #unsent(): number {
    const { outgoing, shadow, pages } = this.#run
    const bits = outgoing?.bitmap
    if (bits === undefined) return -1
    const next = (from: number, end: number): number => {
      for (let page = bits.nextSet(from); page >= 0 && page < end; page = bits.nextSet(page + 1))
        if (shadow.version[page] > 0 && !this.poisoned.has(page)) return page
      return -1
    }
    const behind = next(pages >>> 1, pages)
    return behind >= 0 ? behind : next(0, pages >>> 1)
  }

  /** 4. */
  *#crash(k: Thread, machine: Machine): Proc<void> {
    const { state, vm, source } = this.#run
    this.crashed.add(machine)
    machine.crash(this.#observers)
    vm.crashed(k, machine)
    const connected = !state.isOver && state.status !== 'none'
    yield* this.#disconnect(k)
    if (machine !== source || !connected) return
    // The source's own word on its state is gone with it: this is what the destination finds.
    const handedOver = this.#run.incoming?.has !== 'no guest'
    state.endNs = k.nowNs
    if (state.status === 'cancelling') state.set(k, 'cancelled')
    else if (!handedOver) state.set(k, 'failed')
    else if (state.status !== 'postcopy-paused') state.set(k, state.status === 'device' ? 'failed' : 'postcopy-paused')
  }
}

/** Those that are over after a while. */
const LASTING: readonly IncidentName[] = ['link-down', 'latency', 'rate', 'handler-stall']

function stateOf({ state }: TimedInjection): MigrationStatus {
  return state === 'precopy' ? 'active' : state === 'postcopy' ? 'postcopy-active' : state
}
