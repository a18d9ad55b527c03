/**
 * The write section of an area: who changes it says so, to speculations by its count, to area locks by its lock.
 *
 * Writers of 2014: vma_adjust (split, merge) and unmap_page_range. v12 of 2019 adds whoever changes a field that a
 * speculation reads (flags, rights, policy, anon_vma) or lets PTEs and area disagree for a while:
 *
 *     mprotect  madvise  mremap (new area linked odd)  fork (odd until after the flush)  userfaultfd  free_pgtables  collapse
 *
 * Fields covered: vm_start, vm_end, vm_pgoff, vm_flags, vm_page_prot, anon_vma, vm_policy. All writers hold mmap_lock for
 * writing, but for unmap_page_range; there the PTE lock orders two writers, and their sections may overlap.
 * Without speculation in the kernel the counts stand still, and cost nothing.
 *
 * The counter-proposal (kconfig.ts, VmaCount; docs/decisions/0015) has no sections: vmaDelete is all that writers do. So
 * resizing an area goes unnoticed, and who cleans up behind a deleted area finds flags of 0.
 *
 * Source: Peter Zijlstra, "VMA sequence count", 20 Oct 2014; Laurent Dufour, v12 09/31 to 19/31, 16 Apr 2019.
 * @kernel vm_write_begin, vm_write_end, write_seqcount_begin, vma_start_write
 */
import { violate } from '../base/assert.ts'
import { NOTHING, type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Mm } from './mm.ts'
import type { Vma } from './vma.ts'
import { vmaLock } from './vma_lock.ts'

/** Which version of the patch made a place a writer. */
export type Since = '2014' | 'v12'

/**
 * Begins; the caller holds mmap_lock for writing. A subclass above 0 says that a second area's count is meant. Null is a trap
 * of the patch of 2014: it did not ask whether there is a next area.
 */
export function vmaWriteBegin(k: Thread, mm: Mm, vma: Vma | null, since: Since = 'v12', subclass = 0): Proc<void> {
  if (vma === null) {
    if (mm.kernel.faultPath === 'classic') return NOTHING
    violate('I-UAF', `${k.name} begins a write section of no area`)
  }
  return mm.kernel.faultPath === 'vma-lock' ? vmaLockWrite(k, mm, vma) : vmaSequenceBegin(k, mm, vma, since, subclass)
}

/** Ends. The area may not be freed yet; its lock is held until mmap_lock is left. */
export function vmaWriteEnd(k: Thread, mm: Mm, vma: Vma, since: Since = 'v12'): Proc<void> {
  return vmaSequenceEnd(k, mm, vma, since)
}

/** The end for an area that is about to be freed: v12 leaves its count odd, so that it never looks stable again. */
export function vmaWriteGone(k: Thread, mm: Mm, vma: Vma): Proc<void> {
  if (mm.kernel.faultPath !== 'speculative') return vmaSequenceEnd(k, mm, vma, '2014')
  if (mm.kernel.variants.vmaCount === 'plain-counter') return vmaDelete(k, mm, vma)
  vma.use('the end of a write section')
  vma.sequence.leaveOdd(k)
  return NOTHING
}

/** The lock alone: for areas that come or go, whose counts say nothing. @kernel vma_start_write */
export function vmaLockWrite(k: Thread, mm: Mm, vma: Vma): Proc<void> {
  const { kernel } = mm
  if (kernel.faultPath !== 'vma-lock' || !kernel.has('vma-write-lock')) return NOTHING
  return vmaLock(mm, vma).startWrite(k, mm.mmapLock)
}

/** The count alone: for unmap_page_range, which may hold mmap_lock for reading only. */
export function vmaSequenceBegin(k: Thread, mm: Mm, vma: Vma, since: Since = 'v12', subclass = 0): Proc<void> {
  if (!counts(mm, since)) return NOTHING
  vma.use('a write section')
  return vma.sequence.begin(k, subclass)
}

export function vmaSequenceEnd(k: Thread, mm: Mm, vma: Vma, since: Since = 'v12'): Proc<void> {
  if (!counts(mm, since)) return NOTHING
  vma.use('the end of a write section')
  return vma.sequence.end(k)
}

/** An area leaves the tree for good. Only the counter-proposal says so here: flags first, then the counter. */
export function vmaDelete(k: Thread, mm: Mm, vma: Vma): Proc<void> {
  const says = mm.kernel.faultPath === 'speculative' && mm.kernel.variants.vmaCount === 'plain-counter'
  return says ? markDeleted(k, vma) : NOTHING
}

function* markDeleted(k: Thread, vma: Vma): Proc<void> {
  if (k.stepping) yield write(vma.id, 'vma.vm_flags')
  vma.flags = 0
  yield* vma.sequence.beginRaw(k)
}

function counts(mm: Mm, since: Since): boolean {
  if (mm.kernel.variants.vmaCount === 'plain-counter') return false
  const path = mm.kernel.faultPath
  return path === 'speculative' || (path === 'speculative-2014' && since === '2014')
}
