/**
 * Memory of the hugetlb pool: areas whose every page is a huge one, from the first touch to the end.
 *
 * What differs from transparent huge pages: no fallback (no huge page is a SIGBUS), no splitting, so every cut must be
 * aligned (EINVAL), no moving (remap_anon_pages and UFFDIO_MOVE take anonymous areas only), no table deposited. What it has
 * instead is a UFFDIO_COPY that places 2 MiB at once, which is why post-copy by copying needs it for huge pages.
 *
 * The pool is what order 9 of the page allocator has: nothing is reserved. Private mappings only.
 *
 * hugetlb_no_page: 1. userfault area: handle_userfault, before anything is allocated.   2. a huge page, cleared.
 *  3. PMD lock; still none.   4. rmap, store.
 *
 * Source: mm/hugetlb.c. Pairs with mfill_hugetlb.ts. @kernel hugetlb_fault, hugetlb_no_page, hugetlb_wp
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { HUGE_PAGES, PTE_NONE, type Pte, ptePfn } from '../hw/pte.ts'
import { clearHugePage, copyHugePage, hugeFirst, makeHugePmd } from './huge_page.ts'
import type { Kernel } from './kernel.ts'
import { PG_HUGETLB } from './page.ts'
import { pageAddNewAnonRmap, pageRemoveRmap } from './rmap.ts'
import { flushTlbHuge } from './tlb_flush.ts'
import { handleUserfault, userfaultfdMissing } from './uffd_fault.ts'
import { type Attempt, releaseFaultLock, type Vmf, vmfAnonPrepare } from './vm_fault.ts'
import { VM_UFFD_MISSING } from './vma.ts'

/** A huge page of the pool with refcount 1, or -1. @kernel alloc_hugetlb_folio */
export function allocateFromPool(k: Thread, kernel: Kernel): number {
  const head = kernel.pages.allocateHuge()
  k.cpu.nowNs += k.cpu.preset.allocPageNs.value
  if (head >= 0) kernel.pages.flags[head] |= PG_HUGETLB
  return head
}

export function* hugetlbNoPage(k: Thread, vmf: Vmf): Proc<Attempt> {
  const { mm, vma, page, slot } = vmf
  const { kernel } = mm
  // 1.
  if (userfaultfdMissing(vma)) return yield* handleUserfault(k, vmf, VM_UFFD_MISSING)
  // 2.
  if (!(yield* vmfAnonPrepare(k, vmf))) return 'changed'
  if (k.stepping) yield write(0, 'pages.blocks')
  const head = allocateFromPool(k, kernel)
  if (head < 0) {
    releaseFaultLock(k, vmf)
    return 'sigbus'
  }
  clearHugePage(k, kernel, head)
  // 3.
  const lock = kernel.pmdLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pmd')
  if (kernel.tables.get(slot) !== PTE_NONE) {
    lock.unlock(k)
    kernel.pages.put(head)
    return 'done'
  }
  // 4.
  pageAddNewAnonRmap(kernel, head, vma, hugeFirst(page))
  mm.rss += HUGE_PAGES
  if (k.stepping) yield write(slot, 'pmd')
  kernel.tables.set(slot, makeHugePmd(head, vmf.prot))
  lock.unlock(k)
  kernel.hooks.populate(k, hugeFirst(page), false, HUGE_PAGES)
  return 'done'
}

/** A store to a page of the pool that others map too: copies 2 MiB. `pmd` is what the PMD was. @kernel hugetlb_wp */
export function* hugetlbCow(k: Thread, vmf: Vmf, pmd: Pte): Proc<Attempt> {
  const { mm, vma, page, slot } = vmf
  const { kernel } = mm
  const { tables, pages } = kernel
  const old = ptePfn(pmd)
  if (k.stepping) yield write(0, 'pages.blocks')
  const head = allocateFromPool(k, kernel)
  if (head < 0) {
    releaseFaultLock(k, vmf)
    return 'sigbus'
  }
  copyHugePage(k, kernel, head, old)
  const lock = kernel.pmdLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pmd')
  if (tables.get(slot) !== pmd) {
    lock.unlock(k)
    pages.put(head)
    return 'done'
  }
  pageAddNewAnonRmap(kernel, head, vma, hugeFirst(page))
  if (k.stepping) yield write(slot, 'pmd')
  tables.set(slot, PTE_NONE)
  yield* flushTlbHuge(k, mm, hugeFirst(page))
  tables.set(slot, makeHugePmd(head, vmf.prot))
  pageRemoveRmap(kernel, old)
  lock.unlock(k)
  pages.put(old)
  return 'done'
}
