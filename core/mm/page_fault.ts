/**
 * The page fault, classic path: under mmap_lock.
 *
 *  1. mmap_lock for reading; find the area; no area or no right -> SIGSEGV.
 *  2. Walk, allocating tables. Sample the PTE.
 *  3. none: do_anonymous_page. present and a store without W: do_wp_page. Else spurious: hardware retries.
 *  4. A missing page of a userfault area: handle_userfault drops the lock and sleeps; start over.
 *
 * do_anonymous_page:
 *  a. anon_vma_prepare; allocate and clear a page (a read maps the zero page instead).
 *  b. PTE lock; the PTE must still be none, else somebody was faster.
 *  c. userfault area: give the page back, unlock, handle_userfault (tested here, under the lock, after b).
 *  d. rmap, rss, store the PTE. e. unlock both.
 *
 * @kernel handle_mm_fault, do_anonymous_page, do_wp_page
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import {
  makePte,
  PTE_D,
  PTE_NONE,
  PTE_SPECIAL,
  PTE_W,
  pteFlags,
  ptePfn,
  ptePresent,
  pteWithFlags,
  pteWritable,
} from '../hw/pte.ts'
import { anonVmaPrepare } from './anon_vma.ts'
import type { Mm } from './mm.ts'
import { PG_ANON_EXCLUSIVE } from './page.ts'
import { pageAddNewAnonRmap, pageRemoveRmap } from './rmap.ts'
import { flushTlbPage } from './tlb_flush.ts'
import { handleUserfault, userfaultfdMissing } from './userfaultfd.ts'
import { VM_READ, VM_WRITE, type Vma } from './vma.ts'

/** What a user thread gets back: go on, or a signal. */
export type FaultResult = 'ok' | 'sigsegv' | 'sigbus' | 'oom'

/** What one attempt says: done, start over (mmap_lock was dropped), or a signal (mmap_lock was dropped). */
type Attempt = 'done' | 'retry' | 'sigbus' | 'oom'

/** Handles a fault of `k` on a page of `mm`; sleeps where the page must come from elsewhere. @kernel do_user_addr_fault */
export function* handlePageFault(k: Thread, mm: Mm, page: number, store: boolean): Proc<FaultResult> {
  const kernel = mm.kernel
  k.cpu.nowNs += k.cpu.preset.faultNs.value
  kernel.faults.total++
  kernel.faults.classic++
  let slept = false
  for (;;) {
    // 1.
    yield* mm.mmapLock.downRead(k)
    const vma = mm.tree.find(page)
    if (vma === null || !vma.contains(page) || (vma.flags & (store ? VM_WRITE : VM_READ)) === 0) {
      mm.mmapLock.upRead(k)
      return 'sigsegv'
    }
    // 2. and 3.
    const slot = mm.table.walkAllocate(page)
    if (k.stepping) yield read(slot, 'pte')
    const pte = kernel.tables.get(slot)
    let attempt: Attempt = 'done'
    if (!ptePresent(pte)) attempt = yield* doAnonymousPage(k, mm, vma, page, slot, store)
    else if (store && !pteWritable(pte)) attempt = yield* doWpPage(k, mm, vma, page, slot)
    switch (attempt) {
      case 'done':
        mm.mmapLock.upRead(k)
        if (slept) kernel.faults.major++
        else kernel.faults.minor++
        return 'ok'
      case 'retry':
        // 4.
        slept = true
        k.cpu.nowNs += k.cpu.preset.faultNs.value
        // Resolved meanwhile: hardware restarts the instruction and walks again.
        if (isResolved(mm, page, store)) {
          kernel.faults.major++
          return 'ok'
        }
        continue
      case 'sigbus':
        return 'sigbus'
      case 'oom':
        mm.mmapLock.upRead(k)
        return 'oom'
    }
  }
}

function isResolved(mm: Mm, page: number, store: boolean): boolean {
  const slot = mm.table.walk(page)
  if (slot < 0) return false
  const pte = mm.kernel.tables.get(slot)
  return ptePresent(pte) && (!store || pteWritable(pte))
}

