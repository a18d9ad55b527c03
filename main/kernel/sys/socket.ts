/**
 * Stream sockets between processes of this host: abstract Unix names, which no file stands for, or TCP on the loopback; and reads and
 * writes that block a little.
 *
 * A name or port is taken by `listenAt` and gone with the descriptor. Reads and writes end after WAIT_MS without a byte, so that a thread
 * that sleeps in one can look whether it is still wanted; so does a connection that nobody takes. Nobody closes a descriptor that another
 * thread may use: `cut` shuts it down, and its number stays taken. `hangUp` is for those that nobody else knows.
 *
 * TCP goes without Nagle's delay: requests and pages that somebody waits for are small, and each waits for the other.
 *
 * Source: man 7 unix, ip, tcp, socket; man 2 accept4, writev, recv.
 */
import { Arena } from './arena.ts'
import { KernelError } from './errors.ts'
import { checked, errnoName, libc } from './libc.ts'
import { struct } from './struct.ts'

const AF = { unix: 1, inet: 2 } as const
const SOCK = { stream: 1, nonBlock: 0o4000, cloExec: 0o2000000 } as const
const SOL_SOCKET = 1
const SO = { rcvTimeo: 20, sndTimeo: 21 } as const
const IPPROTO_TCP = 6
const TCP_NODELAY = 1
const MSG_DONTWAIT = 0x40
const SHUT_RDWR = 2
const WAIT_MS = 50
const BACKLOG = 16
const MOST_NAME_BYTES = 107
const LOOPBACK = [127, 0, 0, 1]
const SOCKADDR_IN_BYTES = 16

const Timeval = struct('timeval', 16, { seconds: 'u64', microseconds: 'u64' })
const Int = struct('int', 4, { value: 's32' })

/** Two words: where, and how many bytes. @kernel struct iovec */
export const IOVEC_BYTES = 16

/** Where somebody listens: an abstract name, or a port of 127.0.0.1; 0: one that the kernel chooses. */
export type Endpoint = { readonly name: string } | { readonly port: number }

/** What a read or write of a connection came to, below 0. */
export const Transfer = {
  /** Nothing for now. */
  later: -1,
  /** The other end is gone. */
  broken: -2,
} as const

/** Waits for connections. Throws KernelError. */
export function listenAt(endpoint: Endpoint): number {
  const fd = open(endpoint, SOCK.nonBlock)
  withAddress(endpoint, (address, length) => checked(libc().bind(fd, address, length), 'bind'))
  checked(libc().listen(fd, BACKLOG), 'listen')
  return fd
}

/** The port that a TCP socket listens at. */
export function portOf(listener: number): number {
  const arena = new Arena(4096)
  const { address, bytes } = arena.bytes(SOCKADDR_IN_BYTES)
  const length = arena.place(Int)
  length.set('value', SOCKADDR_IN_BYTES)
  checked(libc().getsockname(listener, address, length.address), 'getsockname')
  const port = (bytes[2] as number) * 256 + (bytes[3] as number)
  arena.free()
  return port
}

/** The next connection, or null: there is none yet. */
export function acceptFrom(listener: number): number | null {
  const fd = libc().accept(listener, 0, 0, SOCK.cloExec)
  if (fd < 0) {
    const code = errnoName(libc().errno())
    if (code === 'EAGAIN' || code === 'EINTR' || code === 'ECONNABORTED') return null
    throw new KernelError('accept4', libc().errno(), code)
  }
  setTimeouts(fd)
  return fd
}

/** Null: nobody listens there, or not now. */
export function connectTo(endpoint: Endpoint): number | null {
  const fd = open(endpoint, 0)
  setTimeouts(fd)
  const result = withAddress(endpoint, (address, length) => libc().connect(fd, address, length))
  if (result >= 0) return fd
  libc().close(fd)
  return null
}

/** Ends both directions, for every thread that uses it. */
export function cut(fd: number): void {
  libc().shutdown(fd, SHUT_RDWR)
}

/** Of a descriptor that no other thread knows. */
export function hangUp(fd: number): void {
  libc().close(fd)
}

/** Bytes read; Transfer where none were. */
export function readSome(fd: number, address: number, length: number): number {
  return received(libc().read(fd, address, length))
}

/** As readSome, without waiting for the first. */
export function readNow(fd: number, address: number, length: number): number {
  return received(libc().recv(fd, address, length, MSG_DONTWAIT))
}

function received(bytes: number): number {
  if (bytes > 0) return bytes
  return bytes === 0 ? Transfer.broken : reasonOf()
}

/** Bytes written of `count` iovecs; Transfer where none were. */
export function writeSome(fd: number, vector: number, count: number): number {
  const bytes = libc().writev(fd, vector, count)
  return bytes >= 0 ? bytes : reasonOf()
}

function reasonOf(): number {
  const code = errnoName(libc().errno())
  return code === 'EAGAIN' || code === 'EINTR' ? Transfer.later : Transfer.broken
}

function open(endpoint: Endpoint, flags: number): number {
  const domain = 'name' in endpoint ? AF.unix : AF.inet
  const fd = checked(libc().socket(domain, SOCK.stream | SOCK.cloExec | flags, 0), 'socket')
  if (domain === AF.inet) setNoDelay(fd)
  return fd
}

/** A listener hands it on to the connections that it takes. */
function setNoDelay(fd: number): void {
  const arena = new Arena(4096)
  const one = arena.place(Int)
  one.set('value', 1)
  checked(libc().setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, one.address, Int.size), 'setsockopt')
  arena.free()
}

function setTimeouts(fd: number): void {
  const arena = new Arena(4096)
  const time = arena.place(Timeval)
  time.set('microseconds', WAIT_MS * 1000)
  checked(libc().setsockopt(fd, SOL_SOCKET, SO.rcvTimeo, time.address, Timeval.size), 'setsockopt')
  checked(libc().setsockopt(fd, SOL_SOCKET, SO.sndTimeo, time.address, Timeval.size), 'setsockopt')
  arena.free()
}

function withAddress(endpoint: Endpoint, use: (address: number, length: number) => number): number {
  const wanted = 'name' in endpoint ? unixAddress(endpoint.name) : inetAddress(endpoint.port)
  const arena = new Arena(4096)
  const { address, bytes } = arena.bytes(wanted.length)
  bytes.set(wanted)
  try {
    return use(address, bytes.length)
  } finally {
    arena.free()
  }
}

/** The family, a zero byte that makes it abstract, the name. @kernel struct sockaddr_un */
function unixAddress(name: string): number[] {
  if (name.length > MOST_NAME_BYTES) throw new RangeError(`a name of ${name.length} bytes is longer than ${MOST_NAME_BYTES}`)
  return [AF.unix, 0, 0, ...Array.from(name, (letter) => letter.charCodeAt(0))]
}

/** The family, the port with its high byte first, 127.0.0.1, and zeros. @kernel struct sockaddr_in */
function inetAddress(port: number): number[] {
  return [AF.inet, 0, port >> 8, port & 0xff, ...LOOPBACK, 0, 0, 0, 0, 0, 0, 0, 0]
}
