/**
 * UFFDIO_MOVE: the descendant of remap_anon_pages that was merged in 6.8.
 *
 *  1. mmap_changing -> EAGAIN, also in the field.   2. the caller's mm is another -> EINVAL.   3. ranges -> EINVAL.
 *  4. mode known -> EINVAL.   5. mm gone -> ESRCH.   (2 to 5 leave the field alone.)
 *  6. dst area (its anon_vma is made), then src area: missing -> ENOENT.   7. map_changing_lock for reading; mmap_changing -> EAGAIN.
 *  8. private, whole range inside, same rights, equally locked, writable, both anonymous, dst registered here -> EINVAL.
 *  9. each page: dst not none -> EEXIST; src hole -> ENOENT or skipped; zero page: moved as such; not exclusive -> EBUSY;
 *     lock the page, the anon_vma root, both PTE locks; verify again; pinned -> EBUSY; clear and flush src (remap_anon_pages.ts);
 *     pinned since -> put it back, EBUSY; mapping and index; store dst.
 * 10. wake the bytes done, unless DONTWAKE.
 *
 * 0 when complete, EAGAIN when partial (bytes in the field), an errno when nothing moved.
 * Source: mm/userfaultfd.c, 6.8 (adef440691ba, 29 December 2023) and later.
 * @kernel userfaultfd_move, move_pages, move_pages_pte
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_NONE, ptePfn, ptePresent } from '../hw/pte.ts'
import { lockBoth, unlockBoth } from '../sync/spinlock.ts'
import { anonVmaPrepare, getAnonVma, putAnonVma } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { type HugeMove, movePmd } from './huge_move.ts'
import type { UffdResult } from './mfill_atomic.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { moveEntry } from './move_swap.ts'
import { maybePinned } from './pin.ts'
import { flushSource, storeMoved, takePte } from './remap_anon_pages.ts'
import { pageAnonVma, pageMoveAnonRmap } from './rmap.ts'
import { flushTlbPage } from './tlb_flush.ts'
import { UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES, UFFDIO_MOVE_MODE_DONTWAKE } from './uffd_abi.ts'
import { validateRange } from './uffd_api.ts'
import { noteAnswered, wakeUserfault } from './uffd_wake.ts'
import { countReferences, type Userfaultfd } from './userfaultfd.ts'
import { VM_LOCKED, VM_READ, VM_SHARED, VM_WRITE, type Vma } from './vma.ts'

/** UFFDIO_MOVE. `caller` is the mm of whoever calls: only its own memory may be moved. @kernel userfaultfd_move */
export function* uffdMove(
  k: Thread,
  uffd: Userfaultfd,
  dst: number,
  src: number,
  length: number,
  mode: number,
  caller: Mm = uffd.mm,
): Proc<UffdResult> {
  const mm = uffd.mm
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  countReferences(k, uffd)
  // 1.
  if (uffd.isChanging && mm.kernel.has('uffd-mmap-changing')) return failed(ERRNO.EAGAIN)
  // 2. to 4.
  const known = UFFDIO_MOVE_MODE_DONTWAKE | UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES
  const badRange = validateRange(mm, dst, length) !== 0 || validateRange(mm, src, length) !== 0
  if (caller !== mm || badRange || (mode & ~known) !== 0) return { result: ERRNO.EINVAL, done: 0 }
  // 5.
  if (mm.users === 0) return { result: ERRNO.ESRCH, done: 0 }
  const dstStart = pageOfAddress(dst)
  const moved = yield* movePages(k, uffd, dstStart, pageOfAddress(src), length / 4096, mode)
  countReferences(k, uffd)
  if (moved < 0) return failed(moved)
  // 10.
  if ((mode & UFFDIO_MOVE_MODE_DONTWAKE) === 0) {
    yield* wakeUserfault(k, uffd, dstStart, dstStart + moved / 4096)
    noteAnswered(k, uffd, dstStart, dstStart + moved / 4096)
  }
  return { result: moved === length ? 0 : ERRNO.EAGAIN, done: moved }
}

function failed(error: number): UffdResult {
  return { result: error, done: error }
}

/** Bytes moved, or an errno if none were. @kernel move_pages */
function* movePages(k: Thread, uffd: Userfaultfd, dst: number, src: number, pages: number, mode: number): Proc<number> {
  const { mm } = uffd
  yield* mm.mmapLock.downRead(k)
  yield* uffd.mapChangingLock.downRead(k)
  // 6. to 8.
  const checked = yield* checkAreas(k, uffd, dst, src, pages)
  let moved = 0
  let error = typeof checked === 'number' ? checked : 0
  if (typeof checked !== 'number') {
    // 9.
    const holesAllowed = (mode & UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES) !== 0
    const mayTake = (head: Pfn) => mm.kernel.pages.isExclusive(head)
    while (moved < pages && error === 0) {
      const at = { mm, dstVma: checked, dstPage: dst + moved, srcPage: src + moved, left: pages - moved }
      const step = yield* moveStep(k, { ...at, holesAllowed, mayTake, asksBeforeSplit: true })
      if (step > 0) moved += step
      else if (step !== ERRNO.EAGAIN) error = step
      if (k.fatalSignal && error === 0) error = ERRNO.EINTR
    }
  }
  uffd.mapChangingLock.upRead(k)
  mm.mmapLock.upRead(k)
  return moved > 0 ? moved * 4096 : error
}

