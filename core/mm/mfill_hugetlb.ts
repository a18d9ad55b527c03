/**
 * UFFDIO_COPY into memory of the hugetlb pool: 2 MiB placed at once, and nobody ever sees a part of them.
 *
 * Each 2 MiB, under the locks that mfill_atomic.ts holds:
 *  1. a huge page of the pool.   2. copy 512 pages of the user's with page faults disabled; one that would fault: keep the
 *  huge page, answer NEEDS_SOURCE, and copyHugeUnlocked copies them all with faults on and no lock held.
 *  3. PMD lock; not none -> EEXIST.   4. rmap, rss, store the PMD: 2 MiB visible at once.
 *
 * No ZEROPAGE, CONTINUE or POISON, no write protection, and whole huge pages at page-aligned sources only: else EINVAL.
 * Source: mm/userfaultfd.c. Pairs with hugetlb.ts. @kernel mfill_atomic_hugetlb, hugetlb_mfill_atomic_pte
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { HUGE_PAGES, PTE_NONE } from '../hw/pte.ts'
import { ERRNO } from './errno.ts'
import { makeHugePmd } from './huge_page.ts'
import { allocateFromPool } from './hugetlb.ts'
import { type MfillState, NEEDS_SOURCE } from './mfill_page.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { handlePageFault } from './page_fault.ts'
import { pageAddNewAnonRmap } from './rmap.ts'
import { FAULT_KERNEL } from './vm_fault.ts'
import type { Vma } from './vma.ts'

/** Whether the call is one that this kind of memory takes. */
export function fitsHugetlb(state: MfillState): boolean {
  const whole = state.start % HUGE_PAGES === 0 && state.pages % HUGE_PAGES === 0
  return whole && state.what === 'copy' && !state.wp && pageOfAddress(state.src) >= 0
}

/** Fills the next 2 MiB of the call: 0, an errno, or NEEDS_SOURCE. */
export function* fillHugetlbPage(k: Thread, mm: Mm, vma: Vma, state: MfillState): Proc<number> {
  const { kernel } = mm
  const { tables, pages } = kernel
  const page = state.start + state.done
  let head = state.kept
  if (head >= 0) state.kept = -1
  else {
    // 1.
    if (k.stepping) yield write(0, 'pages.blocks')
    head = allocateFromPool(k, kernel)
    if (head < 0) return ERRNO.ENOMEM
    // 2.
    if ((yield* copyFromUser(k, mm, state, head)) >= 0) {
      state.kept = head
      return NEEDS_SOURCE
    }
  }
  // 3.
  const slot = mm.table.pmdSlotAllocate(page)
  const lock = kernel.pmdLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pmd')
  if (tables.get(slot) !== PTE_NONE) {
    lock.unlock(k)
    pages.put(head)
    return ERRNO.EEXIST
  }
  // 4.
  pageAddNewAnonRmap(kernel, head, vma, page)
  mm.rss += HUGE_PAGES
  if (k.stepping) yield write(slot, 'pmd')
  tables.set(slot, makeHugePmd(head, vma.pageProt))
  lock.unlock(k)
  return 0
}

/** Copies the 512 pages; answers the first that would fault, or -1. @kernel copy_folio_from_user */
function* copyFromUser(k: Thread, mm: Mm, state: MfillState, head: Pfn): Proc<number> {
  const first = pageOfAddress(state.src) + state.done
  for (let i = 0; i < HUGE_PAGES; i++) {
    if (k.stepping) {
      yield read(first + i, 'tlb')
      k.cpu.mmu.touchEntry(first + i)
    }
    const from = k.cpu.mmu.translate(first + i, false)
    if (from < 0) return first + i
    mm.kernel.phys.copy(head + i, from)
    k.cpu.nowNs += k.cpu.preset.copyPageNs.value
  }
  return -1
}

/** Fills `state.kept` with page faults on and no lock held: 0 or EFAULT. */
export function* copyHugeUnlocked(k: Thread, state: MfillState): Proc<number> {
  const { caller, kept } = state
  for (;;) {
    const missing = yield* copyFromUser(k, caller, state, kept)
    if (missing < 0) return 0
    if ((yield* handlePageFault(k, caller, missing, false, FAULT_KERNEL)) !== 'ok') return ERRNO.EFAULT
  }
}
