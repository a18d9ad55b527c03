/**
 * The work of a page fault, below the choice of how it is guarded (page_fault.ts, speculative_fault.ts, vma_lock.ts).
 *
 *  none: do_anonymous_page.   neither none nor present: swap_in.ts.   present and a store without W: do_wp_page.   Else
 *  spurious: hardware retries.
 *
 * do_anonymous_page:
 *  a. vmf_anon_prepare; allocate and clear a page (a read maps the zero page instead).
 *  b. PTE lock; the PTE must still be none, else somebody was faster.
 *  c. userfault area: give the page back, unlock, handle_userfault (tested here, under the lock, after b).
 *  d. rmap, rss, store the PTE. e. unlock both.
 *
 * Source: mm/memory.c.
 * @kernel handle_pte_fault, do_anonymous_page, do_wp_page
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, QUANTUM, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import {
  makePte,
  PTE_D,
  PTE_NONE,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  PTE_W,
  pteFlags,
  ptePfn,
  ptePresent,
  pteWithFlags,
  pteWritable,
} from '../hw/pte.ts'

import type { Mm } from './mm.ts'
import { pageAddNewAnonRmap, pageMoveAnonRmap, pageRemoveRmap } from './rmap.ts'
import { shmemFault } from './shmem.ts'
import { doSwapPage } from './swap_in.ts'
import { MARKER_POISON, swapKind, swapValue } from './swapops.ts'
import { flushTlbPage } from './tlb_flush.ts'
import { UFFD_FEATURE } from './uffd_abi.ts'
import { handleUserfault, type UserfaultReason, userfaultfdMissing, userfaultfdWp } from './uffd_fault.ts'
import { type Attempt, over, pteMapLock, releaseFaultLock, type Vmf, vmfAnonPrepare } from './vm_fault.ts'
import { VM_SHARED, VM_UFFD_MISSING, VM_UFFD_WP } from './vma.ts'
import { allocateUnderPressure } from './vmscan.ts'

/** Somebody was faster; hardware looks again. */
const SPURIOUS = over<Attempt>('done')

/** @kernel handle_pte_fault */
export function handlePteFault(k: Thread, vmf: Vmf): Proc<Attempt> {
  if (vmf.pte === PTE_NONE) return doPteMissing(k, vmf)
  if (!ptePresent(vmf.pte)) return doNonPresent(k, vmf)
  return vmf.store && !pteWritable(vmf.pte) ? doWpPage(k, vmf) : SPURIOUS
}

/** @kernel do_pte_missing */
function doPteMissing(k: Thread, vmf: Vmf): Proc<Attempt> {
  return vmf.vma.isShmem ? shmemFault(k, vmf) : doAnonymousPage(k, vmf)
}

/** Neither none nor present: what the entry says. */
function doNonPresent(k: Thread, vmf: Vmf): Proc<Attempt> {
  return swapKind(vmf.pte) === 'marker' ? handlePteMarker(k, vmf) : doSwapPage(k, vmf)
}

/** Poison is worse than write protection; a marker that nobody watches any longer goes. @kernel handle_pte_marker */
function* handlePteMarker(k: Thread, vmf: Vmf): Proc<Attempt> {
  if ((swapValue(vmf.pte) & MARKER_POISON) !== 0) {
    releaseFaultLock(k, vmf)
    return 'sigbus'
  }
  if (userfaultfdWp(vmf.vma)) return yield* doPteMissing(k, vmf)
  const { kernel } = vmf.mm
  if (!(yield* pteMapLock(k, vmf))) return 'changed'
  if (k.stepping) yield write(vmf.slot, 'pte')
  if (kernel.tables.get(vmf.slot) === vmf.pte) kernel.tables.set(vmf.slot, PTE_NONE)
  kernel.pteLock(vmf.slot).unlock(k)
  return 'done'
}

/** Rights of a new page here: one that a marker protected stays protected. */
function newPageProt(vmf: Vmf): number {
  return vmf.pte === PTE_NONE ? vmf.prot : (vmf.prot | PTE_UFFD_WP) & ~PTE_W
}

function isUserfault({ vma, guard }: Vmf): boolean {
  touch(vma.id, 'vma.vm_flags', AccessMode.read)
  return userfaultfdMissing(vma) && guard?.settlesUserfault !== true
}

/** Under the PTE lock, which it drops: the page is somebody's to bring. */
function* userfault(k: Thread, vmf: Vmf, reason: UserfaultReason): Proc<Attempt> {
  vmf.mm.kernel.pteLock(vmf.slot).unlock(k)
  if (vmf.guard?.speculative === true) return 'changed'
  return yield* handleUserfault(k, vmf, reason)
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
    if (tables.get(slot) !== vmf.pte) {
      lock.unlock(k)
      return 'done'
    }
    // c.
    if (isUserfault(vmf)) return yield* userfault(k, vmf, VM_UFFD_MISSING)
    // d.
    if (k.stepping) yield write(slot, 'pte')
    tables.set(slot, makePte(ZERO_PFN, (newPageProt(vmf) & ~PTE_W) | PTE_SPECIAL))
    lock.unlock(k)
    kernel.hooks.populate(k, page, true)
    return 'done'
  }
  // a.
  if (!(yield* vmfAnonPrepare(k, vmf))) return 'changed'
  if (k.stepping) yield write(k.cpu.id, 'pages.pcp')
  let pfn = pages.allocate(k.cpu.id)
  if (pfn < 0) pfn = yield* allocateForFault(k, vmf)
  if (pfn < 0) return 'oom'
  kernel.phys.clear(pfn)
  k.cpu.nowNs += k.cpu.preset.allocPageNs.value + k.cpu.preset.clearPageNs.value
  if (k.expired) yield QUANTUM
  // b.
  if (!(yield* pteMapLock(k, vmf))) {
    pages.put(pfn)
    return 'changed'
  }
  if (k.stepping) yield read(slot, 'pte')
  if (tables.get(slot) !== vmf.pte) {
    lock.unlock(k)
    pages.put(pfn)
    return 'done'
  }
  // c.
  if (isUserfault(vmf)) {
    pages.put(pfn)
    return yield* userfault(k, vmf, VM_UFFD_MISSING)
  }
  // d.
  pageAddNewAnonRmap(kernel, pfn, vma, page, vmf.index)
  vmf.mm.rss++
  if (k.stepping) yield write(slot, 'pte')
  vmf.mm.dirtyLog?.mark(k, page)
  tables.set(slot, makePte(pfn, newPageProt(vmf) | PTE_D))
  // e.
  lock.unlock(k)
  kernel.hooks.populate(k, page, false)
  return 'done'
}

