/**
 * One migration between two processes of this host, from start to account.
 *
 *  1. The board (a memfd, no file); two machines; both ready.
 *  2. The guest boots on the source; memory is warmed for the destination (warm_memory.ts); the guest runs for a while.
 *  3. The migration. The coordinator only watches: the two talk by their socket. It makes happen what was injected, recovers a paused
 *     post-copy if so told, and counts the time.
 *  4. The guest runs on for --duration, wherever it is. All vCPUs stop; every page is compared.
 *  5. The account (account.ts). Both processes are killed, whatever happened; nothing else was made that could stay behind.
 *
 * What can go wrong in 3: a machine ends (it is killed, it crashes); the connection breaks; nothing moves for as long as the watchdog
 * waits; the time is over; somebody stops it. Each ends with 4, as far as there is a guest that can run, and 5.
 *
 * PAGEFERRY_PLANTED_FAULT=PAGE, for the check of the checks: that page goes out with its neighbour's content.
 */
import { randomBytes } from 'node:crypto'
import { type GuestData, NO_DATA } from '../../../core/guest/guest_data.ts'
import { payloadBytesPerNs } from '../../../core/hw/wire.ts'
import { REAL_BEFORE_NS } from '../../../core/migration/parameters.ts'
import type { TimedInjection } from '../../../core/run/injection.ts'
import type { KernelMigrateOptions, KernelReport } from '../../../core/run/kernel_report.ts'
import type { IncidentReport } from '../../../core/run/report.ts'
import { HostError } from '../../../core/shell/host.ts'
import type { KernelWatcher } from '../../../core/shell/host_kernel.ts'
import type { MigrationStatus } from '../../../core/trace/event.ts'
import { NotPermitted } from '../sys/errors.ts'
import { Memfd } from '../sys/memfd.ts'
import { account } from './account.ts'
import { Board, type Shape } from './board.ts'
import { nowNs } from './clock.ts'
import { type GuestLayout, packGuest } from './guest_memfd.ts'
import { checkMemory } from './host_memory.ts'
import { MachineProcess, type NewsOf } from './machine_process.ts'
import type { Comparison, MachineSetup, PHASES, Side, Usage } from './setup.ts'
import { Teller } from './teller.ts'
import { WarmMemory } from './warm_memory.ts'
import { Watchdog } from './watchdog.ts'

const LOOK_MS = 2
const STARTED_WITHIN_MS = 30_000
/** Comparing goes at several GB a second; a machine that takes longer is stuck. */
const FINISHED_WITHIN_MS = 60_000
/** A connection that is reset is noticed at once. */
const KNOWN_WITHIN_MS = 1000

const OVER: readonly MigrationStatus[] = ['completed', 'failed', 'cancelled']
const CANCELLABLE: readonly MigrationStatus[] = ['setup', 'active', 'pre-switchover', 'device']

/** Why the migration is no longer waited for. */
export type Outcome =
  | { readonly how: 'over' }
  | { readonly how: 'stuck' }
  | { readonly how: 'ended'; readonly side: Side; readonly why: string }
  | { readonly how: 'watchdog' }
  | { readonly how: 'time limit' }
  | { readonly how: 'stopped' }

/** All that the account is made of. */
export interface Facts {
  readonly board: Board
  readonly run: KernelMigrateOptions
  /** What the guest's files hold. */
  readonly data: GuestData
  readonly outcome: Outcome
  /** The state at that moment: to end the machines may take it on. */
  readonly status: MigrationStatus
  /** Where the guest is, or that it is nowhere. */
  readonly guest: Side | null
  readonly comparison: Comparison | null
  readonly usage: Readonly<Record<Side, Usage | null>>
  readonly incidents: readonly IncidentReport[]
  /** Times at which the phases began, and the end. */
  readonly phaseNs: Readonly<Record<'boot' | 'before' | 'during' | 'after' | 'end', number>>
  readonly startedNs: number
}

