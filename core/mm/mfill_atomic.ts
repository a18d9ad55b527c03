/**
 * UFFDIO_COPY and UFFDIO_ZEROPAGE: fill a missing page so that nobody ever sees half of it.
 *
 * COPY, each page:
 *  1. mmap_changing -> EAGAIN.   2. the area of dst, registered -> else ENOENT.   3. anon_vma, a fresh page.
 *  4. copy the user's bytes with faults disabled; if that would fault: drop all locks, fault it in, start over at 1.
 *  5. PTE lock; not none -> EEXIST, free the page.   6. rmap, rss, store the PTE: visible at once and whole.
 *  7. wake the bytes done, unless DONTWAKE.
 *
 * ZEROPAGE maps the shared zero page instead of 3, 4 and 6.
 * @kernel mfill_atomic, mfill_atomic_pte_copy, mfill_atomic_pte_zeropage, userfaultfd_copy, userfaultfd_zeropage
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { makePte, PTE_D, PTE_NONE, PTE_SPECIAL, PTE_W } from '../hw/pte.ts'
import { anonVmaPrepare } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { handlePageFault } from './page_fault.ts'
import { pageAddNewAnonRmap } from './rmap.ts'
import type { UffdResult } from './uffd_move.ts'
import type { Userfaultfd } from './userfaultfd.ts'
import type { Vma } from './vma.ts'

export const UFFDIO_COPY_MODE_DONTWAKE = 1
export const UFFDIO_ZEROPAGE_MODE_DONTWAKE = 1

/** The caller runs in the mm that `src` belongs to, which is the descriptor's own here. */
export function* uffdCopy(
  k: Thread,
  uffd: Userfaultfd,
  dst: number,
  src: number,
  length: number,
  mode: number,
): Proc<UffdResult> {
  return yield* fill(k, uffd, dst, src, length, mode)
}

export function* uffdZeropage(k: Thread, uffd: Userfaultfd, dst: number, length: number, mode: number): Proc<UffdResult> {
  return yield* fill(k, uffd, dst, -1, length, mode)
}

function* fill(k: Thread, uffd: Userfaultfd, dst: number, src: number, length: number, mode: number): Proc<UffdResult> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  if (uffd.mmapChanging > 0) return { result: ERRNO.EAGAIN, done: ERRNO.EAGAIN }
  const dstStart = pageOfAddress(dst)
  const srcStart = src < 0 ? -1 : pageOfAddress(src)
  const pages = length / 4096
  const badSource = src >= 0 && !(srcStart >= 0)
  if (!(dstStart >= 0) || badSource || !Number.isInteger(pages) || pages <= 0 || (mode & ~1) !== 0) {
    return { result: ERRNO.EINVAL, done: 0 }
  }
  let done = 0
  let error = 0
  while (done < pages) {
    error = yield* fillPage(k, uffd, dstStart + done, pages - done, srcStart < 0 ? -1 : srcStart + done)
    if (error !== 0) break
    done++
    if (k.fatalSignal) {
      error = ERRNO.EINTR
      break
    }
  }
  // 7.
  if (done > 0 && (mode & UFFDIO_COPY_MODE_DONTWAKE) === 0) uffd.wake(k, dstStart, dstStart + done)
  if (done === pages) return { result: 0, done: length }
  return done > 0 ? { result: ERRNO.EAGAIN, done: done * 4096 } : { result: error, done: error }
}

/** The registered area that holds the rest of the range, or null. @kernel find_dst_vma */
function findDestination(mm: Mm, uffd: Userfaultfd, page: number, pages: number): Vma | null {
  const vma = mm.tree.find(page)
  return vma?.contains(page) && page + pages <= vma.end && vma.uffd === uffd ? vma : null
}

function* fillPage(k: Thread, uffd: Userfaultfd, page: number, pagesLeft: number, srcPage: number): Proc<number> {
  const mm = uffd.mm
  const kernel = mm.kernel
  const { tables, pages, phys } = kernel
  // No address space reaches there: what copy_from_user says.
  if (srcPage >= mm.windowPages) return ERRNO.EFAULT
  for (;;) {
    yield* mm.mmapLock.downRead(k)
    // 1.
    if (uffd.mmapChanging > 0) {
      mm.mmapLock.upRead(k)
      return ERRNO.EAGAIN
    }
    // 2.
    const vma = findDestination(mm, uffd, page, pagesLeft)
    if (vma === null) {
      mm.mmapLock.upRead(k)
      return ERRNO.ENOENT
    }
    let pfn = ZERO_PFN
    if (srcPage >= 0) {
      // 3.
      if (vma.anonVma === null) yield* anonVmaPrepare(k, mm, vma)
      pfn = pages.allocate()
      if (pfn < 0) {
        mm.mmapLock.upRead(k)
        return ERRNO.ENOMEM
      }
      // 4.
      if (k.stepping) yield read(srcPage, 'tlb')
      const from = k.cpu.mmu.translate(srcPage, false)
      if (from < 0) {
        pages.put(pfn)
        mm.mmapLock.upRead(k)
        if ((yield* handlePageFault(k, mm, srcPage, false)) !== 'ok') return ERRNO.EFAULT
        continue
      }
      phys.copy(pfn, from)
      k.cpu.nowNs += k.cpu.preset.copyPageNs.value
    }
    // 5.
    const slot = mm.table.walkAllocate(page)
    const lock = kernel.pteLock(slot)
    yield* lock.lock(k)
    if (k.stepping) yield read(slot, 'pte')
    if (tables.get(slot) !== PTE_NONE) {
      lock.unlock(k)
      if (pfn !== ZERO_PFN) pages.put(pfn)
      mm.mmapLock.upRead(k)
      return ERRNO.EEXIST
    }
    // 6.
    if (k.stepping) yield write(slot, 'pte')
    if (pfn === ZERO_PFN) tables.set(slot, makePte(ZERO_PFN, (vma.pageProt & ~PTE_W) | PTE_SPECIAL))
    else {
      pageAddNewAnonRmap(kernel, pfn, vma, page)
      mm.rss++
      tables.set(slot, makePte(pfn, vma.pageProt | PTE_D))
    }
    lock.unlock(k)
    mm.mmapLock.upRead(k)
    return 0
  }
}
