/**
 * mlock, munlock, and mincore: pages that must stay, and which are here.
 *
 * mlock in two parts, each with mmap_lock of its own:
 *  1. VM_LOCKED, with MLOCK_ONFAULT VM_LOCKONFAULT too (split at the edges, merge again).
 *  2. bring every page in, by what the areas are by then: one that is to be locked as its pages come in is passed over, and so is a hole. What
 *     somebody mapped there in between is brought in, locked or not.
 * mincore answers from the page table, and for shmem from the page cache; it never faults.
 *
 * Source: mm/mlock.c; mm/gup.c.
 * @kernel do_mlock, apply_vma_lock_flags, __mm_populate, munlock, do_mincore
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { PTE_NONE, ptePresent } from '../hw/pte.ts'
import { seenBy, storing } from '../sync/barriers.ts'
import { ERRNO } from './errno.ts'
import { populate } from './gup.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { mergeAround, splitAt } from './mmap.ts'
import { inodeOf } from './shmem.ts'
import { swapKind } from './swapops.ts'
import { VM_LOCKED, VM_LOCKED_MASK, VM_LOCKONFAULT, VM_SHARED, VM_WRITE, type Vma } from './vma.ts'
import { vmaWriteBegin, vmaWriteEnd } from './vma_sequence.ts'

/** mlock2's flag: what comes in later is locked, nothing is brought in now. */
export const MLOCK_ONFAULT = 1

/** 0, or ENOMEM where part of the range is not mapped: what lies before that is done. Whole pages, wherever the address points. @kernel mlock2 */
export function* mlock(k: Thread, mm: Mm, address: number, length: number, flags = 0): Proc<number> {
  const start = pageOfAddress(address - (address % 4096))
  const end = start + pagesOf(address, length)
  // 1.
  const error = yield* applyLock(k, mm, start, end, (flags & MLOCK_ONFAULT) !== 0 ? VM_LOCKED_MASK : VM_LOCKED)
  if (error !== 0) return error
  // 2.
  const failed = yield* populateRange(k, mm, start, end)
  return failed === ERRNO.EFAULT ? ERRNO.ENOMEM : failed
}

/** 2. Private memory that may be written is written to, so that a page shared with others is copied now. @kernel __mm_populate */
function* populateRange(k: Thread, mm: Mm, start: number, end: number): Proc<number> {
  for (let page = start; page < end; ) {
    yield* mm.mmapLock.downRead(k)
    const vma = mm.tree.find(page)
    const isOver = vma === null || vma.start >= end
    if (isOver || (vma.flags & VM_LOCKONFAULT) !== 0) {
      mm.mmapLock.upRead(k)
      if (isOver) return 0
      page = vma.end
      continue
    }
    page = Math.max(page, vma.start)
    const error = yield* populate(k, mm, page, page + 1, (vma.flags & (VM_WRITE | VM_SHARED)) === VM_WRITE, true)
    if (error !== 0) return error
    page++
  }
  return 0
}

/** As mlock, the other way round. @kernel munlock */
export function munlock(k: Thread, mm: Mm, address: number, length: number): Proc<number> {
  const start = pageOfAddress(address - (address % 4096))
  return applyLock(k, mm, start, start + pagesOf(address, length), 0)
}

function pagesOf(address: number, length: number): number {
  return Math.ceil((length + (address % 4096)) / 4096)
}

/** `lock`: of VM_LOCKED_MASK. Area by area, up to the first hole. @kernel apply_vma_lock_flags */
function* applyLock(k: Thread, mm: Mm, start: number, end: number, lock: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  if (!(start >= 0) || end < start) return ERRNO.EINVAL
  if (end === start) return 0
  yield* mm.mmapLock.downWrite(k)
  let at = start
  for (const vma of mm.tree.overlapping(start, end)) {
    if (vma.start > at) break
    at = vma.end
    const flags = (vma.flags & ~VM_LOCKED_MASK) | lock
    if (flags === vma.flags) continue
    const part = yield* splitAt(k, mm, vma, start, end)
    yield* vmaWriteBegin(k, mm, part)
    if (k.stepping) yield storing(k, part.id, 'vma.vm_flags')
    seenBy(k, part).flags = flags
    yield* vmaWriteEnd(k, mm, part)
    yield* mergeAround(k, mm, part)
  }
  mm.mmapLock.upWrite(k)
  return at < end ? ERRNO.ENOMEM : 0
}

function coverage(areas: readonly Vma[], start: number, end: number): boolean {
  let at = start
  for (const area of areas) {
    if (area.start > at) return false
    at = area.end
  }
  return at >= end
}

/** One answer a page, or an errno. @kernel mincore_pte_range */
export function* mincore(k: Thread, mm: Mm, address: number, length: number): Proc<number | boolean[]> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  const start = pageOfAddress(address)
  if (!(start >= 0) || length < 0) return ERRNO.EINVAL
  const end = start + Math.ceil(length / 4096)
  yield* mm.mmapLock.downRead(k)
  const areas = mm.tree.overlapping(start, end)
  const resident: boolean[] = []
  for (const vma of areas) {
    const last = Math.min(end, vma.end)
    for (let page = Math.max(start, vma.start); page < last; page++) resident.push(yield* isResident(k, mm, vma, page))
  }
  mm.mmapLock.upRead(k)
  return coverage(areas, start, end) ? resident : ERRNO.ENOMEM
}

/** Under the PTE lock: who has it now may be about to map a page. */
function* isResident(k: Thread, mm: Mm, vma: Vma, page: number): Proc<boolean> {
  const slot = mm.table.walk(page)
  const lock = slot < 0 ? null : mm.kernel.pteLock(slot)
  if (lock !== null) yield* lock.lock(k)
  const pte = mm.table.lookup(page)
  lock?.unlock(k)
  if (ptePresent(pte)) return true
  if (pte !== PTE_NONE && swapKind(pte) !== 'marker') return false
  return vma.isShmem && inodeOf(vma).cache.has(vma.indexOf(page))
}
