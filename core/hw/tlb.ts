/**
 * The two levels of a data TLB, as columns.
 *
 * Both are found through one reverse index, `where[unit]` = slot of each level (0: not cached), instead of a tag scan: one
 * load and one well predicted branch, which is the fastest layout known for JavaScript and makes a fully associative level as
 * cheap as a direct-mapped one. An entry keeps its own copy of frame and permissions, so that a missing flush leaves a stale
 * entry behind, as in hardware.
 *
 *     where:   31          24                  8                  0       entry:   31              2   1   0
 *             |              |    slot in L2    |    slot in L1    |              |  frame number  | D | W |
 *
 * - L1: true LRU. A set is a ring of slots, most recent first; one set is a fully associative level. Where hardware has
 *   entries of their own for 2 MiB, those are sets of their own.
 * - L2: set associative, bit-PLRU; set = unit & (sets - 1). Entries of both sizes share the slots.
 *
 * What `where` counts is translation units: each page of the window is one, and from `hugeBase` on each 2 MiB is one. A 4 KiB
 * hit costs what it would without huge pages: the MMU tries the page's own unit first.
 *
 * Page numbers are those of the address space that the CPU runs; switching spaces flushes (no PCID).
 * Source: layouts measured for this project; bit-PLRU as in Intel and AMD documentation of pseudo-LRU.
 */
import { assert } from '../base/assert.ts'
import type { Pfn } from './phys_mem.ts'
import type { CpuPreset } from './preset.ts'
import { HUGE_PAGES } from './pte.ts'

/** Permission bits of an entry: a store needs both. */
export const TLB_W = 1
export const TLB_D = 2
export const TLB_STORE = TLB_W | TLB_D

/** A cached translation: frame * 4 + permissions. */
export type TlbEntry = number
/** What one entry may translate: a page of the window, or 2 MiB of it. */
export type Unit = number

export function tlbEntry(pfn: Pfn, permissions: number): TlbEntry {
  return (pfn << 2) | permissions
}

export function entryPfn(entry: TlbEntry): Pfn {
  return entry >>> 2
}

export interface TlbGeometry {
  readonly l1Entries: number
  /** As many as entries: fully associative. */
  readonly l1Ways: number
  /** L1 entries for 2 MiB alone; 0: they share those of 4 KiB. */
  readonly l1HugeEntries: number
  readonly l1HugeWays: number
  readonly l2Entries: number
  readonly l2Ways: number
}

export function tlbGeometry(preset: CpuPreset): TlbGeometry {
  return {
    l1Entries: preset.l1Entries.value,
    l1Ways: preset.l1Ways.value,
    l1HugeEntries: preset.l1HugeEntries.value,
    l1HugeWays: preset.l1HugeWays.value,
    l2Entries: preset.l2Entries.value,
    l2Ways: preset.l2Ways.value,
  }
}

/** Why there can be no such TLB here, or null. */
export function tlbProblem({ l1Entries, l1Ways, l1HugeEntries, l1HugeWays, l2Entries, l2Ways }: TlbGeometry): string | null {
  const slots = l1Entries + l1HugeEntries
  if (slots > L1_MASK) return `L1 TLB of ${slots} entries: 1 to ${L1_MASK}`
  if (l2Entries > L2_MOST || l2Ways > 31) return `L2 TLB of ${l2Entries} entries, ${l2Ways} ways: at most ${L2_MOST} and 31`
  return (
    setsProblem('L1', l1Entries, l1Ways) ??
    (l1HugeEntries === 0 ? null : setsProblem('L1', l1HugeEntries, l1HugeWays)) ??
    setsProblem('L2', l2Entries, l2Ways)
  )
}

function setsProblem(level: string, entries: number, ways: number): string | null {
  const sets = entries / ways
  if (entries >= 1 && sets >= 1 && Number.isInteger(sets) && Number.isInteger(ways) && (sets & (sets - 1)) === 0) return null
  return `${level} TLB of ${entries} entries, ${ways} ways: the number of sets is no power of two`
}

