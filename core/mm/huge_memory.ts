/**
 * Huge pages of anonymous memory: the fault that maps 2 MiB at once, and the store that finds such a page read-only.
 *
 * An area that was told so (MADV_HUGEPAGE) and has aligned room gets a huge page at its first touch; khugepaged.ts makes
 * others later. A huge page is mapped by PMDs only: splitting one splits the page for everybody (huge_split.ts), as before
 * 4.5. A fault that finds no leaf table comes here first:
 *
 *  none, eligible: do_huge_pmd_anonymous_page. none, hugetlb: hugetlb.ts. huge, store, not writable: do_huge_pmd_wp_page.
 *  huge, being split: wait for the end of that, and look again.   Else: 'fallback', a small page.
 *
 * do_huge_pmd_anonymous_page:
 *  1. vmf_anon_prepare.   2. allocate and clear 512 frames (none: a small page), and the table to deposit.
 *  3. PMD lock; the PMD must still be none.   4. userfault area: give all back, unlock, handle_userfault.
 *  5. rmap, rss, deposit the table, store the PMD: dirty, writable if the area is.   6. unlock.
 *
 * There is no huge zero page: a touch for reading allocates like one for writing, which is the kernel with
 * transparent_hugepage/use_zero_page = 0. Frame 0 alone is the zero page here, and 2 MiB of it would need 512 frames in a
 * row; a migration reads all of memory, but memory backed by huge pages was written by then.
 *
 * Source: mm/huge_memory.c. @kernel do_huge_pmd_anonymous_page, do_huge_pmd_wp_page, transhuge_vma_suitable
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import {
  HUGE_PAGES,
  PMD_SPLITTING,
  PTE_D,
  PTE_NONE,
  PTE_W,
  pmdHuge,
  pteFlags,
  ptePfn,
  pteWithFlags,
  pteWritable,
} from '../hw/pte.ts'
import { clearHugePage, hugeFirst, makeHugePmd } from './huge_page.ts'
import { splitHugePmd, waitSplitHugePage } from './huge_split.ts'
import { hugetlbCow, hugetlbNoPage } from './hugetlb.ts'
import { pageAddNewAnonRmap } from './rmap.ts'
import { handleUserfault, userfaultfdMissing } from './uffd_fault.ts'
import { type Attempt, type Vmf, vmfAnonPrepare } from './vm_fault.ts'
import { VM_HUGEPAGE, VM_HUGETLB, VM_NOHUGEPAGE, VM_SHARED, VM_UFFD_MISSING, type Vma } from './vma.ts'

/** The area has room for the 2 MiB around `page`. @kernel transhuge_vma_suitable */
function hasRoom(vma: Vma, page: number): boolean {
  const first = hugeFirst(page)
  return first >= vma.start && first + HUGE_PAGES <= vma.end
}

/** Whether the 2 MiB around `page` may be one page of this area. @kernel thp_vma_allowable_order */
export function mayBeHuge(vma: Vma, page: number): boolean {
  if ((vma.flags & (VM_HUGEPAGE | VM_NOHUGEPAGE | VM_SHARED | VM_HUGETLB)) !== VM_HUGEPAGE) return false
  const first = hugeFirst(page)
  if (vma.mm?.dirtyLog?.overlaps(first, first + HUGE_PAGES) === true) return false
  return vma.isAnonymous && hasRoom(vma, page)
}

/**
 * A fault where there is no leaf table; `vmf.slot` is the PMD's. 'fallback': go on with a small page.
 * @kernel __handle_mm_fault
 */
export function* handleHugeFault(k: Thread, vmf: Vmf): Proc<Attempt | 'fallback'> {
  const { kernel } = vmf.mm
  if (k.stepping) yield read(vmf.slot, 'pmd')
  const pmd = kernel.tables.get(vmf.slot)
  if (pmd === PTE_NONE) {
    if ((vmf.vma.flags & VM_HUGETLB) !== 0) return yield* hugetlbNoPage(k, vmf)
    return mayBeHuge(vmf.vma, vmf.page) ? yield* doHugePmdAnonymousPage(k, vmf) : 'fallback'
  }
  if (!pmdHuge(pmd)) return 'fallback'
  if ((pmd & PMD_SPLITTING) !== 0) {
    yield* waitSplitHugePage(k, kernel, ptePfn(pmd))
    return 'done'
  }
  return vmf.store && !pteWritable(pmd) ? yield* doHugePmdWpPage(k, vmf) : 'done'
}

function* doHugePmdAnonymousPage(k: Thread, vmf: Vmf): Proc<Attempt | 'fallback'> {
  const { mm, vma, page, slot } = vmf
  const { kernel } = mm
  const { tables, pages } = kernel
  // 1.
  if (!(yield* vmfAnonPrepare(k, vmf))) return 'changed'
  // 2.
  if (k.stepping) yield write(0, 'pages.blocks')
  const head = pages.allocateHuge()
  if (head < 0) {
    kernel.thp.faultFallback++
    return 'fallback'
  }
  k.cpu.nowNs += k.cpu.preset.allocPageNs.value
  clearHugePage(k, kernel, head)
  const table = tables.allocate()
  // 3.
  const lock = kernel.pmdLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pmd')
  if (tables.get(slot) !== PTE_NONE) {
    lock.unlock(k)
    tables.free(table)
    pages.put(head)
    return 'done'
  }
  // 4.
  if (userfaultfdMissing(vma)) {
    lock.unlock(k)
    tables.free(table)
    pages.put(head)
    return yield* handleUserfault(k, vmf, VM_UFFD_MISSING)
  }
  // 5.
  const first = hugeFirst(page)
  pageAddNewAnonRmap(kernel, head, vma, first)
  mm.rss += HUGE_PAGES
  kernel.deposits.deposit(slot, table)
  if (k.stepping) yield write(slot, 'pmd')
  tables.set(slot, makeHugePmd(head, vmf.prot))
  // 6.
  lock.unlock(k)
  kernel.thp.faultAlloc++
  kernel.hooks.populate(k, first, false, HUGE_PAGES)
  return 'done'
}

/**
 * A store to a huge page mapped without W, in an area that may be written.
 *
 * 1. PMD lock; still huge, still read-only.   2. exclusive, or this PMD is its only mapping: reuse it, set W.
 * 3. Else, of the hugetlb pool: copy 2 MiB.   4. Else split; the store then copies one small page.
 */
function* doHugePmdWpPage(k: Thread, vmf: Vmf): Proc<Attempt | 'fallback'> {
  const { mm, slot } = vmf
  const { kernel } = mm
  const { tables, pages } = kernel
  // 1.
  const lock = kernel.pmdLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pmd')
  const pmd = tables.get(slot)
  if (!pmdHuge(pmd) || (pmd & PMD_SPLITTING) !== 0 || pteWritable(pmd)) {
    lock.unlock(k)
    return 'done'
  }
  const head = ptePfn(pmd)
  // 2.
  if (pages.isExclusive(head) || (pages.mappings(head) === 1 && pages.references(head) === 1)) {
    pages.setExclusive(head)
    if (k.stepping) yield write(slot, 'pmd')
    tables.set(slot, pteWithFlags(pmd, pteFlags(pmd) | PTE_W | PTE_D))
    lock.unlock(k)
    return 'done'
  }
  lock.unlock(k)
  // 3.
  if (pages.isHugetlb(head)) return yield* hugetlbCow(k, vmf, pmd)
  // 4.
  yield* splitHugePmd(k, mm, vmf.page)
  return 'fallback'
}
