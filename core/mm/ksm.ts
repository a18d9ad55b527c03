/**
 * Merging equal anonymous pages, as ksmd does: two places, one write-protected page, copied again by the first store.
 *
 * merge (two places of any address spaces):
 *  1. mmap_lock of the place for reading; its frame: anonymous, not merged yet, not the zero page; take a reference.
 *  2. try the page lock.   3. write_protect_page: under the PTE lock clear and flush, then count references: one that is not a
 *     mapping, the cache or this one means that somebody writes without a PTE: put it back, give up. Else store it
 *     read-only; nobody's alone any more.
 *  4. first place: the page becomes a KSM page: its mapping names a stable node (ksm_node.ts).
 *  5. second place: only now compare. Equal: replace_page: under the PTE lock, PTE unchanged, store the KSM page's, flush, drop
 *     the old one. The compare needs 3: a page that can be written may change after it.
 *  6. each place is an item of the node, with a reference on its area's anon_vma.
 *
 * remap_anon_pages takes the page lock, so a page does not change from "moved" to "merged" under either (R29).
 * There is no scanner and no unstable tree here: the caller names the two places. @kernel try_to_merge_with_ksm_page,
 * try_to_merge_one_page, write_protect_page, replace_page, stable_tree_append
 * Source: mm/ksm.c.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { makePte, PTE_D, PTE_NONE, PTE_W, type Pte, pteFlags, ptePfn, ptePresent } from '../hw/pte.ts'
import { getAnonVma } from './anon_vma.ts'
import type { Kernel } from './kernel.ts'
import type { StableNode } from './ksm_node.ts'
import type { Mm } from './mm.ts'
import { PG_DIRTY } from './page.ts'
import { pageRemoveRmap } from './rmap.ts'
import { flushTlbPage } from './tlb_flush.ts'
import type { Vma } from './vma.ts'

/** A place to merge: an address space and one of its pages. */
export interface KsmPlace {
  readonly mm: Mm
  readonly page: number
}

/** Why two places were not merged, or that they were. */
export type MergeResult = 'merged' | 'no page' | 'busy' | 'differ'

/** Makes the page at `first` a KSM page, if it is not one, and lets `second` share it. @kernel cmp_and_merge_page */
export function* ksmMerge(k: Thread, kernel: Kernel, first: KsmPlace, second: KsmPlace): Proc<MergeResult> {
  yield* kernel.ksm.prune(k, kernel)
  const shared = yield* makeShared(k, kernel, first)
  if (typeof shared === 'string') return shared
  // The KSM page stays as long as this reference: `first` may be copied away meanwhile.
  const result = yield* replaceBy(k, kernel, second, shared)
  kernel.pages.put(shared.pfn)
  return result
}

/** 1. The area, slot and frame of a place; mmap_lock is held for reading if there is one, and a reference on the frame. */
function* lookUp(k: Thread, place: KsmPlace): Proc<{ vma: Vma; slot: Slot; pfn: Pfn } | null> {
  const { mm, page } = place
  const { kernel } = mm
  yield* mm.mmapLock.downRead(k)
  const vma = mm.tree.find(page)
  const slot = mm.table.walk(page)
  if (vma?.contains(page) && vma.isAnonymous && vma.anonVma !== null && slot >= 0) {
    if (k.stepping) yield read(slot, 'pte')
    const pte = kernel.tables.get(slot)
    const pfn = ptePfn(pte)
    if (ptePresent(pte) && pfn !== ZERO_PFN) {
      kernel.pages.get(pfn)
      return { vma, slot, pfn }
    }
  }
  mm.mmapLock.upRead(k)
  return null
}

/** The place's page as a KSM page, with a reference. 1 to 4, and 6. */
function* makeShared(k: Thread, kernel: Kernel, place: KsmPlace): Proc<StableNode | MergeResult> {
  const { pages, pageLocks, ksm } = kernel
  const at = yield* lookUp(k, place)
  if (at === null) return 'no page'
  const { vma, slot, pfn } = at
  const { mm } = place
  let node = ksm.of(kernel, pfn)
  if (node === null) {
    // 2.
    if (k.stepping) yield write(pfn, 'page.lock')
    const locked = pageLocks.tryLock(k, pfn)
    // 3. and 4.
    if (locked && pages.isAnon(pfn) && (yield* writeProtectPage(k, mm, place.page, slot, pfn)) !== PTE_NONE) {
      if (k.stepping) yield write(pfn, 'page.mapping')
      kernel.swap.freeIfUnused(pfn)
      node = ksm.create(kernel, pfn)
      append(node, place, vma)
    }
    if (locked) pageLocks.unlock(k, pfn)
  }
  if (node === null) pages.put(pfn)
  mm.mmapLock.upRead(k)
  return node ?? 'busy'
}

