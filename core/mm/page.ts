/**
 * Page structs as columns, and the page allocator, of single frames and of blocks of 512 (order 9).
 *
 *     mapping   0, or anon_vma index * 2 + 1 (PAGE_MAPPING_ANON), or of a KSM page -2 * its stable node
 *     index     linear page index in that anon_vma's space
 *     mapcount  PTEs that map the page            refcount  references; 0 is free
 *     flags     PG_LOCKED | PG_ANON_EXCLUSIVE | PG_SWAPCACHE | PG_DIRTY | PG_ACTIVE
 *
 * A fresh page has refcount 1, held by whoever allocated it, and passes to the PTE when it is mapped. `mapping` stays
 * behind when the last mapping goes, until the page is freed: it is valid only while the page is mapped.
 * Frame 0 is the shared zero page: never allocated, never counted.
 *
 * A huge page is a block of 512 frames, aligned: the first is its head and carries everything (mapcount: PMDs that map it),
 * the others are its tails and carry nothing until it is split. Single frames are taken from the bottom of memory, blocks
 * from its top. A block is broken when single frames run out; single frames become a block again only where all 512 of an
 * aligned block are free. Nothing is moved to make room, so order 9 fails where memory is fragmented, as it would.
 *
 * Source: include/linux/mm.h; include/linux/page-flags.h.
 * @kernel struct page, alloc_pages, PageHead, PageTail
 */
