/**
 * Four-level x86-64 page tables in one pool of 512-entry nodes.
 *
 * A node is a table page; entry i of node n is `entries[n * 512 + i]`, and that index, a slot, is what kernel code calls
 * the PTE pointer. An upper entry holds its child's node number where hardware holds a frame number. Addresses are page
 * numbers of the process's window (machine/process.ts): 512 GiB, one PGD entry, so that a page number is a small integer.
 *
 *     page number  | 26..18 PUD index | 17..9 PMD index | 8..0 PTE index |     (PGD index: always the window's)
 *
 * A PMD entry with PS maps 2 MiB itself: it has no leaf table. `walk` answers -1 there as it does where a table is missing;
 * `lookup` answers for either kind. Source: Intel SDM 3A 4.5.4. Pairs with mmu.ts, which walks these tables in hardware's
 * way, and with mm/pgtable.ts, which locks and allocates them.
 */
import { fail, violate } from '../base/assert.ts'
import { isRecording, touch } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'
import { HUGE_PAGES, makePte, PTE_NONE, PTE_P, PTE_PS, PTE_U, PTE_W, type Pte, pmdHuge, ptePfn } from './pte.ts'

/** Index of an entry in the pool: node * 512 + index. Stands for a PTE pointer. */
export type Slot = number

export const ENTRIES = 512
/** Pages that one process's window can hold: 512 GiB. */
export const WINDOW_PAGES_MAX = 1 << 27

/** Ways down the tables that are remembered, a power of two: a mover goes along two. */
const REMEMBERED = 16

/** Tables that an address space of so many pages needs at most, all of them mapped by small pages; node 0, which none uses, included. */
export function tablesOf(pages: number): number {
  return Math.ceil(pages / ENTRIES) + Math.ceil(pages / ENTRIES ** 2) + 3
}

export class PageTablePool {
  entries: Float64Array
  #nodes = 1
  readonly #free: number[] = []
  readonly #isFree = new Set<number>()

  constructor(nodes = 64) {
    this.entries = new Float64Array(nodes * ENTRIES)
  }

  /** A fresh table, all none. Node 0 is never used. */
  allocate(): number {
    touch(0, 'pgtable.pool', AccessMode.write)
    const reused = this.#free.pop()
    if (reused !== undefined) {
      touch(reused, 'pgtable', AccessMode.write)
      this.#isFree.delete(reused)
      return reused
    }
    const node = this.#nodes++
    if ((node + 1) * ENTRIES > this.entries.length) {
      const grown = new Float64Array(this.entries.length * 2)
      grown.set(this.entries)
      this.entries = grown
    }
    // Written before it is read: what the host maps as zeros for a read faults once more for a write.
    this.entries[node * ENTRIES] = PTE_NONE
    return node
  }

  free(node: number): void {
    touch(0, 'pgtable.pool', AccessMode.write)
    this.entries.fill(PTE_NONE, node * ENTRIES, (node + 1) * ENTRIES)
    touch(node, 'pgtable', AccessMode.write)
    this.#free.push(node)
    this.#isFree.add(node)
  }

  /** Whoever walks without a lock says so before it looks into a table: a freed one may not be read, nor its lock taken. */
  use(node: number, who: string): void {
    touch(node, 'pgtable', AccessMode.read)
    if (this.#isFree.size > 0 && this.#isFree.has(node))
      violate('I-UAF', `use after free: ${who} uses page table ${node}, which was freed`)
  }

  get(slot: Slot): Pte {
    touch(slot, 'pte', AccessMode.read)
    return this.entries[slot]
  }

  set(slot: Slot, pte: Pte): void {
    touch(slot, 'pte', AccessMode.write)
    this.entries[slot] = pte
  }

  /** One past the highest node that was ever handed out. */
  get highest(): number {
    return this.#nodes
  }

  /** Tables in use, upper levels included. */
  get nodesInUse(): number {
    return this.#nodes - 1 - this.#free.length
  }
}

export class PageTable {
  readonly pgd: number
  /** The 2 MiB whose PMD entries were walked to last, and the entries' slots. */
  readonly #units = new Int32Array(REMEMBERED).fill(-1)
  readonly #pmdSlots = new Int32Array(REMEMBERED)

  constructor(readonly pool: PageTablePool) {
    this.pgd = pool.allocate()
  }

  /** The slot of the page's PTE, or -1 where a table on the way is missing or 2 MiB are mapped at once. */
  walk(page: number): Slot {
    if (isRecording()) this.touchWalk(page)
    const slot = this.#pmdSlot(page)
    const leaf = slot < 0 ? PTE_NONE : this.pool.entries[slot]
    if (leaf === PTE_NONE || (leaf & PTE_PS) !== 0) return -1
    return ptePfn(leaf) * ENTRIES + (page & 511)
  }

  /** The upper tables stay until exit, so that the way to a PMD entry that was found once need not be gone again. */
  #pmdSlot(page: number): Slot {
    const unit = page >>> 9
    const i = unit & (REMEMBERED - 1)
    if (this.#units[i] === unit) return this.#pmdSlots[i]
    const e = this.pool.entries
    const pud = e[this.pgd * ENTRIES]
    if (pud === PTE_NONE) return -1
    const pmd = e[ptePfn(pud) * ENTRIES + (page >>> 18)]
    if (pmd === PTE_NONE) return -1
    const slot = ptePfn(pmd) * ENTRIES + (unit & 511)
    this.#units[i] = unit
    this.#pmdSlots[i] = slot
    return slot
  }

