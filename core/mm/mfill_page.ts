/**
 * One page of mfill_atomic: make it, and install its PTE.
 *
 *   private area   COPY: a fresh anonymous page.   ZEROPAGE: the shared zero page.
 *   shared shmem   COPY, ZEROPAGE: a fresh page, first into the cache (EEXIST), then into the table; taken out again if that
 *                  fails.   CONTINUE: the page that the cache holds, else EFAULT.
 *   any            POISON: a marker.
 *
 * The caller (mfill_atomic.ts) holds mmap_lock and map_changing_lock for reading.
 * Source: mm/userfaultfd.c, 4.3 and later.
 * @kernel mfill_atomic_pte, mfill_atomic_pte_copy, mfill_atomic_pte_zeropage, mfill_atomic_pte_continue,
 * mfill_atomic_pte_poison, shmem_mfill_atomic_pte
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { type Pfn, ZERO_PFN } from '../hw/phys_mem.ts'
import { makePte, PTE_D, PTE_NONE, PTE_SPECIAL, PTE_UFFD_WP, PTE_W, type Pte, ptePresent } from '../hw/pte.ts'
import { ERRNO } from './errno.ts'
import { type Mm, WINDOW_BASE } from './mm.ts'
import { handlePageFault } from './page_fault.ts'
import { pteAlloc, setPteAt } from './pgtable.ts'
import { pageAddNewAnonRmap } from './rmap.ts'
import { addToPageCache, inodeOf, pageAddFileRmap, removeFromPageCache } from './shmem.ts'
import { MARKER_POISON, makeMarker, swapKind } from './swapops.ts'
import { FAULT_KERNEL } from './vm_fault.ts'
import { VM_SHARED, type Vma } from './vma.ts'
import { allocateUnderPressure } from './vmscan.ts'

/** One call on its way over its range. */
export interface MfillState {
  readonly what: 'copy' | 'zeropage' | 'continue' | 'poison'
  /** First page of the range, and how many. */
  readonly start: number
  readonly pages: number
  /** Protect what is placed. @kernel MFILL_ATOMIC_WP */
  readonly wp: boolean
  /** Whose memory COPY reads, and from which byte address. */
  readonly caller: Mm
  readonly src: number
  /** Pages done. */
  done: number
  /** A page that was filled without locks and waits to be installed, or -1. */
  kept: Pfn
}

/** The source page is not there: it must be read without locks. Not an errno that a user sees. */
export const NEEDS_SOURCE = 1

export function* fillPage(k: Thread, mm: Mm, vma: Vma, state: MfillState): Proc<number> {
  const page = state.start + state.done
  const shared = (vma.flags & VM_SHARED) !== 0
  switch (state.what) {
    case 'poison':
      return yield* install(k, mm, page, makeMarker(MARKER_POISON), false)
    case 'continue':
      return yield* mapFromCache(k, mm, vma, state, page)
    case 'zeropage':
      if (!shared) return yield* install(k, mm, page, makePte(ZERO_PFN, (vma.pageProt & ~PTE_W) | PTE_SPECIAL), false)
      return yield* fillCache(k, mm, vma, state, page)
    case 'copy':
      return shared ? yield* fillCache(k, mm, vma, state, page) : yield* fillAnonymous(k, mm, vma, state, page)
  }
}

function* fillAnonymous(k: Thread, mm: Mm, vma: Vma, state: MfillState, page: number): Proc<number> {
  const { kernel } = mm
  const { phys, pages } = kernel
  const pfn = yield* makePage(k, mm, state)
  if (pfn < 0) return state.kept >= 0 ? NEEDS_SOURCE : ERRNO.ENOMEM
  const pte = makePte(pfn, protOf(vma, state))
  const whole = kernel.has('mfill-copy-before-map')
  const content = [phys.words[pfn * 2], phys.words[pfn * 2 + 1]]
  if (!whole) phys.clear(pfn)
  const error = yield* install(k, mm, page, pte, true, () => {
    vma.use('mfill_atomic_install_pte')
    pageAddNewAnonRmap(kernel, pfn, vma, page)
  })
  if (error !== 0) pages.put(pfn)
  // A copy into memory that can be read already: word by word, as memcpy does it.
  for (let i = 0; i < content.length && error === 0 && !whole; i++) {
    if (k.stepping) yield write(pfn, 'page.content')
    phys.words[pfn * 2 + i] = content[i]
  }
  return error
}

function* fillCache(k: Thread, mm: Mm, vma: Vma, state: MfillState, page: number): Proc<number> {
  const { kernel } = mm
  const pfn = yield* makePage(k, mm, state)
  if (pfn < 0) return state.kept >= 0 ? NEEDS_SOURCE : ERRNO.ENOMEM
  const inode = inodeOf(vma)
  const index = vma.indexOf(page)
  if (k.stepping) yield write(inode.id, 'inode.cache')
  const beyond = index >= inode.pages
  if (beyond || !addToPageCache(kernel, inode, index, pfn)) {
    kernel.pages.put(pfn)
    return beyond ? ERRNO.EFAULT : ERRNO.EEXIST
  }
  const error = yield* install(k, mm, page, makePte(pfn, protOf(vma, state)), true, () => pageAddFileRmap(kernel, pfn))
  if (error !== 0) removeFromPageCache(kernel, inode, index)
  return error
}

