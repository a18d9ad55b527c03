/**
 * Page migration: the same content in another frame, under everybody's feet.
 *
 *  1. lock the page; a new frame, locked too.   2. a reference on the anon_vma: from 3 on no mapping keeps it.
 *  3. try_to_migrate: each PTE becomes a migration entry that names the old frame. Who faults on one waits for the page lock.
 *  4. references are what they must be (this one, the swap cache's)? Else somebody is using the page: EAGAIN, restore.
 *  5. copy mapping, index, flags, swap cache entry, content.
 *  6. remove_migration_ptes: each entry becomes a PTE of the new frame, or of the old one where 4 or 3 failed.
 *  7. put the anon_vma, unlock both, free the old frame.
 *
 * An entry may be gone by then (munmap) or there may be more of them (fork copies entries): the reverse map finds all that
 * there are, with the anon_vma lock taken straight from the mapping, as "mapped" says nothing meanwhile.
 * Pairs with try_to_unmap.ts and swap_in.ts. @kernel migrate_pages, unmap_and_move, folio_migrate_mapping, remove_migration_ptes
 * Source: mm/migrate.c.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { makePte, PTE_UFFD_WP, PTE_W } from '../hw/pte.ts'
import { putAnonVma } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { splitHugePage } from './huge_split.ts'
import type { Kernel } from './kernel.ts'
import type { Mm } from './mm.ts'
import { PG_ANON_EXCLUSIVE, PG_LOCKED, PG_SWAPCACHE } from './page.ts'
import { lockMappedPte } from './page_vma_mapped.ts'
import { pageGetAnonVma } from './rmap.ts'
import { rmapWalk } from './rmap_walk.ts'
import { migrationWritable, swapExclusive } from './swapops.ts'
import { tryToMigrate } from './try_to_unmap.ts'
import { VM_WRITE, type Vma } from './vma.ts'

/**
 * Moves the content of a frame to a fresh one; the caller holds a reference, which this drops.
 * Answers the new frame, EAGAIN where the page is busy or not a mapped anonymous page, or ENOMEM.
 * @kernel unmap_and_move
 */
export function* migratePage(k: Thread, kernel: Kernel, from: Pfn): Proc<number> {
  const { pages, pageLocks } = kernel
  // Single frames are migrated: a huge page is split first, and one of the hugetlb pool stays.
  if (pages.isHugetlb(from) || (pages.isHuge(from) && !(yield* splitHugePage(k, kernel, from)))) {
    pages.put(from)
    return ERRNO.EBUSY
  }
  // 1.
  const to = pages.allocate(k.cpu.id)
  if (to < 0) {
    pages.put(from)
    return ERRNO.ENOMEM
  }
  k.cpu.nowNs += k.cpu.preset.allocPageNs.value
  yield* pageLocks.lock(k, from)
  // A fresh frame is nobody's: its lock is free.
  pageLocks.tryLock(k, to)
  // 2.
  const av = pages.isKsm(from) ? null : yield* pageGetAnonVma(k, kernel, from)
  let moved = false
  if (av !== null) {
    // 3.
    const unmapped = yield* tryToMigrate(k, kernel, from)
    // 4. and 5.
    moved = unmapped && (yield* moveMapping(k, kernel, from, to))
    // 6.
    yield* removeMigrationPtes(k, kernel, from, moved ? to : from)
    // 7.
    yield* putAnonVma(k, kernel, av)
  }
  pageLocks.unlock(k, to)
  pageLocks.unlock(k, from)
  pages.put(from)
  // The reference of the allocation: the mappings hold their own.
  pages.put(to)
  return moved ? to : ERRNO.EAGAIN
}

/** @kernel folio_migrate_mapping, folio_migrate_copy */
function* moveMapping(k: Thread, kernel: Kernel, from: Pfn, to: Pfn): Proc<boolean> {
  const { pages, swap, phys } = kernel
  // 4.
  if (k.stepping) yield write(from, 'page.refcount')
  const expected = 1 + (swap.isCached(from) ? 1 : 0)
  if (pages.references(from) !== expected && kernel.has('migrate-refcount')) return false
  // 5.
  touch(from, 'page.mapping', AccessMode.read)
  touch(to, 'page.mapping', AccessMode.write)
  pages.mapping[to] = pages.mapping[from]
  pages.index[to] = pages.index[from]
  pages.flags[to] |= pages.flags[from] & ~(PG_LOCKED | PG_ANON_EXCLUSIVE | PG_SWAPCACHE)
  if (swap.isCached(from)) swap.replaceCached(from, to)
  if (k.stepping) yield read(from, 'page.content')
  phys.copy(to, from)
  k.cpu.nowNs += k.cpu.preset.copyPageNs.value
  return true
}

/** One migration entry that names `from`, if this page has one. @kernel remove_migration_pte */
function* removeMigrationPte(k: Thread, kernel: Kernel, from: Pfn, to: Pfn, mm: Mm, vma: Vma, page: number): Proc<boolean> {
  const { tables, pages } = kernel
  const slot = yield* lockMappedPte(k, kernel, mm, page, from, 'migration')
  if (slot < 0) return true
  if (k.stepping) yield write(slot, 'pte')
  const entry = tables.get(slot)
  const isWritable = migrationWritable(entry) && (vma.flags & VM_WRITE) !== 0
  pages.get(to)
  touch(to, 'page.mapcount', AccessMode.write)
  pages.mapcount[to]++
  if (swapExclusive(entry)) pages.setExclusive(to)
  const prot = isWritable ? vma.pageProt : vma.pageProt & ~PTE_W
  tables.set(slot, makePte(to, prot | (entry & PTE_UFFD_WP)))
  kernel.pteLock(slot).unlock(k)
  return true
}

/**
 * Every migration entry that names `from` becomes a PTE of `to`. Both are locked (and may be one); the caller holds a
 * reference on the anon_vma. @kernel remove_migration_ptes
 */
export function removeMigrationPtes(k: Thread, kernel: Kernel, from: Pfn, to: Pfn): Proc<void> {
  return rmapWalk(k, kernel, to, (mm, vma, page) => removeMigrationPte(k, kernel, from, to, mm, vma, page))
}
