/**
 * I-TLB: no TLB entry says more than the PTE it came from.
 *
 * Every entry of every CPU that has the address space loaded is looked up in the page table: the same frame, the same size of
 * translation, no right to store that the PTE does not give, and no "dirty" that the PTE does not say (a store through it would
 * go unseen). An entry for a PTE that is gone is the stale entry through which a missing shootdown does its harm.
 *
 * In flight: whoever takes a translation away flushes before it leaves the lock of the table, or at the latest mmap_lock; what is
 * under either lock is left out.
 */
import type { Cpu } from '../hw/cpu.ts'
import { HUGE_PAGES, PTE_D, PTE_P, pmdHuge, ptePfn, pteWritable } from '../hw/pte.ts'
import { type L1Tlb, type L2Tlb, TLB_D, TLB_W } from '../hw/tlb.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import { entryOf, slotOf } from './entries.ts'
import { type Invariant, onEachKernel } from './invariant.ts'

/** I-TLB at rest. */
export function tlbsMatchPageTables(kernel: Kernel): string | null {
  return lookAtAll(kernel, true)
}

export const TLB: Invariant = {
  id: 'I-TLB',
  claim: 'a TLB entry says no more than its PTE, unless a flush is under way',
  inFlight: (state) => onEachKernel(state, inFlight),
  atRest: (state) => onEachKernel(state, tlbsMatchPageTables),
}

function inFlight(kernel: Kernel): string | null {
  return lookAtAll(kernel, false)
}

function lookAtAll(kernel: Kernel, atRest: boolean): string | null {
  for (let i = 0; i < kernel.mms.length; i++) {
    const mm = kernel.mms[i]
    if (!atRest && mm.mmapLock.isHeld) continue
    for (let j = 0; j < mm.cpus.length; j++) {
      const cpu = mm.cpus[j]
      if (cpu.mmu.space !== mm.table) continue
      const wrong = lookAt(mm, cpu, cpu.mmu.l1, atRest) ?? lookAt(mm, cpu, cpu.mmu.l2, atRest)
      if (wrong !== null) return wrong
    }
  }
  return null
}

function lookAt(mm: Mm, cpu: Cpu, level: L1Tlb | L2Tlb, atRest: boolean): string | null {
  const { tables } = mm.kernel
  for (let i = 1; i < level.page.length; i++) {
    const unit = level.page[i]
    if (unit < 0) continue
    const page = unit < level.hugeBase ? unit : (unit - level.hugeBase) * HUGE_PAGES
    const pmdSlot = mm.table.pmdSlot(page)
    const slot = slotOf(mm, page)
    if (!atRest && (isLocked(mm, slot) || isLocked(mm, pmdSlot))) continue
    const isHuge = pmdSlot >= 0 && pmdHuge(tables.entries[pmdSlot])
    if (isHuge !== unit >= level.hugeBase) return `CPU ${cpu.id} has an entry of the wrong size for page ${page}`
    const pte = entryOf(mm, page)
    if ((pte & PTE_P) === 0 || ptePfn(pte) !== level.pfn[i]) return `CPU ${cpu.id} has a stale entry for page ${page}`
    if ((level.perm[i] & TLB_W) !== 0 && !pteWritable(pte)) return `CPU ${cpu.id} may still write page ${page}`
    if ((level.perm[i] & TLB_D) !== 0 && (pte & PTE_D) === 0) return `CPU ${cpu.id} takes clean page ${page} for dirty`
  }
  return null
}

function isLocked(mm: Mm, slot: number): boolean {
  return slot >= 0 && mm.kernel.isTableLocked(slot)
}