/** A speculation may not sleep: it leaves reclaim to the fault that holds something. */
function* allocateForFault(k: Thread, vmf: Vmf): Proc<Pfn> {
  return vmf.guard?.speculative === true ? -1 : yield* allocateUnderPressure(k, vmf.mm.kernel)
}

/**
 * Under the PTE lock: the page is not merged, and all references are this mapping's and the swap cache's, which lets go. From
 * now on it belongs to this area's anon_vma, a descendant of its old one. @kernel wp_can_reuse_anon_folio, reuse_swap_page
 */
function canReuse(k: Thread, vmf: Vmf, pfn: Pfn): boolean {
  const { kernel } = vmf.mm
  const { pages, pageLocks, swap } = kernel
  if (!pages.isAnon(pfn) || vmf.vma.anonVma === null) return false
  const counts = kernel.has('cow-references')
  if ((counts && pages.references(pfn) > (swap.isCached(pfn) ? 2 : 1)) || !pageLocks.tryLock(k, pfn)) return false
  swap.freeIfUnused(pfn)
  const isSole = (counts ? pages.references(pfn) : pages.mappings(pfn)) === 1
  if (isSole) pageMoveAnonRmap(kernel, pfn, vmf.vma, vmf.page)
  pageLocks.unlock(k, pfn)
  return isSole
}

/** Under the PTE lock, before the PTE gets W. */
function markWritten(k: Thread, mm: Mm, page: number): void {
  const log = mm.dirtyLog
  if (log === null || !log.covers(page)) return
  log.mark(k, page)
  mm.kernel.hooks.logged(k, page)
}

/**
 * A store to a page mapped without W, in an area that may be written.
 *
 * 0. Protected by userfaultfd: report it, or with WP_ASYNC lift the protection. A shared mapping: set W.
 * 1. The page is exclusive, or nobody else has a reference on it: reuse it, set W. The dirty log hears of it first.
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
  let pte = tables.get(slot)
  if (!ptePresent(pte) || pteWritable(pte)) {
    lock.unlock(k)
    return 'done'
  }
  // 0.
  if ((pte & PTE_UFFD_WP) !== 0 && userfaultfdWp(vma)) {
    if (vma.uffd?.wants(UFFD_FEATURE.WP_ASYNC) !== true) return yield* userfault(k, vmf, VM_UFFD_WP)
    pte -= PTE_UFFD_WP
    if (k.stepping) yield write(slot, 'pte')
    tables.set(slot, pte)
    kernel.hooks.logged(k, page)
  }
  const old = ptePfn(pte)
  if ((vma.flags & VM_SHARED) !== 0) {
    if (k.stepping) yield write(slot, 'pte')
    markWritten(k, mm, page)
    tables.set(slot, pteWithFlags(pte, pteFlags(pte) | PTE_W | PTE_D))
    lock.unlock(k)
    return 'done'
  }
  // 1.
  if (old !== ZERO_PFN && (pages.isExclusive(old) || canReuse(k, vmf, old))) {
    pages.setExclusive(old)
    if (k.stepping) yield write(slot, 'pte')
    markWritten(k, mm, page)
    tables.set(slot, pteWithFlags(pte, pteFlags(pte) | PTE_W | PTE_D))
    lock.unlock(k)
    return 'done'
  }
  if (old !== ZERO_PFN) pages.get(old)
  lock.unlock(k)
  // 2.
  if (!(yield* vmfAnonPrepare(k, vmf))) {
    pages.put(old)
    return 'changed'
  }
  if (k.stepping) yield write(k.cpu.id, 'pages.pcp')
  let pfn = pages.allocate(k.cpu.id)
  if (pfn < 0) pfn = yield* allocateForFault(k, vmf)
  if (pfn < 0) {
    pages.put(old)
    return 'oom'
  }
  if (k.stepping) yield read(old, 'page.content')
  kernel.phys.copy(pfn, old)
  k.cpu.nowNs += k.cpu.preset.allocPageNs.value + k.cpu.preset.copyPageNs.value
  if (k.expired) yield QUANTUM
  const locked = yield* pteMapLock(k, vmf)
  if (locked && k.stepping) yield read(slot, 'pte')
  if (!locked || tables.get(slot) !== pte) {
    if (locked) lock.unlock(k)
    pages.put(pfn)
    pages.put(old)
    return locked ? 'done' : 'changed'
  }
  pageAddNewAnonRmap(kernel, pfn, vma, page, vmf.index)
  if (k.stepping) yield write(slot, 'pte')
  // Clear and flush before the new page shows, so that no CPU writes to one while another reads from the other.
  tables.set(slot, PTE_NONE)
  yield* flushTlbPage(k, mm, page)
  markWritten(k, mm, page)
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
