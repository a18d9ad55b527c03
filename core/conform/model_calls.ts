/**
 * What each call of the vocabulary is on the model: words and names to numbers, a system call, its answer as an Outcome.
 *
 * A signal ends the call with the address that was touched and the code that the kernel would give: SEGV_MAPERR where there
 * is no area, SEGV_ACCERR where it does not allow the access, BUS_ADRERR. Pairs with vocabulary.ts.
 */
import { fail } from '../base/assert.ts'
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { type Process, SignalError } from '../machine/process.ts'
import {
  addressOf,
  errnoName,
  type IoctlResult,
  MLOCK_ONFAULT,
  sys,
  type UffdMessage,
  Userfaultfd2014,
} from '../machine/syscall.ts'
import { Userfaultfd } from '../mm/userfaultfd.ts'
import { shrinkPage } from '../mm/vmscan.ts'
import type { CallStep } from './case.ts'
import { Given } from './given.ts'
import { fillPage, inspectPage, loadByte, spinOnPage, storeByte } from './model_memory.ts'
import { observe } from './model_observers.ts'
import { featureMask } from './model_setup.ts'
import type { Actor, ModelWorld } from './model_world.ts'
import { type Message, type Outcome, outcomeOf } from './outcome.ts'
import * as words from './vocabulary.ts'

/** A step's arguments, and the model's descriptors. */
export class ModelGiven extends Given {
  uffd(): Userfaultfd {
    const { descriptor } = this
    return descriptor instanceof Userfaultfd ? descriptor : fail(`${this.word('fd')} is no userfault descriptor`)
  }

  uffd2014(): Userfaultfd2014 {
    const found = this.uffd()
    return found instanceof Userfaultfd2014 ? found : fail(`${this.word('fd')} is no descriptor of 2014`)
  }
}

export function* callOnModel(world: ModelWorld, actor: Actor, step: CallStep): Proc<Outcome> {
  const given = new ModelGiven(world.names, step)
  try {
    return (yield* accessMemory(actor, given)) ?? (yield* callKernel(world, actor, given)) ?? observe(world, actor, given)
  } catch (error) {
    if (!(error instanceof SignalError) || error.signal === 'oom') throw error
    return outcomeOf({ signal: signalOf(error, actor, given.amount('at')) })
  }
}

function signalOf(error: SignalError, { process }: Actor, touched: number): Outcome['signal'] {
  const start = addressOf(error.page)
  const address = touched >= start && touched < start + 4096 ? touched : start
  if (error.signal === 'sigbus') return { name: 'SIGBUS', code: 2, address }
  const vma = process.mm.tree.walk(error.page)
  return { name: 'SIGSEGV', code: vma?.contains(error.page) === true ? 2 : 1, address }
}

/** Accesses of user code; null for another call. */
function* accessMemory({ thread: k, process: p }: Actor, given: ModelGiven): Proc<Outcome | null> {
  const at = given.amount('at')
  switch (given.step.call) {
    case 'load':
      return outcomeOf({ content: yield* loadByte(k, p, at) })
    case 'store':
      yield* storeByte(k, p, at, given.amount('value'))
      return outcomeOf({})
    case 'inspect':
      return outcomeOf({ content: yield* inspectPage(k, p, at) })
    case 'fill':
      for (let i = 0; i < given.amount('pages', 1); i++)
        yield* fillPage(k, p, (at - addressOf(0)) / 4096 + i, given.amount('value'))
      return outcomeOf({})
    case 'spin':
      yield* spinOnPage(k, p, at, given.amount('times'))
      return outcomeOf({})
    default:
      return null
  }
}

/** System calls; null for what only looks. */
function* callKernel(world: ModelWorld, actor: Actor, given: ModelGiven): Proc<Outcome | null> {
  const { thread: k, process: p } = actor
  const at = given.amount('at', 0)
  const length = given.amount('length')
  switch (given.step.call) {
    case 'mmap': {
      const flags = given.bits('flags', words.MAP) + words.MAP.ANONYMOUS
      return returned(yield* sys.mmap(k, p, length, given.bits('prot', words.PROT), flags, at))
    }
    case 'munmap':
      return returned(yield* sys.munmap(k, p, at, length))
    case 'mprotect':
      return returned(yield* sys.mprotect(k, p, at, length, given.bits('prot', words.PROT)))
    case 'mremap': {
      const flags = given.bits('flags', words.MREMAP)
      return returned(yield* sys.mremap(k, p, at, length, given.amount('newLength'), flags, given.amount('to', 0)))
    }
    case 'madvise': {
      const advice = { ...words.MADV, ...words.MADV_2014 }[given.word('advice')] ?? fail(`unknown advice ${given.word('advice')}`)
      return returned(yield* sys.madvise(k, p, at, length, advice))
    }
    case 'mlock':
      return returned(yield* sys.mlock(k, p, at, length, MLOCK_ONFAULT))
    case 'mincore': {
      const vec = yield* sys.mincore(k, p, at, length)
      return typeof vec === 'number' ? returned(vec) : outcomeOf({ ret: 0, fields: { vec: vec.map(Number) } })
    }
    case 'write':
      return returned(yield* sys.write(k, p, at, length))
    case 'process_vm_readv':
      return returned(yield* sys.processVmReadv(k, p, at, length))
    case 'fork': {
      const child = yield* sys.fork(k, p)
      world.processes.push(child)
      world.addActor(given.word('child'), child)
      return outcomeOf({})
    }
    case 'exit':
      yield* sys.exit(k, p)
      return outcomeOf({})
    case 'close':
      yield* sys.close(k, given.uffd())
      return outcomeOf({})
    case 'remap_anon_pages': {
      const flags = given.bits('flags', words.REMAP_ANON_PAGES)
      return returned(yield* sys.remapAnonPages(k, p, given.amount('dst'), given.amount('src'), length, flags))
    }
    case 'swap_out':
      return outcomeOf({ fields: { swapped: (yield* swapOut(k, p, given.amount('at'))) ? 1 : 0 } })
    case 'userfaultfd_2014':
      return outcomeOf({ descriptor: sys.userfaultfd2014(p) })
    case 'write_protocol':
      return returned(given.uffd2014().writeProtocol(given.amount('number')))
    case 'read_address':
      return returned(yield* given.uffd2014().readAddress(k))
    case 'write_range':
      return returned(yield* given.uffd2014().writeRange(k, given.amount('start'), given.amount('end')))
    default:
      return yield* callUffd(world, actor, given)
  }
}

