/**
 * The events of one thread, in room of its own on the board: runs of pages with a time, taken by the coordinator while the thread
 * goes on writing.
 *
 *  1. note: something happened, to a run of pages; pages that follow one another join the newest run.
 *  2. stamp: all that was noted since the last stamp happened now, and is there for the coordinator.
 *  3. touches, touched: around a touch that may put this thread to sleep. Whether it did is known by how long it took; that it does is
 *     seen from outside while it lasts.
 *  4. look: up to which moment this thread has told everything. take: what it told of before a moment; its room is free again.
 *
 * A thread may be stopped between its look at the clock and the row that others can see. So it says first that it is about to look
 * (`stamping`). Who finds it not stamping at a moment knows that whatever comes later has a later time.
 *
 * Without room (nobody keeps events) nothing is written. Where the room is full the rest is missed, and from when is written down.
 */
import { EventKind } from '../../../core/trace/event.ts'

/** Rows of atNs, kind, page, count, arg lie behind the head, which is one of its rows long. */
const ROW = 5
/** Float cells of the head. */
const MISSED_NS = 0
const SLEEPS_SINCE_NS = 1
const SLEEPS_ON = 2
/** Int32 cells behind these: two to a float. */
const STAMPING = 6
const PUBLISHED = 7
const TAKEN = 8

/** A run of more pages than a thread sends or places in one go was not one event. */
const MOST_PAGES = 64
/** A touch that takes less did not sleep. */
export const SLEPT_NS = 1_000
/** Clocks of two processes differ by less (clock.ts). */
export const CLOCKS_DIFFER_NS = 1_000_000
/** A stamp takes less than a microsecond, but for a thread that is stopped in the middle of it. */
const TRIES = 100
const LONGEST_ARG = 2 ** 31 - 1

export interface LoggedEvent {
  readonly atNs: number
  readonly lane: number
  readonly kind: EventKind
  readonly page: number
  readonly count: number
  readonly arg: number
}

type Clock = () => number

/** The thread's own end. */
export class EventLog {
  readonly #cells: Float64Array
  readonly #words: Int32Array
  readonly #clock: Clock
  readonly #room: number
  #noted = 0
  #stamped = 0
  /** Rows that may be noted before it has to be asked anew how many were taken. */
  #limit: number
  #sinceNs = 0
  #isFull = false

  constructor(cells: Float64Array, clock: Clock) {
    this.#cells = cells
    this.#words = wordsOf(cells)
    this.#clock = clock
    this.#room = rowsOf(cells)
    this.#limit = this.#room
  }

  static cells(rows: number): number {
    return rows === 0 ? 0 : ROW * (1 + rows)
  }

  get isKept(): boolean {
    return this.#room > 0
  }

