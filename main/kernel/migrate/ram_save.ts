/**
 * The source's RAM on its way: which pages are dirty, learned from the host's kernel, and sending them.
 *
 *  1. start: RAM is write-protected with WP_ASYNC; the kernel takes the protection away at the first write, and remembers.
 *  2. sync: PAGEMAP_SCAN finds what was written and protects it again, in one walk: get and clear. What it finds is dirty.
 *  3. send: a run of dirty pages in one write. A page that was never touched, or holds zeros only, goes as a zero record; that nothing
 *     is there is learned by another scan, without touching it.
 *
 * It is the PrecopyRam of core/migration/precopy.ts, which decides when enough was sent. With an urgent channel two threads send,
 * each with one of these: `sent` says who takes a page. Pairs with core/migration/ram_save.ts, the model's.
 */
import { Bitmap } from '../../../core/base/bitmap.ts'
import { NOTHING, type Proc } from '../../../core/engine/op.ts'
import type { PrecopyRam } from '../../../core/migration/precopy.ts'
import { EventKind } from '../../../core/trace/event.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import { HOLDS_SOMETHING, PagemapScanner } from '../sys/pagemap_scan.ts'
import { PAGE_IS, UFFDIO_REGISTER_MODE, UFFDIO_WRITEPROTECT_MODE } from '../sys/uapi.ts'
import type { Userfaultfd } from '../sys/userfaultfd.ts'
import type { Area } from './area.ts'
import type { Board, Figure } from './board.ts'
import { nowNs, type RealClock } from './clock.ts'
import type { Control } from './control.ts'
import type { EventLog } from './event_log.ts'
import { PAGE_RECORD_BYTES, ZERO_RECORD_BYTES } from './framing.ts'
import type { Pacer } from './pacer.ts'
import { RECORDS_A_FLUSH, RecordWriter } from './record_writer.ts'

const PAGE_WORDS = PAGE_BYTES / 4

export interface RamSaveOptions {
  readonly area: Area
  readonly board: Board
  readonly control: Control
  readonly pacer: Pacer
  /** Of the thread that sends. */
  readonly events: EventLog
  /** Two threads send. */
  readonly shares: boolean
  /** Where what is sent is counted. */
  readonly figures: { readonly bytes: Figure; readonly normal: Figure; readonly duplicate: Figure }
  /** This page goes out as if it were that of another. @see coordinator.ts */
  readonly plantedFault: number
}

export class RamSave implements PrecopyRam<RealClock> {
  readonly dirty: Bitmap
  readonly writer: RecordWriter
  /** Bytes given to the socket. */
  bytesSent = 0
  /** Dirty at the last sync. */
  dirtyAtSync = 0
  syncedNs = 0
  syncNs = 0
  isBroken = false
  readonly #o: RamSaveOptions
  readonly #scanner = new PagemapScanner()
  /** Of the run that is sent: 1 for a page that may hold something. */
  readonly #holds = new Uint8Array(RECORDS_A_FLUSH)
  #lookedFrom = 0
  /** Where the next pass goes on. */
  #at = 0
  #found = 0
  /** Added since the last flush. */
  #normal = 0
  #duplicate = 0

  constructor(options: RamSaveOptions) {
    this.#o = options
    this.dirty = new Bitmap(options.area.pages)
    this.writer = new RecordWriter(() => !options.control.is('exit') && !options.control.is('broken'))
  }

  get pending(): number {
    return this.dirty.count
  }

  /** All of RAM is dirty. */
  fill(): void {
    this.dirty.fill()
    this.#passed(nowNs(), 0)
  }

  /** 1. */
  start(uffd: Userfaultfd): void {
    const { area } = this.#o
    uffd.register(area.address, area.ramBytes, UFFDIO_REGISTER_MODE.wp)
    const result = uffd.writeprotect(area.address, area.ramBytes, UFFDIO_WRITEPROTECT_MODE.wp)
    if (result < 0) throw new Error(`UFFDIO_WRITEPROTECT: ${result}`)
  }

  /** Stores are logged no longer. */
  stop(uffd: Userfaultfd): void {
    const { area } = this.#o
    uffd.unregister(area.address, area.ramBytes)
  }

  /** 2. */
  sync(_k: RealClock): Proc<void> {
    const { area } = this.#o
    const startNs = nowNs()
    this.#found = 0
    const written = { all: PAGE_IS.written, tell: PAGE_IS.written, protect: true }
    this.#scanner.each(area.address, area.address + area.ramBytes, written, this.#mark)
    this.#passed(startNs, this.#found)
    return NOTHING
  }