function* mapFromCache(k: Thread, mm: Mm, vma: Vma, state: MfillState, page: number): Proc<number> {
  const { kernel } = mm
  const inode = inodeOf(vma)
  if (k.stepping) yield read(inode.id, 'inode.cache')
  const pfn = inode.cache.get(vma.indexOf(page))
  if (pfn === undefined) return ERRNO.EFAULT
  kernel.pages.get(pfn)
  // A private mapping of a cached page must copy at the first store.
  const prot = (vma.flags & VM_SHARED) !== 0 ? protOf(vma, state) : protOf(vma, state) & ~PTE_W
  const error = yield* install(k, mm, page, makePte(pfn, prot), true, () => pageAddFileRmap(kernel, pfn))
  kernel.pages.put(pfn)
  return error
}

function protOf(vma: Vma, state: MfillState): number {
  const prot = vma.pageProt | PTE_D
  return state.wp ? (prot | PTE_UFFD_WP) & ~PTE_W : prot
}

/** A page with its content, or -1: no memory, or (a page in `state.kept`) the source must be faulted in. */
function* makePage(k: Thread, mm: Mm, state: MfillState): Proc<Pfn> {
  const { pages, phys } = mm.kernel
  const { preset } = k.cpu
  if (state.kept >= 0) {
    const filled = state.kept
    state.kept = -1
    return filled
  }
  let pfn = pages.allocate(k.cpu.id)
  if (pfn < 0) pfn = yield* allocateUnderPressure(k, mm.kernel)
  if (pfn < 0) return -1
  k.cpu.nowNs += preset.allocPageNs.value
  if (state.what === 'zeropage') {
    phys.clear(pfn)
    k.cpu.nowNs += preset.clearPageNs.value
    return pfn
  }
  // With page faults disabled: what the TLB or the table answers now, or nothing.
  if (k.stepping) yield read(Math.floor((state.src - WINDOW_BASE) / 4096) + state.done, 'tlb')
  if (copyFromUser(k, mm, state, pfn)) return pfn
  state.kept = pfn
  if (mm.kernel.has('mfill-nofault') || (yield* copyUnlocked(k, state)) !== 0) return -1
  state.kept = -1
  return pfn
}

/** Copies what can be reached without a fault; false if something cannot. @kernel copy_from_user, pagefault_disable */
function copyFromUser(k: Thread, mm: Mm, state: MfillState, pfn: Pfn): boolean {
  const { phys } = mm.kernel
  const first = frameAt(k, state.caller, state.src + state.done * 4096)
  const last = frameAt(k, state.caller, state.src + state.done * 4096 + 4095)
  if (first < 0 || last < 0) return false
  const from = offsetOf(state.src)
  k.cpu.nowNs += k.cpu.preset.copyPageNs.value
  if (from === 0) phys.copy(pfn, first)
  else {
    touch(first, 'page.content', AccessMode.read)
    touch(last, 'page.content', AccessMode.read)
    touch(pfn, 'page.content', AccessMode.write)
    // A page's content is its two halves: an unaligned source takes one half of each of two pages, or one half twice.
    phys.words[pfn * 2] = phys.words[first * 2 + halfOf(from)]
    phys.words[pfn * 2 + 1] = phys.words[last * 2 + halfOf((from + 4095) % 4096)]
    phys.version[pfn] = phys.version[first]
  }
  return true
}

function offsetOf(address: number): number {
  return (address - WINDOW_BASE) % 4096
}

function halfOf(offset: number): 0 | 1 {
  return offset < 2048 ? 0 : 1
}

function frameAt(k: Thread, mm: Mm, address: number): Pfn {
  const page = Math.floor((address - WINDOW_BASE) / 4096)
  if (page < 0 || page >= mm.windowPages) return -1
  if (k.stepping) k.cpu.mmu.touchEntry(page)
  return k.cpu.mmu.translate(page, false)
}

/** e. of mfill_atomic: fills `state.kept` with page faults on and no lock held. 0 or EFAULT. */
export function* copyUnlocked(k: Thread, state: MfillState): Proc<number> {
  const { caller } = state
  const first = Math.floor((state.src - WINDOW_BASE) / 4096) + state.done
  const last = offsetOf(state.src) === 0 ? first : first + 1
  for (;;) {
    if (k.stepping) yield read(first, 'tlb')
    if (copyFromUser(k, caller, state, state.kept)) return 0
    if (first < 0 || last >= caller.windowPages) return ERRNO.EFAULT
    for (let page = first; page <= last; page++) {
      if (k.stepping) k.cpu.mmu.touchEntry(page)
      if (k.cpu.mmu.translate(page, false) >= 0) continue
      const offset = page === first ? offsetOf(state.src) : 0
      if ((yield* handlePageFault(k, caller, page, false, FAULT_KERNEL, offset)) !== 'ok') return ERRNO.EFAULT
    }
  }
}

/**
 * Stores the PTE if nothing is there: 0 or EEXIST. `account` adds the mapping, under the lock.
 * @kernel mfill_atomic_install_pte
 */
function* install(k: Thread, mm: Mm, page: number, pte: Pte, overMarkers: boolean, account?: () => void): Proc<number> {
  const { tables } = mm.kernel
  let slot = mm.table.walk(page)
  if (slot < 0) slot = yield* pteAlloc(k, mm, page)
  // 2 MiB are mapped there at once.
  if (slot < 0) return ERRNO.EEXIST
  const lock = mm.kernel.pteLock(slot)
  yield* lock.lock(k)
  if (k.stepping) yield read(slot, 'pte')
  const now = tables.get(slot)
  const free = now === PTE_NONE || (overMarkers && !ptePresent(now) && swapKind(now) === 'marker')
  if (!free && mm.kernel.has('place-exclusive')) {
    lock.unlock(k)
    return ERRNO.EEXIST
  }
  if (k.stepping) yield write(slot, 'pte')
  account?.()
  mm.dirtyLog?.mark(k, page)
  if (account !== undefined) mm.rss++
  setPteAt(k, mm.kernel, slot, pte)
  lock.unlock(k)
  return 0
}
