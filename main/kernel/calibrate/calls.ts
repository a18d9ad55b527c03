/**
 * Calls of the C library that only a calibration makes: pin a thread to a CPU, pipes and sockets, and calls that do next to nothing.
 *
 * `abs` costs what it costs to get from here into C and back, `getppid` that and one system call.
 *
 * Source: man 2 sched_setaffinity, pipe, socketpair, socket, getppid; man 7 ip
 */
import { Arena } from '../sys/arena.ts'
import { checked, libc } from '../sys/libc.ts'

const AF = { unix: 1, inet: 2 } as const
const SOCK_STREAM = 1
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
const SOCKADDR_IN_BYTES = 16
const AFFINITY_BYTES = 128

export interface Calls {
  abs(value: number): number
  getppid(): number
  memset(address: number, byte: number, length: number): number
  /** The thread that asks runs on these CPUs alone from here on. */
  pin(cpus: readonly number[]): void
  /** Read end and write end. */
  pipe(): readonly [number, number]
  unixPair(): readonly [number, number]
  /** Both ends of a TCP connection on the loopback, without Nagle's delay. */
  tcpPair(): readonly [number, number]
}

export function makeCalls(): Calls {
  const lib = libc().koffi.load(null)
  const setaffinity = lib.func('int sched_setaffinity(int pid, size_t n, uintptr_t mask)')
  const pipe = lib.func('int pipe(uintptr_t fds)')
  const socketpair = lib.func('int socketpair(int domain, int type, int protocol, uintptr_t fds)')
  const socket = lib.func('int socket(int domain, int type, int protocol)')
  const bind = lib.func('int bind(int fd, uintptr_t address, unsigned int n)')
  const listen = lib.func('int listen(int fd, int backlog)')
  const getsockname = lib.func('int getsockname(int fd, uintptr_t address, uintptr_t n)')
  const connect = lib.func('int connect(int fd, uintptr_t address, unsigned int n)')
  const accept = lib.func('int accept(int fd, uintptr_t address, uintptr_t n)')
  const setsockopt = lib.func('int setsockopt(int fd, int level, int name, uintptr_t value, unsigned int n)')
  const scratch = new Arena(4096)
  const mask = scratch.bytes(AFFINITY_BYTES)
  const fds = scratch.bytes(8)
  const address = scratch.bytes(SOCKADDR_IN_BYTES)
  const length = scratch.bytes(4)
  const word = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer, bytes.byteOffset).getInt32(at, true)
  const pair = (): readonly [number, number] => [word(fds.bytes, 0), word(fds.bytes, 4)]
  const noDelay = (fd: number) => {
    length.bytes.set([1, 0, 0, 0])
    checked(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, length.address, 4), 'setsockopt')
    return fd
  }
  return {
    abs: lib.func('int abs(int value)'),
    getppid: lib.func('int getppid()'),
    memset: lib.func('uintptr_t memset(uintptr_t a, int byte, size_t n)'),
    pin(cpus) {
      mask.bytes.fill(0)
      for (const cpu of cpus) mask.bytes[cpu >> 3] = (mask.bytes[cpu >> 3] ?? 0) | (1 << (cpu & 7))
      checked(setaffinity(0, AFFINITY_BYTES, mask.address), 'sched_setaffinity')
    },
    pipe() {
      checked(pipe(fds.address), 'pipe')
      return pair()
    },
    unixPair() {
      checked(socketpair(AF.unix, SOCK_STREAM, 0, fds.address), 'socketpair')
      return pair()
    },
    tcpPair() {
      const server = checked(socket(AF.inet, SOCK_STREAM, 0), 'socket')
      // 127.0.0.1, a port that the kernel chooses.
      address.bytes.fill(0)
      address.bytes.set([AF.inet, 0, 0, 0, 127, 0, 0, 1])
      checked(bind(server, address.address, SOCKADDR_IN_BYTES), 'bind')
      checked(listen(server, 1), 'listen')
      length.bytes.set([SOCKADDR_IN_BYTES, 0, 0, 0])
      checked(getsockname(server, address.address, length.address), 'getsockname')
      const client = checked(socket(AF.inet, SOCK_STREAM, 0), 'socket')
      checked(connect(client, address.address, SOCKADDR_IN_BYTES), 'connect')
      const accepted = checked(accept(server, 0, 0), 'accept')
      libc().close(server)
      return [noDelay(client), noDelay(accepted)]
    },
  }
}
