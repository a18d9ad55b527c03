/**
 * How the destination puts a received page in its place, by three different kernel interfaces.
 *
 * - remap: MADV_USERFAULT memory and the 2014 userfaultfd. The page is received into one temporary page (DONTFORK), which
 *   remap_anon_pages takes away; the next touch allocates a new one. A zero page gets one zero byte written first, because
 *   the shared zero page would be EBUSY. The wake-up is an explicit acknowledgement.
 * - move: UFFDIO_MOVE out of the same kind of temporary page, and UFFDIO_ZEROPAGE; both wake by themselves.
 * - copy: UFFDIO_COPY out of a buffer that stays, and UFFDIO_ZEROPAGE; both wake by themselves.
 *
 * Host pages of 2 MiB (host_page.ts): the temporary page is a huge one, filled target page by target page, then placed whole.
 * The order place, mark, wake is the caller's for remap (destination.ts); for the ioctls the wake-up comes with the
 * placing, and whoever wakes looks at the page table, not at the map.
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { PageContent, Process } from '../machine/process.ts'
import {
  addressOf,
  errnoName,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_USERFAULT,
  pageOfAddress,
  sys,
  UFFD_API,
  UFFD_EVENT_PAGEFAULT,
  UFFD_MSG_BYTES,
  UFFDIO_REGISTER_MODE_MISSING,
  USERFAULTFD_PROTOCOL,
  type Userfaultfd,
  Userfaultfd2014,
} from '../machine/syscall.ts'
import { check, mapHostPages, PlaceError } from './host_page.ts'

export interface Resolver {
  readonly name: string
  /** Target pages in a host page. */
  readonly hostPages: number
  /** Whether zeros are placed as the shared zero page, or written to a page of their own. */
  readonly mapsZeroPage: boolean
  /** Sets up [ramPage, ramPage + pages) so that a touch of a missing page is reported; `k` runs in `process`. */
  arm(k: Thread, process: Process, ramPage: number, pages: number): Proc<void>
  /** Next page that somebody misses; null when closed. */
  nextFault(k: Thread): Proc<number | null>
  /** Places content, or zeros if `content` is null, at a missing page. */
  place(k: Thread, page: number, content: PageContent | null): Proc<void>
  /** Writes into the temporary page: of host pages larger than 4 KiB, target page `offset`. */
  fill(k: Thread, offset: number, content: PageContent | null): Proc<void>
  /** Places the temporary host page, filled, at a missing host page. */
  placeHost(k: Thread, page: number): Proc<void>
  /** Wakes those who wait for the host page that begins at `page`, where placing did not. */
  wake(k: Thread, page: number): Proc<void>
  disarm(k: Thread): Proc<void>
}

/** A page of its own for receiving into. @qemu postcopy_tmp_page */
function* makeTemporaryPage(k: Thread, process: Process, hostPages: number): Proc<number> {
  const page = yield* mapHostPages(k, process, hostPages, hostPages > 1 ? 'thp' : 'small')
  check(yield* sys.madvise(k, process, addressOf(page), hostPages * 4096, MADV_DONTFORK), 0, 'madvise(MADV_DONTFORK)')
  return page
}

const ZEROS: PageContent = { word0: 0, word1: 0, version: 0 }

export class RemapResolver implements Resolver {
  readonly name = 'remap'
  readonly mapsZeroPage = false
  readonly #process: Process
  readonly #uffd: Userfaultfd2014
  #temporary = -1

  constructor(
    process: Process,
    readonly hostPages = 1,
  ) {
    this.#process = process
    this.#uffd = sys.userfaultfd2014(process)
  }

