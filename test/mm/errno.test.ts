/**
 * errno values: negative, distinct, those of Linux's errno.h, and each named by its own name.
 * A value that is no errno is shown as the number it is.
 */
import { expect, it } from 'vitest'
import { ERRNO, errnoName } from '../../core/mm/errno.ts'

it('values are those of asm-generic/errno-base.h and errno.h, negated', () => {
  expect(ERRNO).toEqual({
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
  })
})

it('each value is shown by its name, and nothing else is', () => {
  for (const [name, value] of Object.entries(ERRNO)) expect(errnoName(value)).toBe(name)
  expect(errnoName(4096)).toBe('4096')
  expect(errnoName(0)).toBe('0')
})
