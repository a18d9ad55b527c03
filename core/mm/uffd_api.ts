/**
 * UFFDIO_API: the handshake, before which nothing else works; and what all other ioctls check first.
 *
 * The answer names everything this kernel can do, but only what was asked for is switched on. A refused handshake zeroes
 * the caller's struct and can be tried again; a second one after success is refused.
 *
 *  1. api and features known -> else EINVAL, struct zeroed.
 *  2. EVENT_FORK hands out another process's descriptor: CAP_SYS_PTRACE -> else EPERM, struct zeroed.
 *  3. not yet shaken -> else EINVAL, struct zeroed.   4. report all features; remember those asked for.
 *
 * Source: fs/userfaultfd.c.
 * @kernel userfaultfd_api, userfaultfd_ioctl, validate_range
 */
import { ERRNO } from './errno.ts'
import { type Mm, WINDOW_BASE } from './mm.ts'
import { type IoctlResult, ioctlMask, UFFD_API, UFFD_API_FEATURES, UFFD_FEATURE, UFFDIO } from './uffd_abi.ts'
import type { Userfaultfd } from './userfaultfd.ts'

/** @kernel UFFD_API_IOCTLS */
const API_IOCTLS = ioctlMask([UFFDIO.REGISTER, UFFDIO.UNREGISTER, UFFDIO.API])

export function userfaultfdApi(uffd: Userfaultfd, api: number, features: bigint, privileged: boolean): IoctlResult {
  const zeroed = { api: 0, features: 0n, ioctls: 0n }
  // 1.
  if (api !== UFFD_API || (features & ~BigInt(UFFD_API_FEATURES)) !== 0n) return { ret: ERRNO.EINVAL, fields: zeroed }
  const asked = Number(features)
  // 2.
  if ((asked & UFFD_FEATURE.EVENT_FORK) !== 0 && !privileged) return { ret: ERRNO.EPERM, fields: zeroed }
  // 3.
  if (uffd.initialized) return { ret: ERRNO.EINVAL, fields: zeroed }
  // 4. WP_ASYNC implies WP_UNPOPULATED.
  uffd.features = asked | ((asked & UFFD_FEATURE.WP_ASYNC) !== 0 ? UFFD_FEATURE.WP_UNPOPULATED : 0)
  uffd.initialized = true
  return { ret: 0, fields: { api: UFFD_API, features: BigInt(UFFD_API_FEATURES), ioctls: API_IOCTLS } }
}

/** 0, or EINVAL: not whole pages, nothing, a wrap, or outside the task. @kernel validate_range */
export function validateRange(mm: Mm, start: number, length: number): number {
  const inside = start >= WINDOW_BASE && start + length <= WINDOW_BASE + mm.windowPages * 4096
  return length > 0 && inside && start % 4096 === 0 && length % 4096 === 0 ? 0 : ERRNO.EINVAL
}
