/**
 * fork: the address space of a child, shared copy-on-write.
 *
 *  1. mmap_lock of the parent for writing (the child's is its own yet).
 *  2. each area but VM_DONTCOPY: a copy, without userfault registration; anon_vma_fork; into the child's tree.
 *  3. each present PTE: the parent's loses W, the child's is equal; one more mapping and reference for the page.
 *  4. flush the parent: rights went down.
 *
 * @kernel dup_mmap, copy_page_range, copy_present_pte
 */
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_A, PTE_W, pteFlags, ptePfn, ptePresent, pteWithFlags } from '../hw/pte.ts'
import { anonVmaFork } from './anon_vma.ts'
import { Mm } from './mm.ts'
import { pageDupAnonRmap } from './rmap.ts'
import { flushTlbRange } from './tlb_flush.ts'
import { VM_DONTCOPY, VM_LOCKED, VM_UFFD_MISSING, Vma } from './vma.ts'

export function* fork(k: Thread, parent: Mm): Proc<Mm> {
  const kernel = parent.kernel
  const child = new Mm(kernel, parent.windowPages)
  // 1.
  yield* parent.mmapLock.downWrite(k)
  for (const vma of parent.tree.areas) {
    // 2.
    if ((vma.flags & VM_DONTCOPY) !== 0) continue
    const copy = new Vma(kernel.newId(), vma.start, vma.end, vma.flags & ~(VM_UFFD_MISSING | VM_LOCKED), vma.ops)
    copy.pgoff = vma.pgoff
    yield* anonVmaFork(k, kernel, copy, vma)
    child.tree.insert(copy)
    // 3.
    yield* copyPageRange(k, parent, child, vma)
  }
  parent.mmapLock.upWrite(k)
  return child
}

function* copyPageRange(k: Thread, parent: Mm, child: Mm, vma: Vma): Proc<void> {
  const kernel = parent.kernel
  const { tables, pages } = kernel
  let first = -1
  let last = -1
  for (let page = vma.start; page < vma.end; page++) {
    const slot = parent.table.walk(page)
    if (slot < 0) {
      page |= 511
      continue
    }
    const lock = kernel.pteLock(slot)
    yield* lock.lock(k)
    const pte = tables.get(slot)
    if (ptePresent(pte)) {
      if (k.stepping) yield write(slot, 'pte')
      const shared = pteWithFlags(pte, pteFlags(pte) & ~PTE_W)
      tables.set(slot, shared)
      const pfn = ptePfn(pte)
      if (pfn !== ZERO_PFN) {
        pages.get(pfn)
        pageDupAnonRmap(kernel, pfn)
        child.rss++
      }
      tables.set(child.table.walkAllocate(page), pteWithFlags(shared, pteFlags(shared) & ~PTE_A))
      if (first < 0) first = page
      last = page
    }
    lock.unlock(k)
  }
  // 4.
  if (first >= 0) yield* flushTlbRange(k, parent, first, last + 1)
}
