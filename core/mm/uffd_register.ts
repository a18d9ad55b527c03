/**
 * UFFDIO_REGISTER, UFFDIO_UNREGISTER and close(2): which areas a descriptor watches. A property of areas, cut at the edges.
 *
 * REGISTER, in this order:
 *  1. mode: none or unknown -> EINVAL.   2. range -> EINVAL.   3. the owner's mm is gone -> ENOMEM.   4. mmap_lock for writing.
 *  5. no area at all -> EINVAL.   6. each area: of a kind that cannot (an ordinary file; MINOR on anonymous memory) -> EINVAL;
 *     without VM_MAYWRITE -> EPERM; another descriptor's -> EBUSY.   7. split, set, merge.   8. report the ioctls.
 *
 * Holes are fine, and so is registering again. Pages that are present stay so and never fault.
 *
 * UNREGISTER, each area: a. wakes waiters, only where missing pages were watched.   b. lifts write protection.   c. locks the
 * area, splits, clears, merges. Whoever was woken comes back with mmap_lock, and so behind c. But an access that begins between
 * a and c under the lock of the area still finds it registered, and sleeps until somebody sends a WAKE (6.7 and later).
 *
 * Source: fs/userfaultfd.c; mm/userfaultfd.c.
 * @kernel userfaultfd_register, userfaultfd_unregister, userfaultfd_release
 */
import { assert } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, NOTHING, type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { seenBy } from '../sync/barriers.ts'
import { ERRNO } from './errno.ts'
import { cutsHugetlb } from './hugetlb_area.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { changeAreas } from './mmap.ts'
import {
  ioctlMask,
  UFFD_FEATURE,
  UFFDIO,
  UFFDIO_REGISTER_MODE_MINOR,
  UFFDIO_REGISTER_MODE_MISSING,
  UFFDIO_REGISTER_MODE_WP,
} from './uffd_abi.ts'
import { validateRange } from './uffd_api.ts'
import { userfaultfdMissing, userfaultfdWp } from './uffd_fault.ts'
import { wakeUserfault } from './uffd_wake.ts'
import { uffdWpRange } from './uffd_wp.ts'
import type { Userfaultfd } from './userfaultfd.ts'
import { VM_MAYWRITE, VM_UFFD_FLAGS, VM_UFFD_MINOR, VM_UFFD_MISSING, VM_UFFD_WP, type Vma } from './vma.ts'

const ALL_MODES = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MINOR

/** The ioctls that work on a range registered in this mode. @kernel UFFD_API_RANGE_IOCTLS */
export function rangeIoctls(mode: number): bigint {
  const bits: number[] = [UFFDIO.WAKE, UFFDIO.COPY, UFFDIO.ZEROPAGE, UFFDIO.MOVE, UFFDIO.POISON]
  if ((mode & UFFDIO_REGISTER_MODE_WP) !== 0) bits.push(UFFDIO.WRITEPROTECT)
  if ((mode & UFFDIO_REGISTER_MODE_MINOR) !== 0) bits.push(UFFDIO.CONTINUE)
  return ioctlMask(bits)
}

function flagsOfMode(mode: number): number {
  let flags = 0
  if ((mode & UFFDIO_REGISTER_MODE_MISSING) !== 0) flags |= VM_UFFD_MISSING
  if ((mode & UFFDIO_REGISTER_MODE_WP) !== 0) flags |= VM_UFFD_WP
  if ((mode & UFFDIO_REGISTER_MODE_MINOR) !== 0) flags |= VM_UFFD_MINOR
  return flags
}

/** UFFDIO_REGISTER. Byte address and length; 0 or an errno. @kernel userfaultfd_register */
export function* userfaultfdRegister(k: Thread, uffd: Userfaultfd, address: number, length: number, mode: number): Proc<number> {
  const mm = uffd.mm
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  if (uffd.released) return ERRNO.EBADF
  // 1.
  if (mode === 0 || (mode & ~ALL_MODES) !== 0) return ERRNO.EINVAL
  // 2.
  const bad = validateRange(mm, address, length)
  if (bad !== 0) return bad
  // 3.
  if (mm.users === 0) return ERRNO.ENOMEM
  const start = pageOfAddress(address)
  const end = start + length / 4096
  const flags = flagsOfMode(mode)
  // 4.
  yield* mm.mmapLock.downWrite(k)
  const result = checkRegister(mm, uffd, start, end, flags)
  // 7. In 2014 the area's own flag, MADV_USERFAULT, says what is missing; the descriptor says whom to tell.
  if (result === 0) yield* setRange(k, mm, start, end, uffd, uffd.protocol === 'ioctl' ? flags : 0)
  mm.mmapLock.upWrite(k)
  return result
}

/** 5. and 6. */
function checkRegister(mm: Mm, uffd: Userfaultfd, start: number, end: number, flags: number): number {
  const areas = mm.tree.overlapping(start, end)
  if (areas.length === 0 || cutsHugetlb(mm, start, end)) return ERRNO.EINVAL
  for (const vma of areas) {
    if (!canUserfault(vma, flags, uffd.wants(UFFD_FEATURE.WP_ASYNC))) return ERRNO.EINVAL
    if ((vma.flags & VM_MAYWRITE) === 0) return ERRNO.EPERM
    if (vma.uffd !== null && vma.uffd !== uffd) return ERRNO.EBUSY
  }
  return 0
}

