/**
 * Page accounting of one machine, when nothing is in flight there:
 *
 * - mapcount of each page equals the PTEs that map it (I-CNT);
 * - the reverse map of each page leads to each of those PTEs (I-RMAP);
 * - every frame in use is mapped: none leaks (I-LEAK).
 *
 * Each check walks everything and answers with the first thing wrong, as one sentence, or null. They read only.
 */
import { ENTRIES } from '../hw/page_table.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { ptePfn, ptePresent } from '../hw/pte.ts'
import type { Process } from '../machine/process.ts'

/** PTEs by frame, over all processes of one machine. */
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
  }
  return ptes
}

/** I-CNT. */
export function mapcountEqualsPtes(processes: readonly Process[]): string | null {
  const { pages } = processes[0].machine.kernel
  const ptes = countPtes(processes)
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
  let wrong: string | null = null
  for (const process of processes) {
    const { tree } = process.mm
    process.mm.table.forEachLeaf((node, firstPage) => {
      for (let i = 0; i < ENTRIES && wrong === null; i++) {
        const pte = tables.entries[node * ENTRIES + i]
        const pfn = ptePfn(pte)
        if (!ptePresent(pte) || pfn === ZERO_PFN) continue
        const page = firstPage + i
        const vma = tree.find(page)
        const mapping = pages.mapping[pfn]
        if (vma === null || !vma.contains(page)) wrong = `pfn ${pfn} is mapped at page ${page}, where there is no area`
        else if (mapping !== 0 && (mapping & 1) === 0) continue
        else if (mapping === 0) wrong = `pfn ${pfn} is mapped at page ${page} without an anon_vma`
        else if (!anonVmas.at(mapping >>> 1).chains.some((edge) => edge.vma === vma)) {
          wrong = `anon_vma ${mapping >>> 1} of pfn ${pfn} does not lead to the area of page ${page}`
        } else if (vma.indexOf(page) !== pages.index[pfn]) {
          wrong = `index ${pages.index[pfn]} != ${vma.indexOf(page)} (pfn ${pfn}, page ${page})`
        }
      }
    })
  }
  return wrong
}

/** I-LEAK. */
export function noFrameLeaks(processes: readonly Process[]): string | null {
  const { pages } = processes[0].machine.kernel
  let mapped = 0
  for (let pfn = ZERO_PFN + 1; pfn < pages.highest; pfn++) {
    // A page of a page cache may be mapped nowhere.
    const cached = pages.mapping[pfn] !== 0 && (pages.mapping[pfn] & 1) === 0
    if (pages.refcount[pfn] > 0 && pages.mapcount[pfn] === 0 && !cached)
      return `pfn ${pfn} has refcount ${pages.refcount[pfn]} and no mapping`
    if (pages.refcount[pfn] > 0) mapped++
  }
  return mapped === pages.used ? null : `${pages.used} frames in use != ${mapped} mapped`
}