function* doAnonymousPage(k: Thread, mm: Mm, vma: Vma, page: number, slot: Slot, store: boolean): Proc<Attempt> {
  const kernel = mm.kernel
  const { tables, pages } = kernel
  const lock = kernel.pteLock(slot)
  const preset = k.cpu.preset
  if (!store) {
    // a. Reading maps the zero page.
    yield* lock.lock(k)
    // b.
    if (k.stepping) yield read(slot, 'pte')
    if (tables.get(slot) !== PTE_NONE) {
      lock.unlock(k)
      return 'done'
    }
    // c.
    if (userfaultfdMissing(vma)) {
      lock.unlock(k)
      return yield* handleUserfault(k, mm, vma, page, store)
    }
    // d.
    if (k.stepping) yield write(slot, 'pte')
    tables.set(slot, makePte(ZERO_PFN, (vma.pageProt & ~PTE_W) | PTE_SPECIAL))
    lock.unlock(k)
    kernel.hooks.populate(k, page, true)
    return 'done'
  }
  // a.
  if (vma.anonVma === null) yield* anonVmaPrepare(k, mm, vma)
  const pfn = pages.allocate()
  if (pfn < 0) return 'oom'
  kernel.phys.clear(pfn)
  k.cpu.nowNs += preset.clearPageNs.value
  // b.
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pte')
  if (tables.get(slot) !== PTE_NONE) {
    lock.unlock(k)
    pages.put(pfn)
    return 'done'
  }
  // c.
  if (userfaultfdMissing(vma)) {
    lock.unlock(k)
    pages.put(pfn)
    return yield* handleUserfault(k, mm, vma, page, store)
  }
  // d.
  pageAddNewAnonRmap(kernel, pfn, vma, page)
  mm.rss++
  if (k.stepping) yield write(slot, 'pte')
  tables.set(slot, makePte(pfn, vma.pageProt | PTE_D))
  // e.
  lock.unlock(k)
  kernel.hooks.populate(k, page, false)
  return 'done'
}

/**
 * A store to a page mapped without W, in an area that may be written.
 *
 * 1. The page is exclusive, or this PTE is its only mapping: reuse it, set W.
 * 2. Else copy: allocate, copy, PTE lock, the PTE must be unchanged, replace, flush, drop the old page.
 *
 * @kernel do_wp_page, wp_page_copy
 */
function* doWpPage(k: Thread, mm: Mm, vma: Vma, page: number, slot: Slot): Proc<Attempt> {
  const kernel = mm.kernel
  const { tables, pages } = kernel
  const lock = kernel.pteLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pte')
  const pte = tables.get(slot)
  if (!ptePresent(pte) || pteWritable(pte)) {
    lock.unlock(k)
    return 'done'
  }
  const old = ptePfn(pte)
  // 1.
  if (old !== ZERO_PFN && (pages.isExclusive(old) || (pages.mapcount[old] === 1 && pages.refcount[old] === 1))) {
    pages.flags[old] |= PG_ANON_EXCLUSIVE
    if (k.stepping) yield write(slot, 'pte')
    tables.set(slot, pteWithFlags(pte, pteFlags(pte) | PTE_W | PTE_D))
    lock.unlock(k)
    return 'done'
  }
  if (old !== ZERO_PFN) pages.get(old)
  lock.unlock(k)
  // 2.
  if (vma.anonVma === null) yield* anonVmaPrepare(k, mm, vma)
  const pfn = pages.allocate()
  if (pfn < 0) {
    pages.put(old)
    return 'oom'
  }
  kernel.phys.copy(pfn, old)
  k.cpu.nowNs += k.cpu.preset.copyPageNs.value
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pte')
  if (tables.get(slot) !== pte) {
    lock.unlock(k)
    pages.put(pfn)
    pages.put(old)
    return 'done'
  }
  pageAddNewAnonRmap(kernel, pfn, vma, page)
  if (k.stepping) yield write(slot, 'pte')
  // Clear and flush before the new page shows, so that no CPU writes to one while another reads from the other.
  tables.set(slot, PTE_NONE)
  yield* flushTlbPage(k, mm, page)
  tables.set(slot, makePte(pfn, vma.pageProt | PTE_D))
  if (old === ZERO_PFN) {
    mm.rss++
    kernel.hooks.populate(k, page, false)
  } else pageRemoveRmap(kernel, old)
  lock.unlock(k)
  if (old !== ZERO_PFN) {
    // The mapping's reference, and the one taken above.
    pages.put(old)
    pages.put(old)
  }
  return 'done'
}
