/**
 * Pins: somebody keeps a frame to use it without any lock and without a PTE, as a device does that writes to user memory.
 *
 * pinUserPage:
 *  1. read the PTE without a lock; not enough rights -> fault it in, start over.   2. the frame is free by now -> start over.
 *  3. take references: 1024 for one pin, so that many of them mean a pin.   4. the PTE changed -> give them back, start over.
 *
 * 3 before 4 pairs with whoever takes a page away and counts references once the PTE is cleared (uffd_move.ts, migrate.ts): one
 * of the two sees the other.
 *
 * Source: mm/gup.c; include/linux/mm.h.
 * @kernel gup_fast_pte_range, try_grab_folio_fast, pin_user_pages_fast
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_P, ptePfn, pteWritable } from '../hw/pte.ts'
import { ERRNO } from './errno.ts'
import { getUserPage } from './gup.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'

/** References that one pin takes. @kernel GUP_PIN_COUNTING_BIAS */
const PIN = 1024

/** The frame behind a page, pinned for loads or for stores; or EFAULT. */
export function* pinUserPage(k: Thread, mm: Mm, page: number, store: boolean): Proc<Pfn> {
  const { pages } = mm.kernel
  for (;;) {
    // 1.
    if (k.stepping) yield read(page, 'pte')
    const pte = mm.table.lookup(page)
    if ((pte & PTE_P) === 0 || (store && !pteWritable(pte))) {
      if ((yield* getUserPage(k, mm, page, store)) < ZERO_PFN) return ERRNO.EFAULT
      continue
    }
    const pfn = ptePfn(pte)
    // 2.
    if (k.stepping) yield write(pfn, 'page.refcount')
    if (pages.references(pfn) === 0) continue
    // 3.
    pages.get(pfn, PIN)
    // 4.
    if (k.stepping) yield read(page, 'pte')
    if (mm.table.lookup(page) === pte) return pfn
    unpin(mm.kernel, pfn)
  }
}

/** @kernel unpin_user_page */
export function unpin(kernel: Kernel, pfn: Pfn): void {
  kernel.pages.put(pfn, PIN)
}

/** False for certain, or perhaps true. @kernel folio_maybe_dma_pinned */
export function maybePinned(kernel: Kernel, pfn: Pfn): boolean {
  return kernel.pages.references(pfn) >= PIN
}
