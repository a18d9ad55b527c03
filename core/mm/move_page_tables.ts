/**
 * The parts of mremap that move: an area to a new place, and the entries of its page tables.
 *
 * Between two tables an entry exists nowhere for a moment, under both locks: who faults waits for them. TLBs are flushed
 * before the locks are dropped, because after that another thread may unmap the new place and free the page while a stale
 * entry for the old place still reaches it.
 *
 * Source: mm/mremap.c.
 * @kernel copy_vma, move_page_tables, move_ptes, take_rmap_locks
 */
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { PTE_NONE, PTE_UFFD_WP, type Pte, ptePresent } from '../hw/pte.ts'
import { lockBoth, unlockBoth } from '../sync/spinlock.ts'
import { anonVmaClone } from './anon_vma.ts'
import { walkSplit } from './huge_split.ts'
import type { Mm } from './mm.ts'
import { mergeAround } from './mmap.ts'
import { swapKind, swapValue } from './swapops.ts'
import { flushTlbRange } from './tlb_flush.ts'
import { UFFD_FEATURE } from './uffd_abi.ts'
import { vmStatAccount } from './vm_stat.ts'
import { Vma } from './vma.ts'
import { shareBacking } from './vma_lifetime.ts'
import { vmaWriteBegin } from './vma_sequence.ts'

export interface CopiedVma {
  readonly moved: Vma
  /** The new place may come before the old one in a walk of the reverse map. @kernel need_rmap_locks */
  readonly rmapLocks: boolean
}

/** An area [to, to + pages) for what is at `from` in `vma`; merged with a neighbour where possible. @kernel copy_vma */
export function* copyVma(k: Thread, mm: Mm, vma: Vma, from: number, to: number, pages: number): Proc<CopiedVma> {
  const copy = new Vma(mm.kernel.newId(), to, to + pages, vma.flags, vma.ops)
  // Never had a page: an index base of the new place makes merges likelier.
  copy.pgoff = vma.isAnonymous && vma.anonVma === null ? to : vma.indexOf(from)
  copy.uffd = vma.uffd
  shareBacking(copy, vma)
  copy.anonVma = vma.anonVma
  yield* anonVmaClone(k, copy, vma)
  // Linked odd, and odd it stays, also in what it merges into.
  if (mm.kernel.has('mremap-seq')) yield* vmaWriteBegin(k, mm, copy, 'v12', 1)
  yield* mm.tree.link(k, copy)
  vmStatAccount(mm, copy.flags, pages)
  const moved = yield* mergeAround(k, mm, copy)
  return { moved, rmapLocks: moved !== copy && moved.pgoff <= vma.pgoff }
}

/** Moves the entries of `pages` pages. The caller holds mmap_lock for writing. @kernel move_page_tables */
export function* movePageTables(
  k: Thread,
  mm: Mm,
  oldVma: Vma,
  from: number,
  newVma: Vma,
  to: number,
  pages: number,
  rmapLocks: boolean,
): Proc<void> {
  const root = rmapLocks ? (oldVma.anonVma?.root ?? null) : null
  const clearsWp = newVma.uffd !== null && !newVma.uffd.wants(UFFD_FEATURE.EVENT_REMAP)
  for (let done = 0; done < pages; ) {
    // Up to the end of either table.
    const extent = Math.min(pages - done, 512 - ((from + done) & 511), 512 - ((to + done) & 511))
    // 2 MiB at once are split; the kernel can move them whole.
    if ((yield* walkSplit(k, mm, from + done)) >= 0) {
      if (root !== null) yield* root.rwsem.downWrite(k)
      yield* movePtes(k, mm, from + done, to + done, extent, clearsWp)
      if (root !== null) root.rwsem.upWrite(k)
    }
    done += extent
  }
}

/** @kernel move_ptes */
function* movePtes(k: Thread, mm: Mm, from: number, to: number, count: number, clearsWp: boolean): Proc<void> {
  const { kernel } = mm
  const { tables } = kernel
  const oldSlot = mm.table.walk(from)
  const newSlot = mm.table.walkAllocate(to)
  const oldLock = kernel.pteLock(oldSlot)
  const newLock = kernel.pteLock(newSlot)
  yield* lockBoth(k, oldLock, newLock)
  let flushes = false
  for (let i = 0; i < count; i++) {
    if (tables.get(oldSlot + i) === PTE_NONE) continue
    if (k.stepping) yield write(oldSlot + i, 'pte')
    const pte = tables.get(oldSlot + i)
    tables.set(oldSlot + i, PTE_NONE)
    if (ptePresent(pte)) flushes = true
    if (k.stepping) yield write(newSlot + i, 'pte')
    tables.set(newSlot + i, clearsWp ? withoutWp(pte) : pte)
  }
  const early = kernel.has('mremap-flush-before-unlock')
  if (flushes && early) yield* flushTlbRange(k, mm, from, from + count)
  unlockBoth(k, oldLock, newLock)
  if (flushes && !early) yield* flushTlbRange(k, mm, from, from + count)
}

/** The moved area loses its registration, and with it what only a registration means. */
function withoutWp(pte: Pte): Pte {
  if (!ptePresent(pte) && swapKind(pte) === 'marker') return (swapValue(pte) & 1) !== 0 ? PTE_NONE : pte
  return (pte & PTE_UFFD_WP) !== 0 ? pte - PTE_UFFD_WP : pte
}
