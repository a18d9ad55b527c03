/**
 * Dirty tracking without KVM: asynchronous write protection by userfaultfd, and PAGEMAP_SCAN.
 *
 *  start: RAM is registered with WP_ASYNC and write-protected, all of it; what is not there gets a marker.
 *  a store: its fault takes the protection away by itself, and wakes nobody.
 *  sync: one walk finds what is no longer protected and protects it again. So what a sync names is protected when it returns, and
 *   a store from then on is named by the next, also if its page was not yet sent in between: it is sent twice, where KVM's log, which is
 *   cleared before a page is sent, names it once.
 *
 * What CRIU and `kernel migrate` (main/kernel/migrate) do. Pairs with dirty_tracker.ts and mm/pagemap_scan.ts.
 * Source: Documentation/admin-guide/mm/pagemap.rst; Documentation/admin-guide/mm/userfaultfd.rst.
 */
import type { Bitmap } from '../base/bitmap.ts'
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Process } from '../machine/process.ts'
import {
  addressOf,
  sys,
  UFFD_API,
  UFFD_FEATURE,
  UFFDIO_REGISTER_MODE_WP,
  UFFDIO_WRITEPROTECT_MODE_WP,
  type Userfaultfd,
} from '../machine/syscall.ts'
import type { DirtyTracker } from './dirty_tracker.ts'
import { check, PlaceError } from './host_page.ts'

export class PagemapTracker implements DirtyTracker {
  readonly owesClears = false
  readonly #process: Process
  readonly #address: number
  readonly #length: number
  #uffd: Userfaultfd | null = null

  constructor(process: Process, ramPage: number, pages: number) {
    this.#process = process
    this.#address = addressOf(ramPage)
    this.#length = pages * 4096
  }

  *start(k: Thread): Proc<void> {
    const uffd = sys.userfaultfd(this.#process)
    if (typeof uffd === 'number') throw new PlaceError('userfaultfd is not permitted')
    check(sys.uffdioApi(this.#process, uffd, UFFD_API, UFFD_FEATURE.WP_ASYNC).ret, 0, 'UFFDIO_API')
    this.#uffd = uffd
    const registered = yield* sys.uffdioRegister(k, uffd, this.#address, this.#length, UFFDIO_REGISTER_MODE_WP)
    check(registered.ret, 0, 'UFFDIO_REGISTER')
    const protectedAll = yield* sys.uffdioWriteprotect(k, uffd, this.#address, this.#length, UFFDIO_WRITEPROTECT_MODE_WP)
    check(protectedAll.ret, 0, 'UFFDIO_WRITEPROTECT')
  }

  *sync(k: Thread, out: Bitmap): Proc<void> {
    check(yield* sys.pagemapScanWritten(k, this.#process, this.#address, this.#length, out), 0, 'PAGEMAP_SCAN')
  }

  /** Nothing is owed. */
  *clear(): Proc<void> {}

  *stop(k: Thread): Proc<void> {
    const uffd = this.#uffd
    if (uffd === null) return
    this.#uffd = null
    check((yield* sys.uffdioUnregister(k, uffd, this.#address, this.#length)).ret, 0, 'UFFDIO_UNREGISTER')
    yield* sys.close(k, uffd)
  }
}
