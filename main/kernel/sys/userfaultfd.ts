/**
 * The host's userfaultfd: one descriptor, and what can be asked of it.
 *
 * Calls answer as the kernel does: 0 and more is what the result field says was done, below is -errno. Whoever resolves a fault
 * decides what an EEXIST or EAGAIN means; setting up throws KernelError. Structures lie in an Arena that belongs to the thread: a
 * Userfaultfd is one thread's view of a descriptor, and each thread makes its own from the number (`of`).
 *
 * Source: man 2 userfaultfd, ioctl_userfaultfd; Documentation/admin-guide/mm/userfaultfd.rst
 */
import { UFFD_FEATURES } from '../../../core/conform/vocabulary.ts'
import { Arena } from './arena.ts'
import { KernelError, NotPermitted } from './errors.ts'
import { checked, errnoName, libc } from './libc.ts'
import type { Place } from './struct.ts'
import {
  O,
  UFFD_API,
  UFFD_USER_MODE_ONLY,
  UFFDIO,
  type UffdFeature,
  UffdioApi,
  UffdioCopy,
  UffdioMove,
  UffdioRange,
  UffdioRegister,
  UffdioWriteprotect,
  UffdioZeropage,
  UffdMsg,
} from './uapi.ts'

const MESSAGES_A_READ = 16
const HIGH = 2 ** 32

export interface OpenOptions {
  readonly blocking?: boolean
  /** Faults of user code only; does not need permission. */
  readonly userModeOnly?: boolean
}

export class Userfaultfd {
  readonly #arena = new Arena(8192)
  readonly #range = this.#arena.place(UffdioRange)
  readonly #register = this.#arena.place(UffdioRegister)
  readonly #copy = this.#arena.place(UffdioCopy)
  readonly #move = this.#arena.place(UffdioMove)
  readonly #copyWords = this.#copy.words()
  readonly #moveWords = this.#move.words()
  readonly #zeropage = this.#arena.place(UffdioZeropage)
  readonly #writeprotect = this.#arena.place(UffdioWriteprotect)
  readonly #messages = this.#arena.array(UffdMsg, MESSAGES_A_READ)

  private constructor(readonly fd: number) {}

  /** A descriptor that another thread, or another process, has opened and shaken hands with. */
  static of(fd: number): Userfaultfd {
    return new Userfaultfd(fd)
  }

  /** Opens one and shakes hands. Throws NotPermitted where the host does not allow it, or lacks a feature. */
  static open(features: readonly UffdFeature[] = [], options: OpenOptions = {}): Userfaultfd {
    const fd = Userfaultfd.openDescriptor(options)
    const opened = new Userfaultfd(fd)
    try {
      opened.#handshake(features)
    } catch (error) {
      opened.close()
      throw error
    }
    return opened
  }

  /** Without the handshake. Throws NotPermitted. */
  static openDescriptor({ blocking, userModeOnly }: OpenOptions = {}): number {
    const fd = libc().userfaultfd(O.cloExec | (blocking ? 0 : O.nonBlock) | (userModeOnly ? UFFD_USER_MODE_ONLY : 0))
    if (fd >= 0) return fd
    const code = errnoName(libc().errno())
    if (code === 'EPERM') throw new NotPermitted(`userfaultfd is not permitted here (EPERM); ${permissionRemedy()}`)
    if (code === 'ENOSYS')
      throw new NotPermitted('this kernel was built without userfaultfd (ENOSYS); use one with CONFIG_USERFAULTFD=y')
    throw new NotPermitted(`userfaultfd cannot be opened (${code}); see man 2 userfaultfd`)
  }

