/**
 * mremap: resizes a mapping, or moves it, page tables and all.
 *
 *  1. flags, alignment, length; FIXED and DONTUNMAP need MAYMOVE, DONTUNMAP equal lengths, FIXED no overlap -> EINVAL.
 *  2. mmap_lock for writing; no area at the old address, or the range crosses its end -> EFAULT; but a move to a fixed place
 *     that keeps the length takes any number of areas (6.17), and a range that only shrinks may cross.
 *  3. FIXED: unmap what is at the new place.   4. shrink: unmap the tail.   5. grow in place if nothing is behind -> done.
 *  6. without MAYMOVE -> ENOMEM.   7. move:
 *     a. a new area with the old one's index base, so that page->index stays right (an area that never had a page may take
 *        a base of its own); edges to the same anon_vmas, linked behind the old ones.
 *     b. move_ptes, one pair of tables at a time: both PTE locks; each entry is taken out and put in; flush before unlock.
 *        If the new area was merged into one that a walk may see before the old one, the anon_vma root is write-locked, so
 *        that a walk sees the page at one of both places.
 *     c. userfaultfd: registration moves along, or is lost.   d. unmap the old range; with DONTUNMAP it stays, empty: a whole
 *        area then lets go of its anon_vmas, and the next page gets it one as if it never had any.
 *  8. unlock; events: UNMAP of what was at the new place, REMAP, UNMAP of the rest.
 *
 * Source: mm/mremap.c.
 * @kernel mremap, move_vma, move_page_tables, move_ptes, copy_vma, dontunmap_complete
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { unlinkAnonVmas } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { addressOf, type Mm, pageOfAddress } from './mm.ts'
import { FIRST_PAGE, mergeAround, unmapLocked } from './mmap.ts'
import { copyVma, movePageTables } from './move_page_tables.ts'
import { mremapComplete, mremapPrep, type UnmapEvent, unmapComplete } from './uffd_events.ts'
import type { Userfaultfd } from './userfaultfd.ts'
import { vmStatAccount } from './vm_stat.ts'
import { VM_LOCKED_MASK, type Vma } from './vma.ts'
import { vmaWriteBegin, vmaWriteEnd } from './vma_sequence.ts'

export const MREMAP_MAYMOVE = 1
export const MREMAP_FIXED = 2
export const MREMAP_DONTUNMAP = 4

/** Byte addresses and lengths; the new address, or an errno. @kernel mremap */
export function* mremap(
  k: Thread,
  mm: Mm,
  oldAddress: number,
  oldLength: number,
  newLength: number,
  flags: number,
  newAddress = 0,
): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  // 1.
  const from = pageOfAddress(oldAddress)
  const was = Math.ceil(oldLength / 4096)
  const wanted = Math.ceil(newLength / 4096)
  const fixed = (flags & MREMAP_FIXED) !== 0
  const to = pageOfAddress(newAddress)
  if ((flags & ~7) !== 0 || !(from >= 0) || !(wanted > 0)) return ERRNO.EINVAL
  if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0 && (flags & MREMAP_MAYMOVE) === 0) return ERRNO.EINVAL
  if ((flags & MREMAP_DONTUNMAP) !== 0 && was !== wanted) return ERRNO.EINVAL
  if (fixed) {
    if (!(to >= FIRST_PAGE) || to + wanted > mm.windowPages) return ERRNO.EINVAL
    if (to < from + was && from < to + wanted) return ERRNO.EINVAL
  }
  const events: Events = { early: [], late: [], remap: null }
  // 2.
  yield* mm.mmapLock.downWrite(k)
  const request = { from, was, wanted, flags, to: fixed ? to : -1 }
  const result = fixed && was === wanted ? yield* moveAreas(k, mm, request, events) : yield* remapOne(k, mm, request, events)
  mm.mmapLock.upWrite(k)
  // 8.
  yield* unmapComplete(k, events.early)
  if (result >= 0) yield* mremapComplete(k, events.remap, from, result, Math.min(was, wanted))
  yield* unmapComplete(k, events.late)
  return result >= 0 ? addressOf(result) : result
}

interface Request {
  readonly from: number
  readonly was: number
  readonly wanted: number
  readonly flags: number
  /** Exactly there, or -1. */
  readonly to: number
}

interface Events {
  /** What the target held: told first. */
  readonly early: UnmapEvent[]
  readonly late: UnmapEvent[]
  remap: Userfaultfd | null
}

/**
 * 2. Every area of the range is moved by itself, with the holes between them as they are; the first must hold the first page. Where several
 * are asked for, a registered one is not moved, and what was moved before it stays so. @kernel remap_move, vma_multi_allowed
 */
