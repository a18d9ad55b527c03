/**
 * What each call of the vocabulary is on the host: orders for a puppet, one after the other, and their answers as an Outcome.
 *
 * A call is a generator: it yields an order and is given the answer. Structures and buffers lie in the room of the puppet's slot.
 * What a structure's result field holds is told only where the kernel wrote it, or the case had put something there.
 * Pairs with kernel_world.ts, which runs the orders, and with core/conform/model_calls.ts.
 */
import type { CallStep } from '../../../core/conform/case.ts'
import { Given } from '../../../core/conform/given.ts'
import type { Names } from '../../../core/conform/names.ts'
import { type Message, type Outcome, outcomeOf } from '../../../core/conform/outcome.ts'
import * as words from '../../../core/conform/vocabulary.ts'
import { errnoName } from '../sys/libc.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import { Place, type Struct } from '../sys/struct.ts'
import {
  PollFd,
  UFFDIO,
  UffdioApi,
  UffdioContinue,
  UffdioCopy,
  UffdioMove,
  UffdioPoison,
  UffdioRange,
  UffdioRegister,
  UffdioWriteprotect,
  UffdioZeropage,
  UffdMsg,
} from '../sys/uapi.ts'
import { observe } from './kernel_observers.ts'
import type { Puppet } from './puppets.ts'
import type { Answer, Order } from './slot.ts'

export type Orders<T> = Generator<Order, T, Answer>

/** What calls need of their world. */
export interface CallWorld {
  readonly names: Names
  actorOfThread(tid: number): string | null
  /** Orders for a fork, and the child as an actor of that name. */
  fork(child: string): Orders<number>
}

/** Numbers of system calls on x86-64. */
export const NR = {
  read: 0,
  write: 1,
  open: 2,
  close: 3,
  poll: 7,
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  ioctl: 16,
  mremap: 25,
  mincore: 27,
  madvise: 28,
  ftruncate: 77,
  exit_group: 231,
  pipe2: 293,
  process_vm_readv: 310,
  memfd_create: 319,
  userfaultfd: 323,
  mlock2: 325,
} as const

const MLOCK_ONFAULT = 1
const SIGNAL: Readonly<Record<number, string>> = { 7: 'SIGBUS', 11: 'SIGSEGV' }
/** In a slot's room: structures first, then a buffer. */
const BUFFER_AT = 0x1000
/** What a result field holds before a call that the case says nothing of. */
const UNTOUCHED = 0x5a5a5a5a5a

export const call = (number: number, ...given: readonly number[]): Order => ({ what: 'call', number, arguments: given })

export function* callOnKernel(world: CallWorld, puppet: Puppet, step: CallStep): Orders<Outcome> {
  const given = new Given(world.names, step)
  return (
    (yield* accessMemory(puppet, given)) ??
    (yield* callKernel(world, puppet, given)) ??
    (yield* callUffd(world, puppet, given)) ??
    observe(puppet, given)
  )
}

/** Accesses of user code; null for another call. */
function* accessMemory({ slot }: Puppet, given: Given): Orders<Outcome | null> {
  const at = given.amount('at')
  const value = given.amount('value', 0)
  switch (given.step.call) {
    case 'load':
      return touched(yield { what: 'load', arguments: [at] }, ({ result }) => ({ content: result }))
    case 'store':
      return touched(yield { what: 'store', arguments: [at, value] })
    case 'fill':
      return touched(yield { what: 'fill', arguments: [at, value, given.amount('pages', 1) * PAGE_BYTES] })
    case 'spin':
      return touched(yield { what: 'spin', arguments: [at, 0, given.amount('times')] })
    case 'inspect': {
      const page = at - (at % PAGE_BYTES)
      return touched(yield { what: 'copy', arguments: [page, slot.roomAddress + BUFFER_AT, PAGE_BYTES] }, () => {
        const bytes = new Uint8Array(slot.room.buffer, slot.room.byteOffset + BUFFER_AT, PAGE_BYTES)
        const first = bytes[0] ?? 0
        return { content: bytes.every((byte) => byte === first) ? first : 'mixed' }
      })
    }
    default:
      return null
  }
}

function touched(answer: Answer, more: (answer: Answer) => Partial<Outcome> = () => ({})): Outcome {
  const { signal } = answer
  if (signal === null) return outcomeOf(more(answer))
  const name = SIGNAL[signal.number] ?? `signal ${signal.number}`
  return outcomeOf({ signal: { name, code: signal.code, address: signal.address } })
}

/** A result of a system call: a value, or a negated errno. */
function returned({ result }: Answer, more: () => Partial<Outcome> = () => ({})): Outcome {
  return result < 0 ? outcomeOf({ errno: errnoName(-result) }) : outcomeOf({ ret: result, ...more() })
}

