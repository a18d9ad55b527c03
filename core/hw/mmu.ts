/**
 * The MMU of one CPU: every access of every simulated thread goes through `translate`.
 *
 * 1. L1 TLB hit with enough permission: the frame.
 * 2. L2 TLB hit: fill L1, charge the penalty.
 * 3. Walk: start at the lowest level a page-walk cache knows; each table read costs what table_lines.ts says. A missing or forbidding entry is a
 *    fault (-1); nothing is cached. Else hardware sets A, and D on a store, and fills both levels.
 *
 * Where paging is nested, 3. begins with the guest's own tables (nested_paging.ts).
 * A PMD entry with PS ends the walk one reference early and fills one entry for its 2 MiB (tlb.ts says what units are), unless the guest's
 * own pages are smaller.
 *
 * A store through an entry whose D bit is clear walks again (the PTE in memory decides, and may fault). Non-present
 * entries are never cached. Source: Intel SDM 3A 4.7 to 4.10. Pairs with mm/page_fault.ts and mm/tlb_flush.ts.
 */

import { isRecording, touch } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'
import type { Clock } from '../engine/task.ts'
import type { NestedPaging } from './nested_paging.ts'
import { ENTRIES, type PageTable, type Slot } from './page_table.ts'
import type { Pfn } from './phys_mem.ts'
import type { CpuPreset } from './preset.ts'
import { HUGE_PAGES, PTE_A, PTE_D, PTE_NONE, PTE_P, PTE_PS, PTE_W, pteFlags, ptePfn } from './pte.ts'
import { LINE_SHIFT, TableLines } from './table_lines.ts'
import { entryPfn, TLB_D, TLB_STORE, TLB_W, Tlb, type TlbEntry, tlbEntry, tlbGeometry } from './tlb.ts'
import { WalkCache } from './walk_cache.ts'

export interface MmuCounters {
  l1Hits: number
  l2Hits: number
  walks: number
  /** Entries of tables that walks have read. */
  walkRefs: number
  /** Of them, those of the guest's own tables and of the host's on the way to these. */
  nestedRefs: number
  faults: number
}

export class Mmu {
  readonly tlb: Tlb
  /** Of the host's tables. */
  walkCache: WalkCache
  /** The leaf tables that mmu_block.ts may start a walk from: none where paging is nested. */
  leaves: Int32Array
  readonly counters: MmuCounters = { l1Hits: 0, l2Hits: 0, walks: 0, walkRefs: 0, nestedRefs: 0, faults: 0 }
  /** Called when hardware sets the D bit of a clean entry: its first page, and how many it covers. */
  onDirty: (page: number, pages: number) => void = () => {}
  /** Where somebody wants to know what was touched: 1 at each page, of 2 MiB the first, that a walk has found; by page. */
  walked: Uint8Array | null = null
  /** An entry of 2 MiB may be cached: a page that has none of its own has to be looked for there. */
  hasHuge = false
  #space: PageTable | null = null
  #nested: NestedPaging | null = null
  readonly clock: Clock
  readonly l2PenaltyNs: number
  lines: TableLines
  readonly #windowPages: number

  constructor(preset: CpuPreset, windowPages: number, clock: Clock) {
    const nsPerCycle = 1 / preset.clockGHz.value
    this.tlb = new Tlb(tlbGeometry(preset), windowPages)
    this.walkCache = new WalkCache(
      [preset.pwcEntries[0].value, preset.pwcEntries[1].value, preset.pwcEntries[2].value],
      windowPages,
    )
    this.leaves = this.walkCache.leaves
    this.clock = clock
    this.#windowPages = windowPages
    this.l2PenaltyNs = preset.l2PenaltyCycles.value * nsPerCycle
    this.lines = new TableLines(preset, windowPages)
  }

  /** Loads CR3. Another address space: everything cached is dropped. @kernel switch_mm */
  load(space: PageTable): void {
    if (this.#space === space) return
    this.#space = space
    this.flushAll()
  }

  /** From now on this CPU runs a guest that has page tables of its own. */
  nest(nested: NestedPaging): void {
    this.#nested = nested
    this.walkCache = nested.hostCache
    this.lines = nested.lines
    this.leaves = new Int32Array(nested.hostCache.leaves.length)
    this.flushAll()
  }

  /** What the host maps as 2 MiB is cached in entries of 4 KiB: the guest's pages are no larger. */
  get isFracturing(): boolean {
    return this.#nested?.isSmall === true
  }

  get space(): PageTable | null {
    return this.#space
  }

  /** The frame behind `page` for a load or a store, or -1: page fault. In the step gear say touchEntry first. */
  translate(page: number, store: boolean): Pfn {
    const { tlb } = this
    const needed = store ? TLB_STORE : 0
    const slots = tlb.where[page]
    const entry = tlb.hitL1(page, slots, needed)
    if (entry < 0) return this.miss(page, needed)
    this.counters.l1Hits++
    return entryPfn(entry)
  }

  /** L1 has no entry that will do. `needed`: the permissions asked of an entry. For translate, and mmu_block.ts. */
  miss(page: number, needed: number): Pfn {
    const slots = this.tlb.where[page]
    if (this.hasHuge) {
      const pfn = this.#translateHuge(page, needed)
      if (pfn >= 0) return pfn
    }
    const entry = this.tlb.hitL2(page, slots, needed)
    if (entry < 0) return this.#walk(page, slots, needed)
    this.#chargeL2()
    return entryPfn(entry)
  }

  #chargeL2(): void {
    this.counters.l2Hits++
    this.clock.nowNs += this.l2PenaltyNs
  }

