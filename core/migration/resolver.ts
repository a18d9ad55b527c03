/**
 * How the destination puts a received page in its place, by three different kernel interfaces.
 *
 * - remap: MADV_USERFAULT memory and the 2014 userfaultfd. The page is received into one temporary page (DONTFORK), which
 *   remap_anon_pages takes away; the next touch allocates a new one. A zero page gets one zero byte written first, because
 *   the shared zero page would be EBUSY. The wake-up is an explicit acknowledgement.
 * - move: UFFDIO_MOVE out of the same kind of temporary page, and UFFDIO_ZEROPAGE; both wake by themselves.
 * - copy: UFFDIO_COPY out of a buffer that stays, and UFFDIO_ZEROPAGE; both wake by themselves.
 *
 * A page that is there already is never replaced: the answer is 'exists'. Each channel that brings pages has a temporary page
 * of its own, so that two may receive at once.
 *
 * Host pages of 2 MiB (host_page.ts): the temporary page is a huge one, filled target page by target page, then placed whole.
 * The order place, mark, wake is the caller's for remap (destination.ts); for the ioctls the wake-up comes with the
 * placing, and whoever wakes looks at the page table, not at the map.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Gate, type Proc, QUANTUM, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { PageContent, Process } from '../machine/process.ts'
import {
  addressOf,
  ERRNO,
  errnoName,
  type IoctlResult,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_POPULATE_WRITE,
  MADV_USERFAULT,
  O_CLOEXEC,
  O_NONBLOCK,
  POLLIN,
  pageOfAddress,
  sys,
  UFFD_API,
  UFFD_EVENT_PAGEFAULT,
  UFFD_EVENT_REMOVE,
  UFFD_FEATURE,
  UFFD_MSG_BYTES,
  UFFDIO_REGISTER_MODE_MISSING,
  USERFAULTFD_PROTOCOL,
  type Userfaultfd,
  Userfaultfd2014,
} from '../machine/syscall.ts'
import { check, mapHostPages, PlaceError } from './host_page.ts'
import type { PageBatch } from './page_batch.ts'

/** placed; exists: a page is there, and stays; again: the layout is changing, and nobody has read how yet. */
export type Placing = 'placed' | 'exists' | 'again'

/** What the fault thread reads: somebody misses `page`; or [page, page + removed) is being given back. */
export interface ResolverMessage {
  readonly page: number
  readonly removed: number
}

/** Reads removals besides faults: polls the descriptor and reads without sleeping, so that a lock can be held meanwhile. */
export interface RemovalWatcher {
  /** With poll(2): sleeps until there is something to read; false when closed. */
  poll(k: Thread): Proc<boolean>
  /** Null: nothing to read any longer. */
  readMessage(k: Thread): Proc<ResolverMessage | null>
  /** After 'again': waits until the layout stands still. Stands for asking again and again. */
  settle(k: Thread, orMessage?: 'or a message'): Proc<void>
}

export interface Resolver {
  readonly name: string
  /** Target pages in a host page. */
  readonly hostPages: number
  /** Target pages that one call may place, where pages are small; 1: they are placed one by one. */
  readonly batchPages: number
  /** Whether zeros are placed as the shared zero page, or written to a page of their own. */
  readonly mapsZeroPage: boolean
  /** Where removals are watched for: how. Else null, and only faults are read. */
  readonly removals: RemovalWatcher | null
  /**
   * Sets up [ramPage, ramPage + pages) so that a touch of a missing page is reported; `k` runs in `process`. What is there is
   * dropped, but for what pre-copy brought (`keeps`).
   */
  arm(k: Thread, process: Process, ramPage: number, pages: number, keeps?: boolean): Proc<void>
  /** Next page that somebody misses; null when closed. */
  nextFault(k: Thread): Proc<number | null>
  /** Places content, or zeros if `content` is null, at a missing page, by the temporary page of the channel. */
  place(k: Thread, page: number, content: PageContent | null, channel?: number): Proc<Placing>
  /**
   * Places `pages` pages of a batch from its first on, at `page` and behind it, by one call; how many were placed. Those behind are
   * the caller's, one by one: whatever stopped the call, it will be met again there.
   */
  placeRun(k: Thread, page: number, batch: PageBatch, pages: number, channel?: number): Proc<number>
  /** Writes into the temporary page: of host pages larger than 4 KiB, target page `offset`. */
  fill(k: Thread, offset: number, content: PageContent | null, channel?: number): Proc<void>
  /** Places the temporary host page, filled, at a missing host page. */
  placeHost(k: Thread, page: number, channel?: number): Proc<void>
  /** There will never be a page here: whoever touches it gets a signal. */
  poison(k: Thread, page: number): Proc<void>
  /** Wakes those who wait for the host page that begins at `page`, or for so many pages, where placing did not. */
  wake(k: Thread, page: number, pages?: number): Proc<void>
  /** Wakes those who wait for a page that somebody else has placed, whatever he did about waking. */
  wakeExisting(k: Thread, page: number): Proc<void>
  /** Clock gear: placing a page will not have to wait for anybody at the descriptor. */
  isQuietAt(nowNs: number): boolean
  disarm(k: Thread): Proc<void>
}

