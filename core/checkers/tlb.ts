/**
 * I-TLB: no TLB entry says more than the PTE it came from, when no flush is in flight.
 *
 * Every entry of every CPU that has the address space loaded is looked up in the page table: the same frame, the same size of
 * translation, and no right to store that the PTE does not give. An entry for a PTE that is gone is the stale entry through
 * which a missing shootdown does its harm. Reads only; answers with the first thing wrong, or null.
 */
import { HUGE_PAGES, pmdHuge, ptePfn, ptePresent, pteWritable } from '../hw/pte.ts'
import { TLB_W } from '../hw/tlb.ts'
import type { Process } from '../machine/process.ts'

export function tlbsMatchPageTables(processes: readonly Process[]): string | null {
  for (const { mm, machine } of processes) {
    for (const cpu of mm.cpus) {
      if (cpu.mmu.space !== mm.table) continue
      for (const level of [cpu.mmu.l1, cpu.mmu.l2]) {
        for (let slot = 1; slot < level.page.length; slot++) {
          const unit = level.page[slot]
          if (unit < 0) continue
          const page = unit < level.hugeBase ? unit : (unit - level.hugeBase) * HUGE_PAGES
          const pmd = mm.table.pmdSlot(page)
          const isHuge = pmd >= 0 && pmdHuge(machine.kernel.tables.get(pmd))
          if (isHuge !== unit >= level.hugeBase) return `CPU ${cpu.id} has an entry of the wrong size for page ${page}`
          const pte = mm.table.lookup(page)
          if (!ptePresent(pte) || ptePfn(pte) !== level.pfn[slot]) return `CPU ${cpu.id} has a stale entry for page ${page}`
          if ((level.perm[slot] & TLB_W) !== 0 && !pteWritable(pte)) return `CPU ${cpu.id} may still write page ${page}`
        }
      }
    }
  }
  return null
}
