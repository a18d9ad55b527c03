/**
 * The board: shared memory in which both machines write what they do, and the coordinator reads it.
 *
 * It is a memfd that all three processes map. It is no part of the migration: no page of the guest, no request and no state of a vCPU
 * crosses on it; it holds figures, times, and the shadow that loads are checked against. What a process that was killed had written
 * stays readable. Each cell has one writer, but for those said to be added to.
 *
 * Times are ns of the host's monotonic clock (clock.ts), which all processes share.
 */
import { KERNEL_THREADS, type KernelThread } from '../../../core/run/kernel_events.ts'
import { EventKind, MIGRATION_STATUS, type MigrationStatus } from '../../../core/trace/event.ts'
import { nowNs } from './clock.ts'
import { EventLog } from './event_log.ts'

export interface Shape {
  readonly pages: number
  readonly vcpus: number
  /** Events are written down, for a screen. */
  readonly keepsEvents: boolean
}

/** What a thread does between two looks of the coordinator's; a look at the dirty log may tell of half of all pages at once. */
const threadRows = ({ pages, keepsEvents }: Shape) => (keepsEvents ? 65_536 + pages : 0)
/** A vCPU starts and stops, sleeps, and tells of its work now and then. */
const vcpuRows = ({ keepsEvents }: Shape) => (keepsEvents ? 65_536 : 0)

/** Figures, each a float64. */
const FIGURES = [
  'startNs',
  'setupNs',
  'endNs',
  'downtimeStartNs',
  'downtimeEndNs',
  'sentBytes',
  'precopyBytes',
  'downtimeBytes',
  'postcopyBytes',
  'normal',
  'duplicate',
  'urgentBytes',
  'urgentNormal',
  'urgentDuplicate',
  'remaining',
  'idleLooks',
  'dirtySyncCount',
  'dirtyPagesRate',
  'userfaults',
  'requests',
  'placed',
  'zeroPlaced',
  'placeCalls',
  'alreadyThere',
  'urgentPlaced',
  'urgentPlaceCalls',
  'recoveries',
] as const
export type Figure = (typeof FIGURES)[number]

/** Figures of each vCPU, by whichever thread runs it. */
const VCPU_FIGURES = [
  'boot',
  'before',
  'during',
  'after',
  'loadsChecked',
  'lost',
  'stale',
  'misplaced',
  'sleeps',
  'blocks',
  'threadNs',
] as const
export type VcpuFigure = (typeof VCPU_FIGURES)[number]

/** What a page of the destination is. */
export const PageState = { missing: 0, requested: 1, received: 2 } as const

const MOST_STATES = 256
const FIRST_WRONG = ['taken', 'vcpu', 'page', 'word', 'owner', 'expected', 'found', 'atNs'] as const

export class Board {
  /** The guest's phase: an index of PHASES. Written by the coordinator. */
  readonly phase: Int32Array
  readonly #owner: Int32Array
  readonly #figures: Float64Array
  readonly #vcpus: Float64Array
  readonly #log: Float64Array
  readonly #first: Float64Array
  /** PageState of each page, at the destination. */
  readonly states: Uint8Array
  /** The shadow (core/guest/own_words.ts). */
  readonly versions: Uint32Array
  /** Of each vCPU, the beginning and the end of each sleep on a missing page. */
  readonly sleeps: Float64Array
  /** Room for the events of each lane (kernelLanes). */
  readonly eventRooms: readonly Float64Array[]

  constructor(
    buffer: ArrayBuffer,
    readonly shape: Shape,
  ) {
    const room = new Room(buffer)
    this.phase = new Int32Array(buffer, room.take(4), 1)
    this.#owner = new Int32Array(buffer, room.take(4), 1)
    this.#figures = room.floats(FIGURES.length)
    this.#vcpus = room.floats(shape.vcpus * VCPU_FIGURES.length)
    this.#log = room.floats(1 + 2 * MOST_STATES)
    this.#first = room.floats(FIRST_WRONG.length)
    this.states = new Uint8Array(buffer, room.take(shape.pages), shape.pages)
    this.versions = new Uint32Array(buffer, room.take(shape.vcpus * shape.pages * 8), shape.vcpus * shape.pages * 2)
    this.sleeps = room.floats(shape.vcpus * shape.pages * 2)
    this.eventRooms = [
      ...KERNEL_THREADS.map(() => room.floats(EventLog.cells(threadRows(shape)))),
      ...Array.from({ length: 2 * shape.vcpus }, () => room.floats(EventLog.cells(vcpuRows(shape)))),
    ]
  }

  static bytes(shape: Shape): number {
    const { pages, vcpus } = shape
    const fixed = 128 + (FIGURES.length + vcpus * VCPU_FIGURES.length + 1 + 2 * MOST_STATES + FIRST_WRONG.length) * 8
    const events = KERNEL_THREADS.length * EventLog.cells(threadRows(shape)) + 2 * vcpus * EventLog.cells(vcpuRows(shape))
    const places = 16 + KERNEL_THREADS.length + 2 * vcpus
    return fixed + pages + vcpus * pages * (8 + 16) + events * 8 + places * ALIGNMENT
  }