  #handshake(features: readonly UffdFeature[]): void {
    const api = this.#arena.place(UffdioApi)
    api.set('api', UFFD_API)
    api.setBits('features', maskOf(features))
    const result = libc().ioctl(this.fd, UFFDIO.API, api.address)
    if (result >= 0) return
    const code = errnoName(libc().errno())
    const has = featuresOfHost()
    const missing = features.filter((name) => !has.includes(name))
    if (missing.length > 0)
      throw new NotPermitted(
        `this kernel's userfaultfd has no ${missing.join(', ')}; a newer kernel has (MOVE: 6.8, WP_ASYNC: 6.7)`,
      )
    throw new NotPermitted(`userfaultfd refused ${features.join(', ') || 'its handshake'} (${code}); ${permissionRemedy()}`)
  }

  /** `mode`: UFFDIO_REGISTER_MODE. Answers the mask of operations that the range takes. */
  register(start: number, length: number, mode: number): number {
    this.#register.set('start', start)
    this.#register.set('len', length)
    this.#register.set('mode', mode)
    checked(libc().ioctl(this.fd, UFFDIO.REGISTER, this.#register.address), 'UFFDIO_REGISTER')
    return this.#register.get('ioctls')
  }

  unregister(start: number, length: number): void {
    this.#setRange(start, length)
    checked(libc().ioctl(this.fd, UFFDIO.UNREGISTER, this.#range.address), 'UFFDIO_UNREGISTER')
  }

  wake(start: number, length: number): void {
    this.#setRange(start, length)
    checked(libc().ioctl(this.fd, UFFDIO.WAKE, this.#range.address), 'UFFDIO_WAKE')
  }

  /** Bytes placed, or -errno where there are none. `mode`: UFFDIO_COPY_MODE. */
  copy(to: number, from: number, length: number, mode = 0): number {
    fill(this.#copyWords, to, from, length, mode)
    return done(libc().ioctl(this.fd, UFFDIO.COPY, this.#copy.address), this.#copyWords)
  }

  /** Bytes moved, or -errno where there are none. `mode`: UFFDIO_MOVE_MODE. */
  move(to: number, from: number, length: number, mode = 0): number {
    fill(this.#moveWords, to, from, length, mode)
    return done(libc().ioctl(this.fd, UFFDIO.MOVE, this.#move.address), this.#moveWords)
  }

  /** Bytes placed, or -errno where there are none. */
  zeropage(start: number, length: number, mode = 0): number {
    const zeropage = this.#zeropage
    zeropage.set('start', start)
    zeropage.set('len', length)
    zeropage.set('mode', mode)
    zeropage.set('zeropage', 0)
    return this.#done(libc().ioctl(this.fd, UFFDIO.ZEROPAGE, zeropage.address), zeropage, 'zeropage')
  }

  /** 0 or -errno. `mode`: UFFDIO_WRITEPROTECT_MODE. */
  writeprotect(start: number, length: number, mode: number): number {
    this.#writeprotect.set('start', start)
    this.#writeprotect.set('len', length)
    this.#writeprotect.set('mode', mode)
    const result = libc().ioctl(this.fd, UFFDIO.WRITEPROTECT, this.#writeprotect.address)
    return result >= 0 ? result : -libc().errno()
  }

  /** What was done counts, also where the call then ran into something. */
  #done<F extends string>(result: number, place: Place<F>, field: F): number {
    const errno = result < 0 ? libc().errno() : 0
    const done = place.get(field)
    return done > 0 ? done : -errno
  }

  #setRange(start: number, length: number): void {
    this.#range.set('start', start)
    this.#range.set('len', length)
  }

  /** Messages that wait, up to 16; none where a descriptor that does not block has none. They are valid until the next read. */
  read(): readonly Place<'event' | 'word0' | 'word1' | 'word2'>[] {
    const bytes = libc().read(this.fd, this.#messages.address, UffdMsg.size * MESSAGES_A_READ)
    if (bytes < 0) {
      const errno = libc().errno()
      const code = errnoName(errno)
      if (code === 'EAGAIN' || code === 'EINTR') return []
      throw new KernelError('read of a userfaultfd', errno, code)
    }
    return this.#messages.places.slice(0, bytes / UffdMsg.size)
  }

  /** Closes the descriptor for all threads. @see forget for one thread's view alone */
  close(): void {
    libc().close(this.fd)
    this.forget()
  }

  forget(): void {
    this.#arena.free()
  }
}

/** uffdio_copy and uffdio_move: dst, src, len, mode, and what was done. A page that is asked for waits for every look-up of a name. */
function fill(words: Uint32Array, to: number, from: number, length: number, mode: number): void {
  words[0] = to
  words[1] = to / HIGH
  words[2] = from
  words[3] = from / HIGH
  words[4] = length
  words[5] = length / HIGH
  words[6] = mode
  words[7] = 0
  words[8] = 0
  words[9] = 0
}

/** As #done. */
function done(result: number, words: Uint32Array): number {
  const errno = result < 0 ? libc().errno() : 0
  const bytes = ((words[9] as number) | 0) * HIGH + (words[8] as number)
  return bytes > 0 ? bytes : -errno
}

export function maskOf(features: readonly UffdFeature[]): bigint {
  let mask = 0n
  for (const name of features) mask |= 1n << BigInt(UFFD_FEATURES[name])
  return mask
}

/** What this kernel's userfaultfd can do, also where only faults of user code may be handled. Throws NotPermitted. */
export function featuresOfHost(): readonly UffdFeature[] {
  const fd = anyDescriptor()
  const arena = new Arena(4096)
  try {
    const api = arena.place(UffdioApi)
    api.set('api', UFFD_API)
    checked(libc().ioctl(fd, UFFDIO.API, api.address), 'UFFDIO_API')
    const mask = api.bits('features')
    return (Object.keys(UFFD_FEATURES) as UffdFeature[]).filter((name) => (mask >> BigInt(UFFD_FEATURES[name])) & 1n)
  } finally {
    arena.free()
    libc().close(fd)
  }
}

function anyDescriptor(): number {
  try {
    return Userfaultfd.openDescriptor()
  } catch {
    return Userfaultfd.openDescriptor({ userModeOnly: true })
  }
}

/** The kernel lets everybody handle the faults of their own user code: where that is refused, too, somebody refuses it before the kernel is asked. */
function permissionRemedy(): string {
  const fd = libc().userfaultfd(O.cloExec | UFFD_USER_MODE_ONLY)
  if (fd >= 0) libc().close(fd)
  else if (errnoName(libc().errno()) === 'EPERM')
    return 'a seccomp profile or another security policy forbids the call itself; in a container, let it through (docker run --cap-add SYS_PTRACE --security-opt seccomp=unconfined)'
  return process.getuid?.() === 0
    ? 'root has no capability SYS_PTRACE here; in a container, add it (docker run --cap-add SYS_PTRACE)'
    : 'run as root, or allow it with: sysctl -w vm.unprivileged_userfaultfd=1'
}
