/**
 * One machine's kernel state: memory, page structs, tables, CPUs, and what was configured.
 *
 * Everything in core/mm takes it as its first or second argument. It owns no protocol: it is the place where the columns
 * and slabs of one machine live, so that two machines in one simulation share nothing.
 * Source: include/linux/mm.h.
 */
import type { MemoryOrder } from '../engine/memory_order.ts'
import type { Cpu, Thread } from '../hw/cpu.ts'
import { PageTablePool, type Slot } from '../hw/page_table.ts'
import { PhysMem } from '../hw/phys_mem.ts'
import type { CpuPreset } from '../hw/preset.ts'
import type { Lockdep } from '../sync/lockdep.ts'
import { PageLocks } from '../sync/page_lock.ts'
import { Rcu } from '../sync/rcu.ts'
import { Spinlock } from '../sync/spinlock.ts'
import { Srcu } from '../sync/srcu.ts'
import { AnonVmaSlab } from './anon_vma.ts'
import { DEFAULT_VARIANTS, type ProtectionName, type Variants } from './kconfig.ts'
import { StableNodes } from './ksm_node.ts'
import type { Mm } from './mm.ts'
import { Pages, PG_LOCKED } from './page.ts'
import { Deposits } from './pgtable.ts'
import { Swap } from './swap.ts'
import type { UserfaultWaiter } from './userfaultfd.ts'
import { ReclaimState } from './vmscan.ts'

/** What a kernel tells whoever watches it. Pages are page numbers of the process's window. */
export interface KernelHooks {
  /** `pages` from `page` on (1 unless said) got their first frames. */
  populate(k: Thread, page: number, zero: boolean, pages?: number): void
  shootdown(k: Thread, page: number, cpus: number): void
  /** Thread `k` is about to sleep on a missing page. */
  userfault(k: Thread, page: number, store: boolean): void
  /** A store met a write-protected page that a dirty log covers; the PTE is dirty already, so the MMU says nothing of it. */
  logged(k: Thread, page: number): void
}

/** How a page fault finds its area: under mmap_lock, without a lock (v12 of 2019, or the RFC of 2014), under the area's lock. */
export type FaultPath = 'classic' | 'speculative' | 'speculative-2014' | 'vma-lock'

export class FaultCounters {
  total = 0
  minor = 0
  major = 0
  userfault = 0
  /** Done under mmap_lock, after a try without it or at once. */
  classic = 0
  speculative = 0
  vmaLock = 0
  /** Tries without mmap_lock that were given up, by reason. */
  readonly aborted: Record<string, number> = {}

  countAbort(reason: string): void {
    this.aborted[reason] = (this.aborted[reason] ?? 0) + 1
  }
}

/** What huge pages went through; names are those of /proc/vmstat. */
export interface ThpCounters {
  faultAlloc: number
  /** No block of 512 frames was free: small pages instead. */
  faultFallback: number
  splitPage: number
  collapseAlloc: number
}

export class Kernel {
  readonly phys: PhysMem
  readonly pages: Pages
  readonly pageLocks: PageLocks
  readonly tables: PageTablePool
  readonly anonVmas: AnonVmaSlab
  readonly ksm = new StableNodes()
  /** Empty until swapOn. */
  readonly swap: Swap
  readonly reclaim = new ReclaimState()
  readonly cpus: Cpu[] = []
  /** Every address space, from its making to its exit. @kernel mmlist */
  readonly mms: Mm[] = []
  /** Step gear: threads inside handle_userfault, queued or not. */
  readonly userfaults = new Set<UserfaultWaiter>()
  /** The memory that its threads run on, where that reorders. */
  memory: MemoryOrder | null = null
  /** Checks the locking of this kernel's threads; null when off. */
  lockdep: Lockdep | null = null
  readonly variants: Variants = { ...DEFAULT_VARIANTS }
  /** Chosen before the first area is made, and kept. */
  faultPath: FaultPath = 'classic'
  /** Areas wait here to be freed while a fault of 2014 may look at them. @kernel vma_srcu */
  readonly vmaSrcu: Srcu
  readonly rcu = new Rcu(-1)
  readonly faults = new FaultCounters()
  readonly deposits = new Deposits()
  readonly thp: ThpCounters = { faultAlloc: 0, faultFallback: 0, splitPage: 0, collapseAlloc: 0 }
  shootdowns = 0
  /** vm.unprivileged_userfaultfd */
  unprivilegedUserfaultfd = false
  ipis = 0
  hooks: KernelHooks = { populate: () => {}, shootdown: () => {}, userfault: () => {}, logged: () => {} }
  readonly #pteLocks: Spinlock[] = []
  readonly #pmdLocks: Spinlock[] = []
  readonly #without: ReadonlySet<ProtectionName>
  /** Nothing was left out: the usual case, asked on every page. */
  readonly #complete: boolean
  #nextId = 1