/** Bits of `where` below the slot in L2. */
export const L2_SHIFT = 8
export const L1_MASK = (1 << L2_SHIFT) - 1
const L2_MOST = 32_768
/** Columns of a row of L1: unit (-1: free), entry, the next older slot of the ring and the next newer. */
export const L1_ROW = 4
/** Columns of a row of L2: unit (-1: free), entry. */
export const L2_ROW = 2
export const ENTRY = 1
export const OLDER = 2
export const NEWER = 3
/** Columns of a set of L2: ways used lately and ways that hold an entry, a bit each. An empty way is filled before any other. */
export const SET_ROW = 2
export const VALID = 1

export class Tlb {
  readonly hugeBase: Unit
  /** All columns one behind the other, those of L1 first: mmu_block.ts has one array at hand instead of five. */
  readonly columns: Int32Array
  readonly where: Int32Array
  readonly l1: Int32Array
  /** The most recently used slot of each L1 set; the oldest is the next newer one of it: the ring is closed. */
  readonly newest: Int32Array
  readonly l1SetMask: number
  readonly #l1HugeSetMask: number
  /** The first L1 set for 2 MiB. */
  readonly #l1HugeSet: number
  readonly l2: Int32Array
  readonly l2Sets: Int32Array
  readonly l2SetMask: number
  readonly l2Full: number
  /** An L2 set's slots start at a multiple of a power of two, so that slot and set convert by shifts. */
  readonly l2Shift: number
  readonly l2WayMask: number
  /** Where in `columns` each begins; L1 at 0. */
  readonly newestAt: number
  readonly l2SetsAt: number
  readonly l2At: number
  readonly whereAt: number

  constructor(geometry: TlbGeometry, windowPages: number) {
    const { l1Entries, l1Ways, l1HugeEntries, l1HugeWays, l2Entries, l2Ways } = geometry
    const problem = tlbProblem(geometry)
    assert(problem === null, problem ?? '')
    const small = l1Entries / l1Ways
    const huge = l1HugeEntries === 0 ? 0 : l1HugeEntries / l1HugeWays
    const l2Sets = l2Entries / l2Ways
    const l1Slots = l1Entries + l1HugeEntries
    // A multiple of the numbers of sets, so that a unit's low bits choose its set.
    const align = Math.max(l2Sets, small, huge)
    this.hugeBase = (windowPages + align - 1) & -align
    this.l2Shift = 32 - Math.clz32(l2Ways - 1)
    this.l2WayMask = (1 << this.l2Shift) - 1
    this.l2SetMask = l2Sets - 1
    this.l2Full = 2 ** l2Ways - 1
    const lengths = {
      l1: (l1Slots + 1) * L1_ROW,
      newest: small + huge,
      l2Sets: l2Sets * SET_ROW,
      l2: ((l2Sets << this.l2Shift) + 1) * L2_ROW,
      where: this.hugeBase + (windowPages >>> 9) + 1,
    }
    this.newestAt = lengths.l1
    this.l2SetsAt = this.newestAt + lengths.newest
    this.l2At = this.l2SetsAt + lengths.l2Sets
    this.whereAt = this.l2At + lengths.l2
    this.columns = new Int32Array(this.whereAt + lengths.where)
    const { buffer } = this.columns
    this.l1 = new Int32Array(buffer, 0, lengths.l1)
    this.newest = new Int32Array(buffer, this.newestAt * 4, lengths.newest)
    this.l2Sets = new Int32Array(buffer, this.l2SetsAt * 4, lengths.l2Sets)
    this.l2 = new Int32Array(buffer, this.l2At * 4, lengths.l2)
    this.where = new Int32Array(buffer, this.whereAt * 4, lengths.where)
    this.l1SetMask = small - 1
    this.#l1HugeSet = huge === 0 ? 0 : small
    this.#l1HugeSetMask = huge === 0 ? small - 1 : huge - 1
    for (let set = 0; set < small; set++) this.#makeRing(set, 1 + set * l1Ways, l1Ways)
    for (let set = 0; set < huge; set++) this.#makeRing(small + set, 1 + l1Entries + set * l1HugeWays, l1HugeWays)
    for (let i = 0; i < this.l2.length; i += L2_ROW) this.l2[i] = -1
  }

