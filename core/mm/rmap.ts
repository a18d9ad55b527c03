/**
 * The reverse map, part one: from a page to its anon_vma, pinned and locked; and the books that a mapping keeps.
 *
 * page_lock_anon_vma_read pins and read-locks the anon_vma of a page that nobody holds still:
 *
 *  1. retry: read mapping once; not anonymous -> none.
 *  2. page not mapped -> none.
 *  3. fast path: read the root once, try its lock; then
 *     3a. mapping changed since step 1 -> unlock, retry.   3b. no longer mapped -> unlock, none.   3c. done.
 *  4. slow path: take a reference unless the count is zero (being freed -> none).
 *  5. page not mapped -> put, none.
 *  6. sleep on the root's lock.
 *  7. recheck: mapping changed since step 1 -> unlock, put, retry.
 *  8. drop the reference (the lock holds the anon_vma now); if it was the last one, unlock first, then free, none.
 *
 * Steps 3a and 7 pair with remap_anon_pages.ts and uffd_move.ts, which change mapping under the page lock and the root's
 * write lock: "still mapped" does not imply "still this anon_vma". Which of the two is there is a variant (kconfig.ts):
 * 7 alone as posted ("rmap preparation for remap_anon_pages", Andrea Arcangeli, 6 May 2013), both as in mainline since
 * UFFDIO_MOVE, none where every walker holds the page lock. Steps 3b and 5 are there because slabs are only type-safe.
 * Pairs with rmap_walk.ts, which goes on from the anon_vma to the PTEs.
 * Source: mm/rmap.c; Andrea Arcangeli, "rmap preparation for remap_anon_pages", 6 May 2013.
 */
import { violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { type AnonVma, anonVmaLockRead, anonVmaUnlockRead, freeAnonVma, putAnonVma } from './anon_vma.ts'
import type { Kernel } from './kernel.ts'
import { PAGE_MAPPING_ANON } from './page.ts'
import { INDEX_NOW } from './vm_fault.ts'
import type { Vma } from './vma.ts'

/** The anon_vma that a mapping word names, or null if it is not anonymous. */
function anonVmaOf(kernel: Kernel, mapping: number): AnonVma | null {
  return (mapping & PAGE_MAPPING_ANON) === 0 ? null : kernel.anonVmas.at(mapping >>> 1)
}

/** The anon_vma of the page right now, without any lock; for callers that hold the page lock. */
export function pageAnonVma(kernel: Kernel, pfn: Pfn): AnonVma | null {
  touch(pfn, 'page.mapping', AccessMode.read)
  return anonVmaOf(kernel, kernel.pages.mapping[pfn])
}

/**
 * The page's anon_vma, its root locked for reading; null if the page is not (any longer) a mapped anonymous page.
 * The caller holds a reference on the page, and releases with anonVmaUnlockRead.
 * @kernel page_lock_anon_vma_read, folio_lock_anon_vma_read
 */
export function* pageLockAnonVmaRead(k: Thread, kernel: Kernel, pfn: Pfn): Proc<AnonVma | null> {
  const { mapping, mapcount } = kernel.pages
  const rechecks = kernel.variants.rmapRecheck !== 'page-lock' && kernel.has('rmap-mapping-recheck')
  const rechecksFast = rechecks && kernel.variants.rmapRecheck === 'both-paths'
  const looksIfMapped = kernel.has('rmap-mapped-recheck')
  for (;;) {
    // 1.
    if (k.stepping) yield read(pfn, 'page.mapping')
    const word = mapping[pfn]
    const av = anonVmaOf(kernel, word)
    if (av === null) return null
    // 2.
    if (k.stepping) yield read(pfn, 'page.mapcount')
    if (mapcount[pfn] === 0) return null
    // 3. Fast path. From here to the lock the anon_vma may be freed and become another one, with another root.
    if (k.stepping) yield read(av.index, 'anon_vma.root')
    const lock = kernel.has('anon-vma-root-lock') ? av.root.rwsem : av.rwsem
    if (k.stepping) yield write(lock.id, 'anon_vma.rwsem')
    if (lock.tryRead(k)) {
      if (k.stepping) yield read(pfn, 'page.mapping')
      const taken = kernel.has('rmap-root-once') ? lock : av.root.rwsem
      if (rechecksFast && mapping[pfn] !== word) {
        taken.upRead(k)
        continue
      }
      touch(pfn, 'page.mapcount', AccessMode.read)
      if (looksIfMapped && mapcount[pfn] === 0) {
        taken.upRead(k)
        return null
      }
      return av
    }
    // 4. Slow path: never resurrect.
    if (k.stepping) yield write(av.index, 'anon_vma.refcount')
    if (av.refcount === 0) return null
    av.refcount++
    // 5.
    if (k.stepping) yield read(pfn, 'page.mapcount')
    if (looksIfMapped && mapcount[pfn] === 0) {
      yield* putAnonVma(k, kernel, av)
      return null
    }
    // 6.
    yield* anonVmaLockRead(k, kernel, av)
    // 7.
    if (k.stepping) yield read(pfn, 'page.mapping')
    if (rechecks && mapping[pfn] !== word) {
      anonVmaUnlockRead(k, kernel, av)
      yield* putAnonVma(k, kernel, av)
      continue
    }
    // 8.
    if (k.stepping) yield write(av.index, 'anon_vma.refcount')
    if (av.refcount > 1) {
      av.refcount--
      return av
    }
    if (kernel.has('rmap-direct-free')) {
      av.refcount--
      anonVmaUnlockRead(k, kernel, av)
      yield* freeAnonVma(k, kernel, av)
    } else {
      yield* putAnonVma(k, kernel, av)
      anonVmaUnlockRead(k, kernel, av)
    }
    return null
  }
}

/** Its place in the reverse map changes: mapping and index, and the number of its mappings. */
function touchRmap(pfn: Pfn): void {
  touch(pfn, 'page.mapping', AccessMode.write)
  touch(pfn, 'page.mapcount', AccessMode.write)
}

/**
 * A reference on the page's anon_vma, without its lock; null if the page is not mapped. The caller of a walk that cannot
 * rely on "still mapped" (page migration, split_huge_page) takes it first.
 * @kernel page_get_anon_vma, folio_get_anon_vma
 */
export function* pageGetAnonVma(k: Thread, kernel: Kernel, pfn: Pfn): Proc<AnonVma | null> {
  const { mapping, mapcount } = kernel.pages
  if (k.stepping) yield read(pfn, 'page.mapping')
  const av = anonVmaOf(kernel, mapping[pfn])
  if (av === null) return null
  if (k.stepping) yield read(pfn, 'page.mapcount')
  if (mapcount[pfn] === 0) return null
  if (k.stepping) yield write(av.index, 'anon_vma.refcount')
  if (av.refcount === 0) return null
  av.refcount++
  // An anon_vma that was freed and used again since the first look is not the page's: then the page is not mapped now.
  if (k.stepping) yield read(pfn, 'page.mapcount')
  if (mapcount[pfn] > 0) return av
  yield* putAnonVma(k, kernel, av)
  return null
}

/**
 * A new anonymous page of this area, mapped once and exclusively. Whoever does not hold the area still brings the index along.
 * @kernel page_add_new_anon_rmap
 */
export function pageAddNewAnonRmap(kernel: Kernel, pfn: Pfn, vma: Vma, page: number, index = INDEX_NOW): void {
  const pages = kernel.pages
  touch(vma.id, 'vma.anon_vma', AccessMode.read)
  if (vma.anonVma === null) violate('I-RMAP', `area [${vma.start},${vma.end}) has no anon_vma`)
  if (pages.mapcount[pfn] !== 0) violate('I-CNT', `new page has mapcount ${pages.mapcount[pfn]} (pfn ${pfn})`)
  touchRmap(pfn)
  pages.mapping[pfn] = vma.anonVma.index * 2 + PAGE_MAPPING_ANON
  pages.index[pfn] = index === INDEX_NOW ? indexNow(vma, page) : index
  pages.setExclusive(pfn)
  pages.mapcount[pfn] = 1
}

function indexNow(vma: Vma, page: number): number {
  touch(vma.id, 'vma.vm_start', AccessMode.read)
  touch(vma.id, 'vma.vm_pgoff', AccessMode.read)
  return vma.indexOf(page)
}

/** One more PTE maps the page (fork). @kernel page_dup_rmap */
export function pageDupAnonRmap(kernel: Kernel, pfn: Pfn): void {
  touch(pfn, 'page.mapcount', AccessMode.write)
  kernel.pages.clearExclusive(pfn)
  kernel.pages.mapcount[pfn]++
}

/**
 * One more PTE maps a page that comes from the swap cache. A page that was read in afresh gets its anon_vma here: the
 * area's, or the root if other areas may share it. One that was anonymous already keeps mapping and index.
 * @kernel page_add_anon_rmap, folio_add_anon_rmap_pte
 */
export function pageAddAnonRmap(kernel: Kernel, pfn: Pfn, vma: Vma, page: number, exclusive: boolean): void {
  const pages = kernel.pages
  if (vma.anonVma === null) violate('I-RMAP', `area [${vma.start},${vma.end}) has no anon_vma`)
  touchRmap(pfn)
  if (pages.mapping[pfn] === 0) {
    const av = exclusive ? vma.anonVma : vma.anonVma.root
    pages.mapping[pfn] = av.index * 2 + PAGE_MAPPING_ANON
    pages.index[pfn] = vma.indexOf(page)
  }
  if (exclusive) pages.setExclusive(pfn)
  pages.mapcount[pfn]++
}

/** One PTE fewer. The mapping word stays until the page is freed. @kernel page_remove_rmap */
export function pageRemoveRmap(kernel: Kernel, pfn: Pfn): void {
  touch(pfn, 'page.mapcount', AccessMode.write)
  const left = --kernel.pages.mapcount[pfn]
  if (left < 0) violate('I-CNT', `mapcount ${left} < 0 (pfn ${pfn})`)
}

/**
 * The page belongs to this area from now on. The caller holds the page lock, and the root's write lock where the new
 * anon_vma is not a descendant of the old one. @kernel page_move_anon_rmap, folio_move_anon_rmap
 */
export function pageMoveAnonRmap(kernel: Kernel, pfn: Pfn, vma: Vma, page: number): void {
  if (vma.anonVma === null) violate('I-RMAP', `area [${vma.start},${vma.end}) has no anon_vma`)
  touch(pfn, 'page.mapping', AccessMode.write)
  kernel.pages.mapping[pfn] = vma.anonVma.index * 2 + PAGE_MAPPING_ANON
  if (kernel.has('remap-index')) kernel.pages.index[pfn] = vma.indexOf(page)
}
