/**
 * The dirty log: which pages of a range were written since one last asked, found by write protection.
 *
 *  start: 1. the log is there: no huge page is made in the range from here on.   2. huge pages are split (KVM maps them small
 *  while it logs), every writable PTE of the range loses W.   3. flush. Memory of the hugetlb pool cannot be split: EINVAL.
 *  a store: faults (do_wp_page), which marks the page under its PTE lock before the PTE gets W. Whoever maps a page
 *  writable in the range marks it: first touch, copy on write, swap-in, UFFDIO_COPY, remap.
 *  sync and clear, each marked page: under its PTE lock the bit goes and W goes.   Then one flush.   Only then the caller
 *  learns which pages: what it reads of them now includes every store that is not marked again.
 *  get: which pages are marked, and nothing else; the marks and W go later, range by range, with clear, which must come
 *  before the caller reads those pages (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2).
 *
 * The bit and W change together under the PTE lock: a page that can be written is a page that is marked. Unmapping is no
 * store and is not logged. One log an address space. Modelled after KVM's log by write protection, on the host's own PTEs.
 * Source: virt/kvm/kvm_main.c; arch/x86/kvm/mmu/mmu.c.
 * @kernel kvm_mmu_slot_apply_flags, kvm_get_dirty_log_protect, kvm_clear_dirty_log_protect, mark_page_dirty
 */
import { Bitmap } from '../base/bitmap.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import { HUGE_PAGES, PTE_NONE, PTE_W, type Pte, ptePresent, pteWritable } from '../hw/pte.ts'
import { ERRNO } from './errno.ts'
import { splitHugePmd } from './huge_split.ts'
import type { Mm } from './mm.ts'
import { makeMigrationEntry, migrationWritable, swapExclusive, swapKind, swapValue } from './swapops.ts'
import { flushTlbRange } from './tlb_flush.ts'

export class DirtyLog {
  readonly #bits: Bitmap

  constructor(
    readonly start: number,
    readonly end: number,
  ) {
    this.#bits = new Bitmap(end - start)
  }

  covers(page: number): boolean {
    return page >= this.start && page < this.end
  }

  overlaps(start: number, end: number): boolean {
    return start < this.end && end > this.start
  }

  /** Under the PTE lock, before the PTE can be written through. Pages outside the range are nobody's business. */
  mark(page: number): void {
    if (!this.covers(page)) return
    touch(page, 'dirty_log', AccessMode.write)
    this.#bits.set(page - this.start)
  }

  isMarked(page: number): boolean {
    touch(page, 'dirty_log', AccessMode.read)
    return this.covers(page) && this.#bits.has(page - this.start)
  }

  clear(page: number): void {
    touch(page, 'dirty_log', AccessMode.write)
    this.#bits.clear(page - this.start)
  }
}

/** Page numbers. 0, EBUSY if there is a log already, or EINVAL. */
export function* dirtyLogStart(k: Thread, mm: Mm, start: number, end: number): Proc<number> {
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
  mm.dirtyLog = new DirtyLog(start, end)
  // 2. and 3.
  for (let page = start; page < end; page = (page | (HUGE_PAGES - 1)) + 1) yield* splitHugePmd(k, mm, page)
  yield* protect(k, mm, start, end, () => true)
  mm.mmapLock.upWrite(k)
  return 0
}

/** The pages of [start, end) that were written since the last time, their bits cleared; ENOENT if there is no log. */
export function* dirtyLogSync(k: Thread, mm: Mm, start: number, end: number): Proc<number[] | number> {
  yield* mm.mmapLock.downRead(k)
  const log = mm.dirtyLog
  if (log === null) {
    mm.mmapLock.upRead(k)
    return ERRNO.ENOENT
  }
  const dirty: number[] = []
  yield* protect(k, mm, Math.max(start, log.start), Math.min(end, log.end), (page) => {
    if (!log.isMarked(page)) return false
    log.clear(page)
    dirty.push(page)
    return true
  })
  mm.mmapLock.upRead(k)
  return dirty
}

/** The pages of [start, end) that are marked, which they stay; ENOENT if there is no log. */
export function* dirtyLogGet(k: Thread, mm: Mm, start: number, end: number): Proc<number[] | number> {
  yield* mm.mmapLock.downRead(k)
  const log = mm.dirtyLog
  const dirty: number[] = []
  if (log !== null) {
    for (let page = Math.max(start, log.start); page < Math.min(end, log.end); page++) {
      // Without the PTE lock: a page that is being marked now will be marked at the next look.
      if (k.stepping) yield read(page, 'dirty_log')
      if (log.isMarked(page)) dirty.push(page)
    }
  }
  mm.mmapLock.upRead(k)
  return log === null ? ERRNO.ENOENT : dirty
}

/** Takes the marks of [start, end) and W of the marked pages, and flushes; 0 or ENOENT. */
export function* dirtyLogClear(k: Thread, mm: Mm, start: number, end: number): Proc<number> {
  const cleared = yield* dirtyLogSync(k, mm, start, end)
  return typeof cleared === 'number' ? cleared : 0
}

export function* dirtyLogStop(k: Thread, mm: Mm): Proc<void> {
  yield* mm.mmapLock.downWrite(k)
  mm.dirtyLog = null
  mm.mmapLock.upWrite(k)
}

/** Takes W from the pages chosen, each asked for under its PTE lock, and flushes. */
function* protect(k: Thread, mm: Mm, start: number, end: number, choose: (page: number) => boolean): Proc<void> {
  const { kernel } = mm
  let first = -1
  let last = -1
  for (let page = start; page < end; page++) {
    const slot = mm.table.walk(page)
    if (slot < 0) {
      // No table, nothing to protect; but a page may be marked and gone.
      choose(page)
      continue
    }
    const lock = kernel.pteLock(slot)
    yield* lock.lock(k)
    if (k.stepping) yield write(slot, 'pte')
    if (choose(page) && writeProtect(mm, slot)) {
      if (first < 0) first = page
      last = page
    }
    lock.unlock(k)
  }
  if (first >= 0 && kernel.has('dirty-log-flush')) yield* flushTlbRange(k, mm, first, last + 1)
}

/** True if a TLB may hold more than the PTE says now. */
function writeProtect(mm: Mm, slot: Slot): boolean {
  const { tables } = mm.kernel
  const pte: Pte = tables.get(slot)
  if (ptePresent(pte)) {
    if (!pteWritable(pte)) return false
    tables.set(slot, pte - PTE_W)
    return true
  }
  if (pte !== PTE_NONE && swapKind(pte) === 'migration' && migrationWritable(pte))
    tables.set(slot, makeMigrationEntry(swapValue(pte), false, swapExclusive(pte)))
  return false
}
