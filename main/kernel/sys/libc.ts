/**
 * The C library's calls that Pageferry needs, through koffi: no compiler, no native build.
 *
 * Addresses are numbers (user space ends below 2^47), so a call makes no BigInt and no copy; structures lie in memory of our own
 * (arena.ts) and are passed by address. errno is the thread's own and is read right behind the call. koffi is loaded at the first
 * use: where its prebuilt binary is missing, everything else of the program still works.
 *
 * Source: man 2 mmap, madvise, mprotect, mremap, ioctl, read, writev, poll, socket, memfd_create, prctl, syscall; https://koffi.dev
 */
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { KernelError, NotPermitted } from './errors.ts'

type Koffi = typeof import('koffi')

/** Numbers of system calls that the C library gives no name to, by Node's name of the architecture. */
const USERFAULTFD_NR: Readonly<Record<string, number>> = { x64: 323, arm64: 282, riscv64: 282, loong64: 282 }
const FUTEX_NR: Readonly<Record<string, number>> = { x64: 202, arm64: 98, riscv64: 98, loong64: 98 }
const GETTID_NR: Readonly<Record<string, number>> = { x64: 186, arm64: 178, riscv64: 178, loong64: 178 }

export interface Libc {
  readonly koffi: Koffi
  /** MAP_FAILED is 2^64 - 1, which is no address: compare with `isMapFailed`. */
  mmap(address: number, length: number, prot: number, flags: number, fd: number, offset: number): number
  munmap(address: number, length: number): number
  madvise(address: number, length: number, advice: number): number
  mprotect(address: number, length: number, prot: number): number
  mremap(address: number, oldLength: number, newLength: number, flags: number, to: number): number
  mlock(address: number, length: number): number
  munlock(address: number, length: number): number
  mincore(address: number, length: number, vec: number): number
  ioctl(fd: number, request: number, argument: number): number
  read(fd: number, buffer: number, length: number): number
  write(fd: number, buffer: number, length: number): number
  pread(fd: number, buffer: number, length: number, offset: number): number
  poll(fds: number, count: number, timeoutMs: number): number
  recv(fd: number, buffer: number, length: number, flags: number): number
  /** `vector`: the address of so many iovecs (sys/socket.ts). */
  writev(fd: number, vector: number, count: number): number
  close(fd: number): number
  ftruncate(fd: number, length: number): number
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: number, length: number): number
  listen(fd: number, backlog: number): number
  accept(fd: number, address: number, length: number, flags: number): number
  getsockname(fd: number, address: number, length: number): number
  connect(fd: number, address: number, length: number): number
  shutdown(fd: number, how: number): number
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number
  /** `time`: the address of a timespec. */
  clockGettime(clock: number, time: number): number
  prctl(option: number, a: number, b: number, c: number, d: number): number
  fcntl(fd: number, command: number, argument: number): number
  memcpy(to: number, from: number, length: number): number
  userfaultfd(flags: number): number
  gettid(): number
  /** `mask`: the address of a bit for each processor. */
  schedSetaffinity(tid: number, bytes: number, mask: number): number
  memfdCreate(name: string, flags: number): number
  /** `timeout`: the address of a timespec, or 0. */
  futex(address: number, operation: number, value: number, timeout: number): number
  errno(): number
}

let loaded: Libc | null = null

/** Throws NotPermitted, in one sentence, where there is no such thing on this host. */
export function libc(): Libc {
  loaded ??= load()
  return loaded
}

