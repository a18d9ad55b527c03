/**
 * The reverse map, part two: from a page to every PTE that maps it, and the question that reclaim asks there.
 *
 * rmap_walk: lock the anon_vma, visit each area of its tree in which the page's index lies, unlock. An area is a
 * candidate only: the visitor looks in the page table (page_vma_mapped.ts). While the lock is held for reading, nobody may
 * move the page to another root or another index: remap_anon_pages and UFFDIO_MOVE wait for the lock.
 *
 * page_referenced: was the page used since it was asked last? It clears the accessed bit of each mapping and counts those
 * that were set; no flush, as on x86: a stale entry only makes the page look colder than it is. A caller without the page
 * lock (aging of active pages) is the one that needs page_lock_anon_vma_read's rechecks; for KSM pages, and where walkers
 * must hold the page lock, it tries that lock, and a page that cannot be locked counts as used.
 *
 * Source: mm/rmap.c; Andrea Arcangeli, "rmap preparation for remap_anon_pages", 6 May 2013.
 * @kernel rmap_walk, rmap_walk_anon, page_referenced, page_referenced_anon, folio_referenced
 */
import { violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { PTE_A } from '../hw/pte.ts'
import { type AnonVma, anonVmaLockRead, anonVmaUnlockRead } from './anon_vma.ts'
import type { Kernel } from './kernel.ts'
import { rmapWalkKsm } from './ksm_node.ts'
import type { Mm } from './mm.ts'
import { lockMappedPmd, lockMappedPte } from './page_vma_mapped.ts'
import { pageAnonVma, pageLockAnonVmaRead } from './rmap.ts'
import { VM_LOCKED, type Vma } from './vma.ts'

/** Called for each candidate with the anon_vma locked for reading; false ends the walk. */
export type RmapVisit = (mm: Mm, vma: Vma, page: number) => Proc<boolean>

/**
 * Visits each candidate of the page in this anon_vma, which the caller has locked for reading.
 * @kernel rmap_walk_anon
 */
export function* rmapWalkAnon(k: Thread, kernel: Kernel, pfn: Pfn, av: AnonVma, visit: RmapVisit): Proc<void> {
  const { pages, anonVmas } = kernel
  touch(pfn, 'page.mapping', AccessMode.read)
  const index = pages.index[pfn]
  av.walks++
  for (let i = 0; i < av.chains.length; i++) {
    const { vma } = av.chains[i]
    const page = vma.pageOf(index)
    const mm = vma.mm
    if (page < 0 || mm === null) continue
    if (!(yield* visit(mm, vma, page))) break
  }
  av.walks--
  if (k.stepping && pages.isMapped(pfn) && pages.isAnon(pfn)) {
    const now = anonVmas.at(pages.mapping[pfn] >>> 1)
    if (now.root !== av.root || pages.index[pfn] !== index)
      violate(
        'I-RMAP',
        `pfn ${pfn} moved from anon_vma ${av.index}, index ${index} to ${now.index}, ${pages.index[pfn]} during a walk`,
      )
  }
}

/**
 * Visits each candidate of a page that the caller has locked. The lock of the anon_vma is taken straight from the
 * mapping: while PTEs are migration entries "mapped" says nothing. The caller keeps the anon_vma alive: by a mapping, or by
 * a reference (page migration).
 * @kernel rmap_walk
 */
export function* rmapWalk(k: Thread, kernel: Kernel, pfn: Pfn, visit: RmapVisit): Proc<void> {
  if (kernel.pages.isKsm(pfn)) {
    yield* rmapWalkKsm(k, kernel, pfn, visit)
    return
  }
  const av = pageAnonVma(kernel, pfn)
  if (av === null) return
  yield* anonVmaLockRead(k, kernel, av)
  yield* rmapWalkAnon(k, kernel, pfn, av, visit)
  anonVmaUnlockRead(k, kernel, av)
}

export interface Referenced {
  /** Mappings whose accessed bit was set. */
  referenced: number
  /** Mappings found. */
  found: number
  /** One of them lies in a locked area: the page must stay. */
  vmLocked: boolean
}

/** @kernel page_referenced_one */
function* pageReferencedOne(
  k: Thread,
  kernel: Kernel,
  pfn: Pfn,
  result: Referenced,
  mm: Mm,
  vma: Vma,
  page: number,
): Proc<boolean> {
  const { tables, pages } = kernel
  const huge = pages.isHuge(pfn)
  const slot = yield* huge ? lockMappedPmd(k, kernel, mm, page, pfn) : lockMappedPte(k, kernel, mm, page, pfn, 'present')
  if (slot < 0) return true
  result.found++
  if ((vma.flags & VM_LOCKED) !== 0) result.vmLocked = true
  else {
    if (k.stepping) yield write(slot, huge ? 'pmd' : 'pte')
    const pte = tables.get(slot)
    if ((pte & PTE_A) !== 0) {
      tables.set(slot, pte - PTE_A)
      result.referenced++
    }
  }
  const lock = huge ? kernel.pmdLock(slot) : kernel.pteLock(slot)
  lock.unlock(k)
  return !result.vmLocked
}

/**
 * The caller holds a reference on the page, and its lock if `isLocked`.
 * @kernel page_referenced, page_referenced_anon, folio_referenced
 */
export function* pageReferenced(k: Thread, kernel: Kernel, pfn: Pfn, isLocked: boolean): Proc<Referenced> {
  const { pages, pageLocks } = kernel
  const result: Referenced = { referenced: 0, found: 0, vmLocked: false }
  if (!pages.isMapped(pfn)) return result
  const locksPage = !isLocked && (pages.isKsm(pfn) || kernel.variants.rmapRecheck === 'page-lock')
  if (locksPage) {
    if (k.stepping) yield write(pfn, 'page.lock')
    if (!pageLocks.tryLock(k, pfn)) {
      result.referenced = 1
      return result
    }
  }
  const visit: RmapVisit = (mm, vma, page) => pageReferencedOne(k, kernel, pfn, result, mm, vma, page)
  if (pages.isKsm(pfn)) yield* rmapWalkKsm(k, kernel, pfn, visit)
  else {
    const av = yield* pageLockAnonVmaRead(k, kernel, pfn)
    if (av !== null) {
      yield* rmapWalkAnon(k, kernel, pfn, av, visit)
      anonVmaUnlockRead(k, kernel, av)
    }
  }
  if (locksPage) pageLocks.unlock(k, pfn)
  return result
}
