/**
 * I-PT: no entry is written into a page table that is detached, put by or freed.
 *
 * A table that no address space reaches is empty: freeing one clears it, and a collapse empties a table before it puts it by. A
 * speculative fault that locked such a table and stored its PTE there leaves the page where nobody will look for it.
 *
 * In flight a collapse holds a table with its entries outside of the tree, under mmap_lock for writing, and a split fills the
 * table that it is about to hang in, under the PMD lock.
 */
import { ENTRIES } from '../hw/page_table.ts'
import { PTE_NONE, pmdHuge, ptePfn } from '../hw/pte.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Mm } from '../mm/mm.ts'
import { type Invariant, onEachKernel } from './invariant.ts'

export const PAGE_TABLES: Invariant = {
  id: 'I-PT',
  claim: 'a page table that no address space reaches is empty',
  inFlight: (state) => onEachKernel(state, inFlight),
  atRest: (state) => onEachKernel(state, unreachedTablesAreEmpty),
}

/** Nodes that some address space reaches; used again and again. */
let reached = new Uint8Array(64)

function inFlight(kernel: Kernel): string | null {
  if (kernel.isAnyTableLocked) return null
  for (let i = 0; i < kernel.mms.length; i++) if (kernel.mms[i].mmapLock.writer !== null) return null
  return unreachedTablesAreEmpty(kernel)
}

function unreachedTablesAreEmpty({ mms, tables }: Kernel): string | null {
  const { highest, entries } = tables
  if (reached.length < highest) reached = new Uint8Array(highest)
  else reached.fill(0, 0, highest)
  let count = 0
  for (let i = 0; i < mms.length; i++) count += reach(mms[i])
  if (count === highest - 1) return null
  for (let node = 1; node < highest; node++) {
    if (reached[node] === 1) continue
    for (let slot = node * ENTRIES; slot < (node + 1) * ENTRIES; slot++)
      if (entries[slot] !== PTE_NONE) return `table ${node} has an entry (${slot % ENTRIES}), and no address space reaches it`
  }
  return null
}

/** Marks the tables of one address space; how many are new. */
function reach({ table, kernel, windowPages }: Mm): number {
  const { entries } = kernel.tables
  let count = mark(table.pgd) + mark(table.node(0, 3))
  for (let first = 0; first < windowPages; first += ENTRIES) {
    const slot = table.pmdSlot(first)
    if (slot < 0) continue
    count += mark(slot >>> 9)
    if (!pmdHuge(entries[slot])) count += mark(ptePfn(entries[slot]))
  }
  return count
}

function mark(node: number): number {
  if (node === 0 || reached[node] === 1) return 0
  reached[node] = 1
  return 1
}
