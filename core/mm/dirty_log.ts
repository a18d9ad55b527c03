/**
 * The dirty log: which pages of a range were written since one last asked, found by write protection.
 *
 *  start: 1. the log is there: no huge page is made in the range from here on.   2. huge pages are split (KVM maps them small
 *  while it logs).   3. every writable PTE of the range loses W, flush; or, initially set: every page is marked, and stays
 *  writable until it is cleared. Memory of the hugetlb pool cannot be split: EINVAL.
 *  a store: faults (do_wp_page), which marks the page under its PTE lock before the PTE gets W. Whoever maps a page
 *  writable in the range marks it: first touch, copy on write, swap-in, UFFDIO_COPY, remap.
 *  get: which pages are marked, and nothing else; marks and W stay (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2).
 *  clear, each page that the caller names, if it is marked: under its PTE lock the mark goes and W goes.   Then one flush.   Only
 *  then the caller reads these pages: what it reads now includes every store that is not marked again.
 *
 * The mark and W change together under the PTE lock: a page that can be written is a page that is marked; or, where vCPUs have
 * rings, one that is in a ring (dirty_ring.ts). Unmapping is no
 * store and is not logged. One log an address space. Modelled after KVM's log by write protection, on the host's own PTEs.
 * Source: virt/kvm/kvm_main.c; arch/x86/kvm/mmu/mmu.c; Documentation/virt/kvm/api.rst, KVM_DIRTY_LOG_INITIALLY_SET.
 * @kernel kvm_mmu_slot_apply_flags, kvm_get_dirty_log_protect, kvm_clear_dirty_log_protect, mark_page_dirty
 */
import { Bitmap } from '../base/bitmap.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import { HUGE_PAGES, PTE_NONE, PTE_W, type Pte, ptePresent, pteWritable } from '../hw/pte.ts'
import type { DirtyRings } from './dirty_ring.ts'
import { ERRNO } from './errno.ts'
import { splitHugePmd } from './huge_split.ts'
import type { Mm } from './mm.ts'
import { makeMigrationEntry, migrationWritable, swapExclusive, swapKind, swapValue } from './swapops.ts'
import { flushTlbRange } from './tlb_flush.ts'

/** To write-protect one page in a walk over many: cloud-hypervisor's log of PR 7799 has 56 ms for the 1.38 M pages of 5.4 GiB. */
export const WRITE_PROTECT_NS = 40
/** To copy 64 bits of the log to user space. Ours: a cache line read and written for eight of them. */
const GET_WORD_NS = 1

export class DirtyLog {
  readonly #bits: Bitmap
  /** Pages ever marked that were not, and entries of rings. */
  marked = 0

  constructor(
    readonly start: number,
    readonly end: number,
    /** Of the vCPUs, where they have them. */
    readonly rings: DirtyRings | null = null,
  ) {
    this.#bits = new Bitmap(end - start)
  }

  covers(page: number): boolean {
    return page >= this.start && page < this.end
  }

  overlaps(start: number, end: number): boolean {
    return start < this.end && end > this.start
  }