export async function migrateOnKernel(
  run: KernelMigrateOptions,
  watcher: KernelWatcher,
  data: GuestData = NO_DATA,
): Promise<KernelReport | null> {
  const { options } = run
  const keepsEvents = watcher.onEvents !== undefined
  const shape: Shape = { pages: options.memBytes / 4096, vcpus: options.vcpus, keepsEvents }
  const guest = packGuest(data)
  checkMemory(options.memBytes, guest?.layout.bytes ?? 0)
  const shared = [Memfd.make('pageferry board', Board.bytes(shape))]
  let coordinator: Coordinator | null = null
  try {
    if (guest !== null) shared.push(Memfd.make('pageferry guest', guest.layout.bytes))
    const [board, files] = shared as [Memfd, Memfd?]
    if (files !== undefined) guest?.write(files.buffer)
    const fds = shared.map(({ fd }) => fd)
    coordinator = new Coordinator(run, watcher, new Board(board.buffer, shape), fds, guest?.layout ?? null)
    const facts = await coordinator.migrate(data)
    if (facts === null) return null
    await coordinator.killAll()
    coordinator.teller.tellEvents()
    return account(facts)
  } finally {
    await coordinator?.killAll()
    for (const memory of shared) memory.close()
  }
}

class Coordinator {
  readonly teller: Teller
  readonly #run: KernelMigrateOptions
  readonly #watcher: KernelWatcher
  readonly #board: Board
  readonly #machines: Readonly<Record<Side, MachineProcess>>
  readonly #setup: Omit<MachineSetup, 'side'>
  readonly #startedNs = nowNs()
  readonly #incidents: IncidentReport[] = []
  readonly #armed: TimedInjection[]
  readonly #agenda: { readonly atNs: number; readonly happen: () => void }[] = []
  #statesSeen = 0
  #linkIsUp = true
  #linkIsBack = false
  #phase: (typeof PHASES)[number] = 'boot'

