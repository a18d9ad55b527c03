/**
 * The reverse map: from a page to every PTE that maps it.
 *
 * page_lock_anon_vma_read pins and read-locks the anon_vma of a page that nobody holds still:
 *
 *  1. retry: read mapping once; not anonymous -> none.
 *  2. page not mapped -> none.
 *  3. fast path: try the root's lock; then
 *     3a. mapping changed since step 1 -> unlock, retry.   3b. no longer mapped -> unlock, none.   3c. done.
 *  4. slow path: take a reference unless the count is zero (being freed -> none).
 *  5. page not mapped -> put, none.
 *  6. sleep on the root's lock.
 *  7. recheck: mapping changed since step 1 -> unlock, put, retry.
 *  8. drop the reference (the lock holds the anon_vma now); if it was the last one, unlock first and answer none.
 *
 * Steps 3a and 7 pair with remap_anon_pages.ts and uffd_move.ts, which change mapping under the page lock and the root's
 * write lock: "still mapped" does not imply "still this anon_vma". Source: Andrea Arcangeli, "rmap preparation for
 * remap_anon_pages", 6 May 2013 (step 7); mainline's UFFDIO_MOVE (step 3a).
 */
import { fail } from '../base/assert.ts'
import { type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { type AnonVma, putAnonVma } from './anon_vma.ts'
import type { Kernel } from './kernel.ts'
import { PAGE_MAPPING_ANON, PG_ANON_EXCLUSIVE } from './page.ts'
import type { Vma } from './vma.ts'

/** The anon_vma that a mapping word names, or null if it is not anonymous. */
function anonVmaOf(kernel: Kernel, mapping: number): AnonVma | null {
  return (mapping & PAGE_MAPPING_ANON) === 0 ? null : kernel.anonVmas.at(mapping >>> 1)
}

/** The anon_vma of the page right now, without any lock; for callers that hold the page lock. */
export function pageAnonVma(kernel: Kernel, pfn: Pfn): AnonVma | null {
  return anonVmaOf(kernel, kernel.pages.mapping[pfn])
}

/**
 * The page's anon_vma, its root locked for reading; null if the page is not (any longer) a mapped anonymous page.
 * The caller releases with `anonVma.root.rwsem.upRead`.
 * @kernel page_lock_anon_vma_read, folio_lock_anon_vma_read
 */
export function* pageLockAnonVmaRead(k: Thread, kernel: Kernel, pfn: Pfn): Proc<AnonVma | null> {
  const { mapping, mapcount } = kernel.pages
  const rechecks = kernel.has('rmap-mapping-recheck')
  for (;;) {
    // 1.
    if (k.stepping) yield read(pfn, 'page.mapping')
    const word = mapping[pfn]
    const av = anonVmaOf(kernel, word)
    if (av === null) return null
    // 2.
    if (k.stepping) yield read(pfn, 'page.mapcount')
    if (mapcount[pfn] === 0) return null
    // 3. Fast path.
    if (k.stepping) yield read(av.root.index, 'anon_vma.rwsem')
    if (av.root.rwsem.tryRead(k)) {
      if (k.stepping) yield read(pfn, 'page.mapping')
      if (rechecks && mapping[pfn] !== word) {
        av.root.rwsem.upRead(k)
        continue
      }
      if (mapcount[pfn] === 0) {
        av.root.rwsem.upRead(k)
        return null
      }
      return av
    }
    // 4. Slow path: never resurrect.
    if (av.refcount === 0) return null
    av.refcount++
    // 5.
    if (k.stepping) yield read(pfn, 'page.mapcount')
    if (mapcount[pfn] === 0) {
      putAnonVma(kernel, av)
      return null
    }
    // 6.
    yield* av.root.rwsem.downRead(k)
    // 7.
    if (k.stepping) yield read(pfn, 'page.mapping')
    if (rechecks && mapping[pfn] !== word) {
      av.root.rwsem.upRead(k)
      putAnonVma(kernel, av)
      continue
    }
    // 8. The last reference: nobody maps the page any longer. Unlock first, for the put frees what is locked.
    if (av.refcount === 1) {
      av.root.rwsem.upRead(k)
      putAnonVma(kernel, av)
      return null
    }
    putAnonVma(kernel, av)
    return av
  }
}

/** An area that may map the page, and the page number there. */
export interface RmapCandidate {
  readonly vma: Vma
  readonly page: number
}

/**
 * The areas that the page's (anon_vma, index) leads to. Candidates only: each must be looked up in the page table.
 * The caller holds the root's lock. @kernel rmap_walk_anon
 */
export function* rmapCandidates(kernel: Kernel, pfn: Pfn, av: AnonVma): Generator<RmapCandidate, void, void> {
  const index = kernel.pages.index[pfn]
  for (const edge of av.chains) {
    const page = edge.vma.pageOf(index)
    if (page >= 0) yield { vma: edge.vma, page }
  }
}

/** A new anonymous page of this area, mapped once and exclusively. @kernel page_add_new_anon_rmap */
export function pageAddNewAnonRmap(kernel: Kernel, pfn: Pfn, vma: Vma, page: number): void {
  const pages = kernel.pages
  if (vma.anonVma === null) fail(`area [${vma.start},${vma.end}) has no anon_vma`)
  if (pages.mapcount[pfn] !== 0) fail(`new page has mapcount ${pages.mapcount[pfn]} (pfn ${pfn})`)
  pages.mapping[pfn] = vma.anonVma.index * 2 + PAGE_MAPPING_ANON
  pages.index[pfn] = vma.indexOf(page)
  pages.flags[pfn] |= PG_ANON_EXCLUSIVE
  pages.mapcount[pfn] = 1
}

/** One more PTE maps the page (fork). @kernel page_dup_rmap */
export function pageDupAnonRmap(kernel: Kernel, pfn: Pfn): void {
  kernel.pages.flags[pfn] &= ~PG_ANON_EXCLUSIVE
  kernel.pages.mapcount[pfn]++
}

/** One PTE fewer. The mapping word stays until the page is freed. @kernel page_remove_rmap */
export function pageRemoveRmap(kernel: Kernel, pfn: Pfn): void {
  const left = --kernel.pages.mapcount[pfn]
  if (left < 0) fail(`mapcount ${left} < 0 (pfn ${pfn})`)
}

/** The page belongs to another area from now on. The caller holds the root's write lock. @kernel page_move_anon_rmap */
export function pageMoveAnonRmap(kernel: Kernel, pfn: Pfn, vma: Vma, page: number): void {
  if (vma.anonVma === null) fail(`area [${vma.start},${vma.end}) has no anon_vma`)
  kernel.pages.mapping[pfn] = vma.anonVma.index * 2 + PAGE_MAPPING_ANON
  kernel.pages.index[pfn] = vma.indexOf(page)
}