import { fail, violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'
import { type Pfn, type PhysMem, ZERO_PFN } from '../hw/phys_mem.ts'
import { HUGE_PAGES } from '../hw/pte.ts'

export const PG_LOCKED = 1
/** The page belongs to one mm alone and may be reused for a write without a copy. @kernel PG_anon_exclusive */
export const PG_ANON_EXCLUSIVE = 2
/** The page is in the swap cache, which holds a reference (swap.ts knows the slot). */
export const PG_SWAPCACHE = 4
/** Its content differs from its swap slot, or has none. */
export const PG_DIRTY = 8
/** It was used lately: reclaim must find it unused once before it may take it. */
export const PG_ACTIVE = 16
/** First frame of a huge page, and the 511 others. */
export const PG_HEAD = 64
export const PG_TAIL = 128
/** A huge page of the hugetlb pool: never split. Stands on its head. @kernel PageHuge */
export const PG_HUGETLB = 256
/** Its memory has failed: nobody gets it again. */
export const PG_HWPOISON = 512

export const PAGE_MAPPING_ANON = 1

export class Pages {
  readonly mapping: Int32Array
  readonly index: Int32Array
  readonly mapcount: Int32Array
  readonly refcount: Int32Array
  readonly flags: Uint16Array
  readonly #phys: PhysMem
  readonly #free: Int32Array
  #freeCount = 0
  #fresh = ZERO_PFN + 1
  /** Frames from here on were handed to the pool of blocks. */
  #freshEnd: Pfn
  /** Heads of free blocks. */
  readonly #freeBlocks: Pfn[] = []
  /** A single frame was freed since they were last searched for whole blocks. */
  #mayMerge = false
  /** Lists of the CPUs, where memory was split among them. */
  #shares: Pfn[][] | null = null
  #shareSize = 0
  #sharedOut = 0
  /** Where memory was split: frames from here on are whole blocks, of no CPU. */
  #blocksFrom: Pfn = 0

  constructor(phys: PhysMem) {
    const n = phys.frames
    this.#phys = phys
    this.#freshEnd = n
    this.mapping = new Int32Array(n)
    this.index = new Int32Array(n)
    this.mapcount = new Int32Array(n)
    this.refcount = new Int32Array(n)
    this.flags = new Uint16Array(n)
    this.#free = new Int32Array(n)
  }

  /** Frames in use, the zero page aside. */
  get used(): number {
    if (this.#shares !== null) return this.#sharedOut + this.#usedOfBlocks
    const handedOut = this.#fresh - 1 + (this.#phys.frames - this.#freshEnd)
    return handedOut - this.#freeCount - this.#freeBlocks.length * HUGE_PAGES
  }

  get #usedOfBlocks(): number {
    return this.#phys.frames - this.#freshEnd - this.#freeCount - this.#freeBlocks.length * HUGE_PAGES
  }

  /** One past the highest frame ever used. */
  get highest(): Pfn {
    if (this.#shares !== null) return this.#phys.frames
    return this.#freshEnd < this.#phys.frames ? this.#phys.frames : this.#fresh
  }

  /**
   * Gives each of `cpus` CPUs a share of memory to allocate from, as its per-CPU list: two CPUs that allocate are not in each
   * other's way. A frame goes back to the list that it came from. The last `blocks` blocks of 512 frames are kept for huge
   * pages; their frames, once split and free, are used again only as a block. Before the first page is allocated. @kernel per_cpu_pages
   */
  splitAmongCpus(cpus: number, blocks = 0): void {
    if (this.used > 0) fail(`memory is split among CPUs with ${this.used} frames in use`)
    const { frames } = this.#phys
    this.#blocksFrom = blocks === 0 ? frames : (Math.floor(frames / HUGE_PAGES) - blocks) * HUGE_PAGES
    this.#fresh = this.#blocksFrom
    this.#freshEnd = frames
    const share = Math.floor((this.#blocksFrom - 1) / cpus)
    this.#shares = []
    for (let cpu = 0; cpu < cpus; cpu++) {
      const first = ZERO_PFN + 1 + cpu * share
      const list: Pfn[] = []
      for (let pfn = first + share - 1; pfn >= first; pfn--) list.push(pfn)
      this.#shares.push(list)
    }
    this.#shareSize = share
  }

  /** A frame with refcount 1 and undefined content, or -1 when memory is full. The last freed is the first reused. */
  allocate(cpu: number): Pfn {
    if (this.#shares !== null) return this.#allocateFrom(this.#shares, cpu)
    let pfn: Pfn
    if (this.#freeCount > 0) pfn = this.#free[--this.#freeCount]
    else if (this.#fresh < this.#freshEnd) return this.#prepareFresh(this.#fresh++)
    else if (this.#breakBlock()) pfn = this.#free[--this.#freeCount]
    else return -1
    if (this.refcount[pfn] !== 0) violate('I-CNT', `free page has refcount ${this.refcount[pfn]} (pfn ${pfn})`)
    this.refcount[pfn] = 1
    return pfn
  }

  /**
   * A frame that nobody ever had. Written before it is read: memory of the host's that is first read is mapped to its zero page, and
   * faults once more when it is written.
   */
  #prepareFresh(pfn: Pfn): Pfn {
    this.refcount[pfn] = 1
    this.mapcount[pfn] = 0
    this.flags[pfn] = 0
    return pfn
  }

  #allocateFrom(shares: readonly Pfn[][], cpu: number): Pfn {
    const home = cpu % shares.length
    touch(home, 'pages.pcp', AccessMode.write)
    const pfn = shares[home].pop() ?? -1
    if (pfn < 0) return -1
    if (this.refcount[pfn] !== 0) violate('I-CNT', `free page has refcount ${this.refcount[pfn]} (pfn ${pfn})`)
    this.refcount[pfn] = 1
    this.#sharedOut++
    return pfn
  }

  /** A huge page with refcount 1 and undefined content: its head, or -1 if no aligned block of 512 frames is free. */
  allocateHuge(): Pfn {
    touch(0, 'pages.blocks', AccessMode.write)
    const head = this.#freeBlocks.pop() ?? this.#freshBlock()
    if (head < 0) return -1
    if (this.refcount[head] !== 0) violate('I-CNT', `free huge page has refcount ${this.refcount[head]} (pfn ${head})`)
    this.refcount[head] = 1
    this.flags[head] = PG_HEAD
    this.flags.fill(PG_TAIL, head + 1, head + HUGE_PAGES)
    return head
  }

  /** The highest block that nobody was given yet, or one that single frames make up again, or -1. */
  #freshBlock(): Pfn {
    const head = Math.floor(this.#freshEnd / HUGE_PAGES) * HUGE_PAGES - HUGE_PAGES
    if (head < this.#fresh) return this.#mergeFree() ? (this.#freeBlocks.pop() ?? -1) : -1
    // What lies above the last whole block of memory goes to the single frames.
    for (let pfn = this.#freshEnd - 1; pfn >= head + HUGE_PAGES; pfn--) this.#free[this.#freeCount++] = pfn
    this.#freshEnd = head
    return head
  }

  /** Turns a free block into single frames, the lowest to be used first. @kernel expand */
  #breakBlock(): boolean {
    const head = this.#freeBlocks.pop()
    if (head === undefined) return false
    for (let i = HUGE_PAGES - 1; i >= 0; i--) this.#free[this.#freeCount++] = head + i
    return true
  }

  /**
   * Joins free single frames to blocks wherever all 512 are free; true if there is a block now. It looks at all of them,
   * so only after one was freed. @kernel __free_one_page
   */
  #mergeFree(): boolean {
    if (!this.#mayMerge) return false
    this.#mayMerge = false
    const freeInBlock = new Uint16Array(Math.ceil(this.#phys.frames / HUGE_PAGES))
    for (let i = 0; i < this.#freeCount; i++) freeInBlock[this.#free[i] >>> 9]++
    let kept = 0
    for (let i = 0; i < this.#freeCount; i++) {
      const pfn = this.#free[i]
      if (freeInBlock[pfn >>> 9] < HUGE_PAGES) this.#free[kept++] = pfn
      else if (pfn % HUGE_PAGES === 0) this.#freeBlocks.push(pfn)
    }
    this.#freeCount = kept
    return this.#freeBlocks.length > 0
  }

  /** `count`: more than one for a pin. @kernel get_page */
  get(pfn: Pfn, count = 1): void {
    touch(pfn, 'page.refcount', AccessMode.acquireShared)
    this.refcount[pfn] += count
  }

  /** How many references there are, for whoever decides by it. @kernel page_count */
  references(pfn: Pfn): number {
    touch(pfn, 'page.refcount', AccessMode.read)
    return this.refcount[pfn]
  }

  /** How many PTEs map it, for whoever decides by it. @kernel page_mapcount */
  mappings(pfn: Pfn): number {
    touch(pfn, 'page.mapcount', AccessMode.read)
    return this.mapcount[pfn]
  }

  /** Drops a reference; frees the page with the last one. @kernel put_page */
  put(pfn: Pfn, count = 1): void {
    if (pfn === ZERO_PFN) return
    this.refcount[pfn] -= count
    const left = this.refcount[pfn]
    // References come in any order, and do not go in any: which of them is the last depends on it.
    touch(pfn, 'page.refcount', AccessMode.write)
    if (left > 0) return
    if (left !== 0) violate('I-CNT', `refcount ${left} < 0 (pfn ${pfn})`)
    if (this.mapcount[pfn] !== 0) violate('I-CNT', `page freed with mapcount ${this.mapcount[pfn]} (pfn ${pfn})`)
    touch(pfn, 'page.mapping', AccessMode.write)
    this.mapping[pfn] = 0
    this.index[pfn] = 0
    if ((this.flags[pfn] & PG_HEAD) !== 0) {
      touch(0, 'pages.blocks', AccessMode.write)
      this.flags.fill(0, pfn, pfn + HUGE_PAGES)
      this.#freeBlocks.push(pfn)
      return
    }
    this.flags[pfn] = 0
    if (this.#shares !== null && pfn < this.#blocksFrom) {
      const home = Math.floor((pfn - ZERO_PFN - 1) / this.#shareSize)
      touch(home, 'pages.pcp', AccessMode.write)
      this.#shares[home].push(pfn)
      this.#sharedOut--
      return
    }
    touch(0, 'pages.blocks', AccessMode.write)
    this.#free[this.#freeCount++] = pfn
    this.#mayMerge = true
  }

  /**
   * Makes 512 pages out of a huge one: each as often mapped as the whole was, each with its place in the same anon_vma.
   * References beyond the mappings stay with the first. @kernel __split_huge_page_refcount
   */
  splitCompound(head: Pfn): void {
    if ((this.flags[head] & PG_HEAD) === 0) fail(`pfn ${head} is not the head of a huge page`)
    const mapcount = this.mapcount[head]
    this.flags[head] &= ~PG_HEAD
    // Whoever holds the page lock holds that of the first.
    const flags = this.flags[head] & ~PG_LOCKED
    for (let i = 1; i < HUGE_PAGES; i++) {
      const pfn = head + i
      if (this.refcount[pfn] !== 0) violate('I-CNT', `tail page has refcount ${this.refcount[pfn]} (pfn ${pfn})`)
      this.flags[pfn] = flags
      this.mapping[pfn] = this.mapping[head]
      this.index[pfn] = this.index[head] + i
      this.mapcount[pfn] = mapcount
      this.refcount[pfn] = mapcount
    }
  }

  isHugetlb(head: Pfn): boolean {
    return (this.flags[head] & PG_HUGETLB) !== 0
  }

  isHuge(pfn: Pfn): boolean {
    return (this.flags[pfn] & PG_HEAD) !== 0
  }

  isMapped(pfn: Pfn): boolean {
    touch(pfn, 'page.mapcount', AccessMode.read)
    return this.mapcount[pfn] > 0
  }

  /** Its mapping names an anon_vma. @kernel PageAnon */
  isAnon(pfn: Pfn): boolean {
    touch(pfn, 'page.mapping', AccessMode.read)
    return (this.mapping[pfn] & PAGE_MAPPING_ANON) !== 0
  }

  /** Shared by merging: mapped read-only everywhere; `mapping` names a stable node. @kernel PageKsm */
  isKsm(pfn: Pfn): boolean {
    touch(pfn, 'page.mapping', AccessMode.read)
    return this.mapping[pfn] < 0
  }

  /** Nobody else has the page; told to whoever asks without the lock of its PTE. @kernel SetPageAnonExclusive */
  setExclusive(pfn: Pfn): void {
    touch(pfn, 'page.exclusive', AccessMode.write)
    this.flags[pfn] |= PG_ANON_EXCLUSIVE
  }

  /** @kernel ClearPageAnonExclusive */
  clearExclusive(pfn: Pfn): void {
    touch(pfn, 'page.exclusive', AccessMode.write)
    this.flags[pfn] &= ~PG_ANON_EXCLUSIVE
  }

  isExclusive(pfn: Pfn): boolean {
    touch(pfn, 'page.exclusive', AccessMode.read)
    return (this.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0
  }
}
