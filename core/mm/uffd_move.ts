/**
 * UFFDIO_MOVE: the descendant of remap_anon_pages that was merged in 6.8.
 *
 *  1. mmap_changing -> EAGAIN.   2. ranges valid -> EINVAL.   3. mode known -> EINVAL.
 *  4. dst area, then src area: missing -> ENOENT.
 *  5. private, whole range inside, same rights, equally locked, writable, both anonymous, dst registered here -> EINVAL.
 *  6. each page: dst not none -> EEXIST; src hole -> ENOENT or skipped; zero page: moved as such; not exclusive -> EBUSY;
 *     lock the page, the anon_vma root, both PTE locks; verify again; move (remap_anon_pages.ts, movePage).
 *  7. wake the bytes done, unless DONTWAKE.
 *
 * Returns { result, moved }: 0 when complete, EAGAIN when partial (bytes in `moved`), an errno when nothing moved.
 * @kernel userfaultfd_move, move_pages, move_pages_pte
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_NONE, ptePfn, ptePresent } from '../hw/pte.ts'
import { lockBoth, unlockBoth } from '../sync/spinlock.ts'
import { anonVmaPrepare, putAnonVma } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { pageOfAddress } from './mm.ts'
import { movePage } from './remap_anon_pages.ts'
import { pageAnonVma } from './rmap.ts'
import { flushTlbPage } from './tlb_flush.ts'
import type { Userfaultfd } from './userfaultfd.ts'
import { VM_LOCKED, VM_SHARED, VM_WRITE, type Vma } from './vma.ts'

export const UFFDIO_MOVE_MODE_DONTWAKE = 1
export const UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES = 2

export interface UffdResult {
  readonly result: number
  /** Bytes done, or an errno where none were. */
  readonly done: number
}

export function* uffdMove(
  k: Thread,
  uffd: Userfaultfd,
  dst: number,
  src: number,
  length: number,
  mode: number,
): Proc<UffdResult> {
  const mm = uffd.mm
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  // 1.
  if (uffd.mmapChanging > 0) return failed(ERRNO.EAGAIN)
  // 2. and 3.
  const dstStart = pageOfAddress(dst)
  const srcStart = pageOfAddress(src)
  const pages = length / 4096
  if (!(dstStart >= 0) || !(srcStart >= 0) || !Number.isInteger(pages) || pages <= 0 || mode > 3) {
    // The field is left as the caller set it.
    return { result: ERRNO.EINVAL, done: 0 }
  }
  yield* mm.mmapLock.downRead(k)
  const check = checkAreas(uffd, dstStart, srcStart, pages)
  if (typeof check === 'number') {
    mm.mmapLock.upRead(k)
    return failed(check)
  }
  const dstVma = check
  if (dstVma.anonVma === null) yield* anonVmaPrepare(k, mm, dstVma)
  // 6.
  let moved = 0
  let error = 0
  while (moved < pages) {
    error = yield* movePte(k, uffd, dstVma, dstStart + moved, srcStart + moved, mode)
    if (k.fatalSignal && (error === 0 || error === ERRNO.EAGAIN)) {
      if (error === 0) moved++
      error = ERRNO.EINTR
      break
    }
    if (error === ERRNO.EAGAIN) continue
    if (error !== 0) break
    moved++
  }
  mm.mmapLock.upRead(k)
  // 7.
  if (moved > 0 && (mode & UFFDIO_MOVE_MODE_DONTWAKE) === 0) uffd.wake(k, dstStart, dstStart + moved)
  if (moved === pages) return { result: 0, done: length }
  return moved > 0 ? { result: ERRNO.EAGAIN, done: moved * 4096 } : failed(error)
}

function failed(error: number): UffdResult {
  return { result: error, done: error }
}

