/**
 * The picture at any row: a fold over the recorded events, with key frames.
 *
 * 1. `apply` is the one place that says what an event does to the picture.
 * 2. Every so many rows the picture is copied: a key frame. A picture is found from the nearest key frame below, or from
 *    the last picture asked for if that is nearer, so playing forward costs only the rows in between.
 * 3. Times of rows overlap between CPUs by up to a quantum; a row's shown time is the running maximum, which a small index
 *    makes searchable.
 *
 * What a cell means. Source: dirty until sent in its present version, in flight, then resident. Destination: missing, in
 * flight, fault while a vCPU sleeps on it, then resident or zero; stale once the guest has written it anew at the source. Pairs with core/trace/recorder.ts.
 */
import { EventKind, INCIDENT_NAME, isZeroRecord, MIGRATION_STATUS, type MigrationStatus } from '../trace/event.ts'
import { PageState } from '../trace/page_state.ts'
import type { Recorder } from '../trace/recorder.ts'
import { describeRow } from '../trace/text.ts'
import { type Frame, type FrameCounters, PROTOCOL_VERSION } from './protocol.ts'

/** Rows between two key frames, at least; with many pages they stand further apart. */
const KEY_FRAME_ROWS = 16_384
const TIME_INDEX_ROWS = 1024
const LINK_DOWN = INCIDENT_NAME.indexOf('link-down')

class Picture {
  row = 0
  timeNs = 0
  status: MigrationStatus = 'none'
  source: Uint8Array
  destination: Uint8Array
  counters: FrameCounters = {
    pagesSent: 0,
    zeroPagesSent: 0,
    bytesSent: 0,
    pagesPlaced: 0,
    pagesInFlight: 0,
    bytesInFlight: 0,
    requests: 0,
    requestsPending: 0,
    faults: 0,
    vcpusBlocked: 0,
    dirtied: 0,
    shootdowns: 0,
    guestOps: 0,
    violations: 0,
    checksPassed: 0,
    passes: 0,
    dirtyAtPass: 0,
    throttlePercent: 0,
    linksDown: 0,
  }
  /** Pages asked for and not yet placed. */
  requested: Set<number> = new Set()

  constructor(pages: number) {
    this.source = new Uint8Array(pages)
    this.destination = new Uint8Array(pages)
  }

  copy(): Picture {
    const p = new Picture(0)
    p.row = this.row
    p.timeNs = this.timeNs
    p.status = this.status
    p.source = this.source.slice()
    p.destination = this.destination.slice()
    p.counters = { ...this.counters }
    p.requested = new Set(this.requested)
    return p
  }
}

export class Fold {
  readonly #keyFrames: Picture[]
  readonly #keyFrameRows: number
  /** Running maximum of time at the end of each block of rows. */
  readonly #maxNs: number[] = []
  #indexed = 0
  #runningNs = 0
  #cursor: Picture

  constructor(
    readonly recorder: Recorder,
    readonly pages: number,
  ) {
    this.#keyFrameRows = Math.max(KEY_FRAME_ROWS, pages)
    this.#keyFrames = [new Picture(pages)]
    this.#cursor = new Picture(pages)
  }

  /** The picture with rows [0, row) folded in; `row` is clamped to what is recorded. */
  at(row: number): Frame {
    const to = Math.max(0, Math.min(Math.floor(row), this.recorder.rows))
    let picture = this.#cursor
    const key = this.#keyFrames[Math.min(this.#keyFrames.length - 1, Math.floor(to / this.#keyFrameRows))]
    if (picture.row > to || picture.row < key.row) picture = key.copy()
    while (picture.row < to) {
      this.#apply(picture)
      if (picture.row % this.#keyFrameRows === 0 && picture.row / this.#keyFrameRows === this.#keyFrames.length) {
        this.#keyFrames.push(picture.copy())
      }
    }
    this.#cursor = picture
    return this.#frame(picture)
  }

  /** Rows whose shown time is at or below `timeNs`. */
  rowAt(timeNs: number): number {
    this.#index()
    let low = 0
    let high = this.#maxNs.length
    while (low < high) {
      const mid = (low + high) >>> 1
      if (this.#maxNs[mid] > timeNs) high = mid
      else low = mid + 1
    }
    let row = low * TIME_INDEX_ROWS
    let runningNs = low === 0 ? 0 : this.#maxNs[low - 1]
    for (; row < this.recorder.rows; row++) {
      runningNs = Math.max(runningNs, this.recorder.time(row))
      if (runningNs > timeNs) break
    }
    return row
  }

  #index(): void {
    const { rows } = this.recorder
    while (this.#indexed + TIME_INDEX_ROWS <= rows) {
      for (let i = 0; i < TIME_INDEX_ROWS; i++) this.#runningNs = Math.max(this.#runningNs, this.recorder.time(this.#indexed++))
      this.#maxNs.push(this.#runningNs)
    }
  }