/** Memory calls; null for another call. */
function* callKernel(world: CallWorld, { slot, pid }: Puppet, given: Given): Orders<Outcome | null> {
  const at = given.amount('at', 0)
  const length = given.amount('length')
  const buffer = slot.roomAddress + BUFFER_AT
  switch (given.step.call) {
    case 'mmap': {
      const flags = given.bits('flags', words.MAP) + words.MAP.ANONYMOUS
      return returned(yield call(NR.mmap, at, length, given.bits('prot', words.PROT), flags, -1, 0))
    }
    case 'munmap':
      return returned(yield call(NR.munmap, at, length))
    case 'mprotect':
      return returned(yield call(NR.mprotect, at, length, given.bits('prot', words.PROT)))
    case 'mremap': {
      const flags = given.bits('flags', words.MREMAP)
      return returned(yield call(NR.mremap, at, length, given.amount('newLength'), flags, given.amount('to', 0)))
    }
    case 'madvise':
      return returned(yield call(NR.madvise, at, length, words.MADV[given.word('advice')] ?? Number.NaN))
    case 'mlock':
      return returned(yield call(NR.mlock2, at, length, MLOCK_ONFAULT))
    case 'mincore':
      return returned(yield call(NR.mincore, at, length, buffer), () => {
        const bytes = new Uint8Array(slot.room.buffer, slot.room.byteOffset + BUFFER_AT, Math.ceil(length / PAGE_BYTES))
        return { fields: { vec: [...bytes].map((byte) => byte & 1) } }
      })
    case 'write': {
      yield call(NR.pipe2, slot.roomAddress, 0)
      const [reader, writer] = [slot.room.getInt32(0, true), slot.room.getInt32(4, true)]
      const answer = yield call(NR.write, writer, at, length)
      yield call(NR.close, reader)
      yield call(NR.close, writer)
      return returned(answer)
    }
    case 'process_vm_readv': {
      const { room, roomAddress } = slot
      for (const [i, value] of [buffer, length, at, length].entries()) room.setBigUint64(8 * i, BigInt(value), true)
      return returned(yield call(NR.process_vm_readv, pid, roomAddress, 1, roomAddress + 16, 1, 0))
    }
    case 'fork': {
      const result = yield* world.fork(given.word('child'))
      return result < 0 ? outcomeOf({ errno: errnoName(-result) }) : outcomeOf({})
    }
    case 'exit':
      yield call(NR.exit_group, 0)
      return outcomeOf({})
    case 'close':
      yield call(NR.close, descriptorOf(given))
      return outcomeOf({})
    default:
      return null
  }
}

/** Calls on a userfaultfd; null for another call. */
function* callUffd(world: CallWorld, puppet: Puppet, given: Given): Orders<Outcome | null> {
  const { slot } = puppet
  const length = given.amount('length')
  const range = () => ({ start: given.amount('start'), len: length })
  const pages = () => ({ dst: given.amount('dst'), src: given.amount('src'), len: length })
  switch (given.step.call) {
    case 'userfaultfd': {
      const { result } = yield call(NR.userfaultfd, given.bits('flags', words.UFFD_OPEN))
      return result < 0 ? outcomeOf({ errno: errnoName(-result) }) : outcomeOf({ descriptor: result })
    }
    case 'uffdio_api':
      return yield* handshake(puppet, given)
    case 'uffdio_register':
      return yield* ioctl(puppet, given, UFFDIO.REGISTER, UffdioRegister, {
        ...range(),
        mode: given.bits('mode', words.REGISTER_MODE),
      })
    case 'uffdio_unregister':
      return yield* ioctl(puppet, given, UFFDIO.UNREGISTER, UffdioRange, range())
    case 'uffdio_wake':
      return yield* ioctl(puppet, given, UFFDIO.WAKE, UffdioRange, range())
    case 'uffdio_copy':
      return yield* ioctl(puppet, given, UFFDIO.COPY, UffdioCopy, { ...pages(), mode: given.bits('mode', words.COPY_MODE) })
    case 'uffdio_zeropage':
      return yield* ioctl(puppet, given, UFFDIO.ZEROPAGE, UffdioZeropage, {
        ...range(),
        mode: given.bits('mode', words.WAKE_MODE),
      })
    case 'uffdio_move':
      return yield* ioctl(puppet, given, UFFDIO.MOVE, UffdioMove, { ...pages(), mode: given.bits('mode', words.MOVE_MODE) })
    case 'uffdio_poison':
      return yield* ioctl(puppet, given, UFFDIO.POISON, UffdioPoison, {
        ...range(),
        mode: given.bits('mode', words.WAKE_MODE),
      })
    case 'uffdio_continue':
      return yield* ioctl(puppet, given, UFFDIO.CONTINUE, UffdioContinue, {
        ...range(),
        mode: given.bits('mode', words.COPY_MODE),
      })
    case 'uffdio_writeprotect': {
      const mode = given.bits('mode', words.WRITEPROTECT_MODE)
      return yield* ioctl(puppet, given, UFFDIO.WRITEPROTECT, UffdioWriteprotect, { ...range(), mode })
    }
    case 'read':
      return returned(yield call(NR.read, descriptorOf(given), slot.roomAddress + BUFFER_AT, given.amount('size')), () => ({
        messages: messagesIn(world, puppet),
      }))
    case 'poll': {
      const set = new Place(PollFd, slot.roomAddress, slot.memory, slot.room.byteOffset)
      set.set('fd', descriptorOf(given))
      set.set('events', words.POLL.POLLIN)
      const answer = yield call(NR.poll, set.address, 1, 0)
      return returned(answer, () => ({ fields: { revents: words.namesIn(set.get('revents'), words.POLL) } }))
    }
    default:
      return null
  }
}

