/**
 * Splitting a huge page into 512 small ones, for everybody who maps it.
 *
 * splitHugePage, of a page that the caller has a reference on, but neither its lock nor any PMD's:
 *  1. read mapping once; not a mapped anonymous page -> false.   2. take a reference on its anon_vma.
 *  3. write-lock its root.   4. recheck: mapping changed since step 1 -> unlock, put, start over.
 *  5. no longer huge: done, somebody else split it.
 *  6. mark every PMD that maps it as splitting: who meets one waits for the root's lock.
 *  7. as many as its mapcount says, or the reverse map lied.   8. 512 pages out of one: mapcounts, references, places.
 *  9. each PMD: take P away and flush, fill the deposited table with 512 PTEs of the same rights, put it in the PMD's place.
 * 10. unlock, put.
 *
 * Step 4 pairs with moveHugePmd (huge_move.ts), which changes mapping under the root's write lock and the page lock; the
 * page lock is not held here. Without it:
 *
 *     split                               remap_anon_pages
 *     reads mapping: A1, waits for A1
 *                                         mapping = A2, src PMD cleared, dst PMD set
 *     has A1's lock, finds no PMD: step 7 fails, or the page is split under dst's huge PMD (R28)
 *
 * Source: Andrea Arcangeli, "rmap preparation for remap_anon_pages", 6 May 2013 (steps 1 to 4); mm/huge_memory.c before 4.5.
 * @kernel split_huge_page, __split_huge_page, __split_huge_page_splitting, __split_huge_page_map, split_huge_page_pmd
 */
import { fail, violate } from '../base/assert.ts'
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ENTRIES, type Slot } from '../hw/page_table.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import {
  HUGE_PAGES,
  makePte,
  PMD_SPLITTING,
  PTE_P,
  PTE_PS,
  type Pte,
  pmdHuge,
  pteFlags,
  ptePfn,
  pteWithFlags,
} from '../hw/pte.ts'
import { type AnonVma, anonVmaLockRead, anonVmaLockWrite, anonVmaUnlockRead, anonVmaUnlockWrite, putAnonVma } from './anon_vma.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'
import { lockMappedPmd } from './page_vma_mapped.ts'
import { tablePmd } from './pgtable.ts'
import { pageAnonVma, pageGetAnonVma } from './rmap.ts'
import { rmapWalkAnon } from './rmap_walk.ts'
import { flushTlbHuge } from './tlb_flush.ts'

/** True: the page is no longer huge. False: nobody maps it. @kernel split_huge_page, split_huge_page_to_list */
export function* splitHugePage(k: Thread, kernel: Kernel, head: Pfn): Proc<boolean> {
  const { pages } = kernel
  let anonVma: AnonVma
  for (;;) {
    // 1.
    if (k.stepping) yield read(head, 'page.mapping')
    const word = pages.mapping[head]
    // 2.
    const found = yield* pageGetAnonVma(k, kernel, head)
    if (found === null) return false
    anonVma = found
    // 3.
    yield* anonVmaLockWrite(k, kernel, anonVma)
    // 4.
    if (k.stepping) yield read(head, 'page.mapping')
    if (pages.mapping[head] === word || !kernel.has('split-mapping-recheck')) break
    anonVmaUnlockWrite(k, kernel, anonVma)
    yield* putAnonVma(k, kernel, anonVma)
  }
  // 5.
  if (pages.isHuge(head)) yield* splitLocked(k, kernel, head, anonVma)
  // 10.
  anonVmaUnlockWrite(k, kernel, anonVma)
  yield* putAnonVma(k, kernel, anonVma)
  return true
}

interface HugeMapping {
  readonly mm: Mm
  readonly page: number
  readonly pmdSlot: Slot
}

/** Says of one huge PMD that it is being split, and notes it. @kernel __split_huge_page_splitting */
function* markSplitting(k: Thread, kernel: Kernel, head: Pfn, mappings: HugeMapping[], mm: Mm, page: number): Proc<boolean> {
  const { tables } = kernel
  const pmdSlot = yield* lockMappedPmd(k, kernel, mm, page, head)
  if (pmdSlot < 0) return true
  if (k.stepping) yield write(pmdSlot, 'pmd')
  const pmd = tables.get(pmdSlot)
  tables.set(pmdSlot, pteWithFlags(pmd, pteFlags(pmd) | PMD_SPLITTING))
  kernel.pmdLock(pmdSlot).unlock(k)
  mappings.push({ mm, page, pmdSlot })
  return true
}