  readonly #mark = (start: number, end: number): void => {
    const { address } = this.#o.area
    const last = (end - address) / PAGE_BYTES
    for (let page = (start - address) / PAGE_BYTES; page < last; page++) {
      if (!this.dirty.set(page)) continue
      this.#found++
      this.#o.events.note(EventKind.Dirty, page, 0)
    }
  }

  #passed(startNs: number, found: number): void {
    const { board, events } = this.#o
    const now = nowNs()
    if (board.get('dirtySyncCount') > 0) board.set('dirtyPagesRate', (found * 1e9) / Math.max(1, now - this.syncedNs))
    board.add('dirtySyncCount', 1)
    this.dirtyAtSync = this.dirty.count
    this.syncNs = now - startNs
    this.syncedNs = now
    events.note(EventKind.Pass, -1, this.dirty.count)
    events.stamp()
  }

  /** 3., while the guest runs: no more than `most` pages. */
  iterate(_k: RealClock, most: number, untilNs: number): Proc<void> {
    for (let sent = 0; sent < most && this.pending > 0 && !this.isBroken && nowNs() < untilNs; ) {
      sent += this.sendNext(most - sent)
    }
    return NOTHING
  }

  /** The next run of dirty pages; answers how many. */
  sendNext(most: number): number {
    const ahead = this.dirty.nextSet(this.#at)
    const first = ahead >= 0 ? ahead : this.dirty.nextSet(0)
    if (first < 0) return 0
    const count = this.sendRun(first, most)
    this.#at = first + count
    return count
  }

  /** Pages from `first` on that are dirty without a gap, `most` at most; answers how many. */
  sendRun(first: number, most: number): number {
    const { pacer } = this.#o
    const count = this.dirty.run(first, Math.min(most, pacer.recordsAWrite(PAGE_RECORD_BYTES, RECORDS_A_FLUSH)))
    this.#look(first, count)
    for (let page = first; page < first + count; page++) {
      this.dirty.clear(page)
      this.#add(page)
    }
    this.flush()
    return count
  }

  /** One page, dirty or not: whoever asks knows. */
  sendPage(page: number): void {
    this.#look(page, 1)
    this.dirty.clear(page)
    this.#add(page)
    this.flush()
  }

  /** What another thread has sent is not dirty any more. */
  forgetSent(): void {
    const { control, shares } = this.#o
    if (!shares) return
    for (let page = this.dirty.nextSet(0); page >= 0; page = this.dirty.nextSet(page + 1))
      if (control.sent[page] === 1) this.dirty.clear(page)
  }

  /** Which pages of a run hold something; where that is swapped out, reading brings it back. */
  #look(first: number, count: number): void {
    const { address } = this.#o.area
    this.#lookedFrom = address + first * PAGE_BYTES
    this.#holds.fill(0, 0, count)
    this.#scanner.each(this.#lookedFrom, this.#lookedFrom + count * PAGE_BYTES, HOLDS_SOMETHING, this.#see)
  }

  readonly #see = (start: number, end: number): void => {
    this.#holds.fill(1, (start - this.#lookedFrom) / PAGE_BYTES, (end - this.#lookedFrom) / PAGE_BYTES)
  }

  #add(page: number): void {
    const { area, control, events, shares, plantedFault } = this.#o
    // Another thread has sent it.
    if (shares && Atomics.exchange(control.sent, page, 1) !== 0) return
    const at = area.address + page * PAGE_BYTES
    const isZero = this.#holds[(at - this.#lookedFrom) / PAGE_BYTES] === 0 || isZeroPage(area.ram, page)
    if (isZero) this.writer.zero(page)
    else this.writer.page(page, page === plantedFault ? at + PAGE_BYTES : at)
    events.note(EventKind.Send, page, isZero ? ZERO_RECORD_BYTES : PAGE_RECORD_BYTES)
    if (isZero) this.#duplicate++
    else this.#normal++
  }

  /** What was added goes out; false: the connection is broken. */
  flush(): boolean {
    const { board, control, events, pacer, figures } = this.#o
    const { bytes } = this.writer
    if (bytes === 0) return !this.isBroken
    pacer.wait(bytes)
    events.stamp()
    const channel = figures.bytes === 'sentBytes' ? 'stream' : 'urgent'
    if (!this.writer.flush(control.get(channel))) this.isBroken = true
    this.bytesSent += bytes
    board.add(figures.bytes, bytes)
    board.add(figures.normal, this.#normal)
    board.add(figures.duplicate, this.#duplicate)
    this.#normal = 0
    this.#duplicate = 0
    return !this.isBroken
  }
}

/** Most pages that are not end at their first words. */
function isZeroPage(ram: Int32Array, page: number): boolean {
  const end = (page + 1) * PAGE_WORDS
  for (let at = page * PAGE_WORDS; at < end; at++) if (ram[at] !== 0) return false
  return true
}
