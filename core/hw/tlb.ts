/**
 * The two levels of a data TLB, as columns.
 *
 * Both are found through a reverse index, `where[page]` = slot (0: not cached), instead of a tag scan: one load and one
 * well predicted branch, which is the fastest layout known for JavaScript and makes a fully associative level as cheap
 * as a direct-mapped one. An entry keeps its own copy of frame and permissions, so that a missing flush leaves a stale
 * entry behind, as in hardware.
 *
 * - L1: fully associative, true LRU (a linked list over slots, most recent first; slot 0 is the sentinel).
 * - L2: set associative, bit-PLRU; set = page & (sets - 1).
 *
 * What `where` counts is translation units: each page of the window is one, and from `hugeBase` on each 2 MiB is one
 * (`hugeUnit`). Entries of both sizes share the slots, as they do in Zen's and Intel's newer levels. A 4 KiB hit costs what
 * it would without huge pages: the MMU tries the page's own unit first.
 *
 * Page numbers are those of the address space that the CPU runs; switching spaces flushes (no PCID).
 * Source: layouts measured for this project; bit-PLRU as in Intel and AMD documentation of pseudo-LRU.
 */
import { assert } from '../base/assert.ts'
import type { Pfn } from './phys_mem.ts'

/** Permission bits of an entry: a store needs both. */
export const TLB_W = 1
export const TLB_D = 2
export const TLB_STORE = TLB_W | TLB_D

/** The first unit of 2 MiB. A multiple of the number of sets, so that a unit's low bits choose its set. */
export function firstHugeUnit(windowPages: number, sets: number): number {
  return (windowPages + sets - 1) & -sets
}

/** Units of a window: its pages and its 2 MiB. */
function unitsOf(windowPages: number, hugeBase: number): number {
  return hugeBase + (windowPages >>> 9) + 1
}

export class L1Tlb {
  readonly entries: number
  readonly hugeBase: number
  readonly where: Uint8Array
  /** The unit of each slot, -1 if the slot is free. */
  readonly page: Int32Array
  readonly pfn: Int32Array
  readonly perm: Uint8Array
  readonly #next: Uint8Array
  readonly #prev: Uint8Array

  /** `hugeBase`: firstHugeUnit of the L2 beside it. */
  constructor(entries: number, windowPages: number, hugeBase: number) {
    assert(entries >= 1 && entries <= 255, `L1 TLB of ${entries} entries: 1 to 255`)
    this.entries = entries
    this.hugeBase = hugeBase
    this.where = new Uint8Array(unitsOf(windowPages, hugeBase))
    this.page = new Int32Array(entries + 1).fill(-1)
    this.pfn = new Int32Array(entries + 1)
    this.perm = new Uint8Array(entries + 1)
    this.#next = new Uint8Array(entries + 1)
    this.#prev = new Uint8Array(entries + 1)
    for (let s = 0; s <= entries; s++) {
      this.#next[s] = s === entries ? 0 : s + 1
      this.#prev[s] = s === 0 ? entries : s - 1
    }
  }

  /** Makes `slot` the most recently used. */
  touch(slot: number): void {
    const next = this.#next
    const first = next[0]
    if (first === slot) return
    const prev = this.#prev
    const a = prev[slot]
    const b = next[slot]
    next[a] = b
    prev[b] = a
    next[slot] = first
    prev[slot] = 0
    prev[first] = slot
    next[0] = slot
  }

  /** Fills the entry of `page`, evicting the least recently used. */
  fill(page: number, pfn: Pfn, perm: number): void {
    let slot = this.where[page]
    if (slot === 0) {
      slot = this.#prev[0]
      const victim = this.page[slot]
      if (victim >= 0) this.where[victim] = 0
      this.page[slot] = page
      this.where[page] = slot
    }
    this.pfn[slot] = pfn
    this.perm[slot] = perm
    this.touch(slot)
  }

  /** Drops the entry of `page`; true if there was one. The slot becomes the next victim. */
  flush(page: number): boolean {
    const slot = this.where[page]
    if (slot === 0) return false
    this.where[page] = 0
    this.page[slot] = -1
    const next = this.#next
    const prev = this.#prev
    const a = prev[slot]
    const b = next[slot]
    next[a] = b
    prev[b] = a
    const last = prev[0]
    next[last] = slot
    prev[slot] = last
    next[slot] = 0
    prev[0] = slot
    return true
  }

  flushAll(): void {
    for (let s = 1; s <= this.entries; s++) {
      const page = this.page[s]
      if (page >= 0) this.where[page] = 0
      this.page[s] = -1
    }
  }
}

export class L2Tlb {
  readonly sets: number
  readonly ways: number
  readonly hugeBase: number
  readonly where: Uint16Array
  readonly page: Int32Array
  readonly pfn: Int32Array
  readonly perm: Uint8Array
  readonly #mru: Uint32Array
  /** Ways that hold an entry, a bit each: an empty way is filled before any entry is evicted. */
  readonly #valid: Uint32Array
  readonly #full: number
  /** A set's slots start at a multiple of a power of two, so that slot and set convert by shifts. */
  readonly #shift: number

  constructor(entries: number, ways: number, windowPages: number) {
    this.sets = entries / ways
    this.ways = ways
    assert((this.sets & (this.sets - 1)) === 0 && entries <= 32_768 && ways <= 31, `L2 TLB of ${entries} entries, ${ways} ways`)
    this.#shift = 32 - Math.clz32(ways - 1)
    const slots = (this.sets << this.#shift) + 1
    this.hugeBase = firstHugeUnit(windowPages, this.sets)
    this.where = new Uint16Array(unitsOf(windowPages, this.hugeBase))
    this.page = new Int32Array(slots).fill(-1)
    this.pfn = new Int32Array(slots)
    this.perm = new Uint8Array(slots)
    this.#mru = new Uint32Array(this.sets)
    this.#valid = new Uint32Array(this.sets)
    this.#full = 2 ** ways - 1
  }

  touch(slot: number): void {
    const index = slot - 1
    const set = index >>> this.#shift
    const bit = 1 << (index & ((1 << this.#shift) - 1))
    let mru = this.#mru[set] | bit
    if (mru === this.#full) mru = bit
    this.#mru[set] = mru
  }

  fill(page: number, pfn: Pfn, perm: number): void {
    let slot = this.where[page]
    if (slot === 0) {
      const set = page & (this.sets - 1)
      const empty = ~this.#valid[set] & this.#full
      const free = empty !== 0 ? empty : ~this.#mru[set] & this.#full
      // With a single way nothing is left to choose.
      const way = free === 0 ? 0 : 31 - Math.clz32(free & -free)
      slot = (set << this.#shift) + way + 1
      const victim = this.page[slot]
      if (victim >= 0) this.where[victim] = 0
      this.page[slot] = page
      this.where[page] = slot
      this.#valid[set] |= 1 << way
    }
    this.pfn[slot] = pfn
    this.perm[slot] = perm
    this.touch(slot)
  }

  flush(page: number): boolean {
    const slot = this.where[page]
    if (slot === 0) return false
    this.where[page] = 0
    this.page[slot] = -1
    const index = slot - 1
    const bit = 1 << (index & ((1 << this.#shift) - 1))
    this.#mru[index >>> this.#shift] &= ~bit
    this.#valid[index >>> this.#shift] &= ~bit
    return true
  }

  flushAll(): void {
    for (let s = 1; s < this.page.length; s++) {
      const page = this.page[s]
      if (page >= 0) this.where[page] = 0
      this.page[s] = -1
    }
    this.#mru.fill(0)
    this.#valid.fill(0)
  }
}