const ZEROS: PageContent = { word0: 0, word1: 0, version: 0 }

/** How much temporary memory a resolver needs. */
type Shape = Pick<Resolver, 'hostPages' | 'batchPages'> & { readonly channels: number }

/** Memory of its own for receiving into: a huge host page, or as many small ones as are placed by one call. @qemu postcopy_tmp_page */
function* makeTemporaryPage(k: Thread, process: Process, o: Shape): Proc<number> {
  const pages = Math.max(o.hostPages, o.batchPages)
  const page = yield* mapHostPages(k, process, pages, o.hostPages > 1 ? 'thp' : 'small')
  check(yield* sys.madvise(k, process, addressOf(page), pages * 4096, MADV_DONTFORK), 0, 'madvise(MADV_DONTFORK)')
  return page
}

function* makeTemporaryPages(k: Thread, process: Process, o: Shape): Proc<number[]> {
  const pages: number[] = []
  while (pages.length < o.channels) pages.push(yield* makeTemporaryPage(k, process, o))
  return pages
}

/** The content of a batch, received into temporary pages that one call has made present. */
function* receiveRun(k: Thread, process: Process, temporary: number, batch: PageBatch, pages: number): Proc<void> {
  const length = pages * 4096
  check(yield* sys.madvise(k, process, addressOf(temporary), length, MADV_POPULATE_WRITE), 0, 'madvise(MADV_POPULATE_WRITE)')
  for (let i = 0; i < pages; i++) yield* process.writePage(k, temporary + i, batch.content(i) ?? ZEROS)
}

function* empty(k: Thread, process: Process, ramPage: number, pages: number): Proc<void> {
  check(yield* sys.madvise(k, process, addressOf(ramPage), pages * 4096, MADV_DONTNEED), 0, 'madvise(MADV_DONTNEED)')
}

/** The outcome of a call that places; any errno but the two that may be is the end of the migration. */
function outcome(result: number, expected: number, call: string, page: number): Placing {
  if (result === expected) return 'placed'
  if (result === ERRNO.EEXIST) return 'exists'
  if (result === ERRNO.EAGAIN) return 'again'
  throw new PlaceError(`${call} to page ${page} answered ${errnoName(result)} instead of ${expected}`)
}

/** Pages that an ioctl has placed: all, or what it says in the field. */
function placedOf({ ret, fields }: IoctlResult, field: string, pages: number): number {
  return ret === 0 ? pages : Math.max(0, Number(fields[field] ?? 0)) / 4096
}

export class RemapResolver implements Resolver {
  readonly name = 'remap'
  readonly mapsZeroPage = false
  readonly removals = null
  readonly #process: Process
  readonly #uffd: Userfaultfd2014
  #temporary: readonly number[] = []

  constructor(
    process: Process,
    readonly hostPages = 1,
    readonly channels = 1,
    readonly batchPages = 1,
  ) {
    this.#process = process
    this.#uffd = sys.userfaultfd2014(process)
  }