  constructor(
    readonly name: 'source' | 'destination',
    readonly preset: CpuPreset,
    frames: number,
    without: ReadonlySet<ProtectionName> = new Set(),
    /** Page tables that there is room for at first; it grows. */
    tableNodes = 64,
  ) {
    this.tables = new PageTablePool(tableNodes)
    this.phys = new PhysMem(frames)
    this.pages = new Pages(this.phys)
    this.swap = new Swap(this.phys, this.pages)
    const flags = this.pages.flags
    this.pageLocks = new PageLocks({
      test: (pfn) => (flags[pfn] & PG_LOCKED) !== 0,
      set: (pfn) => {
        flags[pfn] |= PG_LOCKED
      },
      clear: (pfn) => {
        flags[pfn] &= ~PG_LOCKED
      },
    })
    this.vmaSrcu = new Srcu(-2, preset.lockNs.value)
    this.anonVmas = new AnonVmaSlab(preset.lockNs.value, preset.wakeupNs.value)
    this.#without = without
    this.#complete = without.size === 0
  }

  /** True unless the protection was left out. */
  has(protection: ProtectionName): boolean {
    return this.#complete || !this.#without.has(protection)
  }

  /** Speculation is built in: areas have counts and the tree its seqlock. @kernel CONFIG_SPECULATIVE_PAGE_FAULT */
  get countsSequences(): boolean {
    return this.faultPath === 'speculative' || this.faultPath === 'speculative-2014'
  }

  /** A number that no other object of this kernel has; orders locks. */
  newId(): number {
    return this.#nextId++
  }

  /** The lock of the page table page that holds `slot`. @kernel pte_lockptr */
  pteLock(slot: Slot): Spinlock {
    const node = slot >>> 9
    let lock = this.#pteLocks[node]
    if (lock === undefined) {
      lock = new Spinlock(node, 'pte_lock', this.preset.lockNs.value)
      this.#pteLocks[node] = lock
    }
    return lock
  }

  /** The lock of the PMD table that holds `slot`. @kernel pmd_lockptr */
  pmdLock(slot: Slot): Spinlock {
    const node = slot >>> 9
    let lock = this.#pmdLocks[node]
    if (lock === undefined) {
      lock = new Spinlock(node, 'pmd_lock', this.preset.lockNs.value)
      this.#pmdLocks[node] = lock
    }
    return lock
  }

  /** Somebody holds the lock of the page table page that holds `slot`, be it a PTE or a PMD. */
  isTableLocked(slot: Slot): boolean {
    const node = slot >>> 9
    return (this.#pteLocks[node]?.holder ?? this.#pmdLocks[node]?.holder ?? null) !== null
  }

  /** Somebody holds the lock of some page table page. */
  get isAnyTableLocked(): boolean {
    return isAnyHeld(this.#pteLocks) || isAnyHeld(this.#pmdLocks)
  }
}

function isAnyHeld(locks: readonly (Spinlock | undefined)[]): boolean {
  for (let node = 0; node < locks.length; node++) if ((locks[node]?.holder ?? null) !== null) return true
  return false
}
