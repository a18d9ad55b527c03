/**
 * Moving a swap entry from one place to another of the same address space: what remap_anon_pages and UFFDIO_MOVE do with a
 * source PTE that is not present.
 *
 *  1. a migration entry: wait for it, EAGAIN. A marker: EFAULT.   2. a swap entry that others hold too: EBUSY. 2014 asks the
 *     slot's count; MOVE asks the entry's exclusive bit.
 *  3. the page in the swap cache, if there is one: reference, lock. Is it still the page of this slot? Else EAGAIN.
 *  4. both PTE locks; both PTEs unchanged (and the count still 1), else EAGAIN.
 *  5. there was a cached page: mapping and index := dst's, because whoever faults at dst will map it as it is. There was none,
 *     but there is one now: EAGAIN.   6. clear src, store dst. No flush: what is not present is not cached.
 *
 * 3 and 5 came to mainline in 2025; the code of 2014 has neither. Without the second look of 3 and 5, a slot that was freed
 * and used again in between (same number, other page) passes for the same.
 * Source: mm/userfaultfd.c, 6.8 and later; Andrea Arcangeli, remap_anon_pages, 2014.
 * @kernel move_swap_pte, remap_anon_pages_pte
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { PTE_NONE, type Pte } from '../hw/pte.ts'
import { lockBoth, unlockBoth } from '../sync/spinlock.ts'
import { ERRNO } from './errno.ts'
import type { Mm } from './mm.ts'
import { pageMoveAnonRmap } from './rmap.ts'
import { swapExclusive, swapKind, swapValue } from './swapops.ts'
import type { Vma } from './vma.ts'

export interface EntryMove {
  readonly mm: Mm
  readonly dstVma: Vma
  readonly dstPage: number
  readonly dstSlot: Slot
  readonly srcSlot: Slot
  /** What stood at src: neither none nor present. */
  readonly srcPte: Pte
  /** What says that nobody else has the entry. */
  readonly unshared: 'count' | 'exclusive-bit'
}

/** 0, or an errno; EAGAIN: look at src again. No PTE lock is held. */
export function* moveEntry(k: Thread, move: EntryMove): Proc<number> {
  const { mm, srcPte } = move
  const { pages, pageLocks, swap } = mm.kernel
  // 1.
  const kind = swapKind(srcPte)
  if (kind === 'marker') return ERRNO.EFAULT
  const slot = swapValue(srcPte)
  if (kind === 'migration') {
    yield* pageLocks.wait(k, slot)
    return ERRNO.EAGAIN
  }
  // 2.
  if (k.stepping) yield read(slot, 'swap.slot')
  if (!isUnshared(move, slot)) return ERRNO.EBUSY
  // 3.
  let cached: Pfn = -1
  if (mm.kernel.has('swap-move-cache')) {
    if (k.stepping) yield read(slot, 'swap.slot')
    cached = swap.cached(slot)
  }
  if (cached >= 0) {
    pages.get(cached)
    yield* pageLocks.lock(k, cached)
  }
  const current = cached < 0 || (swap.isCached(cached) && swap.slotOf(cached) === slot)
  const result = current || !mm.kernel.has('swap-move-recheck') ? yield* exchange(k, move, slot, cached) : ERRNO.EAGAIN
  if (cached >= 0) {
    pageLocks.unlock(k, cached)
    pages.put(cached)
  }
  return result
}

function isUnshared(move: EntryMove, slot: number): boolean {
  return move.unshared === 'count' ? move.mm.kernel.swap.count(slot) === 1 : swapExclusive(move.srcPte)
}

/** 4 to 6. */
function* exchange(k: Thread, move: EntryMove, slot: number, cached: Pfn): Proc<number> {
  const { mm, dstVma, dstPage, dstSlot, srcSlot, srcPte } = move
  const { kernel } = mm
  const { tables, swap } = kernel
  const srcLock = kernel.pteLock(srcSlot)
  const dstLock = kernel.pteLock(dstSlot)
  // 4.
  yield* lockBoth(k, srcLock, dstLock)
  if (k.stepping) yield read(srcSlot, 'pte')
  const same = tables.get(srcSlot) === srcPte && tables.get(dstSlot) === PTE_NONE && isUnshared(move, slot)
  // 5.
  const appeared = cached < 0 && swap.cached(slot) >= 0 && kernel.has('swap-move-cache') && kernel.has('swap-move-recheck')
  if (!same || appeared) {
    unlockBoth(k, srcLock, dstLock)
    return ERRNO.EAGAIN
  }
  if (cached >= 0) {
    if (k.stepping) yield write(cached, 'page.mapping')
    pageMoveAnonRmap(kernel, cached, dstVma, dstPage)
  }
  // 6.
  if (k.stepping) yield write(srcSlot, 'pte')
  tables.set(srcSlot, PTE_NONE)
  if (k.stepping) yield write(dstSlot, 'pte')
  tables.set(dstSlot, srcPte)
  unlockBoth(k, srcLock, dstLock)
  return 0
}