/** What memory pressure does to a page in the end: its second chance, then out. */
function* swapOut(k: Thread, process: Process, address: number): Proc<boolean> {
  const { kernel } = process.machine
  const pfn = sys.frameAt(process, address)
  if (pfn < 0) return false
  // Isolated, as reclaim does, so that nobody frees it under the scan.
  kernel.pages.get(pfn)
  const out = (yield* shrinkPage(k, kernel, pfn)) || (yield* shrinkPage(k, kernel, pfn))
  kernel.pages.put(pfn)
  return out
}

function* callUffd(world: ModelWorld, { thread: k, process: p }: Actor, given: ModelGiven): Proc<Outcome | null> {
  const start = given.amount('start')
  const length = given.amount('length')
  switch (given.step.call) {
    case 'userfaultfd': {
      const uffd = sys.userfaultfd(p, given.bits('flags', words.UFFD_OPEN))
      return typeof uffd === 'number' ? returned(uffd) : outcomeOf({ descriptor: uffd })
    }
    case 'uffdio_api':
      return ioctl(sys.uffdioApi(p, given.uffd(), given.amount('api'), featureMask(given.list('features'))), given)
    case 'uffdio_register':
      return ioctl(yield* sys.uffdioRegister(k, given.uffd(), start, length, given.bits('mode', words.REGISTER_MODE)), given)
    case 'uffdio_unregister':
      return ioctl(yield* sys.uffdioUnregister(k, given.uffd(), start, length), given)
    case 'uffdio_wake':
      return ioctl(yield* sys.uffdioWake(k, given.uffd(), start, length), given)
    case 'uffdio_copy': {
      const mode = given.bits('mode', words.COPY_MODE)
      return ioctl(yield* sys.uffdioCopy(k, p, given.uffd(), given.amount('dst'), given.amount('src'), length, mode), given)
    }
    case 'uffdio_zeropage':
      return ioctl(yield* sys.uffdioZeropage(k, given.uffd(), start, length, given.bits('mode', words.WAKE_MODE)), given)
    case 'uffdio_move': {
      const mode = given.bits('mode', words.MOVE_MODE)
      return ioctl(yield* sys.uffdioMove(k, p, given.uffd(), given.amount('dst'), given.amount('src'), length, mode), given)
    }
    case 'uffdio_poison':
      return ioctl(yield* sys.uffdioPoison(k, given.uffd(), start, length, given.bits('mode', words.WAKE_MODE)), given)
    case 'uffdio_continue':
      return ioctl(yield* sys.uffdioContinue(k, given.uffd(), start, length, given.bits('mode', words.COPY_MODE)), given)
    case 'uffdio_writeprotect':
      return ioctl(
        yield* sys.uffdioWriteprotect(k, given.uffd(), start, length, given.bits('mode', words.WRITEPROTECT_MODE)),
        given,
      )
    case 'read': {
      const { ret, messages } = yield* sys.uffdRead(k, given.uffd(), given.amount('size'))
      return returned(ret, { messages: messages.map((message) => messageOf(world, message)) })
    }
    case 'poll': {
      const revents = sys.uffdPoll(given.uffd())
      return outcomeOf({ ret: revents === 0 ? 0 : 1, fields: { revents: words.namesIn(revents, words.POLL) } })
    }
    default:
      return null
  }
}

/** A result of a system call: a value, or a negated errno. */
export function returned(result: number, more: Partial<Outcome> = {}): Outcome {
  return result < 0 ? outcomeOf({ errno: errnoName(result) }) : outcomeOf({ ret: result, ...more })
}

function ioctl({ ret, fields }: IoctlResult, given: ModelGiven): Outcome {
  const seen: Record<string, number | readonly string[]> = {}
  // What the kernel did not write is what the caller had put there.
  const field = words.RESULT_FIELD[given.step.call]
  if (field !== undefined && given.has('field')) seen[field] = given.amount('field')
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'features') seen[name] = words.bitNames(BigInt(value), words.FEATURE_BITS)
    else if (name === 'ioctls') seen[name] = words.bitNames(BigInt(value), words.IOCTL_BITS)
    else seen[name] = Number(value)
  }
  return { ...returned(ret), fields: seen }
}

function messageOf(world: ModelWorld, message: UffdMessage): Message {
  switch (message.event) {
    case words.EVENT.PAGEFAULT: {
      const { flags, address, ptid } = message
      return { event: 'PAGEFAULT', flags: words.namesIn(flags, words.FAULT_FLAG), address, thread: world.actorOfThread(ptid) }
    }
    case words.EVENT.FORK:
      return { event: 'FORK', descriptor: message.ufd }
    case words.EVENT.REMAP:
      return { event: 'REMAP', from: message.from, to: message.to, length: message.len }
    case words.EVENT.REMOVE:
      return { event: 'REMOVE', start: message.start, end: message.end }
    case words.EVENT.UNMAP:
      return { event: 'UNMAP', start: message.start, end: message.end }
  }
}
