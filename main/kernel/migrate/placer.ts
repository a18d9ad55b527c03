/**
 * Puts received pages into guest RAM: written where they belong while the guest does not run here, placed by a userfault call after.
 *
 * Pages that follow one another are placed by one call, from staging: UFFDIO_MOVE takes the staged pages away, and others are mapped in
 * their stead at once, by one call for all; UFFDIO_COPY copies them. A run ends where the next page does not follow, where it is full,
 * where nothing more has come, or where somebody waits for its last page. Zero pages have runs of their own.
 *
 * A page that is already there (EEXIST: it came twice, after a recovery) stays, and whoever sleeps on it is woken: the call that found
 * it there wakes nobody. Pairs with core/migration/placement.ts and page_batch.ts, the model's.
 */
import { constants } from 'node:os'
import type { Resolver } from '../../../core/run/options.ts'
import { EventKind } from '../../../core/trace/event.ts'
import { errnoName } from '../sys/libc.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import { MADV, UFFDIO_REGISTER_MODE } from '../sys/uapi.ts'
import type { Userfaultfd } from '../sys/userfaultfd.ts'
import { type Area, type ChannelBuffers, STAGED_PAGES } from './area.ts'
import { type Board, type Figure, PageState } from './board.ts'
import type { EventLog } from './event_log.ts'

const { EEXIST, EAGAIN } = constants.errno
const PAGE_WORDS = PAGE_BYTES / 4

export interface PlacerOptions {
  readonly area: Area
  readonly board: Board
  readonly uffd: Userfaultfd
  readonly resolver: Resolver
  readonly buffers: ChannelBuffers
  /** Of the thread that receives. */
  readonly events: EventLog
  readonly figures: { readonly placed: Figure; readonly calls: Figure }
}

export class Placer {
  readonly #o: PlacerOptions
  /** The run that waits to be placed: pages [first, first + count), staged; or pages of zeros. */
  #first = 0
  #count = 0
  #zeroFirst = 0
  #zeroCount = 0
  /** Whatever a touch reads goes here, so that it is read. */
  touched = 0

  constructor(options: PlacerOptions) {
    this.#o = options
    this.#refill(STAGED_PAGES)
  }

  /** From here on a touch of a missing page is reported. */
  arm(): void {
    const { area, uffd } = this.#o
    uffd.register(area.address, area.ramBytes, UFFDIO_REGISTER_MODE.missing)
  }

  /** Whoever still sleeps wakes, on zeros where nothing came. */
  disarm(): void {
    const { area, uffd } = this.#o
    uffd.unregister(area.address, area.ramBytes)
  }

  /** Before the memory is armed: over what came before. `at`: where the content is in the area. */
  write(page: number, at: number): void {
    const { area, board, events } = this.#o
    area.bytes.copyWithin(page * PAGE_BYTES, at, at + PAGE_BYTES)
    board.states[page] = PageState.received
    events.note(EventKind.Place, page, 0)
  }

  /** Reading maps the page, which must be there when the memory is armed. */
  writeZeros(page: number): void {
    const { area, board, events } = this.#o
    const { ram } = area
    const end = (page + 1) * PAGE_WORDS
    for (let at = page * PAGE_WORDS; at < end; at++) {
      if (ram[at] === 0) continue
      area.bytes.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
      break
    }
    board.states[page] = PageState.received
    events.note(EventKind.Place, page, 1)
  }

  /** What came is old: these pages go. */
  discard(first: number, count: number): void {
    const { area, board } = this.#o
    area.mapping.advise(MADV.dontNeed, first * PAGE_BYTES, count * PAGE_BYTES)
    board.states.fill(PageState.missing, first, first + count)
  }

  /** Armed: the page joins the run. */
  add(page: number, at: number): void {
    const { area, buffers } = this.#o
    if (this.#count > 0 && page !== this.#first + this.#count) this.#placeRun()
    if (this.#count === 0) this.#first = page
    const slot = buffers.staging + this.#count * PAGE_BYTES
    area.bytes.copyWithin(slot, at, at + PAGE_BYTES)
    this.#count++
    if (this.#count === STAGED_PAGES || this.#isAwaited(page)) this.#placeRun()
  }

  addZero(page: number): void {
    if (this.#zeroCount > 0 && page !== this.#zeroFirst + this.#zeroCount) this.#placeZeros()
    if (this.#zeroCount === 0) this.#zeroFirst = page
    this.#zeroCount++
    if (this.#isAwaited(page)) this.#placeZeros()
  }

  /** Nothing more has come: what waits is placed. */
  flush(): void {
    if (this.#count > 0) this.#placeRun()
    if (this.#zeroCount > 0) this.#placeZeros()
  }

  #isAwaited(page: number): boolean {
    return Atomics.load(this.#o.board.states, page) === PageState.requested
  }

  #placeRun(): void {
    const { area, board, uffd, resolver, buffers, figures } = this.#o
    const count = this.#count
    this.#count = 0
    const staging = area.address + buffers.staging
    let done = 0
    while (done < count) {
      const to = area.address + (this.#first + done) * PAGE_BYTES
      const from = staging + done * PAGE_BYTES
      const length = (count - done) * PAGE_BYTES
      const bytes = resolver === 'copy' ? uffd.copy(to, from, length) : uffd.move(to, from, length)
      board.add(figures.calls, 1)
      done += this.#settle(this.#first + done, bytes, resolver)
    }
    board.add(figures.placed, count)
    if (resolver !== 'copy') this.#refill(count)
  }

  #placeZeros(): void {
    const { area, board, uffd } = this.#o
    const count = this.#zeroCount
    this.#zeroCount = 0
    let done = 0
    while (done < count) {
      const bytes = uffd.zeropage(area.address + (this.#zeroFirst + done) * PAGE_BYTES, (count - done) * PAGE_BYTES)
      done += this.#settle(this.#zeroFirst + done, bytes, 'zeropage')
    }
    board.add('zeroPlaced', count)
  }

  /** How many pages from `page` on are settled, after a call that answered `bytes`. */
  #settle(page: number, bytes: number, what: string): number {
    const { area, board, events, uffd } = this.#o
    if (bytes > 0) {
      const pages = bytes / PAGE_BYTES
      board.states.fill(PageState.received, page, page + pages)
      events.note(EventKind.Place, page, what === 'zeropage' ? 1 : 0, pages)
      events.stamp()
      return pages
    }
    if (bytes === -EAGAIN) return 0
    if (bytes !== -EEXIST) throw new Error(`a page could not be placed by ${what} (${errnoName(-bytes)})`)
    board.add('alreadyThere', 1)
    board.states[page] = PageState.received
    uffd.wake(area.address + page * PAGE_BYTES, PAGE_BYTES)
    return 1
  }

  /** The first `count` staged pages, which were moved away, are mapped anew. */
  #refill(count: number): void {
    const { area, buffers } = this.#o
    area.mapping.advise(MADV.populateWrite, buffers.staging, count * PAGE_BYTES)
  }
}
