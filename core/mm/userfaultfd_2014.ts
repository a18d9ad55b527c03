/**
 * The userfaultfd protocol of July and October 2014, spoken with read(2) and write(2).
 *
 *   handshake  write 8 bytes 0xaa; read 8 bytes: 0xaa, or all ones if the number was wrong (then ask again)
 *   fault      read 8 bytes: the faulting address
 *   register   write 16 bytes {start | 1, end}; unregister {start | 2, end}
 *   ack, wake  write 16 bytes {start, end}: wakes waiters in the range whose message was read; none: ENOENT
 *
 * The hazard of this protocol: an acknowledgement ignores faults that were not read yet. Whoever reads such a message
 * later must notice that the page is already there and acknowledge then (core/migration/destination.ts does).
 *
 * Source: "RFC: userfault", 2 July and 3 October 2014. @kernel userfaultfd_read, userfaultfd_write
 */
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ERRNO } from './errno.ts'
import { addressOf, type Mm, pageOfAddress } from './mm.ts'
import { O_CLOEXEC, O_NONBLOCK, POLLIN, UFFD_EVENT_PAGEFAULT, UFFD_FEATURE, UFFDIO_REGISTER_MODE_MISSING } from './uffd_abi.ts'
import { nextMessage } from './uffd_read.ts'
import { userfaultfdRegister, userfaultfdUnregister } from './uffd_register.ts'
import { wakesRange } from './uffd_wake.ts'
import { Userfaultfd } from './userfaultfd.ts'

export const USERFAULTFD_PROTOCOL = 0xaa
/** @kernel POLLOUT */
export const POLLOUT = 4
/** What a read answers after a wrong protocol number. */
export const ALL_ONES = 2 ** 53 - 1

const REGISTER_BIT = 1
const UNREGISTER_BIT = 2

export class Userfaultfd2014 extends Userfaultfd {
  #state: 'ask' | 'told' | 'refused' | 'running' = 'ask'

  constructor(mm: Mm, id: number, flags = 0) {
    super(mm, id, '2014', flags)
    // The address of the access, not of its page: QEMU masks it itself.
    this.features = UFFD_FEATURE.EXACT_ADDRESS
  }

  /** read(2) into a buffer of `bytes`: 8 and what was read, or an errno. EINVAL: room for less than 8. */
  *read(k: Thread, bytes: number): Proc<{ readonly ret: number; readonly value: number }> {
    const value = bytes < 8 ? ERRNO.EINVAL : yield* this.readAddress(k)
    return { ret: value < 0 ? value : 8, value }
  }

  /**
   * write(2) of `bytes` bytes: the protocol number first, ranges after the handshake.
   * EINVAL: fewer than 8 bytes, or than 16 for a range.
   */
  *write(k: Thread, bytes: number, first: number, second = 0): Proc<number> {
    if (bytes < 8) return ERRNO.EINVAL
    if (this.#state !== 'running') return this.writeProtocol(first)
    return bytes < 16 ? ERRNO.EINVAL : yield* this.writeRange(k, first, second)
  }

  /** poll(2) with timeout 0: POLLIN, an unread fault; POLLOUT, one that was read and not acknowledged. */
  poll(): number {
    if (this.#state !== 'running') return this.#state === 'ask' ? POLLOUT : POLLIN
    return (this.pending.length > 0 ? POLLIN : 0) | (this.fault.length > 0 ? POLLOUT : 0)
  }

  /** write(2) of 8 bytes: the protocol number. */
  writeProtocol(number: number): number {
    if (this.#state === 'running') return ERRNO.EINVAL
    this.#state = number === USERFAULTFD_PROTOCOL ? 'told' : 'refused'
    return 8
  }

  /** read(2) of 8 bytes: the protocol number during the handshake, then faulting addresses (sleeps for one). */
  *readAddress(k: Thread): Proc<number> {
    switch (this.#state) {
      case 'ask':
        return ERRNO.EINVAL
      case 'refused':
        this.#state = 'ask'
        return ALL_ONES
      case 'told':
        this.#state = 'running'
        return USERFAULTFD_PROTOCOL
      case 'running': {
        const message = yield* nextMessage(k, this, this.nonblocking)
        if (typeof message === 'number') return message
        return message.event === UFFD_EVENT_PAGEFAULT ? message.address : ERRNO.EINVAL
      }
    }
  }

  /** write(2) of 16 bytes: acknowledge, register or unregister, by the low bits of `start`. */
  *writeRange(k: Thread, start: number, end: number): Proc<number> {
    if (this.#state !== 'running') return ERRNO.EINVAL
    const verb = start % 4096
    const from = start - verb
    if (verb > UNREGISTER_BIT || end % 4096 !== 0) return ERRNO.EINVAL
    if (from >= end) return ERRNO.ERANGE
    if (verb === REGISTER_BIT) {
      yield* this.mm.mmapLock.downRead(k)
      const nothingBehind = this.mm.tree.find(pageOfAddress(from)) === null
      // As posted, this way out kept the lock.
      if (!nothingBehind || this.mm.kernel.has('uffd-2014-unlock')) this.mm.mmapLock.upRead(k)
      if (nothingBehind) return ERRNO.ENOMEM
      const result = yield* userfaultfdRegister(k, this, from, end - from, UFFDIO_REGISTER_MODE_MISSING)
      return result === 0 ? 16 : result
    }
    if (verb === UNREGISTER_BIT) {
      const result = yield* userfaultfdUnregister(k, this, from, end - from)
      return result === 0 ? 16 : result
    }
    k.cpu.nowNs += k.cpu.preset.syscallNs.value
    if (k.stepping) yield write(this.id, this.fault.label)
    return this.#acknowledge(k, pageOfAddress(from), pageOfAddress(end)) > 0 ? 16 : ERRNO.ENOENT
  }

  /** Wakes the waiters in [start, end) whose message was read; those that nobody has read sleep on. */
  #acknowledge(k: Thread, start: number, end: number): number {
    return this.fault.wake(k.cpu.nowNs + k.cpu.preset.wakeupNs.value, wakesRange(start, end))
  }

  static range(page: number, pages: number, verb: 'ack' | 'register' | 'unregister'): readonly [number, number] {
    const bit = verb === 'register' ? REGISTER_BIT : verb === 'unregister' ? UNREGISTER_BIT : 0
    return [addressOf(page) + bit, addressOf(page + pages)]
  }
}

/** The one descriptor of a process, in July. */
const JULY = new WeakMap<Mm, Userfaultfd2014>()

/**
 * userfaultfd(2) of the series. EINVAL: a flag other than the two. In July there was one descriptor a process: a second one is
 * EBUSY until the first is closed; in October there were as many as one liked.
 */
export function newUserfaultfd2014(mm: Mm, flags: number, series: 'july' | 'october'): Userfaultfd2014 | number {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return ERRNO.EINVAL
  if (series === 'july') {
    const only = JULY.get(mm)
    if (only !== undefined && !only.released) return ERRNO.EBUSY
  }
  const uffd = new Userfaultfd2014(mm, mm.kernel.newId(), flags)
  if (series === 'july') JULY.set(mm, uffd)
  return uffd
}