/** 4. and 5.: the destination's area, or an errno. */
function checkAreas(uffd: Userfaultfd, dst: number, src: number, pages: number): Vma | number {
  const tree = uffd.mm.tree
  const dstVma = tree.find(dst)
  if (dstVma === null || !dstVma.contains(dst)) return ERRNO.ENOENT
  const srcVma = tree.find(src)
  if (srcVma === null || !srcVma.contains(src)) return ERRNO.ENOENT
  if (((dstVma.flags | srcVma.flags) & VM_SHARED) !== 0) return ERRNO.EINVAL
  if (dst + pages > dstVma.end || src + pages > srcVma.end) return ERRNO.EINVAL
  if (dstVma.pageProt !== srcVma.pageProt || ((dstVma.flags ^ srcVma.flags) & VM_LOCKED) !== 0) return ERRNO.EINVAL
  if ((srcVma.flags & VM_WRITE) === 0) return ERRNO.EINVAL
  if (dstVma.uffd !== uffd || !dstVma.isAnonymous || !srcVma.isAnonymous) return ERRNO.EINVAL
  return dstVma
}

function* movePte(k: Thread, uffd: Userfaultfd, dstVma: Vma, dstPage: number, srcPage: number, mode: number): Proc<number> {
  const mm = uffd.mm
  const kernel = mm.kernel
  const { tables, pages } = kernel
  const hole = (mode & UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES) !== 0 ? 0 : ERRNO.ENOENT
  const srcSlot = mm.table.walk(srcPage)
  if (srcSlot < 0 && hole !== 0) return hole
  const dstSlot = mm.table.walkAllocate(dstPage)
  const dstLock = kernel.pteLock(dstSlot)
  // Both samples are taken under their locks: a look without one can hit a copy-on-write between clear and store.
  yield* dstLock.lock(k)
  if (k.stepping) yield read(dstSlot, 'pte')
  const dstPte = tables.get(dstSlot)
  dstLock.unlock(k)
  if (dstPte !== PTE_NONE) return ERRNO.EEXIST
  if (srcSlot < 0) return hole
  const srcLock = kernel.pteLock(srcSlot)
  yield* srcLock.lock(k)
  if (k.stepping) yield read(srcSlot, 'pte')
  const srcPte = tables.get(srcSlot)
  srcLock.unlock(k)
  if (srcPte === PTE_NONE) return hole
  if (!ptePresent(srcPte)) return ERRNO.EFAULT
  const pfn = ptePfn(srcPte)
  if (pfn === ZERO_PFN) {
    yield* lockBoth(k, srcLock, dstLock)
    if (tables.get(srcSlot) !== srcPte || tables.get(dstSlot) !== dstPte) {
      unlockBoth(k, srcLock, dstLock)
      return ERRNO.EAGAIN
    }
    if (k.stepping) yield write(srcSlot, 'pte')
    tables.set(srcSlot, PTE_NONE)
    yield* flushTlbPage(k, mm, srcPage)
    tables.set(dstSlot, srcPte)
    unlockBoth(k, srcLock, dstLock)
    return 0
  }
  if (!pages.isExclusive(pfn)) return ERRNO.EBUSY
  pages.get(pfn)
  yield* kernel.pageLocks.lock(k, pfn)
  const anonVma = pages.isMapped(pfn) ? pageAnonVma(kernel, pfn) : null
  if (anonVma === null) {
    kernel.pageLocks.unlock(k, pfn)
    pages.put(pfn)
    return ERRNO.EAGAIN
  }
  anonVma.refcount++
  const root = anonVma.root
  yield* root.rwsem.downWrite(k)
  yield* lockBoth(k, srcLock, dstLock)
  if (k.stepping) yield read(srcSlot, 'pte')
  // Hardware may have set A or D since the sample: the frame is what must not have changed.
  const now = tables.get(srcSlot)
  const same = ptePresent(now) && ptePfn(now) === pfn && tables.get(dstSlot) === PTE_NONE && pages.isExclusive(pfn)
  if (same) yield* movePage(k, mm, dstVma, dstPage, dstSlot, srcPage, srcSlot, pfn)
  unlockBoth(k, srcLock, dstLock)
  root.rwsem.upWrite(k)
  putAnonVma(kernel, anonVma)
  kernel.pageLocks.unlock(k, pfn)
  pages.put(pfn)
  return same ? 0 : ERRNO.EAGAIN
}
