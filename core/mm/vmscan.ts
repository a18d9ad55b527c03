/**
 * Reclaim: when frames run short, pages that nobody used lately go to swap.
 *
 * One hand goes round over all frames. A page gets its second chance through the accessed bits of its mappings:
 *
 *     inactive --used since--> active --not used since--> inactive --not used since--> out
 *
 *  active page: page_referenced without the page lock, as shrink_active_list does (the caller of the rmap rechecks).
 *  inactive page (shrink_folio_list):
 *   1. try its lock, else leave it.   2. page_referenced: used -> active; in a locked area -> stays.
 *   A huge page is split here.   3. not in the swap cache: give it a slot, or leave it where swap is full.   4. try_to_unmap.
 *   5. dirty: write it out, under its lock.   6. nobody but the cache and this scan has a reference -> out of the cache and
 *   free; else somebody faulted on it meanwhile and has it.
 *
 * The hand stands in for the kernel's two lists: fresh pages cost nothing to enter. Writing is synchronous, with the page
 * locked (the kernel unlocks it under PG_writeback). Whoever allocates reclaims (direct reclaim); there is no kswapd.
 *
 * Source: mm/vmscan.c.
 * @kernel try_to_free_pages, shrink_active_list, shrink_folio_list, pageout, __remove_mapping
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { splitHugePage } from './huge_split.ts'
import type { Kernel } from './kernel.ts'
import { PG_ACTIVE, PG_DIRTY, PG_LOCKED } from './page.ts'
import { pageReferenced } from './rmap_walk.ts'
import { SWAP_IO_NS } from './swap.ts'
import { tryToUnmap } from './try_to_unmap.ts'

/** Pages that one allocation frees at least, if it can. @kernel SWAP_CLUSTER_MAX */
export const SWAP_CLUSTER_MAX = 32
/** Rounds of the hand after which there is nothing to be had: activate, deactivate, and out take one each. */
const MAX_ROUNDS = 4

export class ReclaimState {
  hand: Pfn = ZERO_PFN
  scanned = 0
  activated = 0
  deactivated = 0
  reclaimed = 0
}

/** A frame after reclaim, or -1 if nothing can be freed. Sleeps; not with a spinlock held. @kernel __alloc_pages_direct_reclaim */
export function* allocateUnderPressure(k: Thread, kernel: Kernel): Proc<Pfn> {
  if (kernel.swap.slots === 0) return -1
  for (;;) {
    const freed = yield* shrink(k, kernel, SWAP_CLUSTER_MAX)
    if (k.stepping) yield write(k.cpu.id, 'pages.pcp')
    const pfn = kernel.pages.allocate(k.cpu.id)
    if (pfn >= 0 || freed === 0) return pfn
  }
}

/** Frees up to `wanted` frames; returns how many. @kernel shrink_lruvec */
export function* shrink(k: Thread, kernel: Kernel, wanted: number): Proc<number> {
  const { pages, reclaim } = kernel
  let freed = 0
  for (let left = pages.highest * MAX_ROUNDS; left > 0 && freed < wanted; left--) {
    reclaim.hand = reclaim.hand + 1 < pages.highest ? reclaim.hand + 1 : ZERO_PFN + 1
    const pfn = reclaim.hand
    if (!isCandidate(kernel, pfn)) continue
    reclaim.scanned++
    // Isolated: nobody frees it under the scan.
    pages.get(pfn)
    if ((pages.flags[pfn] & PG_ACTIVE) !== 0) yield* ageActive(k, kernel, pfn)
    else if (yield* shrinkPage(k, kernel, pfn)) freed++
    pages.put(pfn)
  }
  reclaim.reclaimed += freed
  return freed
}

/** Anonymous, in use, not merged; mapped, or left behind in the swap cache. Locked pages are busy. */
function isCandidate(kernel: Kernel, pfn: Pfn): boolean {
  const { pages, swap } = kernel
  if (pages.references(pfn) === 0 || (pages.flags[pfn] & PG_LOCKED) !== 0 || pages.isHugetlb(pfn)) return false
  return (pages.isMapped(pfn) && pages.isAnon(pfn)) || swap.isCached(pfn)
}

/** @kernel shrink_active_list */
function* ageActive(k: Thread, kernel: Kernel, pfn: Pfn): Proc<void> {
  const { referenced } = yield* pageReferenced(k, kernel, pfn, false)
  if (referenced > 0) return
  kernel.pages.flags[pfn] &= ~PG_ACTIVE
  kernel.reclaim.deactivated++
}

/** True if the page left memory; the scan's own reference is the last one then. @kernel shrink_folio_list */
export function* shrinkPage(k: Thread, kernel: Kernel, pfn: Pfn): Proc<boolean> {
  const { pages, pageLocks } = kernel
  // 1.
  if (k.stepping) yield write(pfn, 'page.lock')
  if (!pageLocks.tryLock(k, pfn)) return false
  const out = yield* pushOut(k, kernel, pfn)
  // Where it stays, a slot that no entry names would be held for nothing, or while others need one.
  if (!out && (!pages.isMapped(pfn) || kernel.swap.isFull)) kernel.swap.freeIfUnused(pfn)
  pageLocks.unlock(k, pfn)
  return out
}

function* pushOut(k: Thread, kernel: Kernel, pfn: Pfn): Proc<boolean> {
  const { pages, swap } = kernel
  // 2.
  const { referenced, vmLocked } = yield* pageReferenced(k, kernel, pfn, true)
  if (vmLocked) return false
  if (referenced > 0) {
    pages.flags[pfn] |= PG_ACTIVE
    kernel.reclaim.activated++
    return false
  }
  // Only small pages go to swap. The reference of the scan and the page lock stay with the first of the 512.
  if (pages.isHuge(pfn) && !(yield* splitHugePage(k, kernel, pfn))) return false
  // 3. It may have been unmapped or merged before the lock was ours.
  if (!swap.isCached(pfn)) {
    if (!pages.isMapped(pfn) || pages.isKsm(pfn)) return false
    if (k.stepping) yield write(pfn, 'swap.slot')
    if (!swap.addToSwap(pfn)) return false
  }
  // 4.
  if (pages.isMapped(pfn) && !(yield* tryToUnmap(k, kernel, pfn))) return false
  // 5.
  if ((pages.flags[pfn] & PG_DIRTY) !== 0) {
    if (k.stepping) yield read(pfn, 'page.content')
    swap.write(pfn)
    k.cpu.nowNs += SWAP_IO_NS
  }
  // 6.
  if (k.stepping) yield write(pfn, 'page.refcount')
  if (pages.references(pfn) !== 2 || (pages.flags[pfn] & PG_DIRTY) !== 0) return false
  swap.deleteFromCache(pfn)
  return true
}