function descriptorOf(given: Given): number {
  const { descriptor } = given
  if (typeof descriptor !== 'number') throw new Error(`${given.word('fd')} is no descriptor`)
  return descriptor
}

/** UFFDIO_API, which writes all of its structure whatever it answers. */
function* handshake({ slot }: Puppet, given: Given): Orders<Outcome> {
  const api = new Place(UffdioApi, slot.roomAddress, slot.memory, slot.room.byteOffset)
  api.set('api', given.amount('api'))
  api.setBits('features', featureMask(given.list('features')))
  api.set('ioctls', 0)
  const answer = yield call(NR.ioctl, descriptorOf(given), UFFDIO.API, api.address)
  const fields = {
    api: api.get('api'),
    features: words.bitNames(api.bits('features'), words.FEATURE_BITS),
    ioctls: words.bitNames(api.bits('ioctls'), words.IOCTL_BITS),
  }
  return { ...returned(answer), fields }
}

export function featureMask(names: readonly string[]): bigint {
  return names.reduce((mask, name) => mask | (1n << BigInt(words.FEATURE_BITS[name] ?? 0)), 0n)
}

const RESULT_FIELDS: readonly string[] = ['ioctls', ...Object.values(words.RESULT_FIELD)]

function* ioctl<F extends string>(
  { slot }: Puppet,
  given: Given,
  request: number,
  struct: Struct<F>,
  values: Readonly<Partial<Record<F, number>>>,
): Orders<Outcome> {
  const place = new Place(struct, slot.roomAddress, slot.memory, slot.room.byteOffset)
  const names = Object.keys(struct.kinds) as F[]
  for (const name of names) place.set(name, values[name] ?? given.amount('field', UNTOUCHED))
  const answer = yield call(NR.ioctl, descriptorOf(given), request, place.address)
  const fields: Record<string, number | readonly string[]> = {}
  for (const name of names) {
    if (!RESULT_FIELDS.includes(name) || place.get(name) === UNTOUCHED) continue
    fields[name] = name === 'ioctls' ? words.bitNames(place.bits(name), words.IOCTL_BITS) : place.get(name)
  }
  return { ...returned(answer), fields }
}

/** What read(2) put into the room. */
function messagesIn(world: CallWorld, { slot }: Puppet): readonly Message[] {
  const count = slot.answer.result / UffdMsg.size
  return Array.from({ length: count }, (_, i) => {
    const at = BUFFER_AT + i * UffdMsg.size
    return messageOf(world, new Place(UffdMsg, slot.roomAddress + at, slot.memory, slot.room.byteOffset + at))
  })
}

function messageOf(world: CallWorld, message: Place<'event' | 'word0' | 'word1' | 'word2'>): Message {
  const [word0, word1, word2] = [message.get('word0'), message.get('word1'), message.get('word2')]
  switch (message.get('event')) {
    case words.EVENT.PAGEFAULT:
      return {
        event: 'PAGEFAULT',
        flags: words.namesIn(word0, words.FAULT_FLAG),
        address: word1,
        thread: world.actorOfThread(word2 % 2 ** 32),
      }
    case words.EVENT.FORK:
      return { event: 'FORK', descriptor: word0 % 2 ** 32 }
    case words.EVENT.REMAP:
      return { event: 'REMAP', from: word0, to: word1, length: word2 }
    case words.EVENT.REMOVE:
      return { event: 'REMOVE', start: word0, end: word1 }
    case words.EVENT.UNMAP:
      return { event: 'UNMAP', start: word0, end: word1 }
    default:
      throw new Error(`an event ${message.get('event')} that is not known`)
  }
}