  /** Under the PTE lock, before the PTE can be written through. Pages outside the range are nobody's business. @kernel mark_page_dirty_in_slot */
  mark(k: Thread, page: number): void {
    if (!this.covers(page)) return
    const ring = this.rings?.of(k.cpu.id)
    if (ring !== undefined) {
      ring.push(page)
      this.marked++
      return
    }
    touch(page, 'dirty_log', AccessMode.write)
    if (this.#bits.set(page - this.start)) this.marked++
  }

  isMarked(page: number): boolean {
    touch(page, 'dirty_log', AccessMode.read)
    return this.covers(page) && this.#bits.has(page - this.start)
  }

  clear(page: number): void {
    touch(page, 'dirty_log', AccessMode.write)
    this.#bits.clear(page - this.start)
  }

  markAll(): void {
    this.#bits.fill()
  }

  /** Clock gear: the first marked page at or after `page`, or -1. */
  nextMarked(page: number): number {
    const next = this.#bits.nextSet(page - this.start)
    return next < 0 ? -1 : this.start + next
  }
}

/** Page numbers. 0, EBUSY if there is a log already, or EINVAL. */
export function* dirtyLogStart(k: Thread, mm: Mm, start: number, end: number, initiallySet = false): Proc<number> {
  yield* mm.mmapLock.downWrite(k)
  if (mm.dirtyLog !== null) {
    mm.mmapLock.upWrite(k)
    return ERRNO.EBUSY
  }
  if (mm.tree.overlapping(start, end).some((vma) => vma.isHugetlb)) {
    mm.mmapLock.upWrite(k)
    return ERRNO.EINVAL
  }
  // 1.
  mm.dirtyLog = new DirtyLog(start, end, mm.dirtyRings)
  // 2.
  for (let page = start; page < end; page = (page | (HUGE_PAGES - 1)) + 1) yield* splitHugePmd(k, mm, page)
  // 3.
  if (initiallySet) mm.dirtyLog.markAll()
  else yield* protectAll(k, mm, start, end)
  mm.mmapLock.upWrite(k)
  return 0
}

/** Sets the bits of the pages of [start, end) that are marked, bit 0 for `start`; the marks stay. 0, or ENOENT if there is no log. */
export function* dirtyLogGet(k: Thread, mm: Mm, start: number, end: number, out: Bitmap): Proc<number> {
  yield* mm.mmapLock.downRead(k)
  const log = mm.dirtyLog
  if (log !== null) {
    const last = Math.min(end, log.end)
    k.cpu.nowNs += ((end - start) / 64) * GET_WORD_NS
    for (let page = Math.max(start, log.start); page < last; page++) {
      // Without the PTE lock: a page that is being marked now will be marked at the next look.
      if (k.stepping) {
        yield read(page, 'dirty_log')
        if (log.isMarked(page)) out.set(page - start)
        continue
      }
      page = log.nextMarked(page)
      if (page < 0 || page >= last) break
      out.set(page - start)
    }
  }
  mm.mmapLock.upRead(k)
  return log === null ? ERRNO.ENOENT : 0
}

/**
 * Takes the marks and W of the pages of [start, end) whose bit is set in `which` (bit 0 for page `origin`), and flushes. A mark
 * that the caller has not seen stays. 0 or ENOENT.
 */
export function* dirtyLogClear(k: Thread, mm: Mm, start: number, end: number, which: Bitmap, origin: number): Proc<number> {
  yield* mm.mmapLock.downRead(k)
  const log = mm.dirtyLog
  if (log === null) {
    mm.mmapLock.upRead(k)
    return ERRNO.ENOENT
  }
  let first = -1
  let last = -1
  for (let page = nextOf(which, start, origin); page >= 0 && page < end; page = nextOf(which, page + 1, origin)) {
    const slot = mm.table.walk(page)
    if (slot < 0) {
      // No table, nothing to protect; but a page may be marked and gone.
      log.clear(page)
      continue
    }
    const lock = mm.kernel.pteLock(slot)
    yield* lock.lock(k)
    if (k.stepping) yield write(slot, 'pte')
    if (log.isMarked(page)) {
      log.clear(page)
      if (writeProtect(k, mm, slot)) {
        if (first < 0) first = page
        last = page
      }
    }
    lock.unlock(k)
  }
  yield* flushProtected(k, mm, first, last)
  mm.mmapLock.upRead(k)
  return 0
}

function nextOf(which: Bitmap, page: number, origin: number): number {
  const next = which.nextSet(page - origin)
  return next < 0 ? -1 : origin + next
}

export function* dirtyLogStop(k: Thread, mm: Mm): Proc<void> {
  yield* mm.mmapLock.downWrite(k)
  mm.dirtyLog = null
  mm.mmapLock.upWrite(k)
}

/** Takes W from all pages, each under its PTE lock, and flushes. */
function* protectAll(k: Thread, mm: Mm, start: number, end: number): Proc<void> {
  let first = -1
  let last = -1
  for (let page = start; page < end; page++) {
    const slot = mm.table.walk(page)
    if (slot < 0) continue
    const lock = mm.kernel.pteLock(slot)
    yield* lock.lock(k)
    if (k.stepping) yield write(slot, 'pte')
    if (writeProtect(k, mm, slot)) {
      if (first < 0) first = page
      last = page
    }
    lock.unlock(k)
  }
  yield* flushProtected(k, mm, first, last)
}

/** Of the pages that lost W, the first and the last; -1: none did. */
export function* flushProtected(k: Thread, mm: Mm, first: number, last: number): Proc<void> {
  if (first >= 0 && mm.kernel.has('dirty-log-flush')) yield* flushTlbRange(k, mm, first, last + 1)
}

/** Takes W from a page, under its PTE lock; true if a TLB may hold more than the PTE says now. */
export function writeProtect(k: Thread, mm: Mm, slot: Slot): boolean {
  const { tables } = mm.kernel
  const pte: Pte = tables.get(slot)
  if (ptePresent(pte)) {
    if (!pteWritable(pte)) return false
    k.cpu.nowNs += WRITE_PROTECT_NS
    tables.set(slot, pte - PTE_W)
    return true
  }
  if (pte !== PTE_NONE && swapKind(pte) === 'migration' && migrationWritable(pte))
    tables.set(slot, makeMigrationEntry(swapValue(pte), false, swapExclusive(pte)))
  return false
}