  constructor(
    run: KernelMigrateOptions,
    watcher: KernelWatcher,
    board: Board,
    fds: readonly number[],
    guest: GuestLayout | null,
  ) {
    this.#run = run
    this.#watcher = watcher
    this.#board = board
    const { options, isPaced, wire } = run
    this.#setup = {
      options,
      keepsEvents: board.shape.keepsEvents,
      bandwidthBytesPerSec: isPaced ? payloadBytesPerNs(options.bandwidthBitsPerSec) * 1e9 : 0,
      wire,
      socketName: `pageferry-${randomBytes(16).toString('hex')}`,
      token: randomBytes(16).toString('hex'),
      guest,
      plantedFault: Number(process.env.PAGEFERRY_PLANTED_FAULT ?? -1),
    }
    this.#armed = options.inject.flatMap((injection) => ('share' in injection ? [] : [injection]))
    this.#machines = {
      source: new MachineProcess('source', fds),
      destination: new MachineProcess('destination', fds),
    }
    this.teller = new Teller(watcher, board, (side) => this.#machines[side].ended !== null)
  }

  async killAll(): Promise<void> {
    await Promise.all(this.#all.map((machine) => machine.kill()))
  }

  get #all(): readonly MachineProcess[] {
    return [this.#machines.source, this.#machines.destination]
  }

  /** Null: it was stopped before the migration began. */
  async migrate(data: GuestData): Promise<Facts | null> {
    const { source, destination } = this.#machines
    const { options } = this.#run
    // 1.
    for (const machine of this.#all) machine.tell({ order: 'start', setup: { ...this.#setup, side: machine.side } })
    const listening = await this.#expect(destination, 'ready')
    if (listening === null || (await this.#expect(source, 'ready')) === null) return null
    // 2.
    const bootNs = nowNs()
    this.teller.begin(bootNs)
    source.tell({ order: 'boot' })
    if ((await this.#expect(source, 'booted')) === null) return null
    const { stop } = this.#watcher
    const warm = await WarmMemory.take(options.memBytes, stop)
    this.#enter('before')
    const beforeNs = nowNs()
    source.tell({ order: 'run' })
    await this.#watch(REAL_BEFORE_NS / 1e6).finally(() => warm.giveBack(stop))
    // 3.
    this.#enter('during')
    const duringNs = nowNs()
    source.tell({ order: 'migrate', port: listening.port })
    const outcome = await this.#untilOver()
    const { status } = this.#board
    // A hand-over that is on its way may not arrive any more, or it has.
    if (outcome.how !== 'over') this.#board.takeGuest('source')
    // 4.
    const guest = this.#whereTheGuestIs(outcome)
    this.#enter('after')
    const afterNs = this.#board.get('endNs') || nowNs()
    if (outcome.how !== 'stopped' && (outcome.how === 'over' || guest === 'source')) await this.#watch(options.durationNs / 1e6)
    const endNs = nowNs()
    const hasMemory = guest !== null || this.#board.isHandedOver
    const comparison = outcome.how === 'stopped' ? null : await this.#compare(guest, outcome)
    // A guest that is gone has left what the destination received; what came before the hand-over was never its memory.
    const found = (hasMemory && comparison?.[guest ?? 'destination']?.comparison) || null
    if (found !== null) this.teller.verdict(endNs, found.first)
    const usage = { source: null as Usage | null, destination: null as Usage | null }
    for (const side of ['source', 'destination'] as const) usage[side] = comparison?.[side]?.usage ?? null
    return {
      board: this.#board,
      run: this.#run,
      data,
      outcome,
      status,
      guest,
      comparison: found,
      usage,
      incidents: this.#incidents,
      phaseNs: { boot: bootNs, before: beforeNs, during: duringNs, after: afterNs, end: endNs },
      startedNs: this.#startedNs,
    }
  }

  #enter(phase: (typeof PHASES)[number]): void {
    this.#phase = phase
    this.#board.phase[0] = ['boot', 'before', 'during', 'after'].indexOf(phase)
  }

  /** What a machine has to say before anything else can begin; null: it was stopped. Throws: NotPermitted where this host cannot do it. */
  async #expect<K extends 'ready' | 'booted'>(machine: MachineProcess, kind: K): Promise<NewsOf<K> | null> {
    const untilNs = nowNs() + STARTED_WITHIN_MS * 1e6
    for (let said = machine.news(kind); ; said = machine.news(kind)) {
      if (said !== null) return said
      // Before anything else: who stops a whole group of processes ends the machines, too.
      if (this.#watcher.stop.aborted) return null
      const refused = machine.news('refused')
      if (refused !== null) throw new NotPermitted(refused.why)
      const why = machine.failed ?? machine.ended ?? (nowNs() > untilNs ? `it was not ${kind} in time` : null)
      if (why !== null)
        throw new HostError(
          `the ${machine.side} could not begin: ${why}${firstLine(machine.errors)}; try it with less --mem, or when this host has less to do`,
        )
      this.teller.tell(this.#phase)
      await machine.wait(20)
    }
  }

  /** Lets time pass. */
  async #watch(ms: number): Promise<void> {
    const untilNs = nowNs() + ms * 1e6
    while (nowNs() < untilNs && !this.#watcher.stop.aborted) {
      await pause(Math.min(LOOK_MS, Math.max(0, (untilNs - nowNs()) / 1e6)))
      this.teller.tell(this.#phase)
    }
  }

  /** 3. */
  async #untilOver(): Promise<Outcome> {
    const board = this.#board
    const { options, watchdogNs } = this.#run
    const limitNs = nowNs() + options.timeLimitNs
    const watchdog = new Watchdog(board, watchdogNs)
    let pausedNs = 0
    for (;;) {
      this.#followStates()
      this.#keepAppointments()
      this.teller.tell(this.#phase)
      const { status } = board
      if (OVER.includes(status)) return { how: 'over' }
      if (this.#watcher.stop.aborted) return { how: 'stopped' }
      for (const machine of this.#all) {
        const why = machine.ended ?? machine.failed
        if (why === null) continue
        await this.#untilTheOtherKnows(machine)
        if (OVER.includes(board.status)) return { how: 'over' }
        return { how: 'ended', side: machine.side, why }
      }
      if (nowNs() > limitNs) return { how: 'time limit' }
      if (status === 'postcopy-paused') {
        pausedNs ||= nowNs()
        if (this.#isStuck(pausedNs)) return { how: 'stuck' }
      } else pausedNs = 0
      if (watchdog.hasHadEnough()) return { how: 'watchdog' }
      await pause(LOOK_MS)
    }
  }

  /** A machine is gone, or no good any more. It may have ended after its work was done; and a source finds out what it means. */
  async #untilTheOtherKnows(machine: MachineProcess): Promise<void> {
    await machine.kill()
    const untilNs = nowNs() + KNOWN_WITHIN_MS * 1e6
    while (nowNs() < untilNs && !OVER.includes(this.#board.status) && this.#board.status !== 'postcopy-paused') {
      if (machine.side === 'source') break
      await pause(LOOK_MS)
    }
    this.#followStates()
  }

  /** Nobody will recover it. */
  #isStuck(pausedNs: number): boolean {
    const { recover, durationNs } = this.#run.options
    const comesBack = this.#linkIsUp || this.#agenda.length > 0
    return (!recover || !comesBack) && nowNs() - pausedNs > durationNs
  }

  /** States that are new: what waits for them, and a recovery. */
  #followStates(): void {
    const board = this.#board
    for (; this.#statesSeen < board.statesEntered; this.#statesSeen++) {
      const { status, atNs } = board.stateEntered(this.#statesSeen)
      for (const injection of this.#armed.filter((one) => stateOf(one) === status)) {
        this.#armed.splice(this.#armed.indexOf(injection), 1)
        this.#agenda.push({ atNs: atNs + injection.afterNs, happen: () => this.#happen(injection) })
      }
    }
    if (board.status !== 'postcopy-paused') this.#linkIsBack = false
    else if (this.#run.options.recover && this.#linkIsUp && !this.#linkIsBack) {
      this.#linkIsBack = true
      this.#machines.source.tell({ order: 'recover' })
    }
  }

  #keepAppointments(): void {
    for (const appointment of this.#agenda.filter(({ atNs }) => atNs <= nowNs())) {
      this.#agenda.splice(this.#agenda.indexOf(appointment), 1)
      appointment.happen()
    }
  }

  #happen({ what, durationNs }: TimedInjection): void {
    const at = (nowNs() - this.#board.get('startNs')) / 1e6
    const { status } = this.#board
    if (what === 'cancel' && !CANCELLABLE.includes(status)) {
      this.#incidents.push({ what, at, refused: `the migration is in state ${status}` })
      return
    }
    this.#incidents.push({ what, at })
    this.teller.incident(what, false)
    if (what === 'cancel') this.#machines.source.tell({ order: 'cancel' })
    else if (what === 'link-down') {
      this.#setLink(true)
      if (durationNs !== null) this.#agenda.push({ atNs: nowNs() + durationNs, happen: () => this.#setLink(false) })
    } else void this.#machines[what === 'source-crash' ? 'source' : 'destination'].kill()
  }

  #setLink(isDown: boolean): void {
    this.#linkIsUp = !isDown
    if (!isDown) this.teller.incident('link-down', true)
    for (const machine of this.#all) machine.tell({ order: 'link', isDown })
  }

  /** Whose vCPUs are the guest, running or able to. */
  #whereTheGuestIs(outcome: Outcome): Side | null {
    const side = this.#board.isHandedOver ? 'destination' : 'source'
    if (outcome.how === 'over') return this.#machines[side].ended === null ? side : null
    // What is missing is on the source: without it the guest cannot go on.
    if (this.#board.isHandedOver && this.#board.status !== 'completed') return null
    return this.#machines[side].ended === null && this.#machines[side].failed === null ? side : null
  }

  /** 4. What each side that lives has to say; the destination gives up what it misses. */
  async #compare(guest: Side | null, outcome: Outcome): Promise<Partial<Record<Side, { comparison: Comparison; usage: Usage }>>> {
    const isWhole = guest === 'destination'
    if (!isWhole) this.#machines.destination.tell({ order: 'abandon' })
    for (const machine of this.#all) machine.tell({ order: 'finish', onlyReceived: machine.side === 'destination' && !isWhole })
    const found: Partial<Record<Side, { comparison: Comparison; usage: Usage }>> = {}
    // One that stood still may not answer either.
    const untilNs = nowNs() + (outcome.how === 'watchdog' ? this.#run.watchdogNs : FINISHED_WITHIN_MS * 1e6)
    for (const machine of this.#all) {
      for (let said = machine.news('finished'); ; said = machine.news('finished')) {
        if (said !== null) found[machine.side] = said
        if (said !== null || machine.ended !== null || nowNs() > untilNs) break
        await machine.wait(20)
      }
    }
    return found
  }
}

function stateOf({ state }: TimedInjection): MigrationStatus {
  return state === 'precopy' ? 'active' : state === 'postcopy' ? 'postcopy-active' : state
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function firstLine(text: string): string {
  const line = text.split('\n').find((one) => /error/i.test(one))
  return line === undefined ? '' : ` (${line.trim()})`
}
