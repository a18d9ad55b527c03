/**
 * PAGEMAP_SCAN, asked for two things.
 *
 * Which pages hold something (PAGE_IS_PRESENT or PAGE_IS_SWAPPED, without PAGE_IS_PFNZERO): a walk under the same locks that changes nothing. What is
 * swapped out or being moved holds something; markers of write protection cannot be told from it.
 *
 * Which were written since they were last protected, with PM_SCAN_WP_MATCHING: get and clear in one walk.
 *
 * Of memory that is registered for write protection with WP_ASYNC, a page without the UW bit was written since: the store's fault took it
 * away by itself, and nobody was told. Under mmap_lock for reading, each table of 512 entries under its lock:
 *  1. written is what has no UW bit, and no marker.   2. it gets the bit, or the marker, and is told.   3. the TLBs are flushed, before the lock
 *     is left: what the caller reads after the call includes every store that is not found by the next.
 * Where there is no table nothing was written, since whoever protected the range made tables for its markers.
 *
 * Only these uses are modelled; no limit of pages, and room for all of them.
 * 2 MiB at once are split, as everywhere here where protection meets them; Linux protects them whole.
 *
 * Source: fs/proc/task_mmu.c; Documentation/admin-guide/mm/pagemap.rst.
 * @kernel pagemap_scan_pmd_entry, pagemap_scan_test_walk, make_uffd_wp_pte, do_pagemap_scan
 */
import type { Bitmap } from '../base/bitmap.ts'
import { type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ZERO_PFN } from '../hw/phys_mem.ts'
import { PTE_NONE, ptePfn, ptePresent } from '../hw/pte.ts'
import { ERRNO } from './errno.ts'
import { walkSplit } from './huge_split.ts'
import type { Mm } from './mm.ts'
import { flushTlbRange } from './tlb_flush.ts'
import { UFFD_FEATURE } from './uffd_abi.ts'
import { armed, writeProtectNs } from './uffd_wp.ts'
import { VM_UFFD_WP, type Vma } from './vma.ts'

/** To look at an entry and find nothing. Ours: eight to a cache line, in order. */
const LOOK_NS = 1

/** Page numbers; sets in `out` the bits of the pages found, bit 0 for `start`. 0, or EPERM: an area is not protected that way. */
export function* pagemapScanWritten(k: Thread, mm: Mm, start: number, end: number, out: Bitmap): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  yield* mm.mmapLock.downRead(k)
  let result = 0
  for (const vma of mm.tree.overlapping(start, end)) {
    if (!isProtectedAsync(vma)) {
      result = ERRNO.EPERM
      break
    }
    yield* scanArea(k, mm, Math.max(start, vma.start), Math.min(end, vma.end), start, out)
  }
  mm.mmapLock.upRead(k)
  return result
}

/** Page numbers; sets in `out` the bits of the pages that hold something, bit 0 for `start`. Answers 0. */
export function* pagemapScanHolding(k: Thread, mm: Mm, start: number, end: number, out: Bitmap): Proc<number> {
  const { kernel } = mm
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  yield* mm.mmapLock.downRead(k)
  for (let page = start; page < end; ) {
    const next = Math.min(end, (page | 511) + 1)
    k.cpu.nowNs += (next - page) * LOOK_NS
    const slot = mm.table.walk(page)
    if (slot < 0) {
      // None, or one for all of them.
      for (const isHuge = ptePresent(mm.table.lookup(page)); page < next; page++) if (isHuge) out.set(page - start)
      continue
    }
    const lock = kernel.pteLock(slot)
    yield* lock.lock(k)
    for (let at = slot; page < next; page++, at++) {
      if (k.stepping) yield read(at, 'pte')
      const pte = kernel.tables.get(at)
      if (pte !== PTE_NONE && !(ptePresent(pte) && ptePfn(pte) === ZERO_PFN)) out.set(page - start)
    }
    lock.unlock(k)
  }
  mm.mmapLock.upRead(k)
  return 0
}

/** @kernel userfaultfd_wp_async */
function isProtectedAsync(vma: Vma): boolean {
  return (vma.flags & VM_UFFD_WP) !== 0 && vma.uffd?.wants(UFFD_FEATURE.WP_ASYNC) === true
}

function* scanArea(k: Thread, mm: Mm, first: number, end: number, origin: number, out: Bitmap): Proc<void> {
  const { kernel } = mm
  for (let page = first; page < end; ) {
    const next = Math.min(end, (page | 511) + 1)
    const slot = yield* walkSplit(k, mm, page)
    if (slot < 0) {
      page = next
      continue
    }
    const lock = kernel.pteLock(slot)
    yield* lock.lock(k)
    let flushFrom = -1
    let flushTo = -1
    k.cpu.nowNs += (next - page) * LOOK_NS
    for (let at = slot; page < next; page++, at++) {
      // 1. A store that waits for this lock comes back after it.
      const sampled = kernel.tables.get(at)
      if (armed(sampled, true) === sampled) continue
      if (k.stepping) yield write(at, 'pte')
      // 2. Hardware may have set A or D since.
      const pte = kernel.tables.get(at)
      kernel.tables.set(at, armed(pte, true))
      out.set(page - origin)
      if (!ptePresent(pte)) continue
      k.cpu.nowNs += writeProtectNs(k)
      if (flushFrom < 0) flushFrom = page
      flushTo = page + 1
    }
    // 3.
    if (flushFrom >= 0 && kernel.has('uffd-wp-flush')) yield* flushTlbRange(k, mm, flushFrom, flushTo)
    lock.unlock(k)
  }
}
