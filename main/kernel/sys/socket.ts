/**
 * Stream sockets between processes of this host: abstract Unix names, which no file stands for, and reads and writes that block a little.
 *
 * A name is taken by `listenAt` and gone with the descriptor. Reads and writes end after WAIT_MS without a byte, so that a thread that
 * sleeps in one can look whether it is still wanted. Nobody closes a descriptor that another thread may use: `cut` shuts it down, and
 * its number stays taken.
 *
 * Source: man 7 unix, socket; man 2 accept4, writev.
 */
import { Arena } from './arena.ts'
import { KernelError } from './errors.ts'
import { checked, errnoName, libc } from './libc.ts'
import { struct } from './struct.ts'

const AF_UNIX = 1
const SOCK = { stream: 1, nonBlock: 0o4000, cloExec: 0o2000000 } as const
const SOL_SOCKET = 1
const SO = { rcvTimeo: 20, sndTimeo: 21 } as const
const SHUT_RDWR = 2
const WAIT_MS = 50
const MOST_NAME_BYTES = 107

const Timeval = struct('timeval', 16, { seconds: 'u64', microseconds: 'u64' })

/** Two words: where, and how many bytes. @kernel struct iovec */
export const IOVEC_BYTES = 16

/** What a read or write of a connection came to, below 0. */
export const Transfer = {
  /** Nothing for now. */
  later: -1,
  /** The other end is gone. */
  broken: -2,
} as const

/** Waits for connections at an abstract name. Throws KernelError. */
export function listenAt(name: string): number {
  const fd = checked(libc().socket(AF_UNIX, SOCK.stream | SOCK.cloExec | SOCK.nonBlock, 0), 'socket')
  withAddress(name, (address, length) => checked(libc().bind(fd, address, length), 'bind'))
  checked(libc().listen(fd, 4), 'listen')
  return fd
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
export function connectTo(name: string): number | null {
  const fd = checked(libc().socket(AF_UNIX, SOCK.stream | SOCK.cloExec, 0), 'socket')
  const result = withAddress(name, (address, length) => libc().connect(fd, address, length))
  if (result < 0) {
    libc().close(fd)
    return null
  }
  setTimeouts(fd)
  return fd
}

/** Ends both directions, for every thread that uses it. */
export function cut(fd: number): void {
  libc().shutdown(fd, SHUT_RDWR)
}

/** Bytes read; Transfer where none were. */
export function readSome(fd: number, address: number, length: number): number {
  const bytes = libc().read(fd, address, length)
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

function setTimeouts(fd: number): void {
  const arena = new Arena(4096)
  const time = arena.place(Timeval)
  time.set('microseconds', WAIT_MS * 1000)
  checked(libc().setsockopt(fd, SOL_SOCKET, SO.rcvTimeo, time.address, Timeval.size), 'setsockopt')
  checked(libc().setsockopt(fd, SOL_SOCKET, SO.sndTimeo, time.address, Timeval.size), 'setsockopt')
  arena.free()
}

/** sockaddr_un: the family, a zero byte that makes it abstract, the name. */
function withAddress(name: string, use: (address: number, length: number) => number): number {
  if (name.length > MOST_NAME_BYTES) throw new RangeError(`a name of ${name.length} bytes is longer than ${MOST_NAME_BYTES}`)
  const arena = new Arena(4096)
  const { address, bytes } = arena.bytes(3 + name.length)
  bytes[0] = AF_UNIX
  for (let i = 0; i < name.length; i++) bytes[3 + i] = name.charCodeAt(i)
  try {
    return use(address, bytes.length)
  } finally {
    arena.free()
  }
}
