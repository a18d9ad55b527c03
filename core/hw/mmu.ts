/**
 * The MMU of one CPU: every access of every simulated thread goes through `translate`.
 *
 * 1. L1 TLB hit with enough permission: the frame.
 * 2. L2 TLB hit: fill L1, charge the penalty.
 * 3. Walk: start at the lowest level a page-walk cache knows; each table read costs. A missing or forbidding entry is a
 *    fault (-1); nothing is cached. Else hardware sets A, and D on a store, and fills both levels.
 *
 * A PMD entry with PS ends the walk one reference early and fills one entry for its 2 MiB: see tlb.ts for units.
 *
 * A store through an entry whose D bit is clear walks again (the PTE in memory decides, and may fault). Non-present
 * entries are never cached. Source: Intel SDM 3A 4.7 to 4.10. Pairs with mm/page_fault.ts and mm/tlb_flush.ts.
 */

import { isRecording, touch } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'
import type { Clock } from '../engine/task.ts'
import { ENTRIES, type PageTable } from './page_table.ts'
import type { Pfn } from './phys_mem.ts'
import type { CpuPreset } from './preset.ts'
import { HUGE_PAGES, PTE_A, PTE_D, PTE_NONE, PTE_P, PTE_PS, PTE_W, ptePfn } from './pte.ts'
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
  /** Called when hardware sets the D bit of a clean entry: its first page, and how many it covers. */
  onDirty: (page: number, pages: number) => void = () => {}
  /** Where somebody wants to know what was touched: 1 at each page, of 2 MiB the first, that a walk has found; by page. */
  walked: Uint8Array | null = null
  /** An entry of 2 MiB may be cached. */
  #hasHuge = false
  #space: PageTable | null = null
  readonly #clock: Clock
  readonly #l2PenaltyNs: number
  readonly #walkRefNs: number
  readonly #windowPages: number

  constructor(preset: CpuPreset, windowPages: number, clock: Clock) {
    const nsPerCycle = 1 / preset.clockGHz.value
    this.l2 = new L2Tlb(preset.l2Entries.value, preset.l2Ways.value, windowPages)
    this.l1 = new L1Tlb(preset.l1Entries.value, windowPages, this.l2.hugeBase)
    this.walkCache = new WalkCache(
      [preset.pwcEntries[0].value, preset.pwcEntries[1].value, preset.pwcEntries[2].value],
      windowPages,
    )
    this.#clock = clock
    this.#windowPages = windowPages
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

  /** The frame behind `page` for a load or a store, or -1: page fault. In the step gear say touchEntry first. */
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
    if (this.#hasHuge) {
      const pfn = this.#translateHuge(page, store)
      if (pfn >= 0) return pfn
    }
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

  /** The frame by a cached entry of 2 MiB, or -1. */
  #translateHuge(page: number, store: boolean): Pfn {
    const { l1, l2 } = this
    const unit = l1.hugeBase + (page >>> 9)
    let slot = l1.where[unit]
    if (slot !== 0 && (!store || l1.perm[slot] === TLB_STORE)) {
      this.counters.l1Hits++
      l1.touch(slot)
      return l1.pfn[slot] + (page & (HUGE_PAGES - 1))
    }
    slot = l2.where[unit]
    if (slot === 0 || (store && l2.perm[slot] !== TLB_STORE)) return -1
    this.counters.l2Hits++
    this.#clock.nowNs += this.#l2PenaltyNs
    l2.touch(slot)
    l1.fill(unit, l2.pfn[slot], l2.perm[slot])
    return l2.pfn[slot] + (page & (HUGE_PAGES - 1))
  }

  /** Step gear: whoever is about to translate touches a TLB entry of this CPU. */
  touchEntry(page: number): void {
    touch(this.#clock.id * 2 ** 27 + page, 'tlb.entry', AccessMode.write)
  }

  #walk(page: number, store: boolean): Pfn {
    const space = this.#space
    const counters = this.counters
    counters.walks++
    if (space === null) {
      counters.faults++
      return -1
    }
    if (isRecording()) space.touchWalk(page)
    const leaf = this.#leafTable(space, page)
    if (leaf === 0) {
      counters.faults++
      return -1
    }
    const huge = leaf < 0
    if (!huge) this.#reference()
    const entries = space.pool.entries
    const slot = huge ? -leaf : leaf * ENTRIES + (page & 511)
    const pte = entries[slot]
    if (isRecording()) touch(slot, 'pte', AccessMode.read)
    if ((pte & PTE_P) === 0 || (store && (pte & PTE_W) === 0)) {
      counters.faults++
      return -1
    }
    if (this.walked !== null) this.walked[huge ? page & ~(HUGE_PAGES - 1) : page] = 1
    const wanted = store ? PTE_A | PTE_D : PTE_A
    const missing = wanted & ~pte
    if (missing !== 0) {
      space.pool.set(slot, pte + missing)
      if ((missing & PTE_D) !== 0) {
        if (huge) this.onDirty(page & ~(HUGE_PAGES - 1), HUGE_PAGES)
        else this.onDirty(page, 1)
      }
    }
    const pfn = ptePfn(pte)
    const dirty = store || (pte & PTE_D) !== 0
    const perm = ((pte & PTE_W) !== 0 ? TLB_W : 0) | (dirty ? TLB_D : 0)
    if (huge) {
      this.#hasHuge = true
      const unit = this.l1.hugeBase + (page >>> 9)
      this.l1.fill(unit, pfn, perm)
      this.l2.fill(unit, pfn, perm)
      return pfn + (page & (HUGE_PAGES - 1))
    }
    this.l1.fill(page, pfn, perm)
    this.l2.fill(page, pfn, perm)
    return pfn
  }

  #reference(): void {
    this.counters.walkRefs++
    this.#clock.nowNs += this.#walkRefNs
  }

  /** Walks the upper levels from the lowest that is cached: the leaf table; 0 if one is missing; -slot of a huge PMD. */
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
    const slot = pmd * ENTRIES + ((page >>> 9) & 511)
    if (isRecording()) touch(slot, 'pte', AccessMode.read)
    if ((entries[slot] & PTE_PS) !== 0) return -slot
    leaf = ptePfn(entries[slot])
    if (leaf !== PTE_NONE) cache.fillLeaf(page, leaf)
    return leaf
  }

  /** INVLPG: drops the page, and the 2 MiB that hold it, from both levels and the walk caches; true if a TLB entry was there. */
  flushPage(page: number): boolean {
    if (isRecording()) this.touchEntry(page)
    const a = this.l1.flush(page)
    const b = this.l2.flush(page)
    this.walkCache.flush(page)
    const huge = this.#hasHuge && this.#flushHuge(page)
    return a || b || huge
  }

  #flushHuge(page: number): boolean {
    const unit = this.l1.hugeBase + (page >>> 9)
    const a = this.l1.flush(unit)
    const b = this.l2.flush(unit)
    return a || b
  }

  flushAll(): void {
    if (isRecording()) for (let page = 0; page < this.#windowPages; page++) this.touchEntry(page)
    this.#hasHuge = false
    this.l1.flushAll()
    this.l2.flushAll()
    this.walkCache.flushAll()
  }
}