  *arm(k: Thread, process: Process, ramPage: number, pages: number, keeps = false): Proc<void> {
    check(this.#uffd.writeProtocol(USERFAULTFD_PROTOCOL), 8, 'userfaultfd handshake')
    check(yield* this.#uffd.readAddress(k), USERFAULTFD_PROTOCOL, 'userfaultfd handshake')
    // Truly empty first: what is there now would never be reported.
    if (!keeps) yield* empty(k, process, ramPage, pages)
    check(yield* sys.madvise(k, process, addressOf(ramPage), pages * 4096, MADV_USERFAULT), 0, 'madvise(MADV_USERFAULT)')
    const [start, end] = Userfaultfd2014.range(ramPage, pages, 'register')
    check(yield* this.#uffd.writeRange(k, start, end), 16, 'userfaultfd registration')
    this.#temporary = yield* makeTemporaryPages(k, process, this)
  }

  *nextFault(k: Thread): Proc<number | null> {
    const address = yield* this.#uffd.readAddress(k)
    // The address of the access: the page is the reader's business.
    return address < 0 ? null : pageOfAddress(address - (address % 4096))
  }

  *place(k: Thread, page: number, content: PageContent | null, channel = 0): Proc<Placing> {
    const temporary = this.#temporary[channel]
    yield* this.#process.writePage(k, temporary, content ?? ZEROS)
    const moved = yield* sys.remapAnonPages(k, this.#process, addressOf(page), addressOf(temporary), 4096, 0)
    return outcome(moved, 4096, 'remap_anon_pages', page)
  }

  *placeRun(k: Thread, page: number, batch: PageBatch, pages: number, channel = 0): Proc<number> {
    const temporary = this.#temporary[channel]
    yield* receiveRun(k, this.#process, temporary, batch, pages)
    const length = pages * 4096
    const moved = yield* sys.remapAnonPages(k, this.#process, addressOf(page), addressOf(temporary), length, 0)
    return Math.max(0, moved) / 4096
  }

  fill(k: Thread, offset: number, content: PageContent | null, channel = 0): Proc<void> {
    return this.#process.writePage(k, this.#temporary[channel] + offset, content ?? ZEROS)
  }

  *placeHost(k: Thread, page: number, channel = 0): Proc<void> {
    const bytes = this.hostPages * 4096
    const moved = yield* sys.remapAnonPages(k, this.#process, addressOf(page), addressOf(this.#temporary[channel]), bytes, 0)
    check(moved, bytes, `remap_anon_pages to page ${page}`)
  }

  /** The interface of 2014 knows no poison: what is not mapped is a SIGSEGV, and nobody ever reads anything else. */
  *poison(k: Thread, page: number): Proc<void> {
    check(yield* sys.munmap(k, this.#process, addressOf(page), 4096), 0, `munmap of page ${page}`)
  }

  *wake(k: Thread, page: number, pages = this.hostPages): Proc<void> {
    const [start, end] = Userfaultfd2014.range(page, pages, 'ack')
    // ENOENT is fine: nobody whose fault was read waits there. Who reads it later acknowledges then.
    yield* this.#uffd.writeRange(k, start, end)
  }

  wakeExisting(k: Thread, page: number): Proc<void> {
    return this.wake(k, page)
  }

  /** An acknowledgement takes no lock that could be another's. */
  isQuietAt(): boolean {
    return true
  }

  *disarm(k: Thread): Proc<void> {
    yield* sys.close(k, this.#uffd)
  }
}

export class IoctlResolver implements Resolver, RemovalWatcher {
  readonly mapsZeroPage = true
  readonly removals: RemovalWatcher | null
  readonly #process: Process
  readonly #uffd: Userfaultfd
  #temporary: readonly number[] = []

  constructor(
    process: Process,
    readonly name: 'move' | 'copy',
    readonly hostPages = 1,
    readonly channels = 1,
    watchesRemoval = false,
    readonly batchPages = 1,
  ) {
    this.removals = watchesRemoval ? this : null
    this.#process = process
    // Who polls must not sleep in read(2).
    const uffd = sys.userfaultfd(process, watchesRemoval ? O_CLOEXEC | O_NONBLOCK : O_CLOEXEC)
    if (typeof uffd === 'number') throw new PlaceError(`userfaultfd answered ${errnoName(uffd)}`)
    this.#uffd = uffd
  }

  *arm(k: Thread, process: Process, ramPage: number, pages: number, keeps = false): Proc<void> {
    const features = this.removals !== null ? UFFD_FEATURE.EVENT_REMOVE : 0
    check(sys.uffdioApi(process, this.#uffd, UFFD_API, features).ret, 0, 'UFFDIO_API')
    if (!keeps) yield* empty(k, process, ramPage, pages)
    const registered = yield* sys.uffdioRegister(k, this.#uffd, addressOf(ramPage), pages * 4096, UFFDIO_REGISTER_MODE_MISSING)
    check(registered.ret, 0, 'UFFDIO_REGISTER')
    this.#temporary = yield* makeTemporaryPages(k, process, this)
  }

  *nextFault(k: Thread): Proc<number | null> {
    const { messages } = yield* sys.uffdRead(k, this.#uffd, UFFD_MSG_BYTES)
    const message = messages[0]
    return message?.event === UFFD_EVENT_PAGEFAULT ? pageOfAddress(message.address) : null
  }

  *poll(k: Thread): Proc<boolean> {
    return (yield* sys.uffdPollWait(k, this.#uffd)) === POLLIN
  }

  *readMessage(k: Thread): Proc<ResolverMessage | null> {
    const { messages } = yield* sys.uffdRead(k, this.#uffd, UFFD_MSG_BYTES)
    const message = messages[0]
    switch (message?.event) {
      case UFFD_EVENT_PAGEFAULT:
        return { page: pageOfAddress(message.address), removed: 0 }
      case UFFD_EVENT_REMOVE:
        return { page: pageOfAddress(message.start), removed: (message.end - message.start) / 4096 }
      default:
        return null
    }
  }

  *place(k: Thread, page: number, content: PageContent | null, channel = 0): Proc<Placing> {
    if (content === null) {
      const zeroed = yield* sys.uffdioZeropage(k, this.#uffd, addressOf(page), 4096, 0)
      return outcome(zeroed.ret, 0, 'UFFDIO_ZEROPAGE', page)
    }
    const temporary = this.#temporary[channel]
    yield* this.#process.writePage(k, temporary, content)
    const [dst, src] = [addressOf(page), addressOf(temporary)]
    const placed = yield* this.name === 'move'
      ? sys.uffdioMove(k, this.#process, this.#uffd, dst, src, 4096, 0)
      : sys.uffdioCopy(k, this.#process, this.#uffd, dst, src, 4096, 0)
    return outcome(placed.ret, 0, this.name === 'move' ? 'UFFDIO_MOVE' : 'UFFDIO_COPY', page)
  }

  *placeRun(k: Thread, page: number, batch: PageBatch, pages: number, channel = 0): Proc<number> {
    const [dst, length] = [addressOf(page), pages * 4096]
    if (batch.zero) {
      const zeroed = yield* sys.uffdioZeropage(k, this.#uffd, dst, length, 0)
      return placedOf(zeroed, 'zeropage', pages)
    }
    const temporary = this.#temporary[channel]
    yield* receiveRun(k, this.#process, temporary, batch, pages)
    const src = addressOf(temporary)
    const placed = yield* this.name === 'move'
      ? sys.uffdioMove(k, this.#process, this.#uffd, dst, src, length, 0)
      : sys.uffdioCopy(k, this.#process, this.#uffd, dst, src, length, 0)
    return placedOf(placed, this.name, pages)
  }

  *settle(k: Thread, orMessage?: 'or a message'): Proc<void> {
    if (!k.stepping) {
      yield QUANTUM
      return
    }
    const uffd = this.#uffd
    const hasMessage = () => orMessage !== undefined && uffd.event.entries.length > 0
    const gate: Gate = {
      opens: () => uffd.mmapChanging === 0 || hasMessage(),
      describe: () => 'a layout event to be over',
      holder: () => null,
    }
    yield { ...read(uffd.id, 'uffd.mmap_changing'), gate }
    touch(uffd.id, uffd.event.label, AccessMode.read)
  }

  fill(k: Thread, offset: number, content: PageContent | null, channel = 0): Proc<void> {
    return this.#process.writePage(k, this.#temporary[channel] + offset, content ?? ZEROS)
  }

  /** Zeros too: UFFDIO_ZEROPAGE would map 512 small zero pages, or (hugetlb) refuse. */
  *placeHost(k: Thread, page: number, channel = 0): Proc<void> {
    const call = this.name === 'move' ? sys.uffdioMove : sys.uffdioCopy
    const bytes = this.hostPages * 4096
    const placed = yield* call(k, this.#process, this.#uffd, addressOf(page), addressOf(this.#temporary[channel]), bytes, 0)
    check(placed.ret, 0, `UFFDIO_${this.name.toUpperCase()} to page ${page}`)
  }

  *poison(k: Thread, page: number): Proc<void> {
    check((yield* sys.uffdioPoison(k, this.#uffd, addressOf(page), 4096, 0)).ret, 0, `UFFDIO_POISON of page ${page}`)
  }

  *wake(): Proc<void> {
    // The ioctl woke everybody.
  }

  *wakeExisting(k: Thread, page: number): Proc<void> {
    check((yield* sys.uffdioWake(k, this.#uffd, addressOf(page), this.hostPages * 4096)).ret, 0, 'UFFDIO_WAKE')
  }

  /** The locks of the queues are waited for where somebody is on them. */
  isQuietAt(nowNs: number): boolean {
    return this.#uffd.isIdleAt(nowNs)
  }

  *disarm(k: Thread): Proc<void> {
    yield* sys.close(k, this.#uffd)
  }
}
