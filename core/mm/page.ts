/**
 * Page structs as columns, and the page allocator.
 *
 *     mapping   0, or anon_vma index * 2 + 1 (PAGE_MAPPING_ANON), or of a KSM page -2 * its stable node
 *     index     linear page index in that anon_vma's space
 *     mapcount  PTEs that map the page            refcount  references; 0 is free
 *     flags     PG_LOCKED | PG_ANON_EXCLUSIVE | PG_SWAPCACHE | PG_DIRTY | PG_ACTIVE
 *
 * A fresh page has refcount 1, held by whoever allocated it, and passes to the PTE when it is mapped. `mapping` stays
 * behind when the last mapping goes, until the page is freed: it is valid only while the page is mapped.
 * Frame 0 is the shared zero page: never allocated, never counted.
 */
import { fail } from '../base/assert.ts'
import { type Pfn, type PhysMem, ZERO_PFN } from '../hw/phys_mem.ts'

export const PG_LOCKED = 1
/** The page belongs to one mm alone and may be reused for a write without a copy. @kernel PG_anon_exclusive */
export const PG_ANON_EXCLUSIVE = 2
/** The page is in the swap cache, which holds a reference (swap.ts knows the slot). */
export const PG_SWAPCACHE = 4
/** Its content differs from its swap slot, or has none. */
export const PG_DIRTY = 8
/** It was used lately: reclaim must find it unused once before it may take it. */
export const PG_ACTIVE = 16

export const PAGE_MAPPING_ANON = 1

export class Pages {
  readonly mapping: Int32Array
  readonly index: Int32Array
  readonly mapcount: Int32Array
  readonly refcount: Int32Array
  readonly flags: Uint8Array
  readonly #phys: PhysMem
  readonly #free: Int32Array
  #freeCount = 0
  #fresh = ZERO_PFN + 1

  constructor(phys: PhysMem) {
    const n = phys.frames
    this.#phys = phys
    this.mapping = new Int32Array(n)
    this.index = new Int32Array(n)
    this.mapcount = new Int32Array(n)
    this.refcount = new Int32Array(n)
    this.flags = new Uint8Array(n)
    this.#free = new Int32Array(n)
  }

  /** Frames in use, the zero page aside. */
  get used(): number {
    return this.#fresh - 1 - this.#freeCount
  }

  /** One past the highest frame ever used. */
  get highest(): Pfn {
    return this.#fresh
  }

  /** A frame with refcount 1 and undefined content, or -1 when memory is full. The last freed is the first reused. */
  allocate(): Pfn {
    let pfn: Pfn
    if (this.#freeCount > 0) pfn = this.#free[--this.#freeCount]
    else if (this.#fresh < this.#phys.frames) pfn = this.#fresh++
    else return -1
    if (this.refcount[pfn] !== 0) fail(`free page has refcount ${this.refcount[pfn]} (pfn ${pfn})`)
    this.refcount[pfn] = 1
    return pfn
  }

  /** @kernel get_page */
  get(pfn: Pfn): void {
    this.refcount[pfn]++
  }

  /** Drops a reference; frees the page with the last one. @kernel put_page */
  put(pfn: Pfn): void {
    if (pfn === ZERO_PFN) return
    const left = --this.refcount[pfn]
    if (left > 0) return
    if (left !== 0) fail(`refcount ${left} < 0 (pfn ${pfn})`)
    if (this.mapcount[pfn] !== 0) fail(`page freed with mapcount ${this.mapcount[pfn]} (pfn ${pfn})`)
    this.mapping[pfn] = 0
    this.index[pfn] = 0
    this.flags[pfn] = 0
    this.#free[this.#freeCount++] = pfn
  }

  isMapped(pfn: Pfn): boolean {
    return this.mapcount[pfn] > 0
  }

  /** Shared by merging: mapped read-only everywhere; `mapping` names a stable node. @kernel PageKsm */
  isKsm(pfn: Pfn): boolean {
    return this.mapping[pfn] < 0
  }

  isExclusive(pfn: Pfn): boolean {
    return (this.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0
  }
}