  /** 1. */
  note(kind: EventKind, page: number, arg: number, count = 1): void {
    if (this.#room === 0 || this.#joins(kind, page, arg, count)) return
    if (this.#noted === this.#limit) this.#limit = Atomics.load(this.#words, TAKEN) + this.#room
    this.#isFull ||= this.#noted === this.#limit
    if (this.#isFull) return
    const at = this.#rowAt(this.#noted++)
    this.#cells[at + 1] = kind
    this.#cells[at + 2] = page
    this.#cells[at + 3] = count
    this.#cells[at + 4] = arg
  }

  #joins(kind: EventKind, page: number, arg: number, count: number): boolean {
    if (this.#noted === this.#stamped || page < 0) return false
    const cells = this.#cells
    const last = this.#rowAt(this.#noted - 1)
    const pages = cells[last + 3] as number
    const follows = cells[last + 1] === kind && cells[last + 4] === arg && cells[last + 2] === page - pages
    if (!follows || pages + count > MOST_PAGES) return false
    cells[last + 3] = pages + count
    return true
  }

  /** 2. */
  stamp(): void {
    if (this.#noted === this.#stamped && !this.#isFull) return
    Atomics.exchange(this.#words, STAMPING, 1)
    const atNs = this.#clock()
    for (let row = this.#stamped; row < this.#noted; row++) this.#cells[this.#rowAt(row)] = atNs
    this.#publish(atNs)
    Atomics.store(this.#words, STAMPING, 0)
  }

  /** 3. Answers when. */
  touches(page: number): number {
    if (this.#room === 0) {
      this.#sinceNs = this.#clock()
      return this.#sinceNs
    }
    this.stamp()
    Atomics.exchange(this.#words, STAMPING, 1)
    this.#sinceNs = this.#clock()
    this.#cells[SLEEPS_ON] = page
    this.#cells[SLEEPS_SINCE_NS] = this.#sinceNs
    Atomics.store(this.#words, STAMPING, 0)
    return this.#sinceNs
  }

  /** 3. How long it slept; 0: it did not. */
  touched(): number {
    if (this.#room > 0) Atomics.exchange(this.#words, STAMPING, 1)
    const atNs = this.#clock()
    const longNs = atNs - this.#sinceNs
    const sleptNs = longNs < SLEPT_NS ? 0 : longNs
    if (this.#room === 0) return sleptNs
    if (sleptNs > 0) {
      const page = this.#cells[SLEEPS_ON] as number
      this.note(EventKind.Fault, page, 0)
      if (!this.#isFull) this.#cells[this.#rowAt(this.#noted - 1)] = this.#sinceNs
      this.note(EventKind.Wake, page, Math.min(LONGEST_ARG, Math.round(sleptNs)))
      if (!this.#isFull) this.#cells[this.#rowAt(this.#noted - 1)] = atNs
      this.#publish(atNs)
    }
    this.#cells[SLEEPS_SINCE_NS] = 0
    Atomics.store(this.#words, STAMPING, 0)
    return sleptNs
  }

  #publish(atNs: number): void {
    if (this.#isFull && this.#cells[MISSED_NS] === 0) this.#cells[MISSED_NS] = atNs
    this.#stamped = this.#noted
    Atomics.store(this.#words, PUBLISHED, this.#noted)
  }

  #rowAt(row: number): number {
    return ROW * (1 + (row % this.#room))
  }
}

/** The coordinator's end, in another process. */
export class LogReader {
  readonly #cells: Float64Array
  readonly #words: Int32Array
  readonly #clock: Clock
  readonly #room: number
  #taken = 0
  #published = 0
  #settledNs = 0
  /** A sleep that goes on, and the last that was told of before it was over. */
  #sleep: { readonly sinceNs: number; readonly page: number } | null = null
  #toldNs = 0

  constructor(
    /** Of the thread, among those of all. */
    readonly lane: number,
    cells: Float64Array,
    clock: Clock,
  ) {
    this.#cells = cells
    this.#words = wordsOf(cells)
    this.#clock = clock
    this.#room = rowsOf(cells)
  }

  /** 4. Whatever it has not told yet is not older than this. `isGone`: nobody writes here any more. */
  look(isGone: boolean): number {
    let nowNs = 0
    let isStamping = true
    for (let tries = 0; isStamping && tries < TRIES; tries++) {
      nowNs = this.#clock() - CLOCKS_DIFFER_NS
      isStamping = Atomics.load(this.#words, STAMPING) !== 0
    }
    const sinceNs = this.#cells[SLEEPS_SINCE_NS] as number
    const page = this.#cells[SLEEPS_ON] as number
    // One that is over meanwhile is among the rows.
    const sleeps = sinceNs > 0 && this.#cells[SLEEPS_SINCE_NS] === sinceNs
    this.#sleep = sleeps ? { sinceNs, page } : null
    this.#published = Atomics.load(this.#words, PUBLISHED)
    if (isGone) this.#settledNs = Number.POSITIVE_INFINITY
    else if (!isStamping) {
      // Too short yet to be known for a sleep.
      const isOpen = sleeps && nowNs - sinceNs < SLEPT_NS
      this.#settledNs = Math.max(this.#settledNs, isOpen ? Math.min(sinceNs, nowNs) : nowNs)
    }
    return this.#settledNs
  }

  /** From when on nothing was written down any more; Infinity: everything was. */
  get missedNs(): number {
    return this.#cells[MISSED_NS] || Number.POSITIVE_INFINITY
  }

  /** 4. Of what there was at the last look, oldest first; no later than that look answered. */
  take(beforeNs: number): LoggedEvent[] {
    const cells = this.#cells
    const { lane } = this
    const events: LoggedEvent[] = []
    const asleep = this.#sleep
    const toldNs = this.#toldNs
    const isNew = asleep !== null && asleep.sinceNs < beforeNs && asleep.sinceNs !== toldNs
    if (isNew) this.#toldNs = asleep.sinceNs
    for (; this.#taken < this.#published; this.#taken++) {
      const at = ROW * (1 + (this.#taken % this.#room))
      const atNs = cells[at] as number
      if (atNs >= beforeNs) break
      const kind = cells[at + 1] as EventKind
      if (kind === EventKind.Fault && (atNs === toldNs || atNs === this.#toldNs)) continue
      const [page, count, arg] = [cells[at + 2] as number, cells[at + 3] as number, cells[at + 4] as number]
      events.push({ atNs, lane, kind, page, count, arg })
    }
    Atomics.store(this.#words, TAKEN, this.#taken)
    if (isNew) events.push({ atNs: asleep.sinceNs, lane, kind: EventKind.Fault, page: asleep.page, count: 1, arg: 0 })
    return events
  }
}

const rowsOf = (cells: Float64Array) => Math.max(0, cells.length / ROW - 1)

const wordsOf = (cells: Float64Array) => new Int32Array(cells.buffer, cells.byteOffset, 2 * Math.min(ROW, cells.length))
