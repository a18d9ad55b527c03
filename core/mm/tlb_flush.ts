/**
 * TLB shootdown: which CPUs must forget a translation, and when it is done.
 *
 * 1. The caller's own CPU: INVLPG.
 * 2. Every other CPU that runs the mm: an IPI, and wait for the acknowledgement (hw/ipi.ts).
 * 3. But not one in lazy mode, whose threads all sleep: it misses the flush, and flushes everything before user code runs on it
 *  again (hw/cpu.ts). Where page tables are to be freed it is interrupted, too: it could still walk into them.
 *
 * A frame may be freed or given away only after this returns. An empty entry needs no flush (it is never cached), and
 * neither does an upgrade of rights. Above the ceiling one full flush replaces many single ones.
 *
 * In the step gear 3. is left out: an interrupt more, taken at any point, holds every interleaving that there is without it.
 * Source: arch/x86/mm/tlb.c. Docs: docs/decisions/0031-lazy-tlb.md.
 * @kernel flush_tlb_page, flush_tlb_range, should_flush_tlb, tlb_single_page_flush_ceiling
 */
import { NOTHING, type Proc, write } from '../engine/op.ts'
import type { Cpu, Thread } from '../hw/cpu.ts'
import { callOnCpus, chargeIpis, takeIpi } from '../hw/ipi.ts'
import { HUGE_PAGES } from '../hw/pte.ts'
import { smpMb } from '../sync/barriers.ts'
import type { Mm } from './mm.ts'

/** Entries above which everything is flushed. */
export const FLUSH_CEILING = 33

export function flushTlbPage(k: Thread, mm: Mm, page: number): Proc<void> {
  return flushTlbRange(k, mm, page, page + 1)
}

/** On the caller's own CPU alone: what others have cached stays. @kernel local_flush_tlb_page */
export function flushTlbPageHere(k: Thread, mm: Mm, page: number): void {
  k.cpu.nowNs += k.cpu.invlpgNs
  invalidate(k.cpu, mm, page, page + 1, 1)
}

/** The 2 MiB that `page` begins: one entry, one INVLPG. @kernel flush_pmd_tlb_range */
export function flushTlbHuge(k: Thread, mm: Mm, page: number): Proc<void> {
  return flushTlbRange(k, mm, page, page + HUGE_PAGES, HUGE_PAGES)
}

/** `stride`: pages that each entry of the range covers, 1 or 512. @kernel flush_tlb_mm_range */
export function flushTlbRange(k: Thread, mm: Mm, start: number, end: number, stride = 1, freesTables = false): Proc<void> {
  if (start >= end) return NOTHING
  k.cpu.nowNs += Math.min((end - start) / stride, FLUSH_CEILING) * k.cpu.invlpgNs
  if (k.stepping) return shootdownByIpi(k, mm, start, end, stride)
  // 1.
  invalidate(k.cpu, mm, start, end, stride)
  const { cpus } = mm
  let sent = 0
  for (let i = 0; i < cpus.length; i++) {
    const cpu = cpus[i]
    if (cpu === k.cpu) continue
    // 3.
    if (cpu.isLazy && !freesTables) {
      if (cpu.mmu.space === mm.table) cpu.missedFlush = true
      continue
    }
    // 2.
    invalidate(cpu, mm, start, end, stride)
    takeIpi(cpu)
    sent++
  }
  chargeIpis(k, sent)
  account(k, mm, start, sent)
  return NOTHING
}

function* shootdownByIpi(k: Thread, mm: Mm, start: number, end: number, stride: number): Proc<void> {
  yield write(start, 'tlb.flush')
  // Counting up the TLB generation is a full barrier.
  smpMb(k)
  invalidate(k.cpu, mm, start, end, stride)
  const sent = yield* callOnCpus(k, mm.cpus, (cpu) => invalidate(cpu, mm, start, end, stride))
  account(k, mm, start, sent)
}

function account(k: Thread, mm: Mm, page: number, sent: number): void {
  const kernel = mm.kernel
  kernel.shootdowns++
  kernel.ipis += sent
  kernel.hooks.shootdown(k, page, sent)
}

function invalidate(cpu: Cpu, mm: Mm, start: number, end: number, stride: number): void {
  // Another address space is loaded there: its entries are of that space, and loading this one flushes.
  if (cpu.mmu.space !== mm.table) return
  if (end === start + 1) {
    cpu.mmu.flushPage(start)
    return
  }
  if (end - start > FLUSH_CEILING * stride) {
    cpu.mmu.flushAll()
    return
  }
  for (let page = start; page < end; page += stride) cpu.mmu.flushPage(page)
}