  *arm(k: Thread, process: Process, ramPage: number, pages: number): Proc<void> {
    check(this.#uffd.writeProtocol(USERFAULTFD_PROTOCOL), 8, 'userfaultfd handshake')
    check(yield* this.#uffd.readAddress(k), USERFAULTFD_PROTOCOL, 'userfaultfd handshake')
    // Truly empty first: what is there now would never be reported.
    check(yield* sys.madvise(k, process, addressOf(ramPage), pages * 4096, MADV_DONTNEED), 0, 'madvise(MADV_DONTNEED)')
    check(yield* sys.madvise(k, process, addressOf(ramPage), pages * 4096, MADV_USERFAULT), 0, 'madvise(MADV_USERFAULT)')
    const [start, end] = Userfaultfd2014.range(ramPage, pages, 'register')
    check(yield* this.#uffd.writeRange(k, start, end), 16, 'userfaultfd registration')
    this.#temporary = yield* makeTemporaryPage(k, process, this.hostPages)
  }

  *nextFault(k: Thread): Proc<number | null> {
    const address = yield* this.#uffd.readAddress(k)
    // The address of the access: the page is the reader's business.
    return address < 0 ? null : pageOfAddress(address - (address % 4096))
  }

  *place(k: Thread, page: number, content: PageContent | null): Proc<void> {
    yield* this.#process.writePage(k, this.#temporary, content ?? ZEROS)
    const moved = yield* sys.remapAnonPages(k, this.#process, addressOf(page), addressOf(this.#temporary), 4096, 0)
    check(moved, 4096, `remap_anon_pages to page ${page}`)
  }

  fill(k: Thread, offset: number, content: PageContent | null): Proc<void> {
    return this.#process.writePage(k, this.#temporary + offset, content ?? ZEROS)
  }

  *placeHost(k: Thread, page: number): Proc<void> {
    const bytes = this.hostPages * 4096
    const moved = yield* sys.remapAnonPages(k, this.#process, addressOf(page), addressOf(this.#temporary), bytes, 0)
    check(moved, bytes, `remap_anon_pages to page ${page}`)
  }

  *wake(k: Thread, page: number): Proc<void> {
    const [start, end] = Userfaultfd2014.range(page, this.hostPages, 'ack')
    // ENOENT is fine: nobody whose fault was read waits there. Who reads it later acknowledges then.
    yield* this.#uffd.writeRange(k, start, end)
  }

  *disarm(k: Thread): Proc<void> {
    yield* sys.close(k, this.#uffd)
  }
}

export class IoctlResolver implements Resolver {
  readonly mapsZeroPage = true
  readonly #process: Process
  readonly #uffd: Userfaultfd
  #temporary = -1

  constructor(
    process: Process,
    readonly name: 'move' | 'copy',
    readonly hostPages = 1,
  ) {
    this.#process = process
    const uffd = sys.userfaultfd(process)
    if (typeof uffd === 'number') throw new PlaceError(`userfaultfd answered ${errnoName(uffd)}`)
    this.#uffd = uffd
  }

  *arm(k: Thread, process: Process, ramPage: number, pages: number): Proc<void> {
    check(sys.uffdioApi(process, this.#uffd, UFFD_API, 0).ret, 0, 'UFFDIO_API')
    check(yield* sys.madvise(k, process, addressOf(ramPage), pages * 4096, MADV_DONTNEED), 0, 'madvise(MADV_DONTNEED)')
    const registered = yield* sys.uffdioRegister(k, this.#uffd, addressOf(ramPage), pages * 4096, UFFDIO_REGISTER_MODE_MISSING)
    check(registered.ret, 0, 'UFFDIO_REGISTER')
    this.#temporary = yield* makeTemporaryPage(k, process, this.hostPages)
  }

  *nextFault(k: Thread): Proc<number | null> {
    const { messages } = yield* sys.uffdRead(k, this.#uffd, UFFD_MSG_BYTES)
    const message = messages[0]
    return message?.event === UFFD_EVENT_PAGEFAULT ? pageOfAddress(message.address) : null
  }

  *place(k: Thread, page: number, content: PageContent | null): Proc<void> {
    if (content === null) {
      const zeroed = yield* sys.uffdioZeropage(k, this.#uffd, addressOf(page), 4096, 0)
      check(zeroed.ret, 0, `UFFDIO_ZEROPAGE at page ${page}`)
      return
    }
    yield* this.#process.writePage(k, this.#temporary, content)
    const call = this.name === 'move' ? sys.uffdioMove : sys.uffdioCopy
    const placed = yield* call(k, this.#process, this.#uffd, addressOf(page), addressOf(this.#temporary), 4096, 0)
    check(placed.ret, 0, `UFFDIO_${this.name.toUpperCase()} to page ${page}`)
  }

  fill(k: Thread, offset: number, content: PageContent | null): Proc<void> {
    return this.#process.writePage(k, this.#temporary + offset, content ?? ZEROS)
  }

  /** Zeros too: UFFDIO_ZEROPAGE would map 512 small zero pages, or (hugetlb) refuse. */
  *placeHost(k: Thread, page: number): Proc<void> {
    const call = this.name === 'move' ? sys.uffdioMove : sys.uffdioCopy
    const bytes = this.hostPages * 4096
    const placed = yield* call(k, this.#process, this.#uffd, addressOf(page), addressOf(this.#temporary), bytes, 0)
    check(placed.ret, 0, `UFFDIO_${this.name.toUpperCase()} to page ${page}`)
  }

  *wake(): Proc<void> {
    // The ioctl woke everybody.
  }

  *disarm(k: Thread): Proc<void> {
    yield* sys.close(k, this.#uffd)
  }
}
