/**
 * Write tracking of guest RAM by userfaultfd: a page that was not yet saved cannot be written.
 *
 *  prepare: every page is read once. Write protection of what is not there would be forgotten: a page that nobody wrote gets the zero page.
 *  start, while the vCPUs stand: the memory is registered and write-protected, all of it.
 *  fault: a vCPU's first store to a page puts it to sleep; its message is read without waiting, between two pages.
 *  release, once a page was saved: it can be written, and whoever sleeps on it goes on.
 *  stop: the memory is as before.
 *
 * Source: QEMU, migration/ram.c; util/userfaultfd.c.
 * @qemu ram_write_tracking_prepare, ram_write_tracking_start, poll_fault_page, ram_save_release_protection, ram_write_tracking_stop
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Process } from '../machine/process.ts'
import {
  addressOf,
  MADV_POPULATE_READ,
  O_CLOEXEC,
  O_NONBLOCK,
  POLLIN,
  pageOfAddress,
  sys,
  UFFD_API,
  UFFD_EVENT_PAGEFAULT,
  UFFD_FEATURE,
  UFFD_MSG_BYTES,
  UFFDIO_REGISTER_MODE_WP,
  UFFDIO_WRITEPROTECT_MODE_WP,
  type Userfaultfd,
} from '../machine/syscall.ts'
import { check, PlaceError } from './host_page.ts'

export class WriteTracking {
  /** Stores that had to wait for their page to be saved. */
  faults = 0
  readonly #process: Process
  readonly #ramPage: number
  readonly #length: number
  readonly #uffd: Userfaultfd

  constructor(process: Process, ramPage: number, pages: number) {
    this.#process = process
    this.#ramPage = ramPage
    this.#length = pages * 4096
    const uffd = sys.userfaultfd(process, O_CLOEXEC | O_NONBLOCK)
    if (typeof uffd === 'number') throw new PlaceError('userfaultfd is not permitted')
    check(sys.uffdioApi(process, uffd, UFFD_API, UFFD_FEATURE.PAGEFAULT_FLAG_WP).ret, 0, 'UFFDIO_API')
    this.#uffd = uffd
  }

  *prepare(k: Thread): Proc<void> {
    const populated = yield* sys.madvise(k, this.#process, addressOf(this.#ramPage), this.#length, MADV_POPULATE_READ)
    check(populated, 0, 'madvise(MADV_POPULATE_READ)')
  }

  *start(k: Thread): Proc<void> {
    const address = addressOf(this.#ramPage)
    const registered = yield* sys.uffdioRegister(k, this.#uffd, address, this.#length, UFFDIO_REGISTER_MODE_WP)
    check(registered.ret, 0, 'UFFDIO_REGISTER')
    yield* this.#protect(k, address, this.#length, UFFDIO_WRITEPROTECT_MODE_WP)
  }

  /** The guest page that a vCPU waits to write, or -1: none of which nobody has read. */
  *fault(k: Thread): Proc<number> {
    if (this.#isQuiet(k)) return -1
    const { messages } = yield* sys.uffdRead(k, this.#uffd, UFFD_MSG_BYTES)
    const message = messages[0]
    if (message?.event !== UFFD_EVENT_PAGEFAULT) return -1
    this.faults++
    return pageOfAddress(message.address) - this.#ramPage
  }

  /** Clock gear, the usual case: the read would find nothing. It takes its time all the same. */
  #isQuiet(k: Thread): boolean {
    if (k.stepping || (sys.uffdPoll(this.#uffd) & POLLIN) !== 0) return false
    k.cpu.nowNs += k.cpu.preset.syscallNs.value
    return true
  }

  *release(k: Thread, page: number, pages: number): Proc<void> {
    yield* this.#protect(k, addressOf(this.#ramPage + page), pages * 4096, 0)
  }

  *#protect(k: Thread, address: number, length: number, mode: number): Proc<void> {
    check((yield* sys.uffdioWriteprotect(k, this.#uffd, address, length, mode)).ret, 0, 'UFFDIO_WRITEPROTECT')
  }

  *stop(k: Thread): Proc<void> {
    const unregistered = yield* sys.uffdioUnregister(k, this.#uffd, addressOf(this.#ramPage), this.#length)
    check(unregistered.ret, 0, 'UFFDIO_UNREGISTER')
    yield* sys.close(k, this.#uffd)
  }
}
