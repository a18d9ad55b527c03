/**
 * Moving 2 MiB inside one mm by one PMD: what remap_anon_pages and UFFDIO_MOVE do above the PTEs.
 *
 * movePmd, each step of their loops whose page tables are not both there, in this order:
 *  1. src PMD table missing -> ENOENT (a hole if those are allowed).   2. dst PMD table allocated.
 *  3. dst PMD huge -> EEXIST.
 *  4. src PMD huge: moved whole if dst and src have the same offset in their 2 MiB, src begins one, dst PMD is none, and so
 *     much is left of the call (and dst is not logged page by page); else split.
 *  5. src PMD none -> ENOENT (or a hole).   6. dst page table allocated; huge by now -> EFAULT.   7. go on with PTEs.
 *
 * moveHugePmd, locks from outer to inner: mmap_lock (read), page lock, anon_vma root (write), two PMD locks:
 *  a. src PMD lock: still huge; may be taken -> EBUSY; take a reference; unlock.
 *  b. lock the page.   c. its anon_vma, with a reference, write-locked.   d. both PMD locks, lower first.
 *  e. verify again: src, dst, whether it may be taken -> EAGAIN.   f. drop the reference. mapping and index of the head.
 *  g. clear src and flush it.   h. store dst: huge, dirty, writable if the area is.
 *  i. the deposited table goes from src's list to dst's (R48).   j. unlock all, in reverse.
 *
 * The two callers differ in which page may be taken: mapped once (2014), or exclusive (MOVE).
 * Source: remap_anon_pages, 2013 and 2014; mm/huge_memory.c of 6.8.
 * @kernel remap_anon_pages_huge_pmd, move_pages_huge_pmd, move_splits_huge_pmd
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { HUGE_PAGES, PMD_SPLITTING, PTE_NONE, pmdHuge, ptePfn } from '../hw/pte.ts'
import { lockBoth, unlockBoth } from '../sync/spinlock.ts'
import { anonVmaLockWrite, anonVmaUnlockWrite, putAnonVma } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { makeHugePmd } from './huge_page.ts'
import { splitHugePmd, waitSplitHugePage } from './huge_split.ts'
import type { Mm } from './mm.ts'
import { pteAlloc } from './pgtable.ts'
import { pageGetAnonVma, pageMoveAnonRmap } from './rmap.ts'
import { flushTlbHuge } from './tlb_flush.ts'
import type { Vma } from './vma.ts'

export interface HugeMove {
  readonly mm: Mm
  readonly dstVma: Vma
  readonly dstPage: number
  readonly srcPage: number
  /** Pages that the call has still to move, from here on. */
  readonly left: number
  readonly holesAllowed: boolean
  /** Whether a page may be taken from its place; else EBUSY. */
  readonly mayTake: (head: Pfn) => boolean
  /** MOVE does not even split a page that it may not take. */
  readonly asksBeforeSplit: boolean
}

/** Pages moved (512), 0: go on with PTEs, or an errno. */
export function* movePmd(k: Thread, move: HugeMove): Proc<number> {
  const { mm, dstPage, srcPage } = move
  const { tables } = mm.kernel
  // 1.
  const srcSlot = mm.table.pmdSlot(srcPage)
  if (srcSlot < 0 && !move.holesAllowed) return ERRNO.ENOENT
  // 2.
  const dstSlot = mm.table.pmdSlotAllocate(dstPage)
  // 3.
  if (k.stepping) yield read(dstSlot, 'pmd')
  const dstPmd = tables.get(dstSlot)
  if (pmdHuge(dstPmd)) return ERRNO.EEXIST
  // 4.
  if (k.stepping && srcSlot >= 0) yield read(srcSlot, 'pmd')
  const srcPmd = srcSlot < 0 ? PTE_NONE : tables.get(srcSlot)
  if (pmdHuge(srcPmd)) {
    const head = ptePfn(srcPmd)
    if ((srcPmd & PMD_SPLITTING) !== 0) {
      yield* waitSplitHugePage(k, mm.kernel, head)
      return ERRNO.EAGAIN
    }
    const aligned = srcPage % HUGE_PAGES === 0 && dstPage % HUGE_PAGES === 0
    const logged = mm.dirtyLog?.overlaps(dstPage, dstPage + HUGE_PAGES) === true
    if (aligned && !logged && dstPmd === PTE_NONE && move.left >= HUGE_PAGES) return yield* moveHugePmd(k, move, srcSlot, dstSlot)
    if (move.asksBeforeSplit && !move.mayTake(head)) return ERRNO.EBUSY
    yield* splitHugePmd(k, mm, srcPage)
  } else if (srcPmd === PTE_NONE && !move.holesAllowed) return ERRNO.ENOENT // 5.
  // 6.
  return (yield* pteAlloc(k, mm, dstPage)) < 0 ? ERRNO.EFAULT : 0
}

function* moveHugePmd(k: Thread, move: HugeMove, srcSlot: Slot, dstSlot: Slot): Proc<number> {
  const { mm, dstVma, dstPage, srcPage, mayTake } = move
  const { kernel } = mm
  const { tables, pages } = kernel
  const srcLock = kernel.pmdLock(srcSlot)
  const dstLock = kernel.pmdLock(dstSlot)
  // a.
  yield* srcLock.lock(k)
  if (k.stepping) yield read(srcSlot, 'pmd')
  const srcPmd = tables.get(srcSlot)
  const head = ptePfn(srcPmd)
  if (!pmdHuge(srcPmd) || (srcPmd & PMD_SPLITTING) !== 0 || !mayTake(head)) {
    srcLock.unlock(k)
    return pmdHuge(srcPmd) && (srcPmd & PMD_SPLITTING) === 0 ? ERRNO.EBUSY : ERRNO.EAGAIN
  }
  pages.get(head)
  srcLock.unlock(k)
  // b.
  yield* kernel.pageLocks.lock(k, head)
  // c.
  const anonVma = yield* pageGetAnonVma(k, kernel, head)
  if (anonVma === null) {
    kernel.pageLocks.unlock(k, head)
    pages.put(head)
    return ERRNO.EAGAIN
  }
  yield* anonVmaLockWrite(k, kernel, anonVma)
  // d.
  yield* lockBoth(k, srcLock, dstLock)
  // e.
  if (k.stepping) yield read(srcSlot, 'pmd')
  const same = tables.get(srcSlot) === srcPmd && tables.get(dstSlot) === PTE_NONE && mayTake(head)
  // f. From here on the PMD locks keep the page; on a retry it is still mapped, or freed by this.
  if (same) {
    pages.put(head)
    if (k.stepping) yield write(head, 'page.mapping')
    pageMoveAnonRmap(kernel, head, dstVma, dstPage)
    // g.
    if (k.stepping) yield write(srcSlot, 'pmd')
    tables.set(srcSlot, PTE_NONE)
    if (kernel.has('remap-tlb-flush')) yield* flushTlbHuge(k, mm, srcPage)
    // h.
    if (k.stepping) yield write(dstSlot, 'pmd')
    tables.set(dstSlot, makeHugePmd(head, dstVma.pageProt))
    // i.
    if (kernel.has('remap-deposit-move')) kernel.deposits.deposit(dstSlot, kernel.deposits.withdraw(srcSlot))
  }
  // j.
  unlockBoth(k, srcLock, dstLock)
  anonVmaUnlockWrite(k, kernel, anonVma)
  yield* putAnonVma(k, kernel, anonVma)
  kernel.pageLocks.unlock(k, head)
  if (!same) pages.put(head)
  return same ? HUGE_PAGES : ERRNO.EAGAIN
}
