/**
 * Page accounting of one machine, when nothing is in flight there:
 *
 * - mapcount of each page equals the PTEs that map it (I-CNT);
 * - the reverse map of each page leads to each of those PTEs (I-RMAP);
 * - every frame in use is mapped or in the swap cache: none leaks (I-LEAK);
 * - the count of each swap slot equals the swap entries that name it;
 * - each huge PMD has one table deposited, and no table is deposited without one (R48).
 *
 * A huge page is mapped by PMDs: its head counts them, its tails count nothing and belong to it.
 *
 * Each check walks everything and answers with the first thing wrong, as one sentence, or null. They read only.
 */
import { ENTRIES } from '../hw/page_table.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { HUGE_PAGES, PTE_NONE, ptePfn, ptePresent } from '../hw/pte.ts'
import type { Process } from '../machine/process.ts'
import { PG_TAIL } from '../mm/page.ts'
import { swapKind, swapValue } from '../mm/swapops.ts'

/** PTEs and huge PMDs by the frame they name, over all processes of one machine. */
function countPtes(processes: readonly Process[]): Int32Array {
  const { kernel } = processes[0].machine
  const ptes = new Int32Array(kernel.pages.highest)
  const { entries } = kernel.tables
  for (const process of processes) {
    process.mm.table.forEachLeaf((node) => {
      for (let i = node * ENTRIES; i < (node + 1) * ENTRIES; i++) {
        if (ptePresent(entries[i])) ptes[ptePfn(entries[i])]++
      }
    })
    process.mm.table.forEachHuge((pmd) => {
      ptes[ptePfn(pmd)]++
    })
  }
  return ptes
}

/** I-CNT. */
export function mapcountEqualsPtes(processes: readonly Process[]): string | null {
  const { pages } = processes[0].machine.kernel
  const ptes = countPtes(processes)
  for (const process of processes) {
    let wrong: string | null = null
    process.mm.table.forEachHuge((pmd, _slot, firstPage) => {
      wrong ??= pages.isHuge(ptePfn(pmd)) ? null : `page ${firstPage} is mapped by a huge PMD, pfn ${ptePfn(pmd)} is not huge`
    })
    if (wrong !== null) return wrong
  }
  for (let pfn = ZERO_PFN + 1; pfn < ptes.length; pfn++) {
    if (pages.mapcount[pfn] !== ptes[pfn]) return `mapcount ${pages.mapcount[pfn]} != ${ptes[pfn]} ptes (pfn ${pfn})`
    if (pages.refcount[pfn] < pages.mapcount[pfn])
      return `refcount ${pages.refcount[pfn]} < mapcount ${pages.mapcount[pfn]} (pfn ${pfn})`
  }
  return null
}

/** I-RMAP. */
export function rmapFindsEveryMapping(processes: readonly Process[]): string | null {
  const { kernel } = processes[0].machine
  const { pages, tables, anonVmas } = kernel
  for (const process of processes) {
    const { tree } = process.mm
    let wrong: string | null = null
    const check = (page: number, pfn: Pfn, count: number): void => {
      const vma = tree.walk(page)
      const mapping = pages.mapping[pfn]
      if (vma === null || !vma.contains(page) || page + count > vma.end) {
        wrong = `pfn ${pfn} is mapped at page ${page}, where there is no area`
      } else if (mapping < 0) wrong = mergedButNotListed(process, pfn, page)
      else if (mapping !== 0 && (mapping & 1) === 0) return
      else if (mapping === 0) wrong = `pfn ${pfn} is mapped at page ${page} without an anon_vma`
      else if (!anonVmas.at(mapping >>> 1).chains.some((edge) => edge.vma === vma)) {
        wrong = `anon_vma ${mapping >>> 1} of pfn ${pfn} does not lead to the area of page ${page}`
      } else if (vma.indexOf(page) !== pages.index[pfn]) {
        wrong = `index ${pages.index[pfn]} != ${vma.indexOf(page)} (pfn ${pfn}, page ${page})`
      }
    }
    process.mm.table.forEachLeaf((node, firstPage) => {
      for (let i = 0; i < ENTRIES && wrong === null; i++) {
        const pte = tables.entries[node * ENTRIES + i]
        if (ptePresent(pte) && ptePfn(pte) !== ZERO_PFN) check(firstPage + i, ptePfn(pte), 1)
      }
    })
    process.mm.table.forEachHuge((pmd, _slot, firstPage) => {
      if (wrong === null) check(firstPage, ptePfn(pmd), HUGE_PAGES)
    })
    if (wrong !== null) return wrong
  }
  return null
}

