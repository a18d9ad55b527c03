/**
 * mmap, munmap, and the splitting and merging of areas that they and others need.
 *
 * munmap:
 *  1. mmap_lock for writing.   2. split at both edges.   3. take the areas out of the tree; mmap_lock down to reading (since
 *     4.20): whoever faults elsewhere need not wait for the rest, and who would map something here needs it for writing.
 *  4. zap: clear PTEs under their locks, gather the frames.   5. unlink the anon_vmas; gather the page tables that no other area
 *     needs.   6. flush the TLBs; only then free frames and tables.   7. drop the file, free the areas.   8. unlock.
 *  9. tell userfaultfd, and wait until it has read it.
 *
 * vma_adjust (split, join) writes the count of the area and, nested, of the next one; vma_sequence.ts says who else does.
 *
 * Pairs with zap.ts, pgtable.ts and mmu_gather.ts (4 to 6). @kernel do_mmap, do_munmap, __split_vma, vma_merge
 * Source: mm/mmap.c; mm/vma.c.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, NOTHING, type Proc, QUANTUM } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { HUGE_PAGES } from '../hw/pte.ts'
import { seenBy, storing } from '../sync/barriers.ts'
import { anonVmaClone, unlinkAnonVmas } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { splitHugePmd } from './huge_split.ts'
import { cutsHugetlb } from './hugetlb_area.ts'
import { mpolEqual } from './mempolicy.ts'
import { addressOf, type Mm, pageOfAddress } from './mm.ts'
import { MmuGather } from './mmu_gather.ts'
import { freePgtables } from './pgtable.ts'
import { type UnmapEvent, unmapComplete, unmapPrep } from './uffd_events.ts'
import { vmStatAccount } from './vm_stat.ts'
import { accounted, VM_HUGETLB, VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_WRITE, Vma } from './vma.ts'
import { freeVma, shareBacking } from './vma_lifetime.ts'
import {
  vmaDelete,
  vmaLockWrite,
  vmaSequenceBegin,
  vmaSequenceEnd,
  vmaWriteBegin,
  vmaWriteEnd,
  vmaWriteGone,
} from './vma_sequence.ts'
import { unmapPageRange, zapPageRange } from './zap.ts'

/** The first page of a window is never mapped, so that a zero is never a good address. */
export const FIRST_PAGE = 1

/** A second area's count inside the first's section. @kernel SINGLE_DEPTH_NESTING */
const NESTED = 1

/**
 * Anonymous private memory, its start a multiple of `alignPages`. Returns its byte address, or an errno. With VM_HUGETLB
 * (MAP_HUGETLB) it is of the hugetlb pool: whole huge pages, aligned. @kernel do_mmap, thp_get_unmapped_area
 */
export function* mmapAnonymous(
  k: Thread,
  mm: Mm,
  length: number,
  flags = VM_READ | VM_WRITE,
  alignPages = (flags & VM_HUGETLB) === 0 ? 1 : HUGE_PAGES,
): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  if (!(length > 0)) return ERRNO.EINVAL
  const pages = Math.ceil(length / 4096)
  if ((flags & VM_HUGETLB) !== 0 && pages % HUGE_PAGES !== 0) return ERRNO.EINVAL
  if (k.expired) yield QUANTUM
  yield* mm.mmapLock.downWrite(k)
  const start = mm.tree.findGap(FIRST_PAGE, pages, mm.windowPages, alignPages)
  if (start < 0) {
    mm.mmapLock.upWrite(k)
    return ERRNO.ENOMEM
  }
  const vma = new Vma(mm.kernel.newId(), start, start + pages, accounted(flags | VM_MAYREAD | VM_MAYWRITE))
  yield* linkNew(k, mm, vma)
  yield* mergeAround(k, mm, vma)
  mm.mmapLock.upWrite(k)
  return addressOf(start)
}

/** A new area enters the tree; its neighbours are the caller's to merge. @kernel vma_link, mmap_region */
export function* linkNew(k: Thread, mm: Mm, vma: Vma): Proc<void> {
  yield* vmaWriteBegin(k, mm, vma)
  yield* mm.tree.link(k, vma)
  yield* vmaWriteEnd(k, mm, vma)
  vmStatAccount(mm, vma.flags, vma.end - vma.start)
}

