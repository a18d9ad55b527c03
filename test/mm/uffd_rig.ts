/**
 * A rig with a userfault descriptor, in the words of the tests: threads that touch pages and what became of them, ioctls by
 * page numbers, and what read(2) answers. Everything goes through machine/syscall.ts, as user code would.
 */
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import type { Process } from '../../core/machine/process.ts'
import {
  type AccessOutcome,
  type IoctlResult,
  O_NONBLOCK,
  sys,
  UFFD_API,
  UFFD_MSG_BYTES,
  type UffdMessage,
  type Userfaultfd,
} from '../../core/machine/syscall.ts'
import { at, type Handle, P, Rig, type RigOptions } from './rig.ts'

export const MISSING = 1
export const WP = 2
export const MINOR = 4
/** CPU on which system calls run; threads that wait are on others. */
const CALLER = 9

export class UffdRig extends Rig {
  uffd: Userfaultfd

  constructor(options: RigOptions = {}, features = 0, flags = O_NONBLOCK) {
    super(options)
    this.uffd = this.open(features, flags)
  }

  /** A descriptor after its handshake. */
  open(features = 0, flags = O_NONBLOCK, process: Process = this.process): Userfaultfd {
    const uffd = this.raw(flags, process)
    const { ret } = sys.uffdioApi(process, uffd, UFFD_API, features)
    if (ret !== 0) throw new Error(`UFFDIO_API answered ${ret}`)
    return uffd
  }

  /** A descriptor before its handshake. */
  raw(flags = O_NONBLOCK, process: Process = this.process): Userfaultfd {
    const uffd = sys.userfaultfd(process, flags)
    if (typeof uffd === 'number') throw new Error(`userfaultfd answered ${uffd}`)
    return uffd
  }

  do<T>(body: (k: Thread) => Proc<T>, process = this.process): T {
    return this.call(body, CALLER, process)
  }

  register(page: number, pages: number, mode = MISSING, uffd = this.uffd): IoctlResult {
    return this.do((k) => sys.uffdioRegister(k, uffd, at(page), pages * P, mode))
  }

  /** Anonymous pages, registered, at `page`. */
  watch(page: number, pages: number, mode = MISSING): void {
    this.map(pages, undefined, page)
    const { ret } = this.register(page, pages, mode)
    if (ret !== 0) throw new Error(`UFFDIO_REGISTER answered ${ret}`)
  }

  /** Anonymous private pages at `page`, or at the lowest gap. */
  override map(pages: number, prot = 3, page = -1): number {
    const flags = page < 0 ? 0x22 : 0x32
    const address = this.do((k) => sys.mmap(k, this.process, pages * P, prot, flags, page < 0 ? 0 : at(page)))
    if (address < 0) throw new Error(`mmap answered ${address}`)
    return (address - at(0)) / P
  }

  copy(dst: number, src: number, pages = 1, mode = 0, uffd = this.uffd, process = this.process): IoctlResult {
    return this.do((k) => sys.uffdioCopy(k, process, uffd, at(dst), at(src), pages * P, mode), process)
  }

  zero(dst: number, pages = 1, mode = 0): IoctlResult {
    return this.do((k) => sys.uffdioZeropage(k, this.uffd, at(dst), pages * P, mode))
  }

  wake(page: number, pages = 1): IoctlResult {
    return this.do((k) => sys.uffdioWake(k, this.uffd, at(page), pages * P))
  }

  protect(page: number, pages: number, mode: number): IoctlResult {
    return this.do((k) => sys.uffdioWriteprotect(k, this.uffd, at(page), pages * P, mode))
  }

  move(dst: number, src: number, pages = 1, mode = 0, process = this.process): IoctlResult {
    return this.do((k) => sys.uffdioMove(k, process, this.uffd, at(dst), at(src), pages * P, mode), process)
  }

  /** A thread that loads from a page on CPU `n`, run until it is done or sleeps. */
  reader(page: number, n = 1, process = this.process): Handle<AccessOutcome> {
    return this.start(`reader of ${page}`, n, (k) => sys.load(k, process, at(page)), process)
  }

  writer(page: number, value: number, n = 1, process = this.process): Handle<AccessOutcome> {
    return this.start(`writer of ${page}`, n, (k) => sys.store(k, process, at(page), value), process)
  }

  start<T>(name: string, n: number, body: (k: Thread) => Proc<T>, process = this.process): Handle<T> {
    const handle = this.spawn(name, n, body, process)
    this.run()
    return handle
  }

  /** One message, or the errno of the read. */
  message(uffd = this.uffd): UffdMessage | number {
    const { ret, messages } = this.do((k) => sys.uffdRead(k, uffd, UFFD_MSG_BYTES))
    return messages[0] ?? ret
  }

  /** All messages that there are. */
  messages(uffd = this.uffd): readonly UffdMessage[] {
    return this.do((k) => sys.uffdRead(k, uffd, 100 * UFFD_MSG_BYTES)).messages
  }
}

/** An ioctl that did all. */
export function all(field: string, pages: number): IoctlResult {
  return { ret: 0, fields: { [field]: pages * P } }
}

/** An ioctl that answered an errno, also in its field. */
export function refused(field: string, errno: number): IoctlResult {
  return { ret: errno, fields: { [field]: errno } }
}

/** An ioctl that answered an errno and left its argument alone. */
export function untouched(errno: number): IoctlResult {
  return { ret: errno, fields: {} }
}
