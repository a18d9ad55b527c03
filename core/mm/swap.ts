/**
 * The swap device: slots with map counts, and the swap cache.
 *
 *     slot   map count   PTEs (of any mm) that hold the slot's swap entry
 *            cache       the page that has the slot's content in memory, or none
 *
 * A slot is in use while either is there. The cache holds one reference on its page. It makes two things safe: a page that is
 * on its way out is found by whoever faults on it meanwhile, and processes that share an entry share the page they read in.
 * The page lock guards a page's being in the cache; counts are kept under the page table locks of the entries counted.
 * Slots carry content as frames do (hw/phys_mem.ts). The last freed slot is the first used again.
 *
 * Pairs with vmscan.ts (out), swap_in.ts (in), move_swap.ts. @kernel swap_info_struct, swap_map, swapper_spaces
 * Source: mm/swapfile.c; mm/swap_state.c.
 */
import { fail, violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'
import { type Pfn, type PhysMem, WORDS_PER_PAGE } from '../hw/phys_mem.ts'
import { type Pages, PG_DIRTY, PG_LOCKED, PG_SWAPCACHE } from './page.ts'

/** One page from or to a local NVMe drive, queue and all. */
export const SWAP_IO_NS = 12_000

const NO_PAGE = 0

export class Swap {
  slots = 0
  /** Pages written out, and read in. */
  writes = 0
  reads = 0
  #used = 0
  #mapCount = new Int32Array(0)
  #cache = new Int32Array(0)
  #slotOfPage = new Int32Array(0)
  #words = new Uint32Array(0)
  #version = new Uint32Array(0)
  #free: number[] = []
  readonly #phys: PhysMem
  readonly #pages: Pages

  constructor(phys: PhysMem, pages: Pages) {
    this.#phys = phys
    this.#pages = pages
  }

  /** Adds a device of `slots` pages; slot 0 is never used, as a real device's first page is its header. @kernel swapon */
  on(slots: number): void {
    if (this.slots > 0) fail('swap is already on')
    if (!(slots > 0)) fail(`a swap device of ${slots} pages`)
    this.slots = slots
    this.#mapCount = new Int32Array(slots + 1)
    this.#cache = new Int32Array(slots + 1)
    this.#slotOfPage = new Int32Array(this.#phys.frames)
    this.#words = new Uint32Array((slots + 1) * WORDS_PER_PAGE)
    this.#version = new Uint32Array(slots + 1)
    this.#free = Array.from({ length: slots }, (_, i) => slots - i)
  }

  get used(): number {
    return this.#used
  }

  /** More than half of the slots are used: pages that are in memory should not hold one. @kernel vm_swap_full */
  get isFull(): boolean {
    touch(0, 'swap.slots', AccessMode.read)
    return this.#used * 2 > this.slots
  }

  /** Swap entries for the slot in page tables, the cache not counted. @kernel swp_swapcount, swp_entry_swapcount */
  count(slot: number): number {
    touch(slot, 'swap.slot', AccessMode.read)
    return this.#mapCount[slot]
  }

  inUse(slot: number): boolean {
    return this.#mapCount[slot] > 0 || this.#cache[slot] !== NO_PAGE
  }

  /** The page that holds the slot's content, or -1. @kernel swap_cache_get_folio */
  cached(slot: number): Pfn {
    touch(slot, 'swap.slot', AccessMode.read)
    const pfn = this.#cache[slot]
    return pfn === NO_PAGE ? -1 : pfn
  }

  /** The slot of a page in the cache. @kernel folio.swap */
  slotOf(pfn: Pfn): number {
    if (!this.isCached(pfn)) fail(`pfn ${pfn} is not in the swap cache`)
    return this.#slotOfPage[pfn]
  }

  isCached(pfn: Pfn): boolean {
    touch(pfn, 'page.swapcache', AccessMode.read)
    return (this.#pages.flags[pfn] & PG_SWAPCACHE) !== 0
  }

  /** Gives a locked page a slot; its content is not there yet, so the page is dirty. False if all are used. @kernel add_to_swap */
  addToSwap(pfn: Pfn): boolean {
    touch(0, 'swap.slots', AccessMode.write)
    const slot = this.#free.pop()
    if (slot === undefined) return false
    this.#used++
    this.#enterCache(pfn, slot)
    this.#pages.flags[pfn] |= PG_DIRTY
    return true
  }

  /** Enters a locked page that is about to be read from a slot in use. @kernel __read_swap_cache_async */
  addForRead(pfn: Pfn, slot: number): void {
    if (this.count(slot) <= 0) violate('I-UAF', `swap slot ${slot} is read with count ${this.#mapCount[slot]}`)
    if (this.#cache[slot] !== NO_PAGE) fail(`swap slot ${slot} is cached twice`)
    this.#enterCache(pfn, slot)
  }

  #enterCache(pfn: Pfn, slot: number): void {
    const { flags } = this.#pages
    if ((flags[pfn] & PG_LOCKED) === 0) fail(`pfn ${pfn} enters the swap cache unlocked`)
    if ((flags[pfn] & PG_SWAPCACHE) !== 0) fail(`pfn ${pfn} enters the swap cache twice`)
    this.#touchCache(pfn, slot)
    this.#cache[slot] = pfn
    this.#slotOfPage[pfn] = slot
    flags[pfn] |= PG_SWAPCACHE
    this.#pages.get(pfn)
  }

  #touchCache(pfn: Pfn, slot: number): void {
    touch(pfn, 'page.swapcache', AccessMode.write)
    touch(slot, 'swap.slot', AccessMode.write)
  }

  /** Takes a locked page out, and its slot too if no entry names it. @kernel delete_from_swap_cache */
  deleteFromCache(pfn: Pfn): void {
    const slot = this.slotOf(pfn)
    if ((this.#pages.flags[pfn] & PG_LOCKED) === 0) fail(`pfn ${pfn} leaves the swap cache unlocked`)
    this.#touchCache(pfn, slot)
    this.#cache[slot] = NO_PAGE
    this.#pages.flags[pfn] &= ~PG_SWAPCACHE
    this.#pages.put(pfn)
    this.#release(slot)
  }

  /** The page of a slot lives on in another frame; both are locked. @kernel folio_migrate_mapping */
  replaceCached(from: Pfn, to: Pfn): void {
    const slot = this.slotOf(from)
    this.#touchCache(from, slot)
    this.#pages.flags[from] &= ~PG_SWAPCACHE
    this.#enterCache(to, slot)
    this.#pages.put(from)
  }

  /** Takes a locked page out if nobody else needs the slot; then it has no copy and is dirty. @kernel folio_free_swap */
  freeIfUnused(pfn: Pfn): boolean {
    if (!this.isCached(pfn) || this.count(this.#slotOfPage[pfn]) > 0) return false
    this.deleteFromCache(pfn)
    this.#pages.flags[pfn] |= PG_DIRTY
    return true
  }

  /** One more entry. @kernel swap_duplicate */
  duplicate(slot: number): void {
    touch(slot, 'swap.slot', AccessMode.write)
    if (!this.inUse(slot)) violate('I-UAF', `swap slot ${slot} is duplicated while free`)
    this.#mapCount[slot]++
  }

  /** One entry fewer. @kernel swap_free */
  free(slot: number): void {
    touch(slot, 'swap.slot', AccessMode.write)
    if (--this.#mapCount[slot] < 0) violate('I-CNT', `swap slot ${slot} count ${this.#mapCount[slot]} < 0`)
    this.#release(slot)
  }

  /** One entry fewer, and a cached page that nobody maps or locks goes with the last. @kernel free_swap_and_cache */
  freeWithCache(slot: number): void {
    this.free(slot)
    const pfn = this.cached(slot)
    if (pfn < 0 || this.#mapCount[slot] > 0) return
    const { flags } = this.#pages
    touch(pfn, 'page.lock', AccessMode.write)
    if ((flags[pfn] & PG_LOCKED) !== 0 || this.#pages.isMapped(pfn)) return
    flags[pfn] |= PG_LOCKED
    this.#pages.get(pfn)
    this.deleteFromCache(pfn)
    flags[pfn] &= ~PG_LOCKED
    this.#pages.put(pfn)
  }

  #release(slot: number): void {
    if (this.inUse(slot)) return
    touch(0, 'swap.slots', AccessMode.write)
    this.#used--
    this.#free.push(slot)
  }

  /** Content to the device; the page is clean afterwards. @kernel swap_writepage */
  write(pfn: Pfn): void {
    const slot = this.slotOf(pfn)
    const { words, version } = this.#phys
    touch(pfn, 'page.content', AccessMode.read)
    this.#words[slot * 2] = words[pfn * 2]
    this.#words[slot * 2 + 1] = words[pfn * 2 + 1]
    this.#version[slot] = version[pfn]
    this.#pages.flags[pfn] &= ~PG_DIRTY
    this.writes++
  }

  /** Content from the device. @kernel swap_read_folio */
  read(pfn: Pfn): void {
    const slot = this.slotOf(pfn)
    const { words, version } = this.#phys
    touch(pfn, 'page.content', AccessMode.write)
    words[pfn * 2] = this.#words[slot * 2]
    words[pfn * 2 + 1] = this.#words[slot * 2 + 1]
    version[pfn] = this.#version[slot]
    this.reads++
  }

  /** Each slot in use with its count and its cached page, for checks. */
  *entries(): Generator<{ slot: number; count: number; cached: Pfn }, void, void> {
    for (let slot = 1; slot <= this.slots; slot++)
      if (this.inUse(slot)) yield { slot, count: this.#mapCount[slot], cached: this.cached(slot) }
  }
}
