/**
 * The MMU of one CPU: every access of every simulated thread goes through `translate`.
 *
 * 1. L1 TLB hit with enough permission: the frame.
 * 2. L2 TLB hit: fill L1, charge the penalty.
 * 3. Walk: start at the lowest level a page-walk cache knows; each table read costs. A missing or forbidding entry is a
 *    fault (-1); nothing is cached. Else hardware sets A, and D on a store, and fills both levels.
 *
 * A store through an entry whose D bit is clear walks again (the PTE in memory decides, and may fault). Non-present
 * entries are never cached. Source: Intel SDM 3A 4.7 to 4.10. Pairs with mm/page_fault.ts and mm/tlb_flush.ts.
 */

import type { Clock } from '../engine/task.ts'
import { ENTRIES, type PageTable } from './page_table.ts'
import type { Pfn } from './phys_mem.ts'
import type { CpuPreset } from './preset.ts'
import { PTE_A, PTE_D, PTE_NONE, PTE_P, PTE_W, ptePfn } from './pte.ts'
import { L1Tlb, L2Tlb, TLB_D, TLB_STORE, TLB_W } from './tlb.ts'
import { WalkCache } from './walk_cache.ts'

export interface MmuCounters {
  l1Hits: number
  l2Hits: number
  walks: number
  walkRefs: number
  faults: number
}

export class Mmu {
  readonly l1: L1Tlb
  readonly l2: L2Tlb
  readonly walkCache: WalkCache
  readonly counters: MmuCounters = { l1Hits: 0, l2Hits: 0, walks: 0, walkRefs: 0, faults: 0 }
  /** Called when hardware sets the D bit of a clean entry. */
  onDirty: (page: number) => void = () => {}
  #space: PageTable | null = null
  readonly #clock: Clock
  readonly #l2PenaltyNs: number
  readonly #walkRefNs: number

  constructor(preset: CpuPreset, windowPages: number, clock: Clock) {
    const nsPerCycle = 1 / preset.clockGHz.value
    this.l1 = new L1Tlb(preset.l1Entries.value, windowPages)
    this.l2 = new L2Tlb(preset.l2Entries.value, preset.l2Ways.value, windowPages)
    this.walkCache = new WalkCache(
      [preset.pwcEntries[0].value, preset.pwcEntries[1].value, preset.pwcEntries[2].value],
      windowPages,
    )
    this.#clock = clock
    this.#l2PenaltyNs = preset.l2PenaltyCycles.value * nsPerCycle
    this.#walkRefNs = preset.walkRefCycles.value * nsPerCycle
  }

  /** Loads CR3. Another address space: everything cached is dropped. @kernel switch_mm */
  load(space: PageTable): void {
    if (this.#space === space) return
    this.#space = space
    this.flushAll()
  }

  get space(): PageTable | null {
    return this.#space
  }

  /** The frame behind `page` for a load or a store, or -1: page fault. */
  translate(page: number, store: boolean): Pfn {
    const l1 = this.l1
    const slot = l1.where[page]
    if (slot !== 0 && (!store || l1.perm[slot] === TLB_STORE)) {
      this.counters.l1Hits++
      l1.touch(slot)
      return l1.pfn[slot]
    }
    return this.#miss(page, store)
  }

  #miss(page: number, store: boolean): Pfn {
    const l2 = this.l2
    const slot = l2.where[page]
    if (slot !== 0 && (!store || l2.perm[slot] === TLB_STORE)) {
      this.counters.l2Hits++
      this.#clock.nowNs += this.#l2PenaltyNs
      l2.touch(slot)
      const pfn = l2.pfn[slot]
      this.l1.fill(page, pfn, l2.perm[slot])
      return pfn
    }
    return this.#walk(page, store)
  }

  #walk(page: number, store: boolean): Pfn {
    const space = this.#space
    const counters = this.counters
    counters.walks++
    if (space === null) {
      counters.faults++
      return -1
    }
    const leaf = this.#leafTable(space, page)
    if (leaf === 0) {
      counters.faults++
      return -1
    }
    this.#reference()
    const entries = space.pool.entries
    const slot = leaf * ENTRIES + (page & 511)
    const pte = entries[slot]
    if ((pte & PTE_P) === 0 || (store && (pte & PTE_W) === 0)) {
      counters.faults++
      return -1
    }
    const wanted = store ? PTE_A | PTE_D : PTE_A
    const missing = wanted & ~pte
    if (missing !== 0) {
      entries[slot] = pte + missing
      if ((missing & PTE_D) !== 0) this.onDirty(page)
    }
    const pfn = ptePfn(pte)
    const dirty = store || (pte & PTE_D) !== 0
    const perm = ((pte & PTE_W) !== 0 ? TLB_W : 0) | (dirty ? TLB_D : 0)
    this.l1.fill(page, pfn, perm)
    this.l2.fill(page, pfn, perm)
    return pfn
  }

  #reference(): void {
    this.counters.walkRefs++
    this.#clock.nowNs += this.#walkRefNs
  }

  /** Walks the upper levels from the lowest that is cached; 0 if a table is missing. */
  #leafTable(space: PageTable, page: number): number {
    const cache = this.walkCache
    let leaf = cache.leaf(page)
    if (leaf !== 0) return leaf
    const entries = space.pool.entries
    let pmd = cache.pmd(page)
    if (pmd === 0) {
      let pud = cache.pud()
      if (pud === 0) {
        this.#reference()
        pud = ptePfn(entries[space.pgd * ENTRIES])
        if (pud === PTE_NONE) return 0
        cache.fillPud(pud)
      }
      this.#reference()
      pmd = ptePfn(entries[pud * ENTRIES + (page >>> 18)])
      if (pmd === PTE_NONE) return 0
      cache.fillPmd(page, pmd)
    }
    this.#reference()
    leaf = ptePfn(entries[pmd * ENTRIES + ((page >>> 9) & 511)])
    if (leaf !== PTE_NONE) cache.fillLeaf(page, leaf)
    return leaf
  }

  /** INVLPG: drops the page from both levels and the walk caches; true if a TLB entry was there. */
  flushPage(page: number): boolean {
    const a = this.l1.flush(page)
    const b = this.l2.flush(page)
    this.walkCache.flush(page)
    return a || b
  }

  flushAll(): void {
    this.l1.flushAll()
    this.l2.flushAll()
    this.walkCache.flushAll()
  }
}
