/**
 * What other calls do to a huge PMD as a whole: zap it, change its rights, copy it to a child. A call that means only a part
 * of the 2 MiB splits first (huge_split.ts).
 *
 * Each: PMD lock; not huge (any longer): nothing to do; being split: wait, look again; do it; unlock. The caller flushes
 * (flushTlbHuge, or a range with stride 512) and only then frees what a zap answered.
 *
 * Source: mm/huge_memory.c.
 * @kernel zap_huge_pmd, change_huge_pmd, copy_huge_pmd
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { HUGE_PAGES, PMD_SPLITTING, PTE_A, PTE_NONE, PTE_P, PTE_W, pmdHuge, pteFlags, ptePfn, pteWithFlags } from '../hw/pte.ts'
import { waitSplitHugePage } from './huge_split.ts'
import type { Mm } from './mm.ts'
import { pageDupAnonRmap, pageRemoveRmap } from './rmap.ts'

/** The slot of a huge PMD that covers `page`, its lock held, nobody splitting it; or -1, no lock. @kernel pmd_trans_huge_lock */
function* hugePmdLock(k: Thread, mm: Mm, page: number): Proc<Slot> {
  const { kernel } = mm
  const slot = mm.table.pmdSlot(page)
  if (slot < 0) return -1
  const lock = kernel.pmdLock(slot)
  while (pmdHuge(kernel.tables.get(slot))) {
    yield* lock.lock(k)
    if (k.stepping) yield read(slot, 'pmd')
    const pmd = kernel.tables.get(slot)
    if (pmdHuge(pmd) && (pmd & PMD_SPLITTING) === 0) return slot
    lock.unlock(k)
    if (pmdHuge(pmd)) yield* waitSplitHugePage(k, kernel, ptePfn(pmd))
  }
  return -1
}

/** Unmaps the huge page at `page`; answers its head, to be put after the flush, or -1: none is mapped there. */
export function* zapHugePmd(k: Thread, mm: Mm, page: number): Proc<Pfn> {
  const { kernel } = mm
  const slot = yield* hugePmdLock(k, mm, page)
  if (slot < 0) return -1
  if (k.stepping) yield write(slot, 'pmd')
  const head = ptePfn(kernel.tables.get(slot))
  kernel.tables.set(slot, PTE_NONE)
  pageRemoveRmap(kernel, head)
  mm.rss -= HUGE_PAGES
  if (!kernel.pages.isHugetlb(head)) kernel.tables.free(kernel.deposits.withdraw(slot))
  kernel.pmdLock(slot).unlock(k)
  return head
}

/** Gives the huge PMD other flags; true if P or W went away, and a flush is due. @kernel change_huge_pmd */
export function* changeHugePmd(k: Thread, mm: Mm, page: number, change: (flags: number) => number): Proc<boolean> {
  const { kernel } = mm
  const slot = yield* hugePmdLock(k, mm, page)
  if (slot < 0) return false
  if (k.stepping) yield write(slot, 'pmd')
  const pmd = kernel.tables.get(slot)
  const flags = change(pteFlags(pmd))
  kernel.tables.set(slot, pteWithFlags(pmd, flags))
  kernel.pmdLock(slot).unlock(k)
  return (pteFlags(pmd) & ~flags & (PTE_P | PTE_W)) !== 0
}

/** Shares the huge page at `page` with a child, copy-on-write; true if one is mapped there, and a flush is due. */
export function* copyHugePmd(k: Thread, parent: Mm, child: Mm, page: number): Proc<boolean> {
  const { kernel } = parent
  const slot = yield* hugePmdLock(k, parent, page)
  if (slot < 0) return false
  if (k.stepping) yield write(slot, 'pmd')
  const pmd = kernel.tables.get(slot)
  const shared = pteWithFlags(pmd, pteFlags(pmd) & ~PTE_W)
  kernel.tables.set(slot, shared)
  const head = ptePfn(pmd)
  kernel.pages.get(head)
  pageDupAnonRmap(kernel, head)
  child.rss += HUGE_PAGES
  const childSlot = child.table.pmdSlotAllocate(page)
  if (!kernel.pages.isHugetlb(head)) kernel.deposits.deposit(childSlot, kernel.tables.allocate())
  kernel.tables.set(childSlot, pteWithFlags(shared, pteFlags(shared) & ~PTE_A))
  kernel.pmdLock(slot).unlock(k)
  return true
}