function* moveAreas(k: Thread, mm: Mm, r: Request, events: Events): Proc<number> {
  const end = r.from + r.was
  let moved = 0
  for (let at = r.from; at < end; ) {
    const vma = mm.tree.find(at)
    if (vma === null || vma.start >= end) break
    const from = Math.max(at, vma.start)
    if (moved === 0 && from > r.from) return ERRNO.EFAULT
    if (vma.uffd !== null && (moved > 0 || vma.end < end)) return ERRNO.EFAULT
    const was = Math.min(end, vma.end) - from
    at = from + was
    const done = yield* remap(k, mm, vma, { ...r, from, was, wanted: was, to: r.to + from - r.from }, events)
    if (done < 0) return done
    moved++
  }
  return moved === 0 ? ERRNO.EFAULT : r.to
}

/** 2. One area, which the range may leave only where it is unmapped or nothing changes. @kernel check_prep_vma */
function* remapOne(k: Thread, mm: Mm, r: Request, events: Events): Proc<number> {
  const { from, was, wanted } = r
  const vma = mm.tree.find(from)
  if (!vma?.contains(from)) return ERRNO.EFAULT
  // A second mapping of the same pages: of private ones there can be none, of shared ones there is none here.
  if (was === 0) return ERRNO.EINVAL
  const moves = r.to >= 0 || (r.flags & MREMAP_DONTUNMAP) !== 0
  const needed = wanted > was ? was : moves ? wanted : 0
  return from + needed > vma.end ? ERRNO.EFAULT : yield* remap(k, mm, vma, r, events)
}

/** 3. to 7. under mmap_lock: the new first page, or an errno. @kernel do_mremap */
function* remap(k: Thread, mm: Mm, vma: Vma, r: Request, events: Events): Proc<number> {
  const { from, wanted } = r
  let { was } = r
  const moves = r.to >= 0 || (r.flags & MREMAP_DONTUNMAP) !== 0
  // 3.
  if (r.to >= 0) yield* unmapLocked(k, mm, r.to, r.to + wanted, events.early)
  // 4.
  if (wanted < was) {
    yield* unmapLocked(k, mm, from + wanted, from + was, events.late)
    was = wanted
  }
  if (!moves) {
    if (wanted === was) return from
    // 5.
    if (yield* expandInPlace(k, mm, vma, from + was, wanted - was)) return from
    // 6.
    if ((r.flags & MREMAP_MAYMOVE) === 0) return ERRNO.ENOMEM
  }
  const to = r.to >= 0 ? r.to : mm.tree.findGap(FIRST_PAGE, wanted, mm.windowPages)
  if (to < 0) return ERRNO.ENOMEM
  // What was unmapped above may have cut the area.
  const source = mm.tree.find(from) ?? vma
  return yield* moveVma(k, mm, source, { ...r, was, to }, events)
}

/** @kernel vma_expandable, vma_merge_extend */
function* expandInPlace(k: Thread, mm: Mm, vma: Vma, end: number, more: number): Proc<boolean> {
  if (vma.end !== end || end + more > mm.windowPages) return false
  if (mm.tree.overlapping(end, end + more).length > 0) return false
  yield* vmaWriteBegin(k, mm, vma, '2014')
  yield* mm.tree.adjust(k, vma, vma.start, end + more)
  yield* vmaWriteEnd(k, mm, vma, '2014')
  vmStatAccount(mm, vma.flags, more)
  yield* mergeAround(k, mm, vma)
  return true
}

/** 7. @kernel move_vma */
function* moveVma(k: Thread, mm: Mm, vma: Vma, r: Request, events: Events): Proc<number> {
  const { from, was, wanted, to } = r
  // a. The old area and the new one are odd until the entries have moved: a fault on the new one would find none (R19).
  const counts = mm.kernel.has('mremap-seq')
  if (counts) yield* vmaWriteBegin(k, mm, vma)
  const { moved, rmapLocks } = yield* copyVma(k, mm, vma, from, to, wanted)
  // b.
  if (k.stepping) yield write(moved.id, 'vma')
  yield* movePageTables(k, mm, vma, from, moved, to, was, rmapLocks)
  for (const area of [moved, vma]) if (area.sequence.isWriter(k)) yield* vmaWriteEnd(k, mm, area)
  // c.
  // What it was merged with loses its registration, too.
  if (moved.uffd !== null) events.remap = yield* mremapPrep(k, moved)
  // d.
  if ((r.flags & MREMAP_DONTUNMAP) === 0) yield* unmapLocked(k, mm, from, from + was, events.late)
  else yield* leaveEmpty(k, mm, vma, moved, from, from + was)
  return to
}

/** The pages are gone, and with them what the area's anon_vmas were for; a part of an area keeps those of the whole. @kernel dontunmap_complete */
function* leaveEmpty(k: Thread, mm: Mm, vma: Vma, moved: Vma, start: number, end: number): Proc<void> {
  vma.flags &= ~VM_LOCKED_MASK
  if (moved === vma || vma.start !== start || vma.end !== end) return
  yield* unlinkAnonVmas(k, mm.kernel, vma)
  touch(vma.id, 'vma.anon_vma', AccessMode.write)
  vma.anonVma = null
}