/** 6. @kernel stable_tree_append */
function append(node: StableNode, { mm, page }: KsmPlace, vma: Vma): void {
  if (vma.anonVma === null) return
  getAnonVma(vma.anonVma)
  node.items.push({ mm, page, anonVma: vma.anonVma })
}

/** The read-only PTE that stands there now, or none if somebody has a reference of his own. @kernel write_protect_page */
function* writeProtectPage(k: Thread, mm: Mm, page: number, slot: Slot, pfn: Pfn): Proc<Pte> {
  const { kernel } = mm
  const { tables, pages, swap } = kernel
  const lock = kernel.pteLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield write(slot, 'pte')
  const pte = tables.get(slot)
  // One mapping: what several share already is for the reverse map of forks, not for this.
  if (!ptePresent(pte) || ptePfn(pte) !== pfn || pages.mappings(pfn) !== 1) {
    lock.unlock(k)
    return PTE_NONE
  }
  tables.set(slot, PTE_NONE)
  yield* flushTlbPage(k, mm, page)
  if (pages.references(pfn) !== 2 + (swap.isCached(pfn) ? 1 : 0)) {
    tables.set(slot, pte)
    lock.unlock(k)
    return PTE_NONE
  }
  if ((pte & PTE_D) !== 0) pages.flags[pfn] |= PG_DIRTY
  pages.clearExclusive(pfn)
  const protectedPte = makePte(pfn, pteFlags(pte) & ~(PTE_W | PTE_D))
  tables.set(slot, protectedPte)
  lock.unlock(k)
  return protectedPte
}

/** 1 to 3, 5 and 6 for the second place. */
function* replaceBy(k: Thread, kernel: Kernel, place: KsmPlace, node: StableNode): Proc<MergeResult> {
  const { pages, pageLocks, phys } = kernel
  const at = yield* lookUp(k, place)
  if (at === null) return 'no page'
  const { vma, slot, pfn } = at
  const { mm, page } = place
  let result: MergeResult = 'busy'
  if (pfn === node.pfn) result = 'merged'
  else if (!pages.isKsm(pfn)) {
    if (k.stepping) yield write(pfn, 'page.lock')
    if (pageLocks.tryLock(k, pfn)) {
      const early = kernel.has('ksm-write-protect') ? -1 : isEqual(kernel, pfn, node.pfn)
      const pte = !pages.isAnon(pfn) ? PTE_NONE : yield* writeProtectPage(k, mm, page, slot, pfn)
      if (k.stepping) yield read(pfn, 'page.content')
      const equal = early === -1 ? isEqual(kernel, pfn, node.pfn) : early
      if (pte !== PTE_NONE) result = !equal ? 'differ' : yield* replacePage(k, kernel, place, vma, slot, pte, node)
      pageLocks.unlock(k, pfn)
    }
  }
  if (result === 'merged' && kernel.swap.isCached(pfn) && !pages.isMapped(pfn) && pageLocks.tryLock(k, pfn)) {
    kernel.swap.freeIfUnused(pfn)
    pageLocks.unlock(k, pfn)
  }
  pages.put(pfn)
  mm.mmapLock.upRead(k)
  return result

  function isEqual(_kernel: Kernel, a: Pfn, b: Pfn): boolean {
    touch(a, 'page.content', AccessMode.read)
    touch(b, 'page.content', AccessMode.read)
    return phys.words[a * 2] === phys.words[b * 2] && phys.words[a * 2 + 1] === phys.words[b * 2 + 1]
  }
}

/** @kernel replace_page */
function* replacePage(
  k: Thread,
  kernel: Kernel,
  place: KsmPlace,
  vma: Vma,
  slot: Slot,
  pte: Pte,
  node: StableNode,
): Proc<MergeResult> {
  const { tables, pages } = kernel
  const lock = kernel.pteLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield write(slot, 'pte')
  const now = tables.get(slot)
  // Hardware may have set A since.
  if (!ptePresent(now) || ptePfn(now) !== ptePfn(pte) || (pteFlags(now) & PTE_W) !== 0) {
    lock.unlock(k)
    return 'busy'
  }
  const old = ptePfn(pte)
  pages.get(node.pfn)
  touch(node.pfn, 'page.mapcount', AccessMode.write)
  pages.mapcount[node.pfn]++
  tables.set(slot, PTE_NONE)
  yield* flushTlbPage(k, place.mm, place.page)
  tables.set(slot, makePte(node.pfn, pteFlags(now)))
  pageRemoveRmap(kernel, old)
  pages.put(old)
  append(node, place, vma)
  lock.unlock(k)
  return 'merged'
}
