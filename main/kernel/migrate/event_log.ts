/**
 * The events of one thread, in a piece of the board: runs of pages with a time, for a screen that shows the migration afterwards.
 *
 *  1. note: something happened, to a run of pages; pages that follow one another join the newest run.
 *  2. stamp: all that was noted since the last stamp happened now, and is there for the coordinator.
 *
 * Without room (nobody keeps events) both return at once. When the room is full the rest is missed, and from when is written down.
 * Pairs with events.ts, which reads it.
 */
import type { EventKind } from '../../../core/trace/event.ts'

/** published, missedNs; then rows of atNs, kind, page, count, arg. */
const HEAD = 2
const ROW = 5
/** A run of more pages than a thread sends or places in one go was not one event. */
const MOST_PAGES = 64

export interface LoggedEvent {
  readonly atNs: number
  readonly kind: EventKind
  readonly page: number
  readonly count: number
  readonly arg: number
}

export class EventLog {
  readonly #cells: Float64Array
  readonly #room: number
  #noted = 0
  #stamped = 0

  constructor(cells: Float64Array) {
    this.#cells = cells
    this.#room = Math.max(0, (cells.length - HEAD) / ROW)
  }

  static cells(rows: number): number {
    return rows === 0 ? 0 : HEAD + ROW * rows
  }

  get isKept(): boolean {
    return this.#room > 0
  }

  /** 1. */
  note(kind: EventKind, page: number, arg: number, count = 1): void {
    if (this.#room === 0) return
    const cells = this.#cells
    if (this.#noted > this.#stamped && page >= 0 && this.#noted <= this.#room) {
      const last = HEAD + (this.#noted - 1) * ROW
      const pages = cells[last + 3] as number
      const follows = cells[last + 1] === kind && cells[last + 4] === arg && cells[last + 2] === page - pages
      if (follows && pages + count <= MOST_PAGES) {
        cells[last + 3] = pages + count
        return
      }
    }
    if (this.#noted < this.#room) {
      const at = HEAD + this.#noted * ROW
      cells[at + 1] = kind
      cells[at + 2] = page
      cells[at + 3] = count
      cells[at + 4] = arg
    }
    this.#noted++
  }

  /** 2. */
  stamp(atNs: number): void {
    if (this.#stamped === this.#noted) return
    const end = Math.min(this.#noted, this.#room)
    for (let row = this.#stamped; row < end; row++) this.#cells[HEAD + row * ROW] = atNs
    if (this.#noted > this.#room && this.#cells[1] === 0) this.#cells[1] = atNs
    this.#noted = end
    this.#stamped = end
    this.#cells[0] = end
  }

  /** From when on nothing was written down any more; Infinity: everything was. */
  get missedNs(): number {
    return this.#cells[1] || Number.POSITIVE_INFINITY
  }

  /** All that was stamped, oldest first; for another process than the writer's. */
  read(): LoggedEvent[] {
    const cells = this.#cells
    return Array.from({ length: cells[0] ?? 0 }, (_, row) => {
      const [atNs = 0, kind = 0, page = 0, count = 0, arg = 0] = cells.subarray(HEAD + row * ROW, HEAD + (row + 1) * ROW)
      return { atNs, kind: kind as EventKind, page, count, arg }
    })
  }
}