/** A KSM page is found through the items of its stable node, each of which leads to the areas of one anon_vma. */
function mergedButNotListed(process: Process, pfn: number, page: number): string | null {
  const node = process.machine.kernel.ksm.of(process.machine.kernel, pfn)
  const vma = process.mm.tree.walk(page)
  if (node?.items.some((item) => item.page === page && item.anonVma.chains.some((edge) => edge.vma === vma))) return null
  return `the stable node of pfn ${pfn} does not lead to page ${page}`
}

/** Slots are counted as their entries are, and nothing is in use without reason. */
export function swapCountsEqualEntries(processes: readonly Process[]): string | null {
  const { swap, tables } = processes[0].machine.kernel
  if (swap.slots === 0) return null
  const entries = new Int32Array(swap.slots + 1)
  for (const process of processes) {
    let own = 0
    process.mm.table.forEachLeaf((node) => {
      for (let i = node * ENTRIES; i < (node + 1) * ENTRIES; i++) {
        const pte = tables.entries[i]
        if (pte === PTE_NONE || ptePresent(pte) || swapKind(pte) !== 'swap') continue
        entries[swapValue(pte)]++
        own++
      }
    })
    if (own !== process.mm.swapEntries) return `${process.mm.swapEntries} swap entries counted != ${own} found`
  }
  for (let slot = 1; slot <= swap.slots; slot++)
    if (swap.count(slot) !== entries[slot]) return `swap slot ${slot} count ${swap.count(slot)} != ${entries[slot]} entries`
  return null
}

/** I-LEAK. */
export function noFrameLeaks(processes: readonly Process[]): string | null {
  const { pages, swap } = processes[0].machine.kernel
  let mapped = 0
  for (let pfn = ZERO_PFN + 1; pfn < pages.highest; pfn++) {
    // A page of a page cache, or of the swap cache, may be mapped nowhere.
    const cached = (pages.mapping[pfn] > 0 && (pages.mapping[pfn] & 1) === 0) || swap.isCached(pfn)
    if (pages.refcount[pfn] > 0 && pages.mapcount[pfn] === 0 && !cached)
      return `pfn ${pfn} has refcount ${pages.refcount[pfn]} and no mapping`
    if (pages.refcount[pfn] > 0) mapped += pages.isHuge(pfn) ? HUGE_PAGES : 1
    else if ((pages.flags[pfn] & PG_TAIL) !== 0 && !pages.isHuge(pfn - (pfn % HUGE_PAGES)))
      return `pfn ${pfn} is the tail of a huge page that has no head`
  }
  return mapped === pages.used ? null : `${pages.used} frames in use != ${mapped} mapped`
}

/** One table is put by for each huge PMD, on the list of the PMD table that holds it; the hugetlb pool puts none by. */
export function everyHugePmdHasItsTable(processes: readonly Process[]): string | null {
  const { pages, deposits } = processes[0].machine.kernel
  const huge = new Map<number, number>()
  let total = 0
  for (const process of processes) {
    process.mm.table.forEachHuge((pmd, slot) => {
      if (pages.isHugetlb(ptePfn(pmd))) return
      total++
      huge.set(slot >>> 9, (huge.get(slot >>> 9) ?? 0) + 1)
    })
  }
  for (const [node, count] of huge) {
    if (deposits.count(node) !== count)
      return `${deposits.count(node)} tables deposited != ${count} huge PMDs (PMD table ${node})`
  }
  return deposits.total === total ? null : `${deposits.total} tables deposited != ${total} huge PMDs`
}
