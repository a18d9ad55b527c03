/**
 * mprotect: new rights for a range.
 *
 *  1. mmap_lock for writing; a hole ends the work with ENOMEM, what lies before it is done.   2. split at the edges.
 *  3. new flags, then new PTEs under their locks: W only goes away here; a fault brings it back where it may be.
 *  4. flush, because rights went down.   5. merge, unlock.
 *
 * Source: mm/mprotect.c.
 * @kernel do_mprotect_pkey, mprotect_fixup, change_protection
 */
import { type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { HUGE_PAGES, PTE_NONE, PTE_P, PTE_PROTNONE, PTE_W, pteFlags, ptePresent, pteWithFlags } from '../hw/pte.ts'
import { seenBy } from '../sync/barriers.ts'
import { ERRNO } from './errno.ts'
import { changeHugePmd } from './huge_pmd.ts'
import { cutsHugetlb } from './hugetlb_area.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import { changeAreas } from './mmap.ts'
import { makeMigrationEntry, migrationWritable, swapExclusive, swapKind, swapValue } from './swapops.ts'
import { flushTlbRange } from './tlb_flush.ts'
import { vmStatAccount } from './vm_stat.ts'
import { accounted, VM_ACCOUNT, VM_MAYWRITE, VM_READ, VM_WRITE, type Vma } from './vma.ts'

/** The bits of a PTE that mprotect decides about. */
const RIGHTS = PTE_P | PTE_PROTNONE | PTE_W

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
  for (const vma of areas) if (vma.start <= at) at = Math.min(end, vma.end)
  const rights = rightsOf(prot)
  // Areas before one that refuses are done, as by the kernel's own loop.
  const refuses = (vma: Vma) => (rights & VM_WRITE) !== 0 && (vma.flags & VM_MAYWRITE) === 0
  const stopAt = Math.min(at, areas.find(refuses)?.start ?? end)
  const needs = (vma: Vma) => (vma.flags & (VM_READ | VM_WRITE)) !== rights
  // 2. to 5.
  yield* changeAreas(k, mm, start, stopAt, needs, (part) => changeRights(k, mm, part, rights))
  mm.mmapLock.upWrite(k)
  if (stopAt < at) return ERRNO.EACCES
  return at < end ? ERRNO.ENOMEM : 0
}

/** 3. */
function* changeRights(k: Thread, mm: Mm, part: Vma, rights: number): Proc<void> {
  vmStatAccount(mm, part.flags, part.start - part.end)
  seenBy(k, part).flags = charged(part, (part.flags & ~(VM_READ | VM_WRITE)) | rights)
  vmStatAccount(mm, part.flags, part.end - part.start)
  yield* changeProtection(k, mm, part)
}

/** Private memory is charged when it becomes writable, and no longer when it stops being so before it had a page. @kernel mprotect_fixup */
function charged(part: Vma, flags: number): number {
  if ((flags & VM_WRITE) !== 0) return accounted(flags)
  return part.isAnonymous && part.anonVma === null ? flags & ~VM_ACCOUNT : flags
}

/** @kernel change_protection */
function* changeProtection(k: Thread, mm: Mm, part: Vma): Proc<void> {
  const { tables } = mm.kernel
  const prot = part.pageProt
  let first = -1
  let last = -1
  let stride = HUGE_PAGES
  // Rights are those of the area, but W is never given here: the page may be shared.
  const changed = (flags: number) => (flags & ~RIGHTS) | (prot & RIGHTS & (flags | ~PTE_W))
  for (let page = part.start; page < part.end; page++) {
    const slot = mm.table.walk(page)
    if (slot < 0) {
      // 2 MiB at once lie in the area whole: its edges are split.
      if (yield* changeHugePmd(k, mm, page, changed)) {
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
    const flags = changed(pteFlags(pte))
    if (ptePresent(pte) && flags !== pteFlags(pte)) {
      tables.set(slot, pteWithFlags(pte, flags))
      if ((pteFlags(pte) & ~flags & (PTE_P | PTE_W)) !== 0) {
        if (first < 0) first = page
        last = page
      }
    } else if (pte !== PTE_NONE && !ptePresent(pte) && swapKind(pte) === 'migration' && migrationWritable(pte)) {
      // A swap entry carries no right; a migration entry does, and would bring W back.
      tables.set(slot, makeMigrationEntry(swapValue(pte), false, swapExclusive(pte)))
    }
    lock.unlock(k)
  }
  // 4.
  if (first >= 0) yield* flushTlbRange(k, mm, first, last + 1, stride)
}