/** @kernel __do_munmap */
export function* munmap(k: Thread, mm: Mm, address: number, length: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  const start = pageOfAddress(address)
  if (!(start >= 0) || !(length > 0)) return ERRNO.EINVAL
  const end = start + Math.ceil(length / 4096)
  if (end > mm.windowPages) return ERRNO.EINVAL
  // 1.
  if (k.expired) yield QUANTUM
  yield* mm.mmapLock.downWrite(k)
  if (cutsHugetlb(mm, start, end)) {
    mm.mmapLock.upWrite(k)
    return ERRNO.EINVAL
  }
  const events: UnmapEvent[] = []
  const gone = yield* detach(k, mm, start, end, events)
  mm.mmapLock.downgrade(k)
  yield* unmapRegion(k, mm, gone)
  // 8.
  mm.mmapLock.upRead(k)
  // 9.
  yield* unmapComplete(k, events)
  return 0
}

/**
 * Steps 2 to 7, under mmap_lock for writing. The caller drops the lock and then delivers `events`.
 * @kernel do_vmi_align_munmap
 */
export function* unmapLocked(k: Thread, mm: Mm, start: number, end: number, events: UnmapEvent[]): Proc<void> {
  yield* unmapRegion(k, mm, yield* detach(k, mm, start, end, events))
}

/** 2. and 3. @kernel detach_vmas_to_be_unmapped */
function* detach(k: Thread, mm: Mm, start: number, end: number, events: UnmapEvent[]): Proc<Vma[]> {
  const gone: Vma[] = []
  for (const vma of mm.tree.overlapping(start, end)) {
    yield* unmapPrep(k, vma, start, end, events)
    const part = yield* cutOut(k, mm, vma, start, end)
    yield* vmaLockWrite(k, mm, part)
    yield* vmaDelete(k, mm, part)
    yield* mm.tree.unlink(k, part)
    gone.push(part)
  }
  return gone
}

/** 4. to 7., for areas that have left the tree. mmap_lock for reading will do. @kernel unmap_region */
function* unmapRegion(k: Thread, mm: Mm, gone: readonly Vma[]): Proc<void> {
  const gather = new MmuGather(mm)
  for (const vma of gone) yield* unmapPageRange(k, gather, vma, vma.start, vma.end)
  // 5.
  for (const vma of gone) yield* leaveAnonVmas(k, mm, vma)
  for (const vma of gone) yield* freePgtables(k, gather, vma.start, vma.end)
  // 6.
  yield* gather.finish(k)
  if (k.expired) yield QUANTUM
  // 7.
  for (const vma of gone) yield* dropArea(k, mm, vma)
}

/** No walk of the reverse map comes here any more. @kernel free_pgtables */
function* leaveAnonVmas(k: Thread, mm: Mm, vma: Vma): Proc<void> {
  yield* vmaSequenceBegin(k, mm, vma)
  yield* unlinkAnonVmas(k, mm.kernel, vma)
  yield* vmaSequenceEnd(k, mm, vma)
}

/** An area of which nothing is left lets go of its file, and is freed. @kernel remove_vma_list, remove_vma */
function* dropArea(k: Thread, mm: Mm, vma: Vma): Proc<void> {
  vmStatAccount(mm, vma.flags, vma.start - vma.end)
  yield* freeVma(k, mm.kernel, vma)
}

/**
 * Makes the part of `vma` inside [start, end) an area of its own: `vma` itself, of which what lies before and behind is cut
 * off as new areas. The caller holds mmap_lock for writing. @kernel split_vma
 */
export function* splitAt(k: Thread, mm: Mm, vma: Vma, start: number, end: number): Proc<Vma> {
  if (vma.start < start) yield* split(k, mm, vma, start, true)
  if (vma.end > end) yield* split(k, mm, vma, end, false)
  return vma
}

