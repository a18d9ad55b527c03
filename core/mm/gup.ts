/**
 * The kernel reaches for a page of user memory on somebody's behalf: get_user_pages, and what is built on it.
 *
 *  1. walk the table without a lock; a PTE with enough rights: done. Areas are not looked at: that needs mmap_lock.
 *  2. fault it in as kernel code: no area, or one without the right -> EFAULT, as is all that would be a signal to user code.
 *  3. start over: what was faulted in may be gone again.
 *
 * Users: write(2) of a buffer, process_vm_readv, MADV_POPULATE_READ and WRITE, mlock.
 * Source: mm/gup.c.
 * @kernel __get_user_pages, gup_fast, faultin_page, fault_in_readable
 */
import { type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_NONE, PTE_P, ptePfn, pteWritable } from '../hw/pte.ts'
import { ERRNO } from './errno.ts'
import { type Mm, WINDOW_BASE } from './mm.ts'
import { handleMmFault, handlePageFault } from './page_fault.ts'
import { isPoison } from './swapops.ts'
import { FAULT_KERNEL } from './vm_fault.ts'
import { VM_READ, VM_WRITE } from './vma.ts'

/** The frame behind a page, or EFAULT. The caller must not keep it across a yield. */
export function* getUserPage(k: Thread, mm: Mm, page: number, store: boolean): Proc<Pfn> {
  for (;;) {
    // 1.
    if (page >= 0 && page < mm.windowPages) {
      if (k.stepping) yield read(mm.table.walk(page), 'pte')
      const pte = mm.table.lookup(page)
      if ((pte & PTE_P) !== 0 && (!store || pteWritable(pte))) return ptePfn(pte)
    }
    // 2. and 3.
    if (!(page >= 0) || (yield* handlePageFault(k, mm, page, store, FAULT_KERNEL)) !== 'ok') return ERRNO.EFAULT
  }
}

/** write(2) of a buffer to something that takes it all: bytes, or EFAULT if not even the first could be read. */
export function* readUserBuffer(k: Thread, mm: Mm, address: number, length: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  let at = address
  const end = address + length
  while (at < end) {
    const page = Math.floor((at - WINDOW_BASE) / 4096)
    const pfn = yield* getUserPage(k, mm, page, false)
    if (pfn < ZERO_PFN) return at > address ? at - address : ERRNO.EFAULT
    at = Math.min(end, WINDOW_BASE + (page + 1) * 4096)
  }
  return length
}

/** What populate answers where there is no area, and where it does not allow the access. */
interface AreaErrors {
  readonly noArea: number
  readonly noRight: number
}

const EFAULT_BOTH: AreaErrors = { noArea: ERRNO.EFAULT, noRight: ERRNO.EFAULT }
/** @kernel FOLL_MADV_POPULATE */
export const MADV_POPULATE_ERRORS: AreaErrors = { noArea: ERRNO.ENOMEM, noRight: ERRNO.EINVAL }

/**
 * Makes [start, end) present; 0, EFAULT, EHWPOISON, or what is wrong with the area, which is asked for each missing page: a fault that slept
 * may find another one. mmap_lock is held from page to page, until a fault has to let go of it, and not behind it; `isHeld`: the caller has
 * taken it for reading.
 * @kernel faultin_page_range, populate_vma_page_range
 */
export function* populate(
  k: Thread,
  mm: Mm,
  start: number,
  end: number,
  store: boolean,
  isHeld = false,
  { noArea, noRight } = EFAULT_BOTH,
): Proc<number> {
  const { faults } = mm.kernel
  const right = store ? VM_WRITE : VM_READ
  for (let page = start; page < end; ) {
    if (!isHeld) yield* mm.mmapLock.downRead(k)
    isHeld = true
    const isInside = page < mm.windowPages
    if (k.stepping && isInside) yield read(mm.table.walk(page), 'pte')
    const pte = isInside ? mm.table.lookup(page) : PTE_NONE
    if ((pte & PTE_P) !== 0 && (!store || pteWritable(pte))) {
      page++
      continue
    }
    const vma = mm.tree.find(page)
    if (vma === null || !vma.contains(page) || (vma.flags & right) === 0) {
      mm.mmapLock.upRead(k)
      return vma?.contains(page) === true ? noRight : noArea
    }
    const attempt = yield* handleMmFault(k, mm, vma, page, store, FAULT_KERNEL, 0)
    // A signal, or a sleep: the lock is not held any more. The page is looked at again.
    isHeld = attempt !== 'sigbus' && attempt !== 'retry' && attempt !== 'changed'
    if (attempt === 'oom' || attempt === 'sigbus' || k.fatalSignal) {
      if (isHeld) mm.mmapLock.upRead(k)
      return isPoison(mm.table.lookup(page)) ? ERRNO.EHWPOISON : ERRNO.EFAULT
    }
    if (attempt !== 'done') continue
    faults.total++
    faults.classic++
    faults.minor++
  }
  if (isHeld) mm.mmapLock.upRead(k)
  return 0
}
