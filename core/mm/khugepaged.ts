/**
 * khugepaged: makes one huge page of 512 small ones, behind the program's back.
 *
 * khugepagedScanMm walks an address space; for each aligned 2 MiB of an area that may have huge pages:
 *  scan, mmap_lock for reading: a leaf table; present pages only; few holes, few shared pages; none of them missing in a
 *  userfault area (whatever the limit says: a hole there is a page that is still to come).
 *
 * collapseHugePage, for what the scan liked:
 *  1. no lock held: allocate the huge page.   2. mmap_lock for writing: nobody faults, moves or maps here any more.
 *  3. look again at area and PMD: anything may have happened in between.   4. write-lock the area's anon_vma: no walk.
 *  5. PMD lock: clear the PMD and flush everybody: no CPU reads or writes here.
 *  6. isolate, under the PTE lock: all questions of the scan again, now that nothing moves; lock each page, and nobody else
 *     may hold a reference.   7. refused: put the table back.   8. unlock anon_vma: the page locks do from here on.
 *  9. copy: a hole becomes zeros, a page its content; then it is unmapped, unlocked and freed.
 * 10. PMD lock: deposit the table, now empty, and store the huge PMD.   11. unlock.
 *
 * Step 6 asks about the userfault area again because it may have been armed after the scan (R68). Pairs with
 * huge_memory.ts. Source: mm/khugepaged.c.
 * @kernel khugepaged_scan_mm_slot, hpage_collapse_scan_pmd, collapse_huge_page, __collapse_huge_page_isolate, __collapse_huge_page_copy
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ENTRIES } from '../hw/page_table.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { HUGE_PAGES, PTE_NONE, PTE_UFFD_WP, type Pte, pmdHuge, ptePfn, ptePresent } from '../hw/pte.ts'
import { type AnonVma, anonVmaLockWrite, anonVmaUnlockWrite } from './anon_vma.ts'
import { mayBeHuge } from './huge_memory.ts'
import { makeHugePmd } from './huge_page.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'
import { PG_SWAPCACHE } from './page.ts'
import { pageAddNewAnonRmap, pageRemoveRmap } from './rmap.ts'
import { flushTlbRange } from './tlb_flush.ts'
import { userfaultfdMissing } from './uffd_fault.ts'
import type { Vma } from './vma.ts'
import { vmaWriteBegin, vmaWriteEnd } from './vma_sequence.ts'

/** Limits of the two kinds of pages that cost: holes, which become zeros, and pages that others map too. */
export const MAX_PTES_NONE = HUGE_PAGES - 1
export const MAX_PTES_SHARED = HUGE_PAGES / 2

/** What came of it. @kernel enum scan_result */
export type ScanResult =
  | 'succeed'
  | 'vma-check'
  | 'pmd-none'
  | 'pmd-mapped'
  | 'no-pte'
  | 'exceed-none-pte'
  | 'exceed-shared-pte'
  | 'pte-non-present'
  | 'pte-uffd-wp'
  | 'page-anon'
  | 'page-count'
  | 'page-lock'
  | 'alloc-huge-page-fail'

/** A missing page of this area is somebody's to bring. @kernel userfaultfd_armed */
function userfaultArmed(vma: Vma): boolean {
  return userfaultfdMissing(vma) || vma.uffd !== null
}

/** Counts what the limits speak of; its answer says whether one PTE may stay. */
class PteCheck {
  present = 0
  #none = 0
  #shared = 0

  constructor(
    readonly kernel: Kernel,
    /** False where a hole counts whatever the limit says. */
    readonly holesAllowed: boolean,
  ) {}