  /** Says that the entries above the page's PTE are read, as far as there are tables. */
  touchWalk(page: number): void {
    const { pool } = this
    const pud = ptePfn(pool.get(this.pgd * ENTRIES))
    if (pud === 0) return
    const pmd = ptePfn(pool.get(pud * ENTRIES + (page >>> 18)))
    if (pmd !== 0) pool.get(pmd * ENTRIES + ((page >>> 9) & 511))
  }

  /** The slot of the page's PTE; missing tables are allocated. -1 where 2 MiB are mapped at once. */
  walkAllocate(page: number): Slot {
    const slot = this.pmdSlotAllocate(page)
    if (pmdHuge(this.pool.entries[slot])) return -1
    return this.#child(slot) * ENTRIES + (page & 511)
  }

  /** The slot of the PMD entry that covers the page, or -1 where the PMD table is missing. @kernel mm_find_pmd */
  pmdSlot(page: number): Slot {
    if (isRecording()) this.touchWalk(page)
    return this.#pmdSlot(page)
  }

  /** The same; missing upper tables are allocated. @kernel pmd_alloc */
  pmdSlotAllocate(page: number): Slot {
    if (!(page >= 0 && page < WINDOW_PAGES_MAX)) fail(`page ${page} outside the window`)
    const pud = this.#child(this.pgd * ENTRIES)
    const pmd = this.#child(pud * ENTRIES + (page >>> 18))
    return pmd * ENTRIES + ((page >>> 9) & 511)
  }

  /** What maps the page: its PTE, or a PTE made of its part of a huge PMD; none where nothing does. */
  lookup(page: number): Pte {
    const slot = this.walk(page)
    if (slot >= 0) return this.pool.get(slot)
    const pmdSlot = this.pmdSlot(page)
    const pmd = pmdSlot < 0 ? PTE_NONE : this.pool.entries[pmdSlot]
    return pmdHuge(pmd) ? pmd - PTE_PS + (page & (HUGE_PAGES - 1)) * 4096 : PTE_NONE
  }

  #child(slot: Slot): number {
    const entry = this.pool.get(slot)
    if (entry !== PTE_NONE) return ptePfn(entry)
    const node = this.pool.allocate()
    this.pool.set(slot, makePte(node, PTE_P | PTE_W | PTE_U))
    return node
  }

  /** The node that an upper level names: level 3 is the PUD table, 2 the PMD table, 1 the leaf; 0 if missing. */
  node(page: number, level: 1 | 2 | 3): number {
    if (isRecording()) this.touchWalk(page)
    const e = this.pool.entries
    const pud = ptePfn(e[this.pgd * ENTRIES])
    if (level === 3 || pud === 0) return pud
    const pmd = ptePfn(e[pud * ENTRIES + (page >>> 18)])
    if (level === 2 || pmd === 0) return pmd
    const leaf = e[pmd * ENTRIES + ((page >>> 9) & 511)]
    return pmdHuge(leaf) ? 0 : ptePfn(leaf)
  }

  /** Visits each leaf table: its node and its first page number. */
  forEachLeaf(visit: (node: number, firstPage: number) => void): void {
    this.#forEachPmd((pmd, _slot, firstPage) => {
      if (!pmdHuge(pmd)) visit(ptePfn(pmd), firstPage)
    })
  }

  /** Visits each huge PMD: the entry, its slot and its first page number. */
  forEachHuge(visit: (pmd: Pte, slot: Slot, firstPage: number) => void): void {
    this.#forEachPmd((pmd, slot, firstPage) => {
      if (pmdHuge(pmd)) visit(pmd, slot, firstPage)
    })
  }

  #forEachPmd(visit: (pmd: Pte, slot: Slot, firstPage: number) => void): void {
    const e = this.pool.entries
    const pud = ptePfn(e[this.pgd * ENTRIES])
    if (pud === 0) return
    for (let i = 0; i < ENTRIES; i++) {
      const node = ptePfn(e[pud * ENTRIES + i])
      if (node === 0) continue
      for (let j = 0; j < ENTRIES; j++) {
        const slot = node * ENTRIES + j
        if (e[slot] !== PTE_NONE) visit(e[slot], slot, (i << 18) | (j << 9))
      }
    }
  }

  /** Frees all tables. @kernel free_pgtables */
  destroy(): void {
    const pool = this.pool
    this.#units.fill(-1)
    const e = pool.entries
    const pud = ptePfn(e[this.pgd * ENTRIES])
    if (pud !== 0) {
      for (let i = 0; i < ENTRIES; i++) {
        const pmd = ptePfn(e[pud * ENTRIES + i])
        if (pmd === 0) continue
        for (let j = 0; j < ENTRIES; j++) {
          const leaf = e[pmd * ENTRIES + j]
          if (pmdHuge(leaf)) violate('I-LEAK', `tables destroyed with 2 MiB mapped at page ${(i << 18) | (j << 9)}`)
          if (leaf !== PTE_NONE) pool.free(ptePfn(leaf))
        }
        pool.free(pmd)
      }
      pool.free(pud)
    }
    pool.free(this.pgd)
  }
}
