/**
 * mmu_gather: the frames and page tables of a range that is being unmapped, kept until no TLB can reach them.
 *
 *  1. begin.   2. each PTE cleared under its lock: its page is noted (removePage), or only its address (noteFlush).
 *  3. flush: the TLBs of every CPU that runs the mm, once for all of it; only then the frames go back.
 *  4. when a batch is full, flush in the middle, with no PTE lock held.   5. finish: flush what is left.
 *
 * A frame freed before the flush is somebody else's while a CPU can still write to it. Freeing drops a page that only the
 * swap cache keeps. Pairs with mmap.ts (munmap, exit), madvise.ts (DONTNEED).
 * Source: mm/mmu_gather.c.
 * @kernel mmu_gather, tlb_gather_mmu, __tlb_remove_page, tlb_flush_mmu, tlb_finish_mmu, free_pages_and_swap_cache
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { HUGE_PAGES } from '../hw/pte.ts'
import type { Mm } from './mm.ts'
import { flushTlbRange } from './tlb_flush.ts'

/** Pages gathered before a flush is forced, so that no CPU holds back memory without bound. @kernel MAX_GATHER_BATCH_COUNT */
export const GATHER_MAX_PAGES = 10_000

export class MmuGather {
  readonly #pages: Pfn[] = []
  readonly #tables: number[] = []
  #start = -1
  #end = -1
  /** Pages of the smallest entry among what is gathered: a range of huge pages needs one INVLPG each. @kernel tlb_get_unmap_size */
  #stride = HUGE_PAGES

  /** @kernel tlb_gather_mmu */
  constructor(
    readonly mm: Mm,
    readonly maxPages = GATHER_MAX_PAGES,
  ) {}

  /** A translation of this page is gone and must be flushed. @kernel tlb_remove_tlb_entry */
  noteFlush(page: number): void {
    this.#stride = 1
    if (this.#start < 0 || page < this.#start) this.#start = page
    if (page >= this.#end) this.#end = page + 1
  }

  /** A translation of the 2 MiB that begin here is gone. @kernel tlb_remove_pmd_tlb_entry */
  noteFlushHuge(page: number): void {
    if (this.#start < 0 || page < this.#start) this.#start = page
    if (page >= this.#end) this.#end = page + HUGE_PAGES
  }

  /**
   * The leaf table of the 2 MiB that begin here is in no address space any more. Walk caches name it, whether or not it mapped a
   * page; and who walks with interrupts off answers the flush later. @kernel pte_free_tlb, tlb_remove_table
   */
  removeTable(page: number, node: number): void {
    this.noteFlush(page)
    this.#tables.push(node)
  }

  /** The frame that was mapped there; its reference is the gather's now. @kernel __tlb_remove_page */
  removePage(pfn: Pfn): void {
    this.#pages.push(pfn)
  }

  /** Flush before anything more is unmapped; not with a PTE lock held. */
  get isFull(): boolean {
    return this.#pages.length >= this.maxPages
  }

  /** @kernel tlb_flush_mmu */
  *flush(k: Thread): Proc<void> {
    const { kernel } = this.mm
    const early = !kernel.has('zap-flush-before-free')
    if (early) this.#free(k)
    const freesTables = this.#tables.length > 0
    if (this.#start >= 0) yield* flushTlbRange(k, this.mm, this.#start, this.#end, this.#stride, freesTables)
    this.#start = -1
    this.#end = -1
    this.#stride = HUGE_PAGES
    if (!early) this.#free(k)
    for (const node of this.#tables) kernel.tables.free(node)
    this.#tables.length = 0
  }

  /** @kernel tlb_finish_mmu */
  finish(k: Thread): Proc<void> {
    return this.flush(k)
  }

  #free(k: Thread): void {
    const { pages, swap, pageLocks } = this.mm.kernel
    for (let i = 0; i < this.#pages.length; i++) {
      const pfn = this.#pages[i]
      if (swap.isCached(pfn) && !pages.isMapped(pfn) && pageLocks.tryLock(k, pfn)) {
        swap.freeIfUnused(pfn)
        pageLocks.unlock(k, pfn)
      }
      pages.put(pfn)
    }
    this.#pages.length = 0
  }
}
