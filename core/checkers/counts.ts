/**
 * I-CNT: what is counted is what there is. mapcount is the number of PTEs that map the page, and refcount is no less; a slot of
 * the swap device counts its entries.
 *
 * A huge page is mapped by PMDs: its head counts them, its tails count nothing and belong to it.
 *
 * In flight: a count and its PTE change under the lock of the table, so numbers are compared when no table of the machine is
 * locked; nor while an address space is written (a collapse takes a whole table away) or a huge page is being split.
 * refcount >= mapcount holds always: a mapping takes its reference first and gives it back last.
 */
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { HUGE_PAGES, PMD_SPLITTING, type Pte, ptePfn, ptePresent } from '../hw/pte.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import { swapKind, swapValue } from '../mm/swapops.ts'
import { visitEntries } from './entries.ts'
import { type Invariant, onEachKernel, type State } from './invariant.ts'
import { liveEntries } from './live_entries.ts'

/** mapcount and refcount, at rest. */
export function mapcountEqualsPtes(kernel: Kernel): string | null {
  return countEntries(kernel) ?? mapcountsAreEqual(kernel) ?? refcountsAreEnough(kernel)
}

/** The counts of swap slots and of swap entries, at rest. */
export function swapCountsEqualEntries(kernel: Kernel): string | null {
  return kernel.swap.slots === 0 ? null : (countEntries(kernel) ?? swapCountsAreEqual(kernel))
}

export const COUNTS: Invariant = {
  id: 'I-CNT',
  claim: 'mapcount is the number of PTEs, refcount is no less, and a swap slot counts its entries',
  inFlight,
  atRest: (state) => onEachKernel(state, (kernel) => mapcountEqualsPtes(kernel) ?? swapCountsEqualEntries(kernel)),
}

function inFlight(state: State): string | null {
  for (let i = 0; i < state.kernels.length; i++) {
    const kernel = state.kernels[i]
    const wrong = refcountsAreEnough(kernel) ?? (standsStill(kernel) ? countsAreEqual(state, kernel) : null)
    if (wrong !== null) return wrong
  }
  return null
}

function standsStill(kernel: Kernel): boolean {
  if (kernel.isAnyTableLocked) return false
  for (let i = 0; i < kernel.mms.length; i++) if (kernel.mms[i].mmapLock.writer !== null) return false
  return true
}

function countsAreEqual(state: State, kernel: Kernel): string | null {
  const { count, mm, page, pte, slot, pages } = liveEntries(state)
  startCounting(kernel)
  let swapEntriesKept = 0
  for (let i = 0; i < kernel.mms.length; i++) swapEntriesKept += kernel.mms[i].swapEntries
  for (let i = 0; i < count; i++) {
    const wrong = mm[i].kernel === kernel ? countOne(mm[i], page[i], pte[i], slot[i], pages[i]) : null
    if (wrong !== null) return wrong
  }
  if (isSplitting) return null
  if (entriesFound !== swapEntriesKept) return `${swapEntriesKept} swap entries counted != ${entriesFound} found`
  return mapcountsAreEqual(kernel) ?? swapCountsAreEqual(kernel)
}

/** What was counted last: mappings by frame, swap entries by slot. Used again and again, so that a check allocates nothing. */
let mappings = new Int32Array(64)
let swapEntries = new Int32Array(64)
let entriesFound = 0
let isSplitting = false

function startCounting(kernel: Kernel): void {
  const frames = kernel.pages.highest
  const slots = kernel.swap.slots + 1
  if (mappings.length < frames) mappings = new Int32Array(frames)
  else mappings.fill(0, 0, frames)
  if (swapEntries.length < slots) swapEntries = new Int32Array(slots)
  else swapEntries.fill(0, 0, slots)
  isSplitting = false
  entriesFound = 0
}

function countEntries(kernel: Kernel): string | null {
  startCounting(kernel)
  for (let i = 0; i < kernel.mms.length; i++) {
    const mm = kernel.mms[i]
    entriesFound = 0
    const wrong = visitEntries(mm, countOne)
    if (wrong !== null) return wrong
    if (entriesFound !== mm.swapEntries) return `${mm.swapEntries} swap entries counted != ${entriesFound} found`
  }
  return null
}

function countOne(mm: Mm, page: number, pte: Pte, _slot: number, count: number): string | null {
  const { pages, swap } = mm.kernel
  if (count === HUGE_PAGES) {
    const head = ptePfn(pte)
    mappings[head]++
    if ((pte & PMD_SPLITTING) !== 0) isSplitting = true
    else if (!pages.isHuge(head)) return `page ${page} is mapped by a huge PMD, pfn ${head} is not huge`
  } else if (ptePresent(pte)) mappings[ptePfn(pte)]++
  else if (swap.slots > 0 && swapKind(pte) === 'swap') {
    swapEntries[swapValue(pte)]++
    entriesFound++
  }
  return null
}

function mapcountsAreEqual({ pages }: Kernel): string | null {
  for (let pfn = ZERO_PFN + 1; pfn < pages.highest; pfn++)
    if (pages.mapcount[pfn] !== mappings[pfn]) return `mapcount ${pages.mapcount[pfn]} != ${mappings[pfn]} ptes (pfn ${pfn})`
  return null
}

function refcountsAreEnough({ pages }: Kernel): string | null {
  const { highest, refcount, mapcount } = pages
  for (let pfn = ZERO_PFN + 1; pfn < highest; pfn++)
    if (refcount[pfn] < mapcount[pfn]) return `refcount ${refcount[pfn]} < mapcount ${mapcount[pfn]} (pfn ${pfn})`
  return null
}

function swapCountsAreEqual({ swap }: Kernel): string | null {
  for (let slot = 1; slot <= swap.slots; slot++)
    if (swap.count(slot) !== swapEntries[slot])
      return `swap slot ${slot} count ${swap.count(slot)} != ${swapEntries[slot]} entries`
  return null
}
