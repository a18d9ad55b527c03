/**
 * mprotect: new rights for a range.
 *
 *  1. mmap_lock for writing; no hole in the range -> else ENOMEM.   2. split at the edges.
 *  3. new flags, then new PTEs under their locks: W only goes away here; a fault brings it back where it may be.
 *  4. flush, because rights went down.   5. merge, unlock.
 *
 * Source: mm/mprotect.c.
 * @kernel do_mprotect_pkey, mprotect_fixup, change_protection
 */
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { HUGE_PAGES, PTE_NONE, PTE_W, pteFlags, ptePresent, pteWithFlags, pteWritable } from '../hw/pte.ts'
import { ERRNO } from './errno.ts'
import { writeProtectHugePmd } from './huge_pmd.ts'
import { cutsHugetlb } from './hugetlb_area.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { changeAreas } from './mmap.ts'
import { makeMigrationEntry, migrationWritable, swapExclusive, swapKind, swapValue } from './swapops.ts'
import { flushTlbRange } from './tlb_flush.ts'
import { VM_MAYWRITE, VM_READ, VM_WRITE, type Vma } from './vma.ts'

export const PROT_NONE = 0
export const PROT_READ = 1
export const PROT_WRITE = 2

/** Area flags of PROT_*. x86 cannot map a page for writing only. */
export function rightsOf(prot: number): number {
  return (prot === PROT_NONE ? 0 : VM_READ) | ((prot & PROT_WRITE) !== 0 ? VM_WRITE : 0)
}

/** Byte address and length; 0 or an errno. @kernel mprotect, do_mprotect_pkey */
export function* mprotect(k: Thread, mm: Mm, address: number, length: number, prot: number): Proc<number> {
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  const start = pageOfAddress(address)
  if (!(start >= 0) || length < 0 || (prot & ~3) !== 0) return ERRNO.EINVAL
  const end = start + Math.ceil(length / 4096)
  if (end === start) return 0
  // 1.
  yield* mm.mmapLock.downWrite(k)
  if (cutsHugetlb(mm, start, end)) {
    mm.mmapLock.upWrite(k)
    return ERRNO.EINVAL
  }
  const areas = mm.tree.overlapping(start, end)
  let at = start
  for (const vma of areas) if (vma.start <= at) at = vma.end
  if (at < end) {
    mm.mmapLock.upWrite(k)
    return ERRNO.ENOMEM
  }
  const rights = rightsOf(prot)
  // Areas before one that refuses are done, as by the kernel's own loop.
  const refuses = (vma: Vma) => (rights & VM_WRITE) !== 0 && (vma.flags & VM_MAYWRITE) === 0
  const stopAt = areas.find(refuses)?.start ?? end
  const needs = (vma: Vma) => (vma.flags & (VM_READ | VM_WRITE)) !== rights
  // 2. to 5.
  yield* changeAreas(k, mm, start, Math.min(end, stopAt), needs, (part) => changeRights(k, mm, part, rights))
  mm.mmapLock.upWrite(k)
  return stopAt < end ? ERRNO.EACCES : 0
}

/** 3. */
function* changeRights(k: Thread, mm: Mm, part: Vma, rights: number): Proc<void> {
  part.flags = (part.flags & ~(VM_READ | VM_WRITE)) | rights
  yield* changeProtection(k, mm, part.start, part.end, part.flags)
}

/** @kernel change_protection */
function* changeProtection(k: Thread, mm: Mm, start: number, end: number, flags: number): Proc<void> {
  if ((flags & VM_WRITE) !== 0) return
  const { tables } = mm.kernel
  let first = -1
  let last = -1
  let stride = HUGE_PAGES
  for (let page = start; page < end; page++) {
    const slot = mm.table.walk(page)
    if (slot < 0) {
      // 2 MiB at once lie in the area whole: its edges are split.
      if (yield* writeProtectHugePmd(k, mm, page)) {
        if (first < 0) first = page
        last = page | 511
      }
      page |= 511
      continue
    }
    stride = 1
    const lock = mm.kernel.pteLock(slot)
    yield* lock.lock(k)
    if (k.stepping && tables.get(slot) !== PTE_NONE) yield write(slot, 'pte')
    const pte = tables.get(slot)
    if (ptePresent(pte) && pteWritable(pte)) {
      tables.set(slot, pteWithFlags(pte, pteFlags(pte) & ~PTE_W))
      if (first < 0) first = page
      last = page
    } else if (pte !== PTE_NONE && !ptePresent(pte) && swapKind(pte) === 'migration' && migrationWritable(pte)) {
      // A swap entry carries no right; a migration entry does, and would bring W back.
      tables.set(slot, makeMigrationEntry(swapValue(pte), false, swapExclusive(pte)))
    }
    lock.unlock(k)
  }
  // 4.
  if (first >= 0) yield* flushTlbRange(k, mm, first, last + 1, stride)
}