  #frame(p: Picture): Frame {
    const last = p.row - 1
    return {
      version: PROTOCOL_VERSION,
      row: p.row,
      timeNs: p.timeNs,
      status: p.status,
      source: p.source.slice(),
      destination: p.destination.slice(),
      counters: { ...p.counters },
      narration: last < 0 ? '' : describeRow(this.recorder, last),
      page: last < 0 ? -1 : this.recorder.page(last),
    }
  }

  #apply(p: Picture): void {
    const r = this.recorder
    const { row } = p
    const page = r.page(row)
    const arg = r.arg(row)
    const c = p.counters
    p.row++
    p.timeNs = Math.max(p.timeNs, r.time(row))
    switch (r.kind(row)) {
      case EventKind.State:
        p.status = MIGRATION_STATUS[arg]
        // The guest has gone, or goes on at full speed; what the destination had of old is dropped.
        if (p.status === 'postcopy-active' || isOver(p.status)) c.throttlePercent = 0
        if (p.status === 'postcopy-active') dropStale(p.destination)
        if (p.status === 'postcopy-paused' || p.status === 'failed' || p.status === 'cancelled') loseInFlight(p)
        break
      case EventKind.Populate:
        if (page < 0) break
        if (r.lanes[r.lane(row)].machine === 'source') p.source[page] = arg === 1 ? PageState.zero : PageState.dirty
        else p.destination[page] = arg === 1 ? PageState.zero : PageState.resident
        break
      case EventKind.Dirty:
        c.dirtied++
        if (r.lanes[r.lane(row)].machine === 'source') {
          p.source[page] = PageState.dirty
          if (isThere(p.destination[page])) p.destination[page] = PageState.stale
        }
        break
      case EventKind.Send:
        if (isZeroRecord(arg)) c.zeroPagesSent++
        else c.pagesSent++
        c.bytesSent += arg
        c.pagesInFlight++
        c.bytesInFlight += arg
        if (p.source[page] === PageState.dirty) p.source[page] = PageState.inflight
        if (p.destination[page] === PageState.missing || p.destination[page] === PageState.stale)
          p.destination[page] = PageState.inflight
        break
      case EventKind.Receive:
        // Where the link broke, what a real socket still held may come after it was given up for lost.
        c.pagesInFlight = Math.max(0, c.pagesInFlight - 1)
        c.bytesInFlight = Math.max(0, c.bytesInFlight - arg)
        if (p.source[page] === PageState.inflight || (p.source[page] === PageState.dirty && HANDED_OVER.includes(p.status)))
          p.source[page] = PageState.resident
        break
      case EventKind.Place:
        c.pagesPlaced++
        // Pre-copy: it may have been written again while it was on its way.
        if (p.source[page] === PageState.dirty && !HANDED_OVER.includes(p.status)) p.destination[page] = PageState.stale
        else p.destination[page] = arg === 1 ? PageState.zero : PageState.resident
        p.requested.delete(page)
        c.requestsPending = p.requested.size
        break
      case EventKind.Fault:
        c.faults++
        c.vcpusBlocked++
        if (page >= 0) {
          const states = r.lanes[r.lane(row)].machine === 'source' ? p.source : p.destination
          // On a real machine it may have come between the vCPU's look at it and the touch.
          if (!isThere(states[page])) states[page] = PageState.fault
        }
        break
      case EventKind.Request:
        c.requests++
        p.requested.add(page)
        c.requestsPending = p.requested.size
        break
      case EventKind.Wake:
        c.vcpusBlocked--
        break
      case EventKind.Shootdown:
        c.shootdowns++
        break
      case EventKind.Violation:
        c.violations++
        if (page >= 0) p.destination[page] = PageState.error
        break
      case EventKind.CheckPassed:
        c.checksPassed++
        break
      case EventKind.GuestOps:
        c.guestOps += arg
        break
      case EventKind.RequestReceived:
      case EventKind.VcpuRun:
        break
      case EventKind.Pass:
        c.passes++
        c.dirtyAtPass = arg
        break
      case EventKind.Throttle:
        c.throttlePercent = arg
        break
      case EventKind.Incident:
        if (arg === LINK_DOWN) c.linksDown++
        else if (~arg === LINK_DOWN) c.linksDown--
        break
    }
  }
}

/** The guest is at the destination: nothing that arrives there is old. */
const HANDED_OVER: readonly MigrationStatus[] = [
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'completed',
]

const isOver = (status: MigrationStatus): boolean => status === 'completed' || status === 'failed' || status === 'cancelled'

const isThere = (state: number): boolean => state === PageState.resident || state === PageState.zero

function dropStale(destination: Uint8Array): void {
  for (let page = 0; page < destination.length; page++)
    if (destination[page] === PageState.stale) destination[page] = PageState.missing
}

/** The connection broke: what was on its way is back where it was. */
function loseInFlight({ source, destination, counters }: Picture): void {
  counters.pagesInFlight = 0
  counters.bytesInFlight = 0
  for (let page = 0; page < source.length; page++) {
    if (source[page] === PageState.inflight) source[page] = PageState.dirty
    if (destination[page] === PageState.inflight) destination[page] = PageState.missing
  }
}