/** @kernel vma_can_userfault */
function canUserfault(vma: Vma, flags: number, wpAsync: boolean): boolean {
  const wanted = flags & VM_UFFD_FLAGS
  if ((wanted & VM_UFFD_MINOR) !== 0 && !vma.isShmem) return false
  if (wpAsync && wanted === VM_UFFD_WP) return true
  // Of the hugetlb pool, missing pages only: write protection of 2 MiB at once is not modelled.
  if (vma.isHugetlb) return wanted === 0 || wanted === VM_UFFD_MISSING
  return vma.isAnonymous || vma.isShmem
}

/** @kernel userfaultfd_register_range, userfaultfd_set_ctx */
function setRange(k: Thread, mm: Mm, start: number, end: number, uffd: Userfaultfd, flags: number): Proc<void> {
  const needs = (vma: Vma) => vma.uffd !== uffd || (vma.flags & flags) !== flags
  const attach = (part: Vma) => {
    part.uffd = uffd
    seenBy(k, part).flags = (part.flags & ~VM_UFFD_FLAGS) | flags
    return NOTHING
  }
  return changeAreas(k, mm, start, end, needs, attach, mm.kernel.has('uffd-register-seq'))
}

/** UFFDIO_UNREGISTER. 0 or an errno. @kernel userfaultfd_unregister */
export function* userfaultfdUnregister(k: Thread, uffd: Userfaultfd, address: number, length: number): Proc<number> {
  const mm = uffd.mm
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  const bad = validateRange(mm, address, length)
  if (bad !== 0) return bad
  if (mm.users === 0) return ERRNO.ENOMEM
  const start = pageOfAddress(address)
  const end = start + length / 4096
  yield* mm.mmapLock.downWrite(k)
  const areas = mm.tree.overlapping(start, end)
  const wpAsync = uffd.wants(UFFD_FEATURE.WP_ASYNC)
  const foreign = (v: Vma) => (v.uffd !== null && v.uffd !== uffd) || !canUserfault(v, v.flags, wpAsync)
  if (areas.length === 0 || areas.some(foreign) || cutsHugetlb(mm, start, end)) {
    mm.mmapLock.upWrite(k)
    return ERRNO.EINVAL
  }
  yield* changeAreas(
    k,
    mm,
    start,
    end,
    (vma) => vma.uffd !== null,
    clearPart,
    true,
    (vma, first, last) => releasePart(k, mm, uffd, vma, first, last),
  )
  mm.mmapLock.upWrite(k)
  return 0
}

/** a. and b., for [start, end) of one area. */
function* releasePart(k: Thread, mm: Mm, uffd: Userfaultfd, vma: Vma, start: number, end: number): Proc<void> {
  // Whoever waits on a write-protected page only is left asleep: UFFDIO_WAKE is the user's duty there.
  if (userfaultfdMissing(vma) && mm.kernel.has('uffd-unregister-wake')) yield* wakeUserfault(k, uffd, start, end)
  yield* liftProtection(k, mm, vma, start, end)
}

/** b. @kernel userfaultfd_clear_vma */
function liftProtection(k: Thread, mm: Mm, vma: Vma, start: number, end: number): Proc<void> {
  const lifts = userfaultfdWp(vma) && mm.kernel.has('uffd-unregister-lifts-wp')
  return lifts ? uffdWpRange(k, mm, vma, start, end, false) : NOTHING
}

/** c. @kernel userfaultfd_reset_ctx */
function clearPart(part: Vma): Proc<void> {
  part.uffd = null
  part.flags &= ~VM_UFFD_FLAGS
  return NOTHING
}

/** close(2): nobody waits any longer, every area is free again. @kernel userfaultfd_release */
export function* userfaultfdRelease(k: Thread, uffd: Userfaultfd): Proc<void> {
  const mm = uffd.mm
  assert(!uffd.released, 'userfaultfd closed twice')
  if (k.stepping) yield write(uffd.id, 'uffd.released')
  uffd.released = true
  yield* releaseAll(k, mm, uffd)
  touch(uffd.id, 'uffd.released', AccessMode.write)
  uffd.detached = true
  // Faults and events that were queued before the areas were cleared.
  if (mm.kernel.has('uffd-close-wake')) yield* wakeUserfault(k, uffd, 0, Number.POSITIVE_INFINITY)
  yield* uffd.eventLock.lock(k)
  for (const sender of uffd.event.entries) sender.task.wake(k.cpu.nowNs)
  uffd.eventLock.unlock(k)
  yield* uffd.wakeReaders(k)
}

/** Clears the descriptor from every area of `mm`. @kernel userfaultfd_release_all */
export function* releaseAll(k: Thread, mm: Mm, uffd: Userfaultfd): Proc<void> {
  if (mm.users === 0) return
  yield* mm.mmapLock.downWrite(k)
  // In 2014 the area stays a userfault area: later faults get SIGBUS.
  yield* changeAreas(
    k,
    mm,
    0,
    mm.windowPages,
    (vma) => vma.uffd === uffd,
    clearPart,
    true,
    (vma, first, last) => liftProtection(k, mm, vma, first, last),
  )
  mm.mmapLock.upWrite(k)
}