/** The same for a part that goes away: what lies before it stays `vma`. @kernel __do_munmap */
function* cutOut(k: Thread, mm: Mm, vma: Vma, start: number, end: number): Proc<Vma> {
  const part = vma.start < start ? yield* split(k, mm, vma, start, false) : vma
  if (part.end > end) yield* split(k, mm, part, end, false)
  return part
}

/**
 * Changes the areas of [start, end) one by one: splits off each part that `needs` it, lets `change` work on the part, and
 * merges it with its neighbours. Goes by address, because a merge may swallow the area that would have come next. What
 * `before` does to the part comes first: until then faults under the lock of the area go on.
 * The caller holds mmap_lock for writing.
 */
export function* changeAreas(
  k: Thread,
  mm: Mm,
  start: number,
  end: number,
  needs: (vma: Vma) => boolean,
  change: (part: Vma) => Proc<void>,
  counts = true,
  before: (vma: Vma, start: number, end: number) => Proc<void> = () => NOTHING,
): Proc<void> {
  let at = start
  while (at < end) {
    const vma = mm.tree.find(at)
    if (vma === null || vma.start >= end) return
    at = Math.min(end, vma.end)
    if (!needs(vma)) continue
    yield* before(vma, Math.max(start, vma.start), at)
    const part = yield* splitAt(k, mm, vma, start, end)
    if (counts) yield* vmaWriteBegin(k, mm, part)
    if (k.stepping) yield storing(k, part.id, 'vma.vm_flags')
    yield* change(part)
    if (counts) yield* vmaWriteEnd(k, mm, part)
    yield* mergeAround(k, mm, part)
  }
}

/**
 * Cuts at `page`: a new area, the answer, gets the lower part or the upper one; `vma` keeps the other. A huge page is split first.
 * @kernel __split_vma, vma_adjust
 */
function* split(k: Thread, mm: Mm, vma: Vma, page: number, newBelow: boolean): Proc<Vma> {
  if (page % HUGE_PAGES !== 0 && mm.table.walk(page) < 0) yield* splitHugePmd(k, mm, page)
  const part = new Vma(mm.kernel.newId(), newBelow ? vma.start : page, newBelow ? page : vma.end, vma.flags, vma.ops)
  part.pgoff = vma.indexOf(part.start)
  part.uffd = vma.uffd
  part.anonVma = vma.anonVma
  shareBacking(part, vma)
  // Linked before it is cut, and cut under the root's lock: a walk of the reverse map finds every page in one half or in both.
  yield* anonVmaClone(k, part, vma)
  const next = mm.tree.after(vma)
  yield* vmaWriteBegin(k, mm, vma, '2014')
  if (next !== null) yield* vmaWriteBegin(k, mm, next, '2014', NESTED)
  yield* vmaLockWrite(k, mm, part)
  const root = vma.chain[0]?.anonVma.root
  if (root !== undefined) yield* root.rwsem.downWrite(k)
  yield* mm.tree.adjust(k, vma, newBelow ? page : vma.start, newBelow ? vma.end : page)
  yield* mm.tree.link(k, part)
  root?.rwsem.upWrite(k)
  if (next !== null) yield* vmaWriteEnd(k, mm, next, '2014')
  yield* vmaWriteEnd(k, mm, vma, '2014')
  return part
}

/** Joins `vma` with equal neighbours. The caller holds mmap_lock for writing. @kernel vma_merge */
export function* mergeAround(k: Thread, mm: Mm, vma: Vma): Proc<Vma> {
  let merged = vma
  const before = mm.tree.before(merged)
  if (before !== null && canMerge(before, merged)) merged = yield* join(k, mm, before, merged)
  const after = mm.tree.after(merged)
  if (after !== null && canMerge(merged, after)) merged = yield* join(k, mm, merged, after)
  return merged
}

/** @kernel can_vma_merge_after, is_mergeable_anon_vma */
function canMerge(lower: Vma, upper: Vma): boolean {
  if (lower.end !== upper.start || lower.flags !== upper.flags || lower.uffd !== upper.uffd) return false
  if (lower.ops !== upper.ops || lower.file?.inode !== upper.file?.inode || !mpolEqual(lower.policy, upper.policy)) return false
  if (lower.pgoff - lower.start !== upper.pgoff - upper.start) return false
  if (lower.anonVma === upper.anonVma) return true
  if (lower.anonVma === null && lower.chain.length === 0) return !hadParents(upper)
  return upper.anonVma === null && upper.chain.length === 0 && !hadParents(lower)
}