function load(): Libc {
  if (process.platform !== 'linux')
    throw new NotPermitted(
      `userfaultfd is Linux's own, and this is ${process.platform}; run this on Linux, and everything else here`,
    )
  const userfaultfdNr = USERFAULTFD_NR[process.arch]
  const gettidNr = GETTID_NR[process.arch]
  const futexNr = FUTEX_NR[process.arch]
  if (userfaultfdNr === undefined || gettidNr === undefined || futexNr === undefined)
    throw new NotPermitted(
      `the numbers of system calls on ${process.arch} are not known here; x64, arm64, riscv64 and loong64 are`,
    )
  let koffi: Koffi
  try {
    koffi = createRequire(import.meta.url)('koffi') as Koffi
  } catch (error) {
    throw new NotPermitted(
      `koffi, which calls the C library, cannot be loaded (${error instanceof Error ? error.message.split('\n', 1)[0] : error}); npm ci without --omit=optional installs it`,
    )
  }
  const lib = koffi.load(null)
  const syscall = lib.func('long syscall(long nr, long a, long b, long c, long d, long e, long f)')
  return {
    koffi,
    mmap: lib.func('uintptr_t mmap(uintptr_t a, size_t n, int prot, int flags, int fd, int64_t offset)'),
    munmap: lib.func('int munmap(uintptr_t a, size_t n)'),
    madvise: lib.func('int madvise(uintptr_t a, size_t n, int advice)'),
    mprotect: lib.func('int mprotect(uintptr_t a, size_t n, int prot)'),
    // Variadic in C; the fifth word is looked at only with MREMAP_FIXED.
    mremap: lib.func('uintptr_t mremap(uintptr_t a, size_t old, size_t n, int flags, uintptr_t to)'),
    mlock: lib.func('int mlock(uintptr_t a, size_t n)'),
    munlock: lib.func('int munlock(uintptr_t a, size_t n)'),
    mincore: lib.func('int mincore(uintptr_t a, size_t n, uintptr_t vec)'),
    ioctl: lib.func('int ioctl(int fd, unsigned long request, uintptr_t argument)'),
    read: lib.func('intptr_t read(int fd, uintptr_t buffer, size_t n)'),
    write: lib.func('intptr_t write(int fd, uintptr_t buffer, size_t n)'),
    pread: lib.func('intptr_t pread(int fd, uintptr_t buffer, size_t n, int64_t offset)'),
    poll: lib.func('int poll(uintptr_t fds, unsigned long n, int timeout)'),
    recv: lib.func('intptr_t recv(int fd, uintptr_t buffer, size_t n, int flags)'),
    writev: lib.func('intptr_t writev(int fd, uintptr_t vector, int n)'),
    close: lib.func('int close(int fd)'),
    ftruncate: lib.func('int ftruncate(int fd, int64_t n)'),
    socket: lib.func('int socket(int domain, int type, int protocol)'),
    bind: lib.func('int bind(int fd, uintptr_t address, unsigned int n)'),
    listen: lib.func('int listen(int fd, int backlog)'),
    accept: lib.func('int accept4(int fd, uintptr_t address, uintptr_t n, int flags)'),
    getsockname: lib.func('int getsockname(int fd, uintptr_t address, uintptr_t n)'),
    connect: lib.func('int connect(int fd, uintptr_t address, unsigned int n)'),
    shutdown: lib.func('int shutdown(int fd, int how)'),
    setsockopt: lib.func('int setsockopt(int fd, int level, int name, uintptr_t value, unsigned int n)'),
    clockGettime: lib.func('int clock_gettime(int clock, uintptr_t time)'),
    // Variadic in C.
    prctl: lib.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)'),
    fcntl: lib.func('int fcntl(int fd, int command, uintptr_t argument)'),
    memcpy: lib.func('uintptr_t memcpy(uintptr_t to, uintptr_t from, size_t n)'),
    userfaultfd: (flags) => Number(syscall(userfaultfdNr, flags, 0, 0, 0, 0, 0)),
    schedSetaffinity: lib.func('int sched_setaffinity(int tid, size_t n, uintptr_t mask)'),
    memfdCreate: lib.func('int memfd_create(const char *name, unsigned int flags)'),
    futex: (address, operation, value, timeout) => Number(syscall(futexNr, address, operation, value, timeout, 0, 0)),
    gettid: () => Number(syscall(gettidNr, 0, 0, 0, 0, 0, 0)),
    errno: () => koffi.errno(),
  } as Libc
}

/** What mmap and mremap answer where they fail, which koffi hands over as a number or a BigInt too large for an address. */
export function isMapFailed(address: number | bigint): boolean {
  return address >= 2 ** 63
}

// Where two names share a number, the first is the usual one: EAGAIN, not EWOULDBLOCK.
const NAME_OF_ERRNO = new Map(
  Object.entries(constants.errno)
    .reverse()
    .map(([name, value]) => [value, name]),
)

// Node knows no name for it.
NAME_OF_ERRNO.set(133, 'EHWPOISON')

export function errnoName(errno: number): string {
  return NAME_OF_ERRNO.get(errno) ?? `errno ${errno}`
}

/** Throws KernelError where a call answered -1. */
export function checked(result: number, call: string): number {
  if (result >= 0) return result
  const errno = libc().errno()
  throw new KernelError(call, errno, errnoName(errno))
}
