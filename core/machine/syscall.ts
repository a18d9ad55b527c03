/**
 * System calls: the only door from user code (guest, migration) into core/mm.
 *
 * Byte addresses in, results or negated errno out, as the man pages say; each call charges its entry and exit.
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { madvise } from '../mm/madvise.ts'
import { uffdCopy, uffdZeropage } from '../mm/mfill_atomic.ts'
import { mmapAnonymous, munmap } from '../mm/mmap.ts'
import { remapAnonPages } from '../mm/remap_anon_pages.ts'
import { type UffdResult, uffdMove } from '../mm/uffd_move.ts'
import { UFFDIO_REGISTER_MODE_MISSING, Userfaultfd, userfaultfdRegister, userfaultfdRelease } from '../mm/userfaultfd.ts'
import { Userfaultfd2014 } from '../mm/userfaultfd_2014.ts'
import type { Process } from './process.ts'

// biome-ignore lint/performance/noBarrelFile: this is the door; user code gets the numbers and types of its calls here and nowhere else.
export { ERRNO, errnoName } from '../mm/errno.ts'
export { MADV_DONTFORK, MADV_DONTNEED, MADV_NOUSERFAULT, MADV_USERFAULT } from '../mm/madvise.ts'
export { addressOf, pageOfAddress } from '../mm/mm.ts'
export type { Userfaultfd } from '../mm/userfaultfd.ts'
export { USERFAULTFD_PROTOCOL, Userfaultfd2014 } from '../mm/userfaultfd_2014.ts'

export const sys = {
  mmap: (k: Thread, p: Process, length: number): Proc<number> => mmapAnonymous(k, p.mm, length),
  munmap: (k: Thread, p: Process, address: number, length: number): Proc<number> => munmap(k, p.mm, address, length),
  madvise: (k: Thread, p: Process, address: number, length: number, advice: number): Proc<number> =>
    madvise(k, p.mm, address, length, advice),
  remapAnonPages: (k: Thread, p: Process, dst: number, src: number, length: number, flags: number): Proc<number> =>
    remapAnonPages(k, p.mm, dst, src, length, flags),
  /** userfaultfd(2) and its handshake, as in 4.3 and later. */
  userfaultfd: (p: Process): Userfaultfd => new Userfaultfd(p.mm, p.mm.kernel.newId(), 'ioctl'),
  /** userfaultfd(2) as proposed in 2014; the handshake is the caller's. */
  userfaultfd2014: (p: Process): Userfaultfd2014 => new Userfaultfd2014(p.mm, p.mm.kernel.newId()),
  uffdRegister: (k: Thread, u: Userfaultfd, address: number, length: number): Proc<number> =>
    userfaultfdRegister(k, u, address, length, UFFDIO_REGISTER_MODE_MISSING),
  uffdCopy: (k: Thread, u: Userfaultfd, dst: number, src: number, length: number): Proc<UffdResult> =>
    uffdCopy(k, u, dst, src, length, 0),
  uffdZeropage: (k: Thread, u: Userfaultfd, dst: number, length: number): Proc<UffdResult> => uffdZeropage(k, u, dst, length, 0),
  uffdMove: (k: Thread, u: Userfaultfd, dst: number, src: number, length: number): Proc<UffdResult> =>
    uffdMove(k, u, dst, src, length, 0),
  close: (k: Thread, u: Userfaultfd): Proc<void> => userfaultfdRelease(k, u),
} as const