  /** The frame by a cached entry of 2 MiB, or -1. */
  #translateHuge(page: number, needed: number): Pfn {
    const { tlb } = this
    const unit = tlb.hugeBase + (page >>> 9)
    const slots = tlb.where[unit]
    let entry = tlb.hitL1(unit, slots, needed)
    if (entry >= 0) this.counters.l1Hits++
    else {
      entry = tlb.hitL2(unit, slots, needed)
      if (entry < 0) return -1
      this.#chargeL2()
    }
    return entryPfn(entry) + (page & (HUGE_PAGES - 1))
  }

  /** Step gear: whoever is about to translate touches a TLB entry of this CPU. */
  touchEntry(page: number): void {
    touch(this.clock.id * 2 ** 27 + page, 'tlb.entry', AccessMode.write)
  }

  #walk(page: number, slots: number, needed: number): Pfn {
    const space = this.#space
    const counters = this.counters
    counters.walks++
    if (space === null) {
      counters.faults++
      return -1
    }
    if (isRecording()) space.touchWalk(page)
    this.#nested?.walkGuest(space, page, this.#readNested)
    const leaf = this.#leafTable(space, page)
    if (leaf === 0) {
      counters.faults++
      return -1
    }
    const huge = leaf < 0
    const slot = huge ? -leaf : leaf * ENTRIES + (page & (ENTRIES - 1))
    if (!huge) this.#read(slot)
    const pte = space.pool.entries[slot]
    const flags = pteFlags(pte)
    if (isRecording()) touch(slot, 'pte', AccessMode.read)
    const required = PTE_P | ((needed & TLB_W) << 1)
    if ((flags & required) !== required) {
      counters.faults++
      return -1
    }
    if (this.walked !== null) this.walked[huge ? page & ~(HUGE_PAGES - 1) : page] = 1
    const missing = (PTE_A | ((needed & TLB_D) << 5)) & ~flags
    if (missing !== 0) this.#setAccessed(space, slot, missing, page, huge)
    const pfn = ptePfn(pte)
    const entry = tlbEntry(pfn, ((flags & PTE_W) >> 1) | ((flags & PTE_D) >> 5) | (needed & TLB_D))
    if (!huge) {
      this.tlb.fill(page, slots, entry)
      return pfn
    }
    return this.isFracturing ? this.#fillFractured(page, slots, entry) : this.#fillHuge(page, entry)
  }

  #fillHuge(page: number, entry: TlbEntry): Pfn {
    this.hasHuge = true
    const unit = this.tlb.hugeBase + (page >>> 9)
    this.tlb.fill(unit, this.tlb.where[unit], entry)
    return entryPfn(entry) + (page & (HUGE_PAGES - 1))
  }

  /** The part of the host's 2 MiB that is the guest's 4 KiB. */
  #fillFractured(page: number, slots: number, entry: TlbEntry): Pfn {
    if (this.#nested !== null) this.#nested.hasFractured = true
    const pfn = entryPfn(entry) + (page & (HUGE_PAGES - 1))
    this.tlb.fill(page, slots, tlbEntry(pfn, entry & TLB_STORE))
    return pfn
  }

  /** Hardware writes A, and D, into the entry that it read. */
  #setAccessed(space: PageTable, slot: number, missing: number, page: number, huge: boolean): void {
    const { pool } = space
    pool.set(slot, pool.entries[slot] + missing)
    if ((missing & PTE_D) === 0) return
    if (huge) this.onDirty(page & ~(HUGE_PAGES - 1), HUGE_PAGES)
    else this.onDirty(page, 1)
  }

  /** A read of a page table entry by the walker. */
  #read(slot: Slot): void {
    this.counters.walkRefs++
    this.clock.nowNs += this.lines.read(slot >>> LINE_SHIFT)
  }

  #readNested = (line: number): void => {
    this.counters.walkRefs++
    this.counters.nestedRefs++
    this.clock.nowNs += this.lines.read(line)
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
        this.#read(space.pgd * ENTRIES)
        pud = ptePfn(entries[space.pgd * ENTRIES])
        if (pud === PTE_NONE) return 0
        cache.fillPud(pud)
      }
      this.#read(pud * ENTRIES + (page >>> 18))
      pmd = ptePfn(entries[pud * ENTRIES + (page >>> 18)])
      if (pmd === PTE_NONE) return 0
      cache.fillPmd(page, pmd)
    }
    const slot = pmd * ENTRIES + ((page >>> 9) & 511)
    this.#read(slot)
    if (isRecording()) touch(slot, 'pte', AccessMode.read)
    if ((entries[slot] & PTE_PS) !== 0) return -slot
    leaf = ptePfn(entries[slot])
    if (leaf !== PTE_NONE) cache.fillLeaf(page, leaf)
    return leaf
  }

  /** INVLPG: drops the page, and the 2 MiB that hold it, from the TLB and the walk caches; true if a TLB entry was there. */
  flushPage(page: number): boolean {
    if (isRecording()) this.touchEntry(page)
    this.walkCache.flush(page)
    const small = this.#nested?.hasFractured === true ? this.#flushFractured(page) : this.tlb.flush(page)
    const huge = this.hasHuge && this.tlb.flush(this.tlb.hugeBase + (page >>> 9))
    return small || huge
  }

  /** Which of the 2 MiB's parts are cached, nothing tells. @kernel kvm_flush_remote_tlbs_range */
  #flushFractured(page: number): boolean {
    const first = page & ~(HUGE_PAGES - 1)
    const end = Math.min(first + HUGE_PAGES, this.#windowPages)
    let any = false
    for (let part = first; part < end; part++) any = this.tlb.flush(part) || any
    return any
  }

  flushAll(): void {
    if (isRecording()) for (let page = 0; page < this.#windowPages; page++) this.touchEntry(page)
    this.hasHuge = false
    this.tlb.flushAll()
    this.walkCache.flushAll()
    this.#nested?.flushAll()
  }
}