/** 6. to 8.: the destination's area, or an errno. @kernel validate_move_areas */
function* checkAreas(k: Thread, uffd: Userfaultfd, dst: number, src: number, pages: number): Proc<Vma | number> {
  const { tree, kernel } = uffd.mm
  const dstVma = tree.find(dst)
  if (dstVma === null || !dstVma.contains(dst)) return ERRNO.ENOENT
  // Before anything else is asked: an area that is refused below has one from then on, too.
  if ((dstVma.flags & VM_SHARED) === 0 && kernel.has('remap-dst-anon-vma')) yield* anonVmaPrepare(k, uffd.mm, dstVma)
  const srcVma = tree.find(src)
  if (srcVma === null || !srcVma.contains(src)) return ERRNO.ENOENT
  if (uffd.isChanging && kernel.has('uffd-mmap-changing')) return ERRNO.EAGAIN
  if (((dstVma.flags | srcVma.flags) & VM_SHARED) !== 0) return ERRNO.EINVAL
  if (dst + pages > dstVma.end || src + pages > srcVma.end) return ERRNO.EINVAL
  if (((dstVma.flags ^ srcVma.flags) & (VM_READ | VM_WRITE | VM_LOCKED)) !== 0) return ERRNO.EINVAL
  if ((srcVma.flags & VM_WRITE) === 0) return ERRNO.EINVAL
  if (dstVma.uffd !== uffd || !dstVma.isAnonymous || !srcVma.isAnonymous) return ERRNO.EINVAL
  return dstVma
}

/** Pages moved, 512 of them at once where they can be, or an errno. */
function* moveStep(k: Thread, move: HugeMove): Proc<number> {
  const { table } = move.mm
  let srcSlot = table.walk(move.srcPage)
  let dstSlot = table.walk(move.dstPage)
  if (srcSlot < 0 || dstSlot < 0) {
    const step = yield* movePmd(k, move)
    if (step !== 0) return step
    srcSlot = table.walk(move.srcPage)
    dstSlot = table.walk(move.dstPage)
  }
  const error = yield* movePte(k, move, dstSlot, srcSlot)
  return error === 0 ? 1 : error
}

function* movePte(
  k: Thread,
  { mm, dstVma, dstPage, srcPage, holesAllowed }: HugeMove,
  dstSlot: Slot,
  srcSlot: Slot,
): Proc<number> {
  const kernel = mm.kernel
  const { tables, pages } = kernel
  const hole = holesAllowed ? 0 : ERRNO.ENOENT
  // A table that went, or became huge, since movePmd looked.
  if (dstSlot < 0 || (srcSlot < 0 && !holesAllowed)) return ERRNO.EAGAIN
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
  if (!ptePresent(srcPte)) {
    return yield* moveEntry(k, { mm, dstVma, dstPage, dstSlot, srcSlot, srcPte, unshared: 'exclusive-bit' })
  }
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
  getAnonVma(anonVma)
  const root = anonVma.root
  yield* root.rwsem.downWrite(k)
  yield* lockBoth(k, srcLock, dstLock)
  if (k.stepping) yield read(srcSlot, 'pte')
  // Hardware may have set A or D since the sample: the frame is what must not have changed.
  const now = tables.get(srcSlot)
  const same = ptePresent(now) && ptePfn(now) === pfn && tables.get(dstSlot) === PTE_NONE && pages.isExclusive(pfn)
  let error: number = same ? 0 : ERRNO.EAGAIN
  if (same) error = yield* moveExclusive(k, mm, dstVma, dstPage, dstSlot, srcPage, srcSlot, pfn)
  unlockBoth(k, srcLock, dstLock)
  root.rwsem.upWrite(k)
  yield* putAnonVma(k, kernel, anonVma)
  kernel.pageLocks.unlock(k, pfn)
  pages.put(pfn)
  return error
}

/**
 * Under all locks: 0, or EBUSY for a pinned page. Who pins does so without a lock, and looks at the PTE again after it: either
 * it finds the PTE cleared, or this finds the pin. @kernel move_present_pte
 */
function* moveExclusive(
  k: Thread,
  mm: Mm,
  dstVma: Vma,
  dstPage: number,
  dstSlot: Slot,
  srcPage: number,
  srcSlot: Slot,
  pfn: Pfn,
): Proc<number> {
  const { kernel } = mm
  if (maybePinned(kernel, pfn)) return ERRNO.EBUSY
  if (k.stepping) yield write(srcSlot, 'pte')
  const srcPte = takePte(kernel, srcSlot)
  yield* flushSource(k, mm, srcPage)
  if (maybePinned(kernel, pfn) && kernel.has('move-pin-recheck')) {
    if (k.stepping) yield write(srcSlot, 'pte')
    kernel.tables.set(srcSlot, srcPte)
    return ERRNO.EBUSY
  }
  if (k.stepping) yield write(pfn, 'page.mapping')
  pageMoveAnonRmap(kernel, pfn, dstVma, dstPage)
  if (k.stepping) yield write(dstSlot, 'pte')
  storeMoved(k, mm, dstVma, dstPage, dstSlot, pfn)
  return 0
}
