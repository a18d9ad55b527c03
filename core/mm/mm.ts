/**
 * An address space: its areas, its page tables, its locks, and the CPUs that run it.
 *
 * Addresses in core/mm are page numbers of the process's window. The window is the 512 GiB from WINDOW_BASE, one PGD
 * entry; system calls take byte addresses and convert (pageOfAddress). The size in pages is chosen at creation, because
 * TLBs keep a reverse index over it.
 *
 * Source: include/linux/mm_types.h.
 * @kernel mm_struct
 */
import type { Cpu, Thread } from '../hw/cpu.ts'
import { PageTable } from '../hw/page_table.ts'
import { CacheLine } from '../sync/cache_line.ts'
import { Seqlock } from '../sync/seqlock.ts'
import { Spinlock } from '../sync/spinlock.ts'
import type { DirtyLog } from './dirty_log.ts'
import type { DirtyRings } from './dirty_ring.ts'
import type { Kernel } from './kernel.ts'
import { MmapLock } from './mmap_lock.ts'
import type { Userfaultfd } from './userfaultfd.ts'
import { VmaTree } from './vma_tree.ts'

export const WINDOW_BASE = 0x7f0000000000

export class Mm {
  readonly id: number
  readonly table: PageTable
  readonly tree: VmaTree
  /** Guards the tree against look-ups without mmap_lock. @kernel mm_seq */
  readonly treeSeq: Seqlock
  readonly mmapLock: MmapLock
  readonly pageTableLock: Spinlock
  /** CPUs that have this mm loaded: whom a shootdown must reach. @kernel mm_cpumask */
  readonly cpus: Cpu[] = []
  /** Processes that run here; 0 once the address space is gone. @kernel mm_users */
  users = 1
  /** The line of that count, which each call that fills or moves pages raises and lowers. @kernel mmget_not_zero, mmput */
  readonly usersLine: CacheLine
  readonly #threads: Thread[] = []
  /** Pages mapped. */
  rss = 0
  /** Pages of its areas, and of those that are data (vm_stat.ts). */
  totalVm = 0
  dataVm = 0
  /** Swap entries in the page tables. @kernel MM_SWAPENTS */
  swapEntries = 0
  /** Every descriptor that was opened for it. */
  readonly userfaultfds: Userfaultfd[] = []
  /** Set with mmap_lock held for writing. */
  dirtyLog: DirtyLog | null = null
  dirtyRings: DirtyRings | null = null

  constructor(
    readonly kernel: Kernel,
    readonly windowPages: number,
  ) {
    this.id = kernel.newId()
    this.table = new PageTable(kernel.tables)
    this.tree = new VmaTree(this)
    const lockNs = kernel.preset.lockNs.value
    const { wakeupNs, lineTransferNs, wakerNs } = kernel.preset
    this.mmapLock = new MmapLock(this.id, lockNs, wakeupNs.value, lineTransferNs.value, wakerNs.value, kernel.cpus)
    this.usersLine = new CacheLine(lineTransferNs.value, kernel.cpus)
    this.treeSeq = new Seqlock(this.id, 'mm.mm_seq', lockNs)
    this.pageTableLock = new Spinlock(this.id, 'mm.page_table_lock', lockNs)
    kernel.mms.push(this)
  }

  /** Lets a CPU run this mm. @kernel switch_mm */
  runOn(k: Thread): void {
    if (!this.cpus.includes(k.cpu)) this.cpus.push(k.cpu)
    if (!this.#threads.includes(k)) this.#threads.push(k)
    k.cpu.mmu.load(this.table)
  }

  /** More than one thread lives in it. @kernel mm_users > 1 */
  get isThreaded(): boolean {
    const threads = this.#threads
    // The dead are forgotten as they are met; two living ones are enough to know.
    for (let i = threads.length - 1, living = 0; i >= 0; i--) {
      if (threads[i].state === 'done') threads.splice(i, 1)
      else if (++living === 2) return true
    }
    return false
  }
}

/** Byte address of a page of the window. */
export function addressOf(page: number): number {
  return WINDOW_BASE + page * 4096
}

/** Page of a byte address; NaN if it is not page aligned or outside any window. */
export function pageOfAddress(address: number): number {
  const page = (address - WINDOW_BASE) / 4096
  return page >= 0 && Math.floor(page) === page ? page : Number.NaN
}
