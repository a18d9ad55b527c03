/**
 * shmem: memory that a page cache keeps, mapped by any number of areas (MAP_SHARED anonymous memory, memfd).
 *
 * The cache of an inode goes from file index to frame and holds one reference on each; each PTE holds another. A missing
 * PTE does not mean a missing page: after MADV_DONTNEED the page is still in the cache.
 *
 * Fault (shmem_fault and do_fault):
 *  1. beyond the file -> SIGBUS.   2. in the cache: a MINOR area reports it.   3. not there: a MISSING area reports it.
 *  4. else allocate, clear, into the cache; somebody was faster -> theirs.
 *  5. a store to a private area copies into an anonymous page.   6. PTE lock; unchanged; map.
 *
 * page.mapping of a cached page is the inode's number * 2: bit 0, the mark of anonymous pages, is clear.
 * Source: mm/shmem.c.
 * @kernel shmem_fault, shmem_get_folio_gfp, do_fault, shmem_add_to_page_cache
 */
import { fail, violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Pfn } from '../hw/phys_mem.ts'
import { makePte, PTE_D, PTE_NONE, PTE_UFFD_WP, PTE_W } from '../hw/pte.ts'
import type { Kernel } from './kernel.ts'
import { pageAddNewAnonRmap } from './rmap.ts'
import { handleUserfault, userfaultfdMinor, userfaultfdMissing, userfaultfdWp } from './uffd_fault.ts'
import { type Attempt, pteMapLock, releaseFaultLock, type Vmf, vmfAnonPrepare } from './vm_fault.ts'
import { VM_SHARED, VM_UFFD_MINOR, VM_UFFD_MISSING, type Vma } from './vma.ts'
import { allocateUnderPressure } from './vmscan.ts'

/** A file in memory. @kernel inode, address_space */
export class ShmemInode {
  readonly cache = new Map<number, Pfn>()
  /** Open descriptions and areas. */
  refs = 0

  constructor(
    readonly id: number,
    /** Length in pages. */
    public pages: number,
  ) {}
}

/** An open file: memfd, the object behind MAP_SHARED|MAP_ANONYMOUS, or an ordinary file, of which only the kind matters. */
export class OpenFile {
  constructor(
    readonly inode: ShmemInode,
    readonly kind: 'shmem' | 'file',
    /** Opened for writing too. */
    readonly writable: boolean,
  ) {
    inode.refs++
  }
}

/** @kernel fput: the last reference drops the pages of a file that nobody can open again. */
export function putInode(kernel: Kernel, inode: ShmemInode): void {
  touch(inode.id, 'inode.refs', AccessMode.write)
  if (--inode.refs > 0) return
  if (inode.refs < 0) violate('I-UAF', `inode ${inode.id} has ${inode.refs} references`)
  for (const pfn of inode.cache.values()) kernel.pages.put(pfn)
  inode.cache.clear()
}

/** Puts a fresh page, with its one reference, into the cache; false: there is one. @kernel shmem_add_to_page_cache */
export function addToPageCache(kernel: Kernel, inode: ShmemInode, index: number, pfn: Pfn): boolean {
  if (inode.cache.has(index)) return false
  kernel.pages.mapping[pfn] = inode.id * 2
  kernel.pages.index[pfn] = index
  inode.cache.set(index, pfn)
  return true
}

/** Undoes the above for a page that could not be mapped. @kernel filemap_remove_folio */
export function removeFromPageCache(kernel: Kernel, inode: ShmemInode, index: number): void {
  const pfn = inode.cache.get(index)
  if (pfn === undefined) return
  inode.cache.delete(index)
  kernel.pages.put(pfn)
}

/** One more PTE maps a cached page. @kernel folio_add_file_rmap_pte */
export function pageAddFileRmap(kernel: Kernel, pfn: Pfn): void {
  kernel.pages.get(pfn)
  kernel.pages.mapcount[pfn]++
}

