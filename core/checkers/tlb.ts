/**
 * I-TLB: no TLB entry says more than the PTE it came from.
 *
 * Every entry of every CPU that has the address space loaded is looked up in the page table: the same frame, the same size of
 * translation, no right to store that the PTE does not give, and no "dirty" that the PTE does not say (a store through it would
 * go unseen). An entry for a PTE that is gone is the stale entry through which a missing shootdown does its harm.
 *
 * In flight: whoever takes a translation away flushes before it leaves the lock of the table, or at the latest mmap_lock; what is
 * under either lock is left out. So is a CPU in lazy mode that was spared a flush: no user code runs on it before it has made that good.
 */
import type { Cpu } from '../hw/cpu.ts'
import { PTE_D, PTE_P, pmdHuge, ptePfn, pteWritable } from '../hw/pte.ts'
import { entryPfn, TLB_D, TLB_W } from '../hw/tlb.ts'
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
      if (cpu.mmu.space !== mm.table || cpu.missedFlush) continue
      const wrong = lookAt(mm, cpu, atRest)
      if (wrong !== null) return wrong
    }
  }
  return null
}

function lookAt(mm: Mm, cpu: Cpu, atRest: boolean): string | null {
  const { tables } = mm.kernel
  const { tlb } = cpu.mmu
  let wrong: string | null = null
  tlb.entries((unit, entry) => {
    if (wrong !== null) return
    const page = tlb.firstPage(unit)
    const pmdSlot = mm.table.pmdSlot(page)
    const slot = slotOf(mm, page)
    if (!atRest && (isLocked(mm, slot) || isLocked(mm, pmdSlot))) return
    const isHuge = pmdSlot >= 0 && pmdHuge(tables.entries[pmdSlot])
    const pte = entryOf(mm, page)
    // The smaller of the host's page and, of a guest that has tables of its own, the guest's.
    if (tlb.isHuge(unit) !== (isHuge && !cpu.mmu.isFracturing))
      wrong = `CPU ${cpu.id} has an entry of the wrong size for page ${page}`
    else if ((pte & PTE_P) === 0 || ptePfn(pte) !== entryPfn(entry)) wrong = `CPU ${cpu.id} has a stale entry for page ${page}`
    else if ((entry & TLB_W) !== 0 && !pteWritable(pte)) wrong = `CPU ${cpu.id} may still write page ${page}`
    else if ((entry & TLB_D) !== 0 && (pte & PTE_D) === 0) wrong = `CPU ${cpu.id} takes clean page ${page} for dirty`
  })
  return wrong
}

function isLocked(mm: Mm, slot: number): boolean {
  return slot >= 0 && mm.kernel.isTableLocked(slot)
}