/** Steps 6 to 9, under the root's write lock. */
function* splitLocked(k: Thread, kernel: Kernel, head: Pfn, anonVma: AnonVma): Proc<void> {
  const { pages, tables } = kernel
  // 6.
  const mappings: HugeMapping[] = []
  yield* rmapWalkAnon(k, kernel, head, anonVma, (mm, _vma, page) => markSplitting(k, kernel, head, mappings, mm, page))
  // 7.
  if (mappings.length !== pages.mapcount[head])
    violate('I-RMAP', `mapcount ${pages.mapcount[head]} != ${mappings.length} huge PMDs (pfn ${head})`)
  // 8.
  if (k.stepping) yield write(head, 'page.mapcount')
  pages.splitCompound(head)
  kernel.thp.splitPage++
  // 9.
  for (const { mm, page, pmdSlot } of mappings) {
    const lock = kernel.pmdLock(pmdSlot)
    yield* lock.lock(k)
    if (k.stepping) yield write(pmdSlot, 'pmd')
    const pmd = tables.get(pmdSlot)
    // Hardware must never see the 2 MiB and the small pages side by side.
    tables.set(pmdSlot, pteWithFlags(pmd, pteFlags(pmd) & ~PTE_P))
    yield* flushTlbHuge(k, mm, page)
    const node = kernel.deposits.withdraw(pmdSlot)
    fillTable(kernel, node, head, pmd)
    if (k.stepping) yield write(pmdSlot, 'pmd')
    tables.set(pmdSlot, tablePmd(node))
    lock.unlock(k)
  }
}

/** 512 PTEs with the rights, A and D of the PMD. */
function fillTable(kernel: Kernel, node: number, head: Pfn, pmd: Pte): void {
  const flags = pteFlags(pmd) & ~(PTE_PS | PMD_SPLITTING)
  for (let i = 0; i < HUGE_PAGES; i++) kernel.tables.set(node * ENTRIES + i, makePte(head + i, flags))
}

/**
 * Splits the huge page mapped at `page`, if one is; afterwards none is. The caller holds mmap_lock.
 *
 * 1. PMD lock; not huge: done. Take a reference on the page.   2. unlock, split, put.   3. look again: another huge page
 *    may have come, or the split may have found the page unmapped.
 */
export function* splitHugePmd(k: Thread, mm: Mm, page: number): Proc<void> {
  const { kernel } = mm
  const { tables, pages } = kernel
  const pmdSlot = mm.table.pmdSlot(page)
  if (pmdSlot < 0) return
  const lock = kernel.pmdLock(pmdSlot)
  while (pmdHuge(tables.get(pmdSlot))) {
    // 1.
    yield* lock.lock(k)
    if (k.stepping) yield read(pmdSlot, 'pmd')
    const pmd = tables.get(pmdSlot)
    if (!pmdHuge(pmd)) {
      lock.unlock(k)
      return
    }
    const head = ptePfn(pmd)
    if (pages.isHugetlb(head)) fail(`a page of the hugetlb pool is to be split (pfn ${head}, page ${page})`)
    pages.get(head)
    lock.unlock(k)
    // 2.
    yield* splitHugePage(k, kernel, head)
    pages.put(head)
  }
}

/** The slot of the page's PTE, once what maps 2 MiB at once is split; -1: there is no table. `allocates`: missing ones are made. The caller holds mmap_lock. */
export function* walkSplit(k: Thread, mm: Mm, page: number, allocates = false): Proc<Slot> {
  const slot = allocates ? mm.table.walkAllocate(page) : mm.table.walk(page)
  if (slot >= 0) return slot
  yield* splitHugePmd(k, mm, page)
  return mm.table.walk(page)
}

/** Sleeps until a split in progress is over. @kernel wait_split_huge_page */
export function* waitSplitHugePage(k: Thread, kernel: Kernel, head: Pfn): Proc<void> {
  const anonVma = pageAnonVma(kernel, head)
  if (anonVma === null) return
  yield* anonVmaLockRead(k, kernel, anonVma)
  anonVmaUnlockRead(k, kernel, anonVma)
}
