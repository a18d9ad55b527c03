/**
 * The kernel's interface as numbers and structures: memory calls, userfaultfd, PAGEMAP_SCAN.
 *
 * Source: Linux 6.18 include/uapi/linux/userfaultfd.h, include/uapi/linux/fs.h, asm-generic/mman-common.h; man 2 ioctl_userfaultfd,
 * ioctl_pagemap_scan. Sizes are asserted by struct.ts, and the numbers of ioctls contain them once more.
 */
import type { UFFD_FEATURES } from '../../../core/conform/vocabulary.ts'
import { type Struct, struct } from './struct.ts'

export const PROT = { none: 0, read: 1, write: 2, exec: 4 } as const
export const MAP = {
  shared: 0x01,
  private: 0x02,
  fixed: 0x10,
  anonymous: 0x20,
  noReserve: 0x4000,
  populate: 0x8000,
  fixedNoReplace: 0x100000,
} as const
export const MADV = {
  dontNeed: 4,
  free: 8,
  dontFork: 10,
  doFork: 11,
  hugePage: 14,
  noHugePage: 15,
  pageOut: 21,
  populateRead: 22,
  populateWrite: 23,
  collapse: 25,
} as const
export const MREMAP = { mayMove: 1, fixed: 2, dontUnmap: 4 } as const
export const O = { nonBlock: 0o4000, cloExec: 0o2000000 } as const
export const POLL = { in: 1, out: 4, err: 8, hup: 16, nval: 32 } as const

export const UFFD_API = 0xaa
export const UFFD_USER_MODE_ONLY = 1

/** By the names of the header without UFFD_FEATURE_. */
export type UffdFeature = keyof typeof UFFD_FEATURES

export const UFFDIO_REGISTER_MODE = { missing: 1, wp: 2, minor: 4 } as const
export const UFFDIO_COPY_MODE = { dontWake: 1, wp: 2 } as const
export const UFFDIO_WRITEPROTECT_MODE = { wp: 1, dontWake: 2 } as const
export const UFFDIO_MOVE_MODE = { dontWake: 1, allowSrcHoles: 2 } as const
export const UFFD_EVENT = { pagefault: 0x12, fork: 0x13, remap: 0x14, remove: 0x15, unmap: 0x16 } as const

export const UffdioApi = struct('uffdio_api', 24, { api: 'u64', features: 'u64', ioctls: 'u64' })
export const UffdioRange = struct('uffdio_range', 16, { start: 'u64', len: 'u64' })
export const UffdioRegister = struct('uffdio_register', 32, { start: 'u64', len: 'u64', mode: 'u64', ioctls: 'u64' })
export const UffdioCopy = struct('uffdio_copy', 40, { dst: 'u64', src: 'u64', len: 'u64', mode: 'u64', copy: 's64' })
export const UffdioZeropage = struct('uffdio_zeropage', 32, { start: 'u64', len: 'u64', mode: 'u64', zeropage: 's64' })
export const UffdioWriteprotect = struct('uffdio_writeprotect', 24, { start: 'u64', len: 'u64', mode: 'u64' })
export const UffdioContinue = struct('uffdio_continue', 32, { start: 'u64', len: 'u64', mode: 'u64', mapped: 's64' })
export const UffdioPoison = struct('uffdio_poison', 32, { start: 'u64', len: 'u64', mode: 'u64', updated: 's64' })
export const UffdioMove = struct('uffdio_move', 40, { dst: 'u64', src: 'u64', len: 'u64', mode: 'u64', move: 's64' })
/** The head of uffd_msg, then three words whose meaning is the event's. */
export const UffdMsg = struct('uffd_msg', 32, {
  event: 'u8',
  reserved1: 'u8',
  reserved2: 'u16',
  reserved3: 'u32',
  /** PAGEFAULT: flags; FORK: the descriptor; REMAP: from; REMOVE and UNMAP: start. */
  word0: 'u64',
  /** PAGEFAULT: the address; REMAP: to; REMOVE and UNMAP: end. */
  word1: 'u64',
  /** PAGEFAULT: the thread, in the lower half; REMAP: the length. */
  word2: 'u64',
})

export const PmScanArg = struct('pm_scan_arg', 96, {
  size: 'u64',
  flags: 'u64',
  start: 'u64',
  end: 'u64',
  walk_end: 'u64',
  vec: 'u64',
  vec_len: 'u64',
  max_pages: 'u64',
  category_inverted: 'u64',
  category_mask: 'u64',
  category_anyof_mask: 'u64',
  return_mask: 'u64',
})
export const PageRegion = struct('page_region', 24, { start: 'u64', end: 'u64', categories: 'u64' })
export const PM_SCAN = { wpMatching: 1, checkWpAsync: 2 } as const
export const PAGE_IS = {
  wpAllowed: 1,
  written: 2,
  file: 4,
  present: 8,
  swapped: 16,
  pfnZero: 32,
  huge: 64,
  softDirty: 128,
} as const

export const Timespec = struct('timespec', 16, { seconds: 'u64', nanoseconds: 'u64' })

export const PollFd = struct('pollfd', 8, { fd: 's32', events: 's16', revents: 's16' })

const READ = 2
const WRITE = 1

/** @kernel _IOC */
function ioc(direction: number, type: number, nr: number, size: number): number {
  return direction * 2 ** 30 + size * 2 ** 16 + type * 2 ** 8 + nr
}

function uffdio(nr: number, { size }: Struct<string>, direction = READ | WRITE): number {
  return ioc(direction, UFFD_API, nr, size)
}

export const UFFDIO = {
  API: uffdio(0x3f, UffdioApi),
  REGISTER: uffdio(0x00, UffdioRegister),
  UNREGISTER: uffdio(0x01, UffdioRange, READ),
  WAKE: uffdio(0x02, UffdioRange, READ),
  COPY: uffdio(0x03, UffdioCopy),
  ZEROPAGE: uffdio(0x04, UffdioZeropage),
  MOVE: uffdio(0x05, UffdioMove),
  WRITEPROTECT: uffdio(0x06, UffdioWriteprotect),
  CONTINUE: uffdio(0x07, UffdioContinue),
  POISON: uffdio(0x08, UffdioPoison),
} as const

export const PAGEMAP_SCAN = ioc(READ | WRITE, 'f'.charCodeAt(0), 16, PmScanArg.size)
