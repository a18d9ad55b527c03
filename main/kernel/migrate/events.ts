/**
 * The events of a migration, gathered while it goes on: what each thread writes on the board, what was injected, and the verdict; by time.
 *
 *  1. portion: the moment before which every thread has told everything is that of the thread that is furthest behind. What happened
 *     before it is handed on, once, sorted. Portions one after the other are therefore the whole, sorted.
 *  2. When both machines are gone everything has been told, and the last portion has the rest.
 *
 * Where a thread's room was full, nothing after that moment is told of any thread: half of a picture would be a wrong one.
 * Pairs with event_log.ts, and with core/run/kernel_events.ts, which says what crosses.
 */
import { type KernelEvents, kernelLanes } from '../../../core/run/kernel_events.ts'
import {
  EventKind,
  INCIDENT_NAME,
  type IncidentName,
  type Lane,
  VIOLATION_CAUSE,
  type ViolationCause,
} from '../../../core/trace/event.ts'
import { type LoggedEvent, LogReader } from './event_log.ts'

/** Index into CHECK_NAME. */
const PAGES_COMPARED = 0

export interface FeedOptions {
  /** Of each lane, in the order of kernelLanes. */
  readonly rooms: readonly Float64Array[]
  readonly vcpus: number
  /** Times count from here. */
  readonly bootNs: number
  clock(): number
}

export class EventFeed {
  readonly #lanes: readonly Lane[]
  readonly #readers: readonly LogReader[]
  readonly #bootNs: number
  readonly #migration: number
  /** What no thread of a machine knows. */
  #own: LoggedEvent[] = []

  constructor({ rooms, vcpus, bootNs, clock }: FeedOptions) {
    this.#lanes = kernelLanes(vcpus)
    this.#readers = rooms.map((room, lane) => new LogReader(lane, room, clock))
    this.#bootNs = bootNs
    this.#migration = this.#lanes.findIndex(({ name }) => name === 'migration')
  }

  incident(what: IncidentName, atNs: number, isOver: boolean): void {
    const index = INCIDENT_NAME.indexOf(what)
    this.#tell(atNs, EventKind.Incident, -1, isOver ? ~index : index)
  }

  /** Of the comparison at the end. */
  verdict(atNs: number, first: { readonly page: number; readonly cause: string } | null): void {
    if (first === null) this.#tell(atNs, EventKind.CheckPassed, -1, PAGES_COMPARED)
    else this.#tell(atNs, EventKind.Violation, first.page, causeIndex(first.cause))
  }

  #tell(atNs: number, kind: LoggedEvent['kind'], page: number, arg: number): void {
    this.#own.push({ atNs, lane: this.#migration, kind, page, count: 1, arg })
  }

  /** 1. */
  portion(isGone: (machine: Lane['machine']) => boolean): KernelEvents {
    let beforeNs = Number.POSITIVE_INFINITY
    for (const reader of this.#readers)
      beforeNs = Math.min(beforeNs, reader.look(isGone((this.#lanes[reader.lane] as Lane).machine)))
    const missedNs = Math.min(...this.#readers.map((reader) => reader.missedNs))
    const untilNs = Math.min(beforeNs, missedNs)
    const events = this.#readers.flatMap((reader) => reader.take(untilNs))
    events.push(...this.#own.filter(({ atNs }) => atNs < untilNs))
    this.#own = this.#own.filter(({ atNs }) => atNs >= untilNs)
    events.sort((a, b) => a.atNs - b.atNs)
    return {
      timeNs: events.map(({ atNs }) => Math.max(0, Math.round(atNs - this.#bootNs))),
      kind: events.map(({ kind }) => kind),
      lane: events.map(({ lane }) => lane),
      page: events.map(({ page }) => page),
      count: events.map(({ count }) => count),
      arg: events.map(({ arg }) => arg),
      missedFromNs: missedNs <= beforeNs && Number.isFinite(missedNs) ? Math.max(0, missedNs - this.#bootNs) : null,
    }
  }
}

/** Index into VIOLATION_CAUSE. */
function causeIndex(cause: string): number {
  return Math.max(0, VIOLATION_CAUSE.indexOf(cause as ViolationCause))
}