/** Pages of it may belong to the process that it was forked from: what never had a page does not join it. @kernel vma_had_uncowed_parents */
function hadParents({ chain }: Vma): boolean {
  return chain.length > 1
}

/**
 * `lower` swallows `upper`, which is next to it and ends where something else may begin.
 *
 * The patch of 2014 ended the section of the swallowed area after freeing it, and began one on the area behind it without
 * asking whether there is one. v12 leaves the count of the swallowed area odd for good. @kernel vma_adjust, anon_vma_merge
 */
function* join(k: Thread, mm: Mm, lower: Vma, upper: Vma): Proc<Vma> {
  const kernel = mm.kernel
  // A section that mremap holds open on the area it is making goes over to the merged one: it must not look even in between.
  const goesOn = kernel.has('vma-seq-once')
  const lowerOpen = goesOn && lower.sequence.isWriter(k)
  const upperOpen = goesOn && upper.sequence.isWriter(k)
  const depth = lowerOpen || upperOpen ? 2 * NESTED : 0
  if (!lowerOpen) yield* vmaWriteBegin(k, mm, lower, '2014', depth)
  const marksUpper = upperOpen || kernel.has('vma-merge-next')
  if (!upperOpen && marksUpper) yield* vmaWriteBegin(k, mm, upper, '2014', depth + NESTED)
  if (lower.anonVma === null && upper.anonVma !== null) {
    touch(lower.id, 'vma.anon_vma', AccessMode.write)
    seenBy(k, lower).anonVma = upper.anonVma
    yield* anonVmaClone(k, lower, upper)
  }
  const { end } = upper
  yield* mm.tree.unlink(k, upper)
  // Grown before the other lets go: a walk of the reverse map finds every page in one of the two, or in both.
  const root = lower.chain[0]?.anonVma.root
  if (root !== undefined) yield* root.rwsem.downWrite(k)
  yield* mm.tree.adjust(k, lower, lower.start, end)
  root?.rwsem.upWrite(k)
  yield* unlinkAnonVmas(k, kernel, upper)
  const endsBefore = kernel.has('vma-seq-end-before-free')
  if (marksUpper && endsBefore) yield* vmaWriteGone(k, mm, upper)
  yield* freeVma(k, kernel, upper)
  if (marksUpper && !endsBefore) yield* vmaWriteEnd(k, mm, upper, '2014')
  const next = mm.tree.after(lower)
  // The next area may be the one that mremap moves from, whose section is open too.
  const nextOpen = next?.sequence.isWriter(k) ?? false
  if (!nextOpen && (next !== null || !kernel.has('vma-seq-null-next'))) yield* vmaWriteBegin(k, mm, next, '2014', depth + NESTED)
  if (next !== null && !nextOpen) yield* vmaWriteEnd(k, mm, next, '2014')
  if (!lowerOpen && !upperOpen) yield* vmaWriteEnd(k, mm, lower, '2014')
  return lower
}

/** The end of an address space: everything unmapped, all tables freed. Nobody else runs it. @kernel exit_mmap */
export function* exitMmap(k: Thread, mm: Mm): Proc<void> {
  yield* mm.mmapLock.downWrite(k)
  mm.users = 0
  for (const vma of mm.tree.areas) {
    yield* mm.tree.unlink(k, vma)
    yield* zapPageRange(k, mm, vma, vma.start, vma.end)
    yield* leaveAnonVmas(k, mm, vma)
    yield* dropArea(k, mm, vma)
  }
  for (const cpu of mm.cpus) if (cpu.mmu.space === mm.table) cpu.mmu.flushAll()
  mm.table.destroy()
  mm.kernel.mms.splice(mm.kernel.mms.indexOf(mm), 1)
  mm.mmapLock.upWrite(k)
}
