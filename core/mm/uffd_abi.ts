/**
 * userfaultfd as user code sees it: the numbers of include/uapi/linux/userfaultfd.h and the shape of what is read.
 *
 * Masks of features and of ioctls are 64 bits wide and reach bit 63, so they cross the system call as bigint; the kernel
 * side keeps features as a number, because it has bits 0 to 16 only. Values of 6.18. Pairs with machine/syscall.ts.
 * Source: include/uapi/linux/userfaultfd.h.
 */
import type { Userfaultfd } from './userfaultfd.ts'

/** The one API that there is. @kernel UFFD_API */
export const UFFD_API = 0xaa

export const UFFD_FEATURE = {
  PAGEFAULT_FLAG_WP: 1 << 0,
  EVENT_FORK: 1 << 1,
  EVENT_REMAP: 1 << 2,
  EVENT_REMOVE: 1 << 3,
  MISSING_HUGETLBFS: 1 << 4,
  MISSING_SHMEM: 1 << 5,
  EVENT_UNMAP: 1 << 6,
  SIGBUS: 1 << 7,
  THREAD_ID: 1 << 8,
  MINOR_HUGETLBFS: 1 << 9,
  MINOR_SHMEM: 1 << 10,
  EXACT_ADDRESS: 1 << 11,
  WP_HUGETLBFS_SHMEM: 1 << 12,
  WP_UNPOPULATED: 1 << 13,
  POISON: 1 << 14,
  WP_ASYNC: 1 << 15,
  MOVE: 1 << 16,
} as const

/** Bits 0 to 16. @kernel UFFD_API_FEATURES */
export const UFFD_API_FEATURES = 0x1ffff

/** Numbers of the ioctls, which are also their bits in a mask. */
export const UFFDIO = {
  REGISTER: 0,
  UNREGISTER: 1,
  WAKE: 2,
  COPY: 3,
  ZEROPAGE: 4,
  MOVE: 5,
  WRITEPROTECT: 6,
  CONTINUE: 7,
  POISON: 8,
  API: 63,
} as const

export const UFFDIO_REGISTER_MODE_MISSING = 1
export const UFFDIO_REGISTER_MODE_WP = 2
export const UFFDIO_REGISTER_MODE_MINOR = 4

export const UFFDIO_COPY_MODE_DONTWAKE = 1
export const UFFDIO_COPY_MODE_WP = 2
export const UFFDIO_ZEROPAGE_MODE_DONTWAKE = 1
export const UFFDIO_WRITEPROTECT_MODE_WP = 1
export const UFFDIO_WRITEPROTECT_MODE_DONTWAKE = 2
export const UFFDIO_CONTINUE_MODE_DONTWAKE = 1
export const UFFDIO_CONTINUE_MODE_WP = 2
export const UFFDIO_POISON_MODE_DONTWAKE = 1
export const UFFDIO_MOVE_MODE_DONTWAKE = 1
export const UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES = 2

/** Flags of userfaultfd(2). */
export const O_NONBLOCK = 0o4000
export const O_CLOEXEC = 0o2000000
export const UFFD_USER_MODE_ONLY = 1

export const UFFD_EVENT_PAGEFAULT = 0x12
export const UFFD_EVENT_FORK = 0x13
export const UFFD_EVENT_REMAP = 0x14
export const UFFD_EVENT_REMOVE = 0x15
export const UFFD_EVENT_UNMAP = 0x16

export const UFFD_PAGEFAULT_FLAG_WRITE = 1
export const UFFD_PAGEFAULT_FLAG_WP = 2
export const UFFD_PAGEFAULT_FLAG_MINOR = 4

export const POLLIN = 1
export const POLLERR = 8

/** Bytes of one message. */
export const UFFD_MSG_BYTES = 32

/** One message; byte addresses. @kernel uffd_msg */
export type UffdMessage =
  | { readonly event: typeof UFFD_EVENT_PAGEFAULT; readonly flags: number; readonly address: number; readonly ptid: number }
  | { readonly event: typeof UFFD_EVENT_FORK; readonly ufd: Userfaultfd }
  | { readonly event: typeof UFFD_EVENT_REMAP; readonly from: number; readonly to: number; readonly len: number }
  | { readonly event: typeof UFFD_EVENT_REMOVE | typeof UFFD_EVENT_UNMAP; readonly start: number; readonly end: number }

/**
 * What an ioctl answers: 0 or a negated errno, and the fields of its argument that the kernel wrote. A field that is
 * absent was left as the caller had it.
 */
export interface IoctlResult {
  readonly ret: number
  readonly fields: Readonly<Record<string, number | bigint>>
}

/** A mask with these bits set. */
export function ioctlMask(bits: readonly number[]): bigint {
  return bits.reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n)
}
