/**
 * fork: the address space of a child, shared copy-on-write.
 *
 *  1. mmap_lock of the parent for writing (the child's is its own yet).
 *  2. each area but VM_DONTCOPY: a copy, registered with a descriptor of the child's own or with none;
 *     anon_vma_fork; into the child's tree.
 *  3. each present PTE: the parent's loses W, the child's is equal (D too: private pages) but old; one more mapping and reference
 *     for the page. A swap entry: one more count, and it is nobody's alone any longer. A migration entry: not writable any
 *     more. An area whose pages come from a cache alone is left empty.
 *  4. flush the parent: rights went down.   5. without locks: announce the child's descriptors and wait until they are read.
 *
 * Source: kernel/fork.c; mm/memory.c.
 * @kernel dup_mmap, copy_page_range, copy_present_pte, copy_nonpresent_pte
 */
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import {
  HUGE_PAGES,
  PTE_A,
  PTE_NONE,
  PTE_UFFD_WP,
  PTE_W,
  type Pte,
  pteFlags,
  ptePfn,
  ptePresent,
  pteWithFlags,
} from '../hw/pte.ts'
import { anonVmaFork } from './anon_vma.ts'
import { copyHugePmd } from './huge_pmd.ts'
import { Mm } from './mm.ts'
import { pageDupAnonRmap } from './rmap.ts'
import { MARKER_POISON, MARKER_UFFD_WP, makeMarker, makeMigrationEntry, makeSwapEntry, swapKind, swapValue } from './swapops.ts'
import { flushTlbRange } from './tlb_flush.ts'
import { dupComplete, dupUserfaultfd, type ForkEvent } from './uffd_events.ts'
import { userfaultfdWp } from './uffd_fault.ts'
import { vmStatAccount } from './vm_stat.ts'
import { VM_DONTCOPY, VM_LOCKED_MASK, VM_SHARED, Vma } from './vma.ts'
import { shareBacking } from './vma_lifetime.ts'
import { vmaWriteBegin, vmaWriteEnd } from './vma_sequence.ts'

export function* fork(k: Thread, parent: Mm): Proc<Mm> {
  const kernel = parent.kernel
  const child = new Mm(kernel, parent.windowPages)
  const events: ForkEvent[] = []
  // 1.
  yield* parent.mmapLock.downWrite(k)
  for (const vma of parent.tree.areas) {
    // 2.
    if ((vma.flags & VM_DONTCOPY) !== 0) continue
    const copy = new Vma(kernel.newId(), vma.start, vma.end, vma.flags & ~VM_LOCKED_MASK, vma.ops)
    copy.pgoff = vma.pgoff
    copy.mm = child
    copy.uffd = vma.uffd
    shareBacking(copy, vma)
    yield* dupUserfaultfd(k, copy, child, events)
    yield* anonVmaFork(k, kernel, copy, vma)
    child.tree.insert(copy)
    vmStatAccount(child, copy.flags, copy.end - copy.start)
    // 3. and 4. Odd meanwhile: a speculative copy now could lose what a CPU still writes through its TLB.
    const counts = kernel.has('fork-seq')
    if (counts) yield* vmaWriteBegin(k, parent, vma)
    if (vma.anonVma !== null || userfaultfdWp(copy)) yield* copyPageRange(k, parent, child, vma, userfaultfdWp(copy))
    if (counts) yield* vmaWriteEnd(k, parent, vma)
  }
  parent.mmapLock.upWrite(k)
  // 5.
  yield* dupComplete(k, events)
  return child
}

/** What the child gets, and the parent too unless it is a marker. @kernel copy_nonpresent_pte */
function shareEntry(parent: Mm, child: Mm, pte: Pte, keepsWp: boolean): Pte {
  switch (swapKind(pte)) {
    case 'swap':
      parent.kernel.swap.duplicate(swapValue(pte))
      child.swapEntries++
      return makeSwapEntry(swapValue(pte), false)
    case 'migration':
      child.rss++
      return makeMigrationEntry(swapValue(pte), false, false)
    case 'marker': {
      // Poison is inherited; protection only by a child that has a descriptor of its own.
      const bits = swapValue(pte) & (keepsWp ? MARKER_POISON | MARKER_UFFD_WP : MARKER_POISON)
      return bits === 0 ? PTE_NONE : makeMarker(bits)
    }
  }
}

function* copyPageRange(k: Thread, parent: Mm, child: Mm, vma: Vma, keepsWp: boolean): Proc<void> {
  const shared = (vma.flags & VM_SHARED) !== 0
  const kernel = parent.kernel
  const { tables, pages } = kernel
  let first = -1
  let last = -1
  let stride = HUGE_PAGES
  for (let page = vma.start; page < vma.end; page++) {
    const slot = parent.table.walk(page)
    if (slot < 0) {
      if (yield* copyHugePmd(k, parent, child, page)) {
        if (first < 0) first = page
        last = page | 511
      }
      page |= 511
      continue
    }
    stride = 1
    const lock = kernel.pteLock(slot)
    yield* lock.lock(k)
    if (tables.get(slot) !== PTE_NONE && k.stepping) yield write(slot, 'pte')
    const pte = tables.get(slot)
    if (ptePresent(pte)) {
      const kept = shared ? pte : pteWithFlags(pte, pteFlags(pte) & ~PTE_W)
      tables.set(slot, kept)
      const pfn = ptePfn(pte)
      if (pfn !== ZERO_PFN) {
        pages.get(pfn)
        pageDupAnonRmap(kernel, pfn)
        child.rss++
      }
      tables.set(child.table.walkAllocate(page), pteWithFlags(kept, pteFlags(kept) & ~(keepsWp ? PTE_A : PTE_A | PTE_UFFD_WP)))
      if (first < 0) first = page
      last = page
    } else if (pte !== PTE_NONE) {
      const entry = shareEntry(parent, child, pte, keepsWp)
      const wp = pte & PTE_UFFD_WP
      if (swapKind(pte) !== 'marker') tables.set(slot, entry + wp)
      if (entry !== PTE_NONE)
        tables.set(child.table.walkAllocate(page), keepsWp && swapKind(pte) !== 'marker' ? entry + wp : entry)
    }
    lock.unlock(k)
  }
  // 4.
  if (first >= 0) yield* flushTlbRange(k, parent, first, last + 1, stride)
}
