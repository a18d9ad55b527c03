/**
 * Memory that fails: a frame is found broken, and is taken from everybody who maps it.
 *
 * memory_failure, of a small anonymous page:
 *  1. a reference on the frame, which nobody drops again: it is never given to anybody.   2. lock the page, mark it broken.
 *  3. each mapping, under its PTE lock: clear and flush, as try_to_unmap does; a poison marker takes its place.
 *  4. unlock. From here on whoever touches the page gets SIGBUS, the kernel on his behalf EFAULT.
 *
 * The kernel tells the processes (SIGBUS, BUS_MCEERR_AO to those who asked for it); here whoever calls tells. Its entry is a swap entry
 * of a kind of its own that names the frame (SWP_HWPOISON); nobody here asks which frame it was, so the marker of UFFDIO_POISON serves.
 * Source: mm/memory-failure.c. Pairs with try_to_unmap.ts.
 * @kernel memory_failure, hwpoison_user_mappings, TTU_HWPOISON, PageHWPoison
 */
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { ptePfn, ptePresent } from '../hw/pte.ts'
import { ERRNO } from './errno.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'
import { PG_HWPOISON } from './page.ts'
import { lockMappedPte } from './page_vma_mapped.ts'
import { pageRemoveRmap } from './rmap.ts'
import { rmapWalk } from './rmap_walk.ts'
import { MARKER_POISON, makeMarker } from './swapops.ts'
import { clearAndFlush } from './try_to_unmap.ts'

/** The frame behind `page` fails. 0, EFAULT where there is none, or EBUSY where it is no small anonymous page. */
export function* memoryFailure(k: Thread, mm: Mm, page: number): Proc<number> {
  const { kernel } = mm
  const { pages, pageLocks } = kernel
  // 1.
  const slot = mm.table.walk(page)
  if (slot < 0) return ERRNO.EFAULT
  const lock = kernel.pteLock(slot)
  yield* lock.lock(k)
  const pte = kernel.tables.get(slot)
  const pfn = ptePresent(pte) ? ptePfn(pte) : -1
  const fits = pfn >= 0 && pages.isMapped(pfn) && pages.isAnon(pfn) && !pages.isKsm(pfn)
  if (fits) pages.get(pfn)
  lock.unlock(k)
  if (pfn < 0) return ERRNO.EFAULT
  if (!fits) return ERRNO.EBUSY
  // 2.
  yield* pageLocks.lock(k, pfn)
  pages.flags[pfn] |= PG_HWPOISON
  // 3.
  yield* rmapWalk(k, kernel, pfn, (at, _vma, there) => poisonOne(k, kernel, pfn, at, there))
  // 4.
  pageLocks.unlock(k, pfn)
  return 0
}

/** 3. */
function* poisonOne(k: Thread, kernel: Kernel, pfn: Pfn, mm: Mm, page: number): Proc<boolean> {
  const { tables, pages } = kernel
  const slot = yield* lockMappedPte(k, kernel, mm, page, pfn, 'present')
  if (slot < 0) return true
  yield* clearAndFlush(k, mm, page, slot)
  if (k.stepping) yield write(slot, 'pte')
  tables.set(slot, makeMarker(MARKER_POISON))
  mm.rss--
  pages.clearExclusive(pfn)
  pageRemoveRmap(kernel, pfn)
  pages.put(pfn)
  kernel.pteLock(slot).unlock(k)
  return pages.isMapped(pfn)
}
