/**
 * What a speculative fault holds instead of a lock: an area, its count, and a page table seen at one moment.
 *
 * The lock helper is the point of commitment. Repeat:
 *   1. interrupts off: page tables seen now cannot be freed under us (freeing needs this CPU's answer).
 *   2. area changed or dead -> fail.   3. PMD no longer what it was -> fail.
 *   4. *try* the PTE lock; busy: interrupts on, repeat. Its holder may wait for this CPU to answer an IPI (R14).
 *   5. area changed or dead -> unlock, fail.   6. interrupts on.
 * From 5 on, a zap of this area waits for the PTE lock and will see our PTE.
 *
 * Source: Peter Zijlstra, 5/6 of the RFC of Oct 2014; v12 22/31. Pairs with speculative_fault.ts and vma_sequence.ts.
 * @kernel pte_spinlock, pte_map_lock, vma_is_dead, vma_has_changed
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { irqDisable, irqEnable } from '../hw/ipi.ts'
import { seenBy } from '../sync/barriers.ts'
import type { Kernel } from './kernel.ts'
import { type FaultGuard, LOCKED, NOT_LOCKED, type Vmf } from './vm_fault.ts'
import type { Vma } from './vma.ts'

export class Speculation implements FaultGuard {
  readonly speculative = true

  constructor(
    readonly vma: Vma,
    /** The count, and when it was read (clock gear). */
    readonly sequence: number,
    readonly sinceNs: number,
    /** The leaf table that the PMD named. */
    readonly leaf: number,
    readonly settlesUserfault: boolean,
    /** vm_flags as sampled with the count. */
    readonly vmFlags: number,
  ) {}

  lockPte(k: Thread, vmf: Vmf): Proc<boolean> {
    if (k.stepping) return this.#lockPteStep(k, vmf)
    // Nothing runs between the checks and the lock here; time passes while the lock is waited for, so the check is last.
    const lock = vmf.mm.kernel.pteLock(vmf.slot)
    lock.lock(k)
    if (!this.#areaHasChanged(k, vmf, this.sinceNs) && !this.#tableHasChanged(vmf)) return LOCKED
    lock.unlock(k)
    return NOT_LOCKED
  }

  *#lockPteStep(k: Thread, vmf: Vmf): Proc<boolean> {
    const { mm, slot, vma } = vmf
    const { kernel } = mm
    const lock = kernel.pteLock(slot)
    for (;;) {
      // 1.
      walkBegin(k, kernel)
      // 2.
      yield vma.sequence.announce(k)
      // 3.
      if (this.#areaHasChanged(k, vmf, 0) || this.#tableHasChanged(vmf)) {
        walkEnd(k, kernel)
        return false
      }
      // 4.
      if (!kernel.has('spec-trylock')) {
        yield* lock.lock(k)
        break
      }
      yield write(lock.id, lock.label)
      kernel.tables.use(this.leaf, 'pte_map_lock')
      if (lock.tryLock(k)) break
      walkEnd(k, kernel)
      // Trying again while it is held changes nothing: the next try comes when it is free.
      yield lock.awaitFree()
    }
    // 5.
    yield vma.sequence.announce(k)
    if (this.#areaHasChanged(k, vmf, 0)) {
      lock.unlock(k)
      walkEnd(k, kernel)
      return false
    }
    // 6.
    walkEnd(k, kernel)
    return true
  }

  #areaHasChanged(k: Thread, vmf: Vmf, sinceNs: number): boolean {
    if (vmf.mm.kernel.variants.vmaCount === 'plain-counter') return this.#cannotCommit(k, vmf)
    return vmaHasChanged(k, vmf, this.sequence, sinceNs)
  }

  /** The counter-proposal: speculative_fault_commit. The counter, a read barrier, the flags. */
  #cannotCommit(k: Thread, { mm, vma }: Vmf): boolean {
    vma.use('speculative_fault_commit')
    touch(vma.id, 'vma.vm_flags', AccessMode.read)
    const changed = vma.sequence.isChanged(k, this.sequence, this.sinceNs) || vma.flags !== this.vmFlags
    return changed && mm.kernel.has('spec-seq-recheck')
  }

  /** A collapse puts a huge page where the table was, and in 2014 it did not count as a change of the area. */
  #tableHasChanged({ mm, page }: Vmf): boolean {
    return mm.kernel.has('spec-pmd-compare') && mm.table.node(page, 1) !== this.leaf
  }

  /** Nothing is held. */
  release(): void {}
}

/** Interrupts off: freeing a table needs this CPU's answer, so that what a walk has seen stays until walkEnd. */
export function walkBegin(k: Thread, kernel: Kernel): void {
  // In the clock gear a walk is atomic, and nothing is freed under it.
  if (k.stepping && kernel.has('spec-irq-off')) irqDisable(k.cpu, k)
}

export function walkEnd(k: Thread, kernel: Kernel): void {
  if (k.stepping && kernel.has('spec-irq-off')) irqEnable(k.cpu)
}

/** The area has left the tree, or its count is not what it was. @kernel vma_is_dead, vma_has_changed */
export function vmaHasChanged(k: Thread, vmf: Pick<Vmf, 'vma' | 'mm'>, sequence: number, sinceNs: number): boolean {
  const { vma } = vmf
  const { kernel } = vmf.mm
  vma.use('vma_is_dead')
  touch(vma.id, 'vma.vm_rb', AccessMode.read)
  if (kernel.has('spec-dead-check') && !seenBy(k, vma).linked) return true
  return kernel.has('spec-seq-recheck') && vma.sequence.isChanged(k, sequence, sinceNs)
}