  #makeRing(set: number, first: number, ways: number): void {
    this.newest[set] = first
    for (let way = 0; way < ways; way++) {
      const row = (first + way) * L1_ROW
      this.l1[row] = -1
      this.l1[row + OLDER] = first + ((way + 1) % ways)
      this.l1[row + NEWER] = first + ((way + ways - 1) % ways)
    }
  }

  /** The entry of L1 at `slots`, made the most recently used; -1 if there is none, or one without the `needed` permissions. */
  hitL1(unit: Unit, slots: number, needed: number): TlbEntry {
    const slot = slots & L1_MASK
    if (slot === 0) return -1
    const entry = this.l1[slot * L1_ROW + ENTRY]
    if ((entry & needed) !== needed) return -1
    this.#touchL1(this.#l1Set(unit), slot)
    return entry
  }

  /** The entry of L2 at `slots`, copied into L1; -1 if there is none, or one without the `needed` permissions. */
  hitL2(unit: Unit, slots: number, needed: number): TlbEntry {
    const slot = slots >>> L2_SHIFT
    if (slot === 0) return -1
    const entry = this.l2[slot * L2_ROW + ENTRY]
    if ((entry & needed) !== needed) return -1
    this.#touchL2((slot - 1) >>> this.l2Shift, (slot - 1) & this.l2WayMask)
    this.where[unit] = (slot << L2_SHIFT) | this.#fillL1(unit, slots & L1_MASK, entry)
    return entry
  }

  /** Both levels take the entry that a walk has found, in place of what they have of the unit (`slots`). */
  fill(unit: Unit, slots: number, entry: TlbEntry): void {
    const l1Slot = this.#fillL1(unit, slots & L1_MASK, entry)
    this.where[unit] = (this.#fillL2(unit, slots >>> L2_SHIFT, entry) << L2_SHIFT) | l1Slot
  }

  #l1Set(unit: Unit): number {
    return unit < this.hugeBase ? unit & this.l1SetMask : this.#l1HugeSet + (unit & this.#l1HugeSetMask)
  }

  #touchL1(set: number, slot: number): void {
    const newest = this.newest[set]
    if (newest === slot) return
    this.newest[set] = slot
    // The oldest stands before the newest already.
    if (this.l1[newest * L1_ROW + NEWER] !== slot) this.#putBefore(newest, slot)
  }

  /** Takes a slot out of its ring and puts it in between the oldest and the newest. */
  #putBefore(newest: number, slot: number): void {
    const l1 = this.l1
    const row = slot * L1_ROW
    const newer = l1[row + NEWER]
    const older = l1[row + OLDER]
    l1[newer * L1_ROW + OLDER] = older
    l1[older * L1_ROW + NEWER] = newer
    const oldest = l1[newest * L1_ROW + NEWER]
    l1[oldest * L1_ROW + OLDER] = slot
    l1[row + NEWER] = oldest
    l1[row + OLDER] = newest
    l1[newest * L1_ROW + NEWER] = slot
  }

  /** Answers the slot; the caller writes it into `where`. */
  #fillL1(unit: Unit, cached: number, entry: TlbEntry): number {
    const l1 = this.l1
    const set = this.#l1Set(unit)
    if (cached !== 0) {
      l1[cached * L1_ROW + ENTRY] = entry
      this.#touchL1(set, cached)
      return cached
    }
    const slot = l1[this.newest[set] * L1_ROW + NEWER]
    const victim = l1[slot * L1_ROW]
    if (victim >= 0) this.where[victim] &= ~L1_MASK
    l1[slot * L1_ROW] = unit
    l1[slot * L1_ROW + ENTRY] = entry
    this.newest[set] = slot
    return slot
  }

  #touchL2(set: number, way: number): void {
    const used = this.l2Sets[set * SET_ROW] | (1 << way)
    this.l2Sets[set * SET_ROW] = used === this.l2Full ? 1 << way : used
  }

  /** Answers the slot; the caller writes it into `where`. */
  #fillL2(unit: Unit, cached: number, entry: TlbEntry): number {
    const l2 = this.l2
    if (cached !== 0) {
      l2[cached * L2_ROW + ENTRY] = entry
      this.#touchL2((cached - 1) >>> this.l2Shift, (cached - 1) & this.l2WayMask)
      return cached
    }
    const sets = this.l2Sets
    const full = this.l2Full
    const set = unit & this.l2SetMask
    const valid = sets[set * SET_ROW + VALID]
    const free = (valid !== full ? ~valid : ~sets[set * SET_ROW]) & full
    // With a single way nothing is left to choose.
    const way = free === 0 ? 0 : 31 - Math.clz32(free & -free)
    const slot = (set << this.l2Shift) + way + 1
    const row = slot * L2_ROW
    if (valid === full) this.where[l2[row]] &= L1_MASK
    else sets[set * SET_ROW + VALID] = valid | (1 << way)
    l2[row] = unit
    l2[row + ENTRY] = entry
    this.#touchL2(set, way)
    return slot
  }

  /** Drops the unit from both levels; true if it was in one. Its place in L1 is the next to be taken. */
  flush(unit: Unit): boolean {
    const slots = this.where[unit]
    if (slots === 0) return false
    this.where[unit] = 0
    const l1Slot = slots & L1_MASK
    if (l1Slot !== 0) {
      const l1 = this.l1
      l1[l1Slot * L1_ROW] = -1
      const set = this.#l1Set(unit)
      const newest = this.newest[set]
      if (l1Slot === newest) this.newest[set] = l1[l1Slot * L1_ROW + OLDER]
      else if (l1[newest * L1_ROW + NEWER] !== l1Slot) this.#putBefore(newest, l1Slot)
    }
    const l2Slot = slots >>> L2_SHIFT
    if (l2Slot !== 0) {
      this.l2[l2Slot * L2_ROW] = -1
      const set = (l2Slot - 1) >>> this.l2Shift
      const way = 1 << ((l2Slot - 1) & this.l2WayMask)
      this.l2Sets[set * SET_ROW] &= ~way
      this.l2Sets[set * SET_ROW + VALID] &= ~way
    }
    return true
  }

  flushAll(): void {
    for (let row = L1_ROW; row < this.l1.length; row += L1_ROW) this.#drop(this.l1, row)
    const sets = this.l2Sets
    // A CPU that slept has few entries to lose: of each set only the ways that hold one.
    for (let set = 0; set <= this.l2SetMask; set++) {
      for (let valid = sets[set * SET_ROW + VALID]; valid !== 0; valid &= valid - 1)
        this.#drop(this.l2, ((set << this.l2Shift) + 32 - Math.clz32(valid & -valid)) * L2_ROW)
    }
    sets.fill(0)
  }

  #drop(rows: Int32Array, row: number): void {
    if (rows[row] >= 0) this.where[rows[row]] = 0
    rows[row] = -1
  }

  isHuge(unit: Unit): boolean {
    return unit >= this.hugeBase
  }

  firstPage(unit: Unit): number {
    return unit < this.hugeBase ? unit : (unit - this.hugeBase) * HUGE_PAGES
  }

  /** Every entry, first those of L2: for whoever checks what is cached, and draws it. */
  entries(visit: (unit: Unit, entry: TlbEntry, level: 1 | 2) => void): void {
    for (let row = L2_ROW; row < this.l2.length; row += L2_ROW) {
      if (this.l2[row] >= 0) visit(this.l2[row], this.l2[row + ENTRY], 2)
    }
    for (let row = L1_ROW; row < this.l1.length; row += L1_ROW) {
      if (this.l1[row] >= 0) visit(this.l1[row], this.l1[row + ENTRY], 1)
    }
  }
}
