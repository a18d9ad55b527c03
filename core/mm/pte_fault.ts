/**
 * The work of a page fault, below the choice of how it is guarded (page_fault.ts, speculative_fault.ts, vma_lock.ts).
 *
 *  none: do_anonymous_page.   present and a store without W: do_wp_page.   Else spurious: hardware retries.
 *
 * do_anonymous_page:
 *  a. anon_vma_prepare; allocate and clear a page (a read maps the zero page instead).
 *  b. PTE lock; the PTE must still be none, else somebody was faster.
 *  c. userfault area: give the page back, unlock, handle_userfault (tested here, under the lock, after b).
 *  d. rmap, rss, store the PTE. e. unlock both.
 *
 * @kernel handle_pte_fault, do_anonymous_page, do_wp_page
 */
import { NOTHING, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
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
import { PG_ANON_EXCLUSIVE } from './page.ts'
import { pageAddNewAnonRmap, pageRemoveRmap } from './rmap.ts'
import { flushTlbPage } from './tlb_flush.ts'
import { handleUserfault, userfaultfdMissing } from './userfaultfd.ts'
import { type Attempt, pteMapLock, releaseFaultLock, type Vmf } from './vm_fault.ts'

/** @kernel handle_pte_fault */
export function* handlePteFault(k: Thread, vmf: Vmf): Proc<Attempt> {
  if (!ptePresent(vmf.pte)) return yield* doAnonymousPage(k, vmf)
  if (vmf.store && !pteWritable(vmf.pte)) return yield* doWpPage(k, vmf)
  return 'done'
}

/** An area's first page needs an anon_vma, and making one needs the tree to stand still; false: it has none and may not. */
function prepareAnonVma(k: Thread, vmf: Vmf): Proc<void> {
  return vmf.vma.anonVma === null && vmf.guard === null ? anonVmaPrepare(k, vmf.mm, vmf.vma) : NOTHING
}

/** Under the PTE lock, which it drops: the page is somebody's to bring. */
function* userfault(k: Thread, vmf: Vmf): Proc<Attempt> {
  const { mm, vma, page, store } = vmf
  mm.kernel.pteLock(vmf.slot).unlock(k)
  if (vmf.guard?.speculative === true) return 'changed'
  return yield* handleUserfault(k, mm, vma, page, store, () => releaseFaultLock(k, vmf))
}

/** @kernel do_anonymous_page */
function* doAnonymousPage(k: Thread, vmf: Vmf): Proc<Attempt> {
  const { vma, page, slot } = vmf
  const { kernel } = vmf.mm
  const { tables, pages } = kernel
  const lock = kernel.pteLock(slot)
  if (!vmf.store) {
    // a. Reading maps the zero page.
    if (!(yield* pteMapLock(k, vmf))) return 'changed'
    // b.
    if (k.stepping) yield read(slot, 'pte')
    if (tables.get(slot) !== PTE_NONE) {
      lock.unlock(k)
      return 'done'
    }
    // c.
    if (userfaultfdMissing(vma)) return yield* userfault(k, vmf)
    // d.
    if (k.stepping) yield write(slot, 'pte')
    tables.set(slot, makePte(ZERO_PFN, (vmf.prot & ~PTE_W) | PTE_SPECIAL))
    lock.unlock(k)
    kernel.hooks.populate(k, page, true)
    return 'done'
  }
  // a.
  yield* prepareAnonVma(k, vmf)
  if (k.stepping) yield write(0, 'pages.free')
  const pfn = pages.allocate()
  if (pfn < 0) return 'oom'
  kernel.phys.clear(pfn)
  k.cpu.nowNs += k.cpu.preset.clearPageNs.value
  // b.
  if (!(yield* pteMapLock(k, vmf))) {
    pages.put(pfn)
    return 'changed'
  }
  if (k.stepping) yield read(slot, 'pte')
  if (tables.get(slot) !== PTE_NONE) {
    lock.unlock(k)
    pages.put(pfn)
    return 'done'
  }
  // c.
  if (userfaultfdMissing(vma)) {
    pages.put(pfn)
    return yield* userfault(k, vmf)
  }
  // d.
  pageAddNewAnonRmap(kernel, pfn, vma, page)
  vmf.mm.rss++
  if (k.stepping) yield write(slot, 'pte')
  tables.set(slot, makePte(pfn, vmf.prot | PTE_D))
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
function* doWpPage(k: Thread, vmf: Vmf): Proc<Attempt> {
  const { mm, vma, page, slot } = vmf
  const { kernel } = mm
  const { tables, pages } = kernel
  const lock = kernel.pteLock(slot)
  if (!(yield* pteMapLock(k, vmf))) return 'changed'
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
  yield* prepareAnonVma(k, vmf)
  if (k.stepping) yield write(0, 'pages.free')
  const pfn = pages.allocate()
  if (pfn < 0) {
    pages.put(old)
    return 'oom'
  }
  if (k.stepping) yield read(old, 'page.content')
  kernel.phys.copy(pfn, old)
  k.cpu.nowNs += k.cpu.preset.copyPageNs.value
  const locked = yield* pteMapLock(k, vmf)
  if (locked && k.stepping) yield read(slot, 'pte')
  if (!locked || tables.get(slot) !== pte) {
    if (locked) lock.unlock(k)
    pages.put(pfn)
    pages.put(old)
    return locked ? 'done' : 'changed'
  }
  pageAddNewAnonRmap(kernel, pfn, vma, page)
  if (k.stepping) yield write(slot, 'pte')
  // Clear and flush before the new page shows, so that no CPU writes to one while another reads from the other.
  tables.set(slot, PTE_NONE)
  yield* flushTlbPage(k, mm, page)
  tables.set(slot, makePte(pfn, vmf.prot | PTE_D))
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
