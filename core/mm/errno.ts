/**
 * The errno values that the modelled calls return, negated as in the kernel: `-EINVAL` is `ERRNO.EINVAL`.
 *
 * Numbers are those of Linux on x86-64. Source: include/uapi/asm-generic/errno-base.h, errno.h.
 */

export const ERRNO = {
  EPERM: -1,
  ENOENT: -2,
  ESRCH: -3,
  EINTR: -4,
  EBADF: -9,
  EAGAIN: -11,
  ENOMEM: -12,
  EACCES: -13,
  EFAULT: -14,
  EBUSY: -16,
  EEXIST: -17,
  EINVAL: -22,
  ERANGE: -34,
  EHWPOISON: -133,
} as const

const NAMES = new Map<number, string>(Object.entries(ERRNO).map(([name, value]) => [value, name]))

/** `-22` as `EINVAL`; a value that is no errno as itself. */
export function errnoName(value: number): string {
  return NAMES.get(value) ?? String(value)
}
