/**
 * userfaultfd(2), its ioctls, read, poll and close, as user code calls them.
 *
 * An ioctl takes the fields of its argument as plain numbers and answers { ret, fields }: 0 or a negated errno, and the
 * fields that the kernel wrote; a field that is absent was left as it was. Before UFFDIO_API every other one is EINVAL.
 * `p` is the caller's process, which need not be the one the descriptor belongs to. Part of syscall.ts.
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ptePfn, ptePresent } from '../hw/pte.ts'
import { ERRNO } from '../mm/errno.ts'
import { type UffdResult, uffdContinue, uffdCopy, uffdPoison, uffdZeropage } from '../mm/mfill_atomic.ts'
import { pageOfAddress } from '../mm/mm.ts'
import { type IoctlResult, O_CLOEXEC } from '../mm/uffd_abi.ts'
import { userfaultfdApi } from '../mm/uffd_api.ts'
import { type Epoll, epollAdd, epollWait } from '../mm/uffd_epoll.ts'
import { uffdMove } from '../mm/uffd_move.ts'
import { type UffdRead, userfaultfdPoll, userfaultfdPollWait, userfaultfdRead } from '../mm/uffd_read.ts'
import { rangeIoctls, userfaultfdRegister, userfaultfdRelease, userfaultfdUnregister } from '../mm/uffd_register.ts'
import { userfaultfdWake } from '../mm/uffd_wake.ts'
import { uffdWriteprotect } from '../mm/uffd_wp.ts'
import { newUserfaultfd, openUserfaultfd, type Userfaultfd } from '../mm/userfaultfd.ts'
import type { Process } from './process.ts'

const NOT_READY: IoctlResult = { ret: ERRNO.EINVAL, fields: {} }

/** An ioctl that writes no field. */
function* plain(u: Userfaultfd, call: Proc<number>): Proc<IoctlResult> {
  return u.initialized ? { ret: yield* call, fields: {} } : NOT_READY
}

/** An ioctl that reports bytes or an errno in `field`. */
function* counted(u: Userfaultfd, field: string, call: Proc<UffdResult>): Proc<IoctlResult> {
  if (!u.initialized) return NOT_READY
  const { result, done } = yield* call
  return { ret: result, fields: done === 0 ? {} : { [field]: done } }
}

function* register(k: Thread, u: Userfaultfd, start: number, len: number, mode: number): Proc<IoctlResult> {
  if (!u.initialized) return NOT_READY
  const ret = yield* userfaultfdRegister(k, u, start, len, mode)
  return { ret, fields: ret === 0 ? { ioctls: rangeIoctls(mode) } : {} }
}

export const uffdCalls = {
  /** userfaultfd(2): a descriptor or an errno. */
  userfaultfd: (p: Process, flags = O_CLOEXEC): Userfaultfd | number => newUserfaultfd(p.mm, flags, p.privileged),
  /** USERFAULTFD_IOC_NEW on /dev/userfaultfd, by somebody who could open it. */
  devUserfaultfd: (p: Process, flags = O_CLOEXEC): Userfaultfd | number => openUserfaultfd(p.mm, flags),

  uffdioApi: (p: Process, u: Userfaultfd, api: number, features: number | bigint): IoctlResult =>
    userfaultfdApi(u, api, BigInt(features), p.privileged),
  uffdioRegister: (k: Thread, u: Userfaultfd, start: number, len: number, mode: number): Proc<IoctlResult> =>
    register(k, u, start, len, mode),
  uffdioUnregister: (k: Thread, u: Userfaultfd, start: number, len: number): Proc<IoctlResult> =>
    plain(u, userfaultfdUnregister(k, u, start, len)),
  uffdioWake: (k: Thread, u: Userfaultfd, start: number, len: number): Proc<IoctlResult> =>
    plain(u, userfaultfdWake(k, u, start, len)),
  uffdioCopy: (k: Thread, p: Process, u: Userfaultfd, dst: number, src: number, len: number, mode: number): Proc<IoctlResult> =>
    counted(u, 'copy', uffdCopy(k, u, dst, src, len, mode, p.mm)),
  uffdioZeropage: (k: Thread, u: Userfaultfd, start: number, len: number, mode: number): Proc<IoctlResult> =>
    counted(u, 'zeropage', uffdZeropage(k, u, start, len, mode)),
  uffdioContinue: (k: Thread, u: Userfaultfd, start: number, len: number, mode: number): Proc<IoctlResult> =>
    counted(u, 'mapped', uffdContinue(k, u, start, len, mode)),
  uffdioPoison: (k: Thread, u: Userfaultfd, start: number, len: number, mode: number): Proc<IoctlResult> =>
    counted(u, 'updated', uffdPoison(k, u, start, len, mode)),
  uffdioWriteprotect: (k: Thread, u: Userfaultfd, start: number, len: number, mode: number): Proc<IoctlResult> =>
    plain(u, uffdWriteprotect(k, u, start, len, mode)),
  uffdioMove: (k: Thread, p: Process, u: Userfaultfd, dst: number, src: number, len: number, mode: number): Proc<IoctlResult> =>
    counted(u, 'move', uffdMove(k, u, dst, src, len, mode, p.mm)),

  /** read(2) into a buffer of `bytes`. */
  uffdRead: (k: Thread, u: Userfaultfd, bytes: number): Proc<UffdRead> => userfaultfdRead(k, u, bytes),
  /** poll(2) with timeout 0: POLLIN, POLLERR or 0. */
  uffdPoll: (u: Userfaultfd): number => userfaultfdPoll(u),
  /** poll(2) without a timeout. */
  uffdPollWait: (k: Thread, u: Userfaultfd): Proc<number> => userfaultfdPollWait(k, u),
  /** epoll_create and EPOLL_CTL_ADD with EPOLLEXCLUSIVE; then epoll_wait without a timeout. */
  epollAdd: (k: Thread, u: Userfaultfd): Proc<Epoll> => epollAdd(k, u),
  epollWait: (k: Thread, epoll: Epoll): Proc<number> => epollWait(k, epoll),
  close: (k: Thread, u: Userfaultfd): Proc<void> => userfaultfdRelease(k, u),

  /** /proc/self/pagemap, and the frame: what is at an address right now; -1 if nothing is present. */
  frameAt(p: Process, address: number): number {
    const pte = p.mm.table.lookup(pageOfAddress(address))
    return ptePresent(pte) ? ptePfn(pte) : -1
  },
} as const
