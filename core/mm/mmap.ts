/**
 * mmap, munmap, and the splitting and merging of areas that they and others need.
 *
 * munmap:
 *  1. mmap_lock for writing.   2. split at both edges.   3. take the areas out of the tree.
 *  4. zap: clear PTEs under their locks, gather the frames.   5. flush the TLBs.   6. only then free the frames.
 *  7. unlink the anon_vmas.   8. unlock.
 *
 * @kernel do_mmap, do_munmap, __split_vma, vma_merge, unmap_page_range, mmu_gather
 */
import type { Proc } from '../engine/op.ts'
import { write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_NONE, ptePfn, ptePresent } from '../hw/pte.ts'
import { anonVmaClone, unlinkAnonVmas } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { addressOf, type Mm, pageOfAddress } from './mm.ts'
import { pageRemoveRmap } from './rmap.ts'
import { flushTlbRange } from './tlb_flush.ts'
import { VM_READ, VM_WRITE, Vma } from './vma.ts'

/** The first page of a window is never mapped, so that a zero is never a good address. */
const FIRST_PAGE = 1

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
  const vma = new Vma(mm.kernel.newId(), start, start + pages, flags)
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
  // 2. and 3.
  const gone: Vma[] = []
  for (const vma of mm.tree.overlapping(start, end)) {
    const part = yield* splitAt(k, mm, vma, start, end)
    mm.tree.remove(part)
    gone.push(part)
  }
  // 4. to 6.
  for (const vma of gone) yield* zapPageRange(k, mm, vma.start, vma.end)
  // 7.
  for (const vma of gone) yield* unlinkAnonVmas(k, mm.kernel, vma)
  // 8.
  mm.mmapLock.upWrite(k)
  return 0
}

/**
 * Clears the PTEs of [start, end), flushes, then frees the frames. The caller holds mmap_lock.
 * @kernel zap_page_range_single, tlb_finish_mmu
 */
export function* zapPageRange(k: Thread, mm: Mm, start: number, end: number): Proc<void> {
  const kernel = mm.kernel
  const gathered: Pfn[] = []
  let first = -1
  let last = -1
  for (let page = start; page < end; page++) {
    const slot = mm.table.walk(page)
    if (slot < 0) {
      // The whole leaf table is missing: go on behind it.
      page |= 511
      continue
    }
    if (kernel.tables.get(slot) === PTE_NONE) continue
    const lock = kernel.pteLock(slot)
    yield* lock.lock(k)
    if (k.stepping) yield write(slot, 'pte')
    const pte = kernel.tables.get(slot)
    kernel.tables.set(slot, PTE_NONE)
    if (ptePresent(pte)) {
      const pfn = ptePfn(pte)
      if (pfn !== ZERO_PFN) {
        pageRemoveRmap(kernel, pfn)
        gathered.push(pfn)
        mm.rss--
      }
      if (first < 0) first = page
      last = page
    }
    lock.unlock(k)
  }
  if (first < 0) return
  yield* flushTlbRange(k, mm, first, last + 1)
  for (const pfn of gathered) kernel.pages.put(pfn)
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
  if (lower.end !== upper.start || lower.flags !== upper.flags || lower.uffd !== upper.uffd || lower.ops !== upper.ops)
    return false
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
  yield* unlinkAnonVmas(k, mm.kernel, upper)
  lower.end = end
  return lower
}

/** The end of an address space: everything unmapped, all tables freed. Nobody else runs it. @kernel exit_mmap */
export function* exitMmap(k: Thread, mm: Mm): Proc<void> {
  yield* mm.mmapLock.downWrite(k)
  for (const vma of [...mm.tree.areas]) {
    mm.tree.remove(vma)
    yield* zapPageRange(k, mm, vma.start, vma.end)
    yield* unlinkAnonVmas(k, mm.kernel, vma)
  }
  for (const cpu of mm.cpus) if (cpu.mmu.space === mm.table) cpu.mmu.flushAll()
  mm.table.destroy()
  mm.mmapLock.upWrite(k)
}
