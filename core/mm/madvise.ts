/**
 * madvise: DONTNEED, DONTFORK, DOFORK, POPULATE_READ and POPULATE_WRITE, and the 2014 pair USERFAULT and NOUSERFAULT.
 *
 * DONTNEED zaps pages with mmap_lock for reading, POPULATE brings them in (gup.ts). The others change flags with mmap_lock for writing: split at the edges,
 * set, merge again. USERFAULT never changes a PTE: it changes what a *none* PTE means.
 *
 * HUGEPAGE and NOHUGEPAGE say whether an area may have huge pages, from the next fault on; those it has stay. COLLAPSE makes
 * one of every aligned 2 MiB now, by khugepaged's rules.
 *
 * Advice 18 and 19 were the numbers of the 2014 series; on today's kernels they are MADV_WIPEONFORK and KEEPONFORK, so
 * they must never be sent to a real one. Source: man 2 madvise; "RFC: userfault" 2014. @kernel madvise, madvise_behavior, madvise_populate
 */
import { NOTHING, type Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { HUGE_PAGES } from '../hw/pte.ts'
import { seenBy } from '../sync/barriers.ts'
import { ERRNO } from './errno.ts'
import { MADV_POPULATE_ERRORS, populate } from './gup.ts'
import { cutsHugetlb } from './hugetlb_area.ts'
import { type ScanResult, scanAndCollapse } from './khugepaged.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { changeAreas } from './mmap.ts'
import { userfaultfdRemove } from './uffd_events.ts'
import { VM_DONTCOPY, VM_HUGEPAGE, VM_LOCKED, VM_NOHUGEPAGE, VM_USERFAULT, type Vma } from './vma.ts'
import { zapPageRange } from './zap.ts'

export const MADV_DONTNEED = 4
export const MADV_DONTFORK = 10
export const MADV_DOFORK = 11
export const MADV_POPULATE_READ = 22
export const MADV_POPULATE_WRITE = 23
export const MADV_HUGEPAGE = 14
export const MADV_NOHUGEPAGE = 15
export const MADV_COLLAPSE = 25
export const MADV_USERFAULT = 18
export const MADV_NOUSERFAULT = 19

function flagsAfter(flags: number, advice: number): number {
  switch (advice) {
    case MADV_DONTFORK:
      return flags | VM_DONTCOPY
    case MADV_DOFORK:
      return flags & ~VM_DONTCOPY
    case MADV_USERFAULT:
      return flags | VM_USERFAULT
    case MADV_NOUSERFAULT:
      return flags & ~VM_USERFAULT
    case MADV_HUGEPAGE:
      return (flags & ~VM_NOHUGEPAGE) | VM_HUGEPAGE
    case MADV_NOHUGEPAGE:
      return (flags & ~VM_HUGEPAGE) | VM_NOHUGEPAGE
    default:
      return flags
  }
}

const KNOWN = new Set([
  MADV_DONTNEED,
  MADV_DONTFORK,
  MADV_DOFORK,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MADV_COLLAPSE,
  MADV_USERFAULT,
  MADV_NOUSERFAULT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
])

/** 0, EINVAL, or ENOMEM where part of the range is not mapped (the rest was done). @kernel madvise */
export function* madvise(k: Thread, mm: Mm, address: number, length: number, advice: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  const start = pageOfAddress(address)
  if (!(start >= 0) || !KNOWN.has(advice) || length < 0) return ERRNO.EINVAL
  const end = start + Math.ceil(length / 4096)
  if (end === start) return 0
  if (advice === MADV_COLLAPSE) return yield* collapse(k, mm, start, end)
  if (advice === MADV_POPULATE_READ || advice === MADV_POPULATE_WRITE)
    return yield* populate(k, mm, start, end, advice === MADV_POPULATE_WRITE, false, MADV_POPULATE_ERRORS)
  return advice === MADV_DONTNEED ? yield* dontNeed(k, mm, start, end) : yield* changeFlags(k, mm, start, end, advice)
}

/**
 * Area by area. userfaultfd hears of it first; for that mmap_lock is dropped, and the area may be another one afterwards.
 * @kernel madvise_dontneed_free
 */
function* dontNeed(k: Thread, mm: Mm, start: number, end: number): Proc<number> {
  yield* mm.mmapLock.downRead(k)
  let result = 0
  let at = start
  while (at < end) {
    let vma = mm.tree.find(at)
    if (vma === null || vma.start >= end) {
      result = ERRNO.ENOMEM
      break
    }
    if (vma.start > at) {
      result = ERRNO.ENOMEM
      at = vma.start
    }
    let to = Math.min(end, vma.end)
    const tellsFirst = mm.kernel.has('uffd-remove-before-zap')
    if (!tellsFirst) yield* zapPageRange(k, mm, vma, at, to)
    if ((vma.flags & VM_LOCKED) === 0 && !(yield* userfaultfdRemove(k, mm, vma, at, to))) {
      yield* mm.mmapLock.downRead(k)
      if (mm.kernel.has('madvise-revalidate')) vma = mm.tree.find(at)
      vma?.use('madvise_dontneed_free')
      if (vma === null || !vma.contains(at)) {
        result = ERRNO.ENOMEM
        break
      }
      to = Math.min(to, vma.end)
    }
    if ((vma.flags & VM_LOCKED) !== 0 || cutsHugetlb(mm, at, to)) {
      result = ERRNO.EINVAL
      break
    }
    if (tellsFirst) yield* zapPageRange(k, mm, vma, at, to)
    at = to
  }
  mm.mmapLock.upRead(k)
  return result
}

function* changeFlags(k: Thread, mm: Mm, start: number, end: number, advice: number): Proc<number> {
  yield* mm.mmapLock.downWrite(k)
  if (cutsHugetlb(mm, start, end)) {
    mm.mmapLock.upWrite(k)
    return ERRNO.EINVAL
  }
  const areas = mm.tree.overlapping(start, end)
  const covered = covers(areas, start, end)
  // Areas before one that refuses are done, as by the kernel's own loop.
  const refuses = (vma: Vma) => (advice === MADV_USERFAULT || advice === MADV_NOUSERFAULT) && !vma.isAnonymous
  const stopAt = areas.find(refuses)?.start ?? end
  const needs = (vma: Vma) => flagsAfter(vma.flags, advice) !== vma.flags
  yield* changeAreas(k, mm, start, Math.min(end, stopAt), needs, (part) => setFlags(k, part, advice))
  mm.mmapLock.upWrite(k)
  if (stopAt < end) return ERRNO.EINVAL
  return covered ? 0 : ERRNO.ENOMEM
}

function setFlags(k: Thread, part: Vma, advice: number): Proc<void> {
  seenBy(k, part).flags = flagsAfter(part.flags, advice)
  return NOTHING
}

/** Whether the areas leave no hole in [start, end). */
function covers(areas: readonly { readonly start: number; readonly end: number }[], start: number, end: number): boolean {
  let at = start
  for (const area of areas) {
    if (area.start > at) return false
    at = area.end
  }
  return at >= end
}

/** Every aligned 2 MiB in the range; the last thing that went wrong. @kernel madvise_collapse */
function* collapse(k: Thread, mm: Mm, start: number, end: number): Proc<number> {
  let result = 0
  for (let page = Math.ceil(start / HUGE_PAGES) * HUGE_PAGES; page + HUGE_PAGES <= end; page += HUGE_PAGES) {
    const error = collapseErrno(yield* scanAndCollapse(k, mm, page))
    if (error !== 0) result = error
  }
  return result
}

/** @kernel madvise_collapse_errno */
function collapseErrno(result: ScanResult): number {
  switch (result) {
    case 'succeed':
    case 'pmd-mapped':
      return 0
    case 'alloc-huge-page-fail':
      return ERRNO.ENOMEM
    case 'page-count':
    case 'page-lock':
      return ERRNO.EAGAIN
    default:
      return ERRNO.EINVAL
  }
}
