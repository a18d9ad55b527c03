/**
 * do_swap_page: a fault on a PTE that is neither none nor present.
 *
 *  1. a migration entry: wait until the page is unlocked, then let hardware try again. A poisoned marker: SIGBUS.
 *  2. look in the swap cache; not there: allocate, enter the cache locked, read. Where two readers meet, the cache has one.
 *  3. lock the page (who unmaps it holds that lock).
 *  4. still the page of this very slot? Else look again: reclaim may have finished with it.
 *  5. PTE lock; the PTE must be unchanged, else somebody was faster.
 *  6. drop the entry's count; for a store, or where slots run short, try to take the page out of the cache.
 *  7. exclusive (the entry says so, or nobody else has a reference): writable if the area is. Else read-only, and the store
 *     faults again into do_wp_page.
 *  8. rmap: mapping and index are set only for a page that has none (read in afresh).   9. store the PTE; unlock both.
 *
 * Pairs with vmscan.ts and try_to_unmap.ts. @kernel do_swap_page, migration_entry_wait
 * Source: mm/memory.c.
 */
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { makePte, PTE_D, PTE_UFFD_WP, PTE_W } from '../hw/pte.ts'
import { pageAddAnonRmap } from './rmap.ts'
import { SWAP_IO_NS } from './swap.ts'
import { swapExclusive, swapKind, swapValue } from './swapops.ts'
import { type Attempt, pteMapLock, type Vmf } from './vm_fault.ts'
import { allocateUnderPressure } from './vmscan.ts'

/** The caller has seen that the PTE is a swap or a migration entry; markers are not its business. */
export function* doSwapPage(k: Thread, vmf: Vmf): Proc<Attempt> {
  const { vma, page, store, slot: at, pte } = vmf
  const { kernel } = vmf.mm
  const { tables, pages, pageLocks, swap } = kernel
  // 1. Both may sleep on the page lock, which a speculation must not.
  if (vmf.guard?.speculative === true) return 'changed'
  if (swapKind(pte) === 'migration') return yield* migrationEntryWait(k, vmf)
  const slot = swapValue(pte)
  // 2. and 3.
  const pfn = yield* lockedFromCache(k, vmf, slot)
  if (pfn === -1) return 'oom'
  if (pfn === -2) return 'done'
  // 4.
  if (!swap.isCached(pfn) || swap.slotOf(pfn) !== slot) return drop(k, vmf, pfn, 'done')
  // 5.
  if (!(yield* pteMapLock(k, vmf))) return drop(k, vmf, pfn, 'changed')
  if (k.stepping) yield read(at, 'pte')
  if (tables.get(at) !== pte && kernel.has('swapin-pte-recheck')) {
    kernel.pteLock(at).unlock(k)
    return drop(k, vmf, pfn, 'done')
  }
  // 6.
  if (k.stepping) yield write(slot, 'swap.slot')
  swap.free(slot)
  if (swap.isFull || (store && pages.references(pfn) === 2)) swap.freeIfUnused(pfn)
  // 7.
  const exclusive = swapExclusive(pte) || pages.references(pfn) === 1
  const wp = (pte & PTE_UFFD_WP) !== 0
  let flags = vmf.prot & ~PTE_W
  if (wp) flags |= PTE_UFFD_WP
  const logged = vmf.mm.dirtyLog?.covers(page) === true && !store
  if (exclusive && !wp && !logged && (vmf.prot & PTE_W) !== 0) {
    flags |= PTE_W
    if (store) {
      flags |= PTE_D
      vmf.mm.dirtyLog?.mark(k, page)
    }
  }
  // 8.
  pageAddAnonRmap(kernel, pfn, vma, page, exclusive)
  vmf.mm.rss++
  vmf.mm.swapEntries--
  // 9. The reference taken in 2 is the mapping's from here on.
  if (k.stepping) yield write(at, 'pte')
  tables.set(at, makePte(pfn, flags))
  kernel.pteLock(at).unlock(k)
  pageLocks.unlock(k, pfn)
  return 'done'
}

/** The slot's page with its lock and a reference; -1: no memory; -2: look at the PTE again. */
function* lockedFromCache(k: Thread, vmf: Vmf, slot: number): Proc<Pfn> {
  const { kernel } = vmf.mm
  const { pages, pageLocks, swap } = kernel
  if (k.stepping) yield read(slot, 'swap.slot')
  const cached = swap.cached(slot)
  if (cached >= 0) {
    pages.get(cached)
    yield* pageLocks.lock(k, cached)
    return cached
  }
  let pfn = pages.allocate(k.cpu.id)
  if (pfn < 0) pfn = yield* allocateUnderPressure(k, kernel)
  if (pfn < 0) return -1
  if (k.stepping) yield write(slot, 'swap.slot')
  if (swap.cached(slot) >= 0 || swap.count(slot) === 0) {
    pages.put(pfn)
    return -2
  }
  pageLocks.tryLock(k, pfn)
  swap.addForRead(pfn, slot)
  k.cpu.nowNs += k.cpu.preset.allocPageNs.value + SWAP_IO_NS
  if (k.stepping) yield write(pfn, 'page.content')
  swap.read(pfn)
  return pfn
}

/** Gives back what 2 and 3 took; a slot that nobody needs any more goes too. */
function drop(k: Thread, vmf: Vmf, pfn: Pfn, attempt: Attempt): Attempt {
  const { pages, pageLocks, swap } = vmf.mm.kernel
  if (!pages.isMapped(pfn)) swap.freeIfUnused(pfn)
  pageLocks.unlock(k, pfn)
  pages.put(pfn)
  return attempt
}

/** @kernel migration_entry_wait */
function* migrationEntryWait(k: Thread, vmf: Vmf): Proc<Attempt> {
  const { kernel } = vmf.mm
  if (!(yield* pteMapLock(k, vmf))) return 'changed'
  const same = kernel.tables.get(vmf.slot) === vmf.pte
  // The entry names the frame for as long as the PTE lock is held; the wait needs no reference, only its number.
  kernel.pteLock(vmf.slot).unlock(k)
  if (same) yield* kernel.pageLocks.wait(k, swapValue(vmf.pte))
  return 'done'
}
