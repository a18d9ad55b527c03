/**
 * mmap, munmap, and the splitting and merging of areas that they and others need.
 *
 * munmap:
 *  1. mmap_lock for writing.   2. split at both edges.   3. take the areas out of the tree.
 *  4. zap: clear PTEs under their locks, gather the frames.   5. flush the TLBs.   6. only then free the frames.
 *  7. unlink the anon_vmas, drop the file.   8. unlock.   9. tell userfaultfd, and wait until it has read it.
 *
 * Pairs with zap.ts and mmu_gather.ts (4 to 6). @kernel do_mmap, do_munmap, __split_vma, vma_merge
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { anonVmaClone, unlinkAnonVmas } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { addressOf, type Mm, pageOfAddress } from './mm.ts'
import { MmuGather } from './mmu_gather.ts'
import { putInode } from './shmem.ts'
import { type UnmapEvent, unmapComplete, unmapPrep } from './uffd_events.ts'
import { VM_MAYREAD, VM_MAYWRITE, VM_READ, VM_WRITE, Vma } from './vma.ts'
import { unmapPageRange, zapPageRange } from './zap.ts'

/** The first page of a window is never mapped, so that a zero is never a good address. */
export const FIRST_PAGE = 1

/** Anonymous private memory. Returns its byte address, or an errno. @kernel do_mmap */
export function* mmapAnonymous(k: Thread, mm: Mm, length: number, flags = VM_READ | VM_WRITE): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  if (!(length > 0)) return ERRNO.EINVAL
  const pages = Math.ceil(length / 4096)
  yield* mm.mmapLock.downWrite(k)
  const start = mm.tree.findGap(FIRST_PAGE, pages, mm.windowPages)
  if (start < 0) {
    mm.mmapLock.upWrite(k)
    return ERRNO.ENOMEM
  }
  const vma = new Vma(mm.kernel.newId(), start, start + pages, flags | VM_MAYREAD | VM_MAYWRITE)
  mm.tree.insert(vma)
  yield* mergeAround(k, mm, vma)
  mm.mmapLock.upWrite(k)
  return addressOf(start)
}

/** @kernel __do_munmap */
export function* munmap(k: Thread, mm: Mm, address: number, length: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  const start = pageOfAddress(address)
  if (!(start >= 0) || !(length > 0)) return ERRNO.EINVAL
  const end = start + Math.ceil(length / 4096)
  if (end > mm.windowPages) return ERRNO.EINVAL
  // 1.
  yield* mm.mmapLock.downWrite(k)
  const events: UnmapEvent[] = []
  yield* unmapLocked(k, mm, start, end, events)
  // 8.
  mm.mmapLock.upWrite(k)
  // 9.
  yield* unmapComplete(k, events)
  return 0
}

/**
 * Steps 2 to 7, under mmap_lock for writing. The caller drops the lock and then delivers `events`.
 * @kernel do_vmi_align_munmap
 */
export function* unmapLocked(k: Thread, mm: Mm, start: number, end: number, events: UnmapEvent[]): Proc<void> {
  // 2. and 3.
  const gone: Vma[] = []
  for (const vma of mm.tree.overlapping(start, end)) {
    yield* unmapPrep(k, vma, start, end, events)
    const part = yield* splitAt(k, mm, vma, start, end)
    mm.tree.remove(part)
    gone.push(part)
  }
  // 4. to 6.
  const gather = new MmuGather(mm)
  for (const vma of gone) yield* unmapPageRange(k, gather, vma.start, vma.end)
  yield* gather.finish(k)
  // 7.
  for (const vma of gone) yield* removeVma(k, mm, vma)
}

/**
 * The part of `vma` inside [start, end) as an area of its own. The caller holds mmap_lock for writing.
 * @kernel __split_vma
 */
export function* splitAt(k: Thread, mm: Mm, vma: Vma, start: number, end: number): Proc<Vma> {
  let part = vma
  if (part.start < start) part = yield* split(k, mm, part, start)
  if (part.end > end) yield* split(k, mm, part, end)
  return part
}

/**
 * Changes the areas of [start, end) one by one: splits off each part that `needs` it, lets `change` work on the part, and
 * merges it with its neighbours. Goes by address, because a merge may swallow the area that would have come next.
 * The caller holds mmap_lock for writing.
 */
export function* changeAreas(
  k: Thread,
  mm: Mm,
  start: number,
  end: number,
  needs: (vma: Vma) => boolean,
  change: (part: Vma) => Proc<void>,
): Proc<void> {
  let at = start
  while (at < end) {
    const vma = mm.tree.find(at)
    if (vma === null || vma.start >= end) return
    at = Math.min(end, vma.end)
    if (!needs(vma)) continue
    const part = yield* splitAt(k, mm, vma, start, end)
    yield* change(part)
    yield* mergeAround(k, mm, part)
  }
}

/** Cuts at `page`: the lower part stays `vma`, the upper part is new and returned. */
function* split(k: Thread, mm: Mm, vma: Vma, page: number): Proc<Vma> {
  const upper = new Vma(mm.kernel.newId(), page, vma.end, vma.flags, vma.ops)
  upper.pgoff = vma.indexOf(page)
  upper.uffd = vma.uffd
  upper.file = vma.file
  if (vma.file !== null) vma.file.inode.refs++
  upper.anonVma = vma.anonVma
  // Linked before it is cut, and cut under the root's lock: a walk of the reverse map finds every page in one half or in both.
  yield* anonVmaClone(k, upper, vma)
  const root = vma.chain[0]?.anonVma.root
  if (root !== undefined) yield* root.rwsem.downWrite(k)
  vma.end = page
  mm.tree.insert(upper)
  root?.rwsem.upWrite(k)
  return upper
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
  if (lower.ops !== upper.ops || lower.file?.inode !== upper.file?.inode) return false
  if (lower.pgoff - lower.start !== upper.pgoff - upper.start) return false
  if (lower.anonVma === upper.anonVma) return true
  return (lower.anonVma === null && lower.chain.length === 0) || (upper.anonVma === null && upper.chain.length === 0)
}

function* join(k: Thread, mm: Mm, lower: Vma, upper: Vma): Proc<Vma> {
  if (lower.anonVma === null && upper.anonVma !== null) {
    lower.anonVma = upper.anonVma
    yield* anonVmaClone(k, lower, upper)
  }
  mm.tree.remove(upper)
  const end = upper.end
  // Together, under the root's lock: a walk of the reverse map finds every page in one of the two.
  yield* removeVma(k, mm, upper, () => {
    lower.end = end
  })
  return lower
}

/** An area that left the tree lets go of what it held: its anon_vmas and its file. @kernel remove_vma */
export function* removeVma(k: Thread, mm: Mm, vma: Vma, underLock?: () => void): Proc<void> {
  yield* unlinkAnonVmas(k, mm.kernel, vma, underLock)
  if (vma.file !== null) putInode(mm.kernel, vma.file.inode)
}

/** The end of an address space: everything unmapped, all tables freed. Nobody else runs it. @kernel exit_mmap */
export function* exitMmap(k: Thread, mm: Mm): Proc<void> {
  yield* mm.mmapLock.downWrite(k)
  mm.users = 0
  for (const vma of [...mm.tree.areas]) {
    mm.tree.remove(vma)
    yield* zapPageRange(k, mm, vma.start, vma.end)
    yield* removeVma(k, mm, vma)
  }
  for (const cpu of mm.cpus) if (cpu.mmu.space === mm.table) cpu.mmu.flushAll()
  mm.table.destroy()
  mm.mmapLock.upWrite(k)
}