  get(figure: Figure): number {
    return this.#figures[FIGURES.indexOf(figure)] as number
  }

  set(figure: Figure, value: number): void {
    this.#figures[FIGURES.indexOf(figure)] = value
  }

  add(figure: Figure, value: number): void {
    this.set(figure, this.get(figure) + value)
  }

  ofVcpu(vcpu: number, figure: VcpuFigure): number {
    return this.#vcpus[vcpu * VCPU_FIGURES.length + VCPU_FIGURES.indexOf(figure)] as number
  }

  addOfVcpu(vcpu: number, figure: VcpuFigure, value: number): void {
    this.setOfVcpu(vcpu, figure, this.ofVcpu(vcpu, figure) + value)
  }

  setOfVcpu(vcpu: number, figure: VcpuFigure, value: number): void {
    this.#vcpus[vcpu * VCPU_FIGURES.length + VCPU_FIGURES.indexOf(figure)] = value
  }

  sum(figure: VcpuFigure): number {
    let sum = 0
    for (let vcpu = 0; vcpu < this.shape.vcpus; vcpu++) sum += this.ofVcpu(vcpu, figure)
    return sum
  }

  /**
   * Who runs the guest once the source has let go of it is decided here, once: the destination takes it when its state has come, the
   * source takes it back when the connection broke before. False: it is the other's. In QEMU's world libvirt asks both.
   */
  takeGuest(side: 'source' | 'destination'): boolean {
    const own = side === 'source' ? 1 : 2
    const before = Atomics.compareExchange(this.#owner, 0, 0, own)
    return before === 0 || before === own
  }

  get isHandedOver(): boolean {
    return Atomics.load(this.#owner, 0) === 2
  }

  /** Written by the source's migration thread, which these events are of. @qemu migrate_set_state */
  enter(status: MigrationStatus, events: EventLog): void {
    const n = this.#log[0] as number
    if (n === MOST_STATES) throw new RangeError(`a migration of more than ${MOST_STATES} states`)
    const index = MIGRATION_STATUS.indexOf(status)
    this.#log[1 + 2 * n] = index
    this.#log[2 + 2 * n] = nowNs()
    this.#log[0] = n + 1
    events.note(EventKind.State, -1, index)
    events.stamp()
  }

  /** How many states it has been in, and the n-th with its time. */
  get statesEntered(): number {
    return this.#log[0] as number
  }

  stateEntered(n: number): { readonly status: MigrationStatus; readonly atNs: number } {
    const status = MIGRATION_STATUS[this.#log[1 + 2 * n] as number] ?? 'none'
    return { status, atNs: this.#log[2 + 2 * n] as number }
  }

  get status(): MigrationStatus {
    return this.statesEntered === 0 ? 'none' : this.stateEntered(this.statesEntered - 1).status
  }

  /** By the thread that finds a wrong word; the first stays, but for two at the very same time. False: it was not the first. */
  wrong(vcpu: number, page: number, word: number, owner: number, expected: number, found: number, atNs: number): boolean {
    if (this.#first[0] !== 0) return false
    this.#first.set([1, vcpu, page, word, owner, expected, found, atNs])
    return true
  }

  get firstWrong(): Readonly<Record<(typeof FIRST_WRONG)[number], number>> | null {
    if (this.#first[0] === 0) return null
    return Object.fromEntries(FIRST_WRONG.map((name, i) => [name, this.#first[i]])) as Record<
      (typeof FIRST_WRONG)[number],
      number
    >
  }

  /** Of one thread, which alone writes it. */
  eventsOf(thread: KernelThread): EventLog {
    const room = KERNEL_THREADS.findIndex(({ name }) => name === thread)
    return new EventLog(this.eventRooms[room] as Float64Array, nowNs)
  }

  eventsOfVcpu(side: 'source' | 'destination', vcpu: number): EventLog {
    const first = KERNEL_THREADS.length + (side === 'source' ? 0 : this.shape.vcpus)
    return new EventLog(this.eventRooms[first + vcpu] as Float64Array, nowNs)
  }

  get received(): number {
    let n = 0
    for (const state of this.states) if (state === PageState.received) n++
    return n
  }
}

const ALIGNMENT = 64

/** Places one behind the other. */
class Room {
  #used = 0

  constructor(readonly buffer: ArrayBuffer) {}

  take(bytes: number): number {
    const at = this.#used
    this.#used = Math.ceil((at + bytes) / ALIGNMENT) * ALIGNMENT
    return at
  }

  floats(count: number): Float64Array {
    return new Float64Array(this.buffer, this.take(count * 8), count)
  }
}