/** The inode behind a shmem area. */
export function inodeOf(vma: Vma): ShmemInode {
  if (vma.file === null) fail(`area [${vma.start},${vma.end}) has no file`)
  return vma.file.inode
}

export function* shmemFault(k: Thread, vmf: Vmf): Proc<Attempt> {
  const { vma, page } = vmf
  const { kernel } = vmf.mm
  // The cache is not part of what a speculation took a snapshot of.
  if (vmf.guard?.speculative === true) return 'changed'
  const inode = inodeOf(vma)
  const index = vma.indexOf(page)
  // 1.
  if (index >= inode.pages) {
    releaseFaultLock(k, vmf)
    return 'sigbus'
  }
  if (k.stepping) yield read(inode.id, 'inode.cache')
  let cached = inode.cache.get(index)
  // 2. and 3.
  if (cached !== undefined && userfaultfdMinor(vma)) return yield* handleUserfault(k, vmf, VM_UFFD_MINOR)
  if (cached === undefined) {
    if (userfaultfdMissing(vma)) return yield* handleUserfault(k, vmf, VM_UFFD_MISSING)
    // 4.
    let fresh = kernel.pages.allocate(k.cpu.id)
    if (fresh < 0) fresh = yield* allocateUnderPressure(k, kernel)
    if (fresh < 0) return 'oom'
    kernel.phys.clear(fresh)
    k.cpu.nowNs += k.cpu.preset.allocPageNs.value + k.cpu.preset.clearPageNs.value
    if (k.stepping) yield write(inode.id, 'inode.cache')
    if (!addToPageCache(kernel, inode, index, fresh)) kernel.pages.put(fresh)
    cached = inode.cache.get(index) ?? fail(`no page at index ${index} of inode ${inode.id}`)
  }
  kernel.pages.get(cached)
  const attempt = yield* mapCached(k, vmf, cached)
  kernel.pages.put(cached)
  if (attempt === 'done') kernel.hooks.populate(k, page, false)
  return attempt
}

/** 5. and 6. The caller holds a reference on `cached`. @kernel do_cow_fault, finish_fault */
function* mapCached(k: Thread, vmf: Vmf, cached: Pfn): Proc<Attempt> {
  const { mm, vma, page, slot } = vmf
  const { kernel } = mm
  const shared = (vma.flags & VM_SHARED) !== 0
  const copies = vmf.store && !shared
  let pfn = cached
  // 5.
  if (copies) {
    if (!(yield* vmfAnonPrepare(k, vmf))) return 'changed'
    pfn = kernel.pages.allocate(k.cpu.id)
    if (pfn < 0) pfn = yield* allocateUnderPressure(k, kernel)
    if (pfn < 0) return 'oom'
    kernel.phys.copy(pfn, cached)
    k.cpu.nowNs += k.cpu.preset.allocPageNs.value + k.cpu.preset.copyPageNs.value
  }
  // 6.
  if (!(yield* pteMapLock(k, vmf))) {
    if (copies) kernel.pages.put(pfn)
    return 'changed'
  }
  const lock = kernel.pteLock(slot)
  if (k.stepping) yield read(slot, 'pte')
  if (kernel.tables.get(slot) !== vmf.pte) {
    lock.unlock(k)
    if (copies) kernel.pages.put(pfn)
    return 'done'
  }
  if (copies) pageAddNewAnonRmap(kernel, pfn, vma, page)
  else pageAddFileRmap(kernel, pfn)
  mm.rss++
  let prot = copies || shared ? vmf.prot : vmf.prot & ~PTE_W
  if (vmf.store) prot |= PTE_D
  // A marker said that this page is write-protected: it still is.
  if (vmf.pte !== PTE_NONE && userfaultfdWp(vma)) prot = (prot | PTE_UFFD_WP) & ~PTE_W
  if (k.stepping) yield write(slot, 'pte')
  if ((prot & PTE_W) !== 0) mm.dirtyLog?.mark(k, page)
  kernel.tables.set(slot, makePte(pfn, prot))
  lock.unlock(k)
  return 'done'
}