  next(pte: Pte): ScanResult {
    if (pte === PTE_NONE || (ptePresent(pte) && ptePfn(pte) === ZERO_PFN))
      return this.holesAllowed && ++this.#none <= MAX_PTES_NONE ? 'succeed' : 'exceed-none-pte'
    if (!ptePresent(pte)) return 'pte-non-present'
    if ((pte & PTE_UFFD_WP) !== 0) return 'pte-uffd-wp'
    const { pages } = this.kernel
    const pfn = ptePfn(pte)
    if (pages.isKsm(pfn)) return 'page-anon'
    const mapped = pages.mappings(pfn)
    if (mapped > 1 && ++this.#shared > MAX_PTES_SHARED) return 'exceed-shared-pte'
    // Each mapping holds one reference, and so does the swap cache. Whoever holds another may be using the frame itself.
    const cached = (pages.flags[pfn] & PG_SWAPCACHE) !== 0 ? 1 : 0
    if (pages.references(pfn) !== mapped + cached) return 'page-count'
    this.present++
    return 'succeed'
  }
}

/** The whole address space once; how many huge pages were made. The caller runs in the mm, or as a kernel thread. */
export function* khugepagedScanMm(k: Thread, mm: Mm): Proc<number> {
  let made = 0
  yield* mm.mmapLock.downRead(k)
  const candidates: number[] = []
  for (const vma of mm.tree.areas) {
    for (let page = Math.ceil(vma.start / HUGE_PAGES) * HUGE_PAGES; page + HUGE_PAGES <= vma.end; page += HUGE_PAGES) {
      if (mayBeHuge(vma, page) && (yield* scanPmd(k, mm, vma, page)) === 'succeed') candidates.push(page)
    }
  }
  mm.mmapLock.upRead(k)
  for (const page of candidates) if ((yield* collapseHugePage(k, mm, page)) === 'succeed') made++
  return made
}

/** Scan and collapse of one aligned 2 MiB. @kernel madvise_collapse */
export function* scanAndCollapse(k: Thread, mm: Mm, page: number): Proc<ScanResult> {
  yield* mm.mmapLock.downRead(k)
  const vma = mm.tree.find(page)
  const result = vma !== null && mayBeHuge(vma, page) ? yield* scanPmd(k, mm, vma, page) : 'vma-check'
  mm.mmapLock.upRead(k)
  return result === 'succeed' ? yield* collapseHugePage(k, mm, page) : result
}

/** @kernel hpage_collapse_scan_pmd */
function* scanPmd(k: Thread, mm: Mm, vma: Vma, first: number): Proc<ScanResult> {
  const { kernel } = mm
  const pmd = pmdAt(mm, first)
  if (pmd === PTE_NONE) return 'pmd-none'
  if (pmdHuge(pmd)) return 'pmd-mapped'
  const check = new PteCheck(kernel, !userfaultArmed(vma) || !kernel.has('khugepaged-userfault'))
  const slot = ptePfn(pmd) * ENTRIES
  const lock = kernel.pteLock(slot)
  let result: ScanResult = 'succeed'
  yield* lock.lock(k)
  for (let i = 0; i < HUGE_PAGES && result === 'succeed'; i++) {
    // Who fills a hole needs this lock; what is there, hardware and walks look at.
    if (k.stepping && kernel.tables.get(slot + i) !== PTE_NONE) yield read(slot + i, 'pte')
    result = check.next(kernel.tables.get(slot + i))
  }
  lock.unlock(k)
  return result === 'succeed' && check.present === 0 ? 'no-pte' : result
}

function pmdAt(mm: Mm, page: number): Pte {
  const slot = mm.table.pmdSlot(page)
  return slot < 0 ? PTE_NONE : mm.kernel.tables.get(slot)
}

/** Makes one page of the 2 MiB that begin at `first`. No lock is held before or after. @kernel collapse_huge_page */
export function* collapseHugePage(k: Thread, mm: Mm, first: number): Proc<ScanResult> {
  const { kernel } = mm
  // 1.
  if (k.stepping) yield write(0, 'pages.blocks')
  const head = kernel.pages.allocateHuge()
  if (head < 0) return 'alloc-huge-page-fail'
  k.cpu.nowNs += k.cpu.preset.allocPageNs.value
  // 2.
  yield* mm.mmapLock.downWrite(k)
  // 3.
  const vma = mm.tree.find(first)
  let result: ScanResult = 'vma-check'
  if (vma !== null && mayBeHuge(vma, first) && vma.anonVma !== null) {
    // Also for faults that hold no mmap_lock.
    yield* vmaWriteBegin(k, mm, vma)
    result = yield* collapseLocked(k, mm, vma, vma.anonVma, first, head)
    yield* vmaWriteEnd(k, mm, vma)
  }
  // 11.
  mm.mmapLock.upWrite(k)
  if (result === 'succeed') kernel.thp.collapseAlloc++
  else kernel.pages.put(head)
  return result
}

/** Steps 3 to 10. */
function* collapseLocked(k: Thread, mm: Mm, vma: Vma, anonVma: AnonVma, first: number, head: Pfn): Proc<ScanResult> {
  const { kernel } = mm
  const { tables } = kernel
  const pmdSlot = mm.table.pmdSlot(first)
  const pmd = pmdAt(mm, first)
  if (pmd === PTE_NONE) return 'pmd-none'
  if (pmdHuge(pmd)) return 'pmd-mapped'
  // 4.
  yield* anonVmaLockWrite(k, kernel, anonVma)
  // 5.
  const pmdLock = kernel.pmdLock(pmdSlot)
  yield* pmdLock.lock(k)
  if (k.stepping) yield write(pmdSlot, 'pmd')
  tables.set(pmdSlot, PTE_NONE)
  yield* flushTlbRange(k, mm, first, first + HUGE_PAGES)
  pmdLock.unlock(k)
  // 6.
  const slot = ptePfn(pmd) * ENTRIES
  const result = yield* isolate(k, kernel, vma, slot)
  if (result !== 'succeed') {
    // 7.
    yield* pmdLock.lock(k)
    if (k.stepping) yield write(pmdSlot, 'pmd')
    tables.set(pmdSlot, pmd)
    pmdLock.unlock(k)
    anonVmaUnlockWrite(k, kernel, anonVma)
    return result
  }
  // 8.
  anonVmaUnlockWrite(k, kernel, anonVma)
  // 9.
  const present = yield* copyPages(k, kernel, slot, head)
  // 10.
  pageAddNewAnonRmap(kernel, head, vma, first)
  mm.rss += HUGE_PAGES - present
  yield* pmdLock.lock(k)
  kernel.deposits.deposit(pmdSlot, ptePfn(pmd))
  if (k.stepping) yield write(pmdSlot, 'pmd')
  tables.set(pmdSlot, makeHugePmd(head, vma.pageProt))
  pmdLock.unlock(k)
  return 'succeed'
}

/** Locks every page of the table, or none. @kernel __collapse_huge_page_isolate */
function* isolate(k: Thread, kernel: Kernel, vma: Vma, slot: number): Proc<ScanResult> {
  const { tables, pageLocks } = kernel
  const asksAgain = kernel.has('khugepaged-userfault') && kernel.has('khugepaged-userfault-recheck')
  const check = new PteCheck(kernel, !userfaultArmed(vma) || !asksAgain)
  const locked: Pfn[] = []
  const lock = kernel.pteLock(slot)
  let result: ScanResult = 'succeed'
  yield* lock.lock(k)
  for (let i = 0; i < HUGE_PAGES && result === 'succeed'; i++) {
    if (k.stepping && tables.get(slot + i) !== PTE_NONE) yield read(slot + i, 'pte')
    const pte = tables.get(slot + i)
    result = check.next(pte)
    if (result !== 'succeed' || !ptePresent(pte) || ptePfn(pte) === ZERO_PFN) continue
    if (k.stepping) yield write(ptePfn(pte), 'page.lock')
    if (pageLocks.tryLock(k, ptePfn(pte))) locked.push(ptePfn(pte))
    else result = 'page-lock'
  }
  lock.unlock(k)
  if (result !== 'succeed') for (const pfn of locked) pageLocks.unlock(k, pfn)
  return result
}

/** Fills the huge page and empties the table; answers how many pages were mapped there. @kernel __collapse_huge_page_copy */
function* copyPages(k: Thread, kernel: Kernel, slot: number, head: Pfn): Proc<number> {
  const { tables, phys, pages, pageLocks } = kernel
  const lock = kernel.pteLock(slot)
  let present = 0
  for (let i = 0; i < HUGE_PAGES; i++) {
    const pte = tables.get(slot + i)
    const pfn = ptePresent(pte) ? ptePfn(pte) : ZERO_PFN
    if (pfn === ZERO_PFN) {
      phys.clear(head + i)
      k.cpu.nowNs += k.cpu.preset.clearPageNs.value
    } else {
      phys.copy(head + i, pfn)
      k.cpu.nowNs += k.cpu.preset.copyPageNs.value
      present++
    }
    if (pte === PTE_NONE) continue
    yield* lock.lock(k)
    if (k.stepping) yield write(slot + i, 'pte')
    tables.set(slot + i, PTE_NONE)
    if (pfn !== ZERO_PFN) pageRemoveRmap(kernel, pfn)
    lock.unlock(k)
    if (pfn === ZERO_PFN) continue
    pageLocks.unlock(k, pfn)
    pages.put(pfn)
  }
  return present
}
