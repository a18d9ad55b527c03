/**
 * TLB shootdown: which CPUs must forget a translation, and when it is done.
 *
 * 1. The caller's own CPU: INVLPG.
 * 2. Every other CPU that runs the mm: an IPI, and wait for the acknowledgement (hw/ipi.ts).
 *
 * A frame may be freed or given away only after this returns. An empty entry needs no flush (it is never cached), and
 * neither does an upgrade of rights. Above the ceiling one full flush replaces many single ones.
 *
 * @kernel flush_tlb_page, flush_tlb_range, tlb_single_page_flush_ceiling
 */
import { NOTHING, type Proc, write } from '../engine/op.ts'
import type { Cpu, Thread } from '../hw/cpu.ts'
import { callOnCpus, chargeIpis } from '../hw/ipi.ts'
import type { Mm } from './mm.ts'

/** Pages above which everything is flushed. */
export const FLUSH_CEILING = 33

export function flushTlbPage(k: Thread, mm: Mm, page: number): Proc<void> {
  return flushTlbRange(k, mm, page, page + 1)
}

export function flushTlbRange(k: Thread, mm: Mm, start: number, end: number): Proc<void> {
  if (start >= end) return NOTHING
  const { preset } = k.cpu
  k.cpu.nowNs += (Math.min(end - start, FLUSH_CEILING) * preset.invlpgCycles.value) / preset.clockGHz.value
  if (k.stepping) return shootdownByIpi(k, mm, start, end)
  const { cpus } = mm
  invalidate(k.cpu, mm, start, end)
  for (let i = 0; i < cpus.length; i++) if (cpus[i] !== k.cpu) invalidate(cpus[i], mm, start, end)
  account(k, mm, start, chargeIpis(k, cpus))
  return NOTHING
}

function* shootdownByIpi(k: Thread, mm: Mm, start: number, end: number): Proc<void> {
  yield write(start, 'tlb.flush')
  invalidate(k.cpu, mm, start, end)
  const sent = yield* callOnCpus(k, mm.cpus, (cpu) => invalidate(cpu, mm, start, end))
  account(k, mm, start, sent)
}

function account(k: Thread, mm: Mm, page: number, sent: number): void {
  const kernel = mm.kernel
  kernel.shootdowns++
  kernel.ipis += sent
  kernel.hooks.shootdown(k, page, sent)
}

function invalidate(cpu: Cpu, mm: Mm, start: number, end: number): void {
  // Another address space is loaded there: its entries are of that space, and loading this one flushes.
  if (cpu.mmu.space !== mm.table) return
  if (end - start > FLUSH_CEILING) {
    cpu.mmu.flushAll()
    return
  }
  for (let page = start; page < end; page++) cpu.mmu.flushPage(page)
}
