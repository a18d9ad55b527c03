/**
 * Leaf tables: allocated under the PMD lock, and put by for the day a huge page is split.
 *
 * pteAlloc: the slot of a page's PTE where the table may be missing.
 *  1. the table is there: done without a lock (a leaf table is not taken away while an area may use it).
 *  2. PMD lock; still none: a fresh table.   3. a huge PMD is no table: -1, and the caller looks again.
 *
 * freePgtables: takes away the leaf tables of [start, end) that no area needs any longer. What was mapped there is zapped, and the
 * areas have left the tree and their anon_vmas: only a walk without any lock may still be on its way here, and it has interrupts
 * off. PMD lock; the PMD is cleared; the table goes to the gather, which flushes and then frees. mmap_lock, for reading at least,
 * keeps new areas away. Tables of upper levels stay until exit.
 *
 * Each huge PMD has one table deposited with the PMD table that holds it, so that splitting it never has to allocate. The
 * list belongs to the PMD table, not to the entry: moving a huge PMD between two PMD tables must move a deposit along (R48).
 *
 * Source: mm/memory.c; include/linux/mm.h.
 * @kernel __pte_alloc, free_pgtables, pgtable_trans_huge_deposit, pgtable_trans_huge_withdraw
 */
import { violate } from '../base/assert.ts'
import type { Place } from '../engine/memory_order.ts'
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ENTRIES, type Slot } from '../hw/page_table.ts'
import { makePte, PTE_NONE, PTE_P, PTE_U, PTE_W, type Pte, pmdHuge, ptePfn } from '../hw/pte.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'
import type { MmuGather } from './mmu_gather.ts'

/** A PTE, looked at without its lock: it may be old. Announce the load. @kernel ptep_get_lockless */
export function ptepGet(k: Thread, kernel: Kernel, slot: Slot): Pte {
  return k.memory === null ? kernel.tables.get(slot) : k.memory.load(k, pteAt(kernel, slot))
}

/** Stores a PTE that somebody may look at without its lock, and sleep if it is not there. @kernel set_pte_at */
export function setPteAt(k: Thread, kernel: Kernel, slot: Slot, pte: Pte): void {
  if (k.memory === null) kernel.tables.set(slot, pte)
  else k.memory.store(k, pteAt(kernel, slot), pte)
}

function pteAt({ tables }: Kernel, slot: Slot): Place<Pte> {
  return { object: slot, label: 'pte', get: () => tables.get(slot), set: (pte) => tables.set(slot, pte) }
}

/** A PMD entry that names a leaf table. @kernel pmd_populate */
export function tablePmd(node: number): Pte {
  return makePte(node, PTE_P | PTE_W | PTE_U)
}

/** The slot of the page's PTE; -1 where 2 MiB are mapped at once. @kernel pte_alloc */
export function* pteAlloc(k: Thread, mm: Mm, page: number): Proc<Slot> {
  // 1.
  const found = mm.table.walk(page)
  if (found >= 0) return found
  const { kernel } = mm
  const { tables } = kernel
  const pmdSlot = mm.table.pmdSlotAllocate(page)
  // 2.
  const lock = kernel.pmdLock(pmdSlot)
  yield* lock.lock(k)
  if (k.stepping) yield read(pmdSlot, 'pmd')
  if (tables.get(pmdSlot) === PTE_NONE) {
    if (k.stepping) yield write(pmdSlot, 'pmd')
    tables.set(pmdSlot, tablePmd(tables.allocate()))
  }
  const pmd = tables.get(pmdSlot)
  lock.unlock(k)
  // 3.
  return pmdHuge(pmd) ? -1 : ptePfn(pmd) * ENTRIES + (page & (ENTRIES - 1))
}

/** @kernel free_pgd_range, free_pte_range */
export function* freePgtables(k: Thread, gather: MmuGather, start: number, end: number): Proc<void> {
  const { mm } = gather
  const { tables } = mm.kernel
  for (let base = start - (start % ENTRIES); base < end; base += ENTRIES) {
    if (mm.tree.overlapping(base, base + ENTRIES).length > 0) continue
    const slot = mm.table.pmdSlot(base)
    if (slot < 0 || tables.get(slot) === PTE_NONE) continue
    const lock = mm.kernel.pmdLock(slot)
    yield* lock.lock(k)
    if (k.stepping) yield write(slot, 'pmd')
    const node = ptePfn(tables.get(slot))
    tables.set(slot, PTE_NONE)
    lock.unlock(k)
    gather.removeTable(base, node)
  }
}

/** Tables put by, a list for each PMD table. Guarded by the PMD lock. */
export class Deposits {
  readonly #lists = new Map<number, number[]>()

  /** @kernel pgtable_trans_huge_deposit */
  deposit(pmdSlot: Slot, node: number): void {
    const list = this.#lists.get(pmdSlot >>> 9)
    if (list === undefined) this.#lists.set(pmdSlot >>> 9, [node])
    else list.push(node)
  }

  /** @kernel pgtable_trans_huge_withdraw */
  withdraw(pmdSlot: Slot): number {
    const node = this.#lists.get(pmdSlot >>> 9)?.pop()
    if (node === undefined) violate('I-LEAK', `no table is deposited with PMD table ${pmdSlot >>> 9}`)
    return node
  }

  /** How many tables a PMD table has put by. */
  count(pmdNode: number): number {
    return this.#lists.get(pmdNode)?.length ?? 0
  }

  get total(): number {
    let n = 0
    for (const list of this.#lists.values()) n += list.length
    return n
  }
}
