/**
 * mmap(2): protection, MAP_FIXED, private and shared, anonymous memory and files.
 *
 *  1. length 0, neither or both of SHARED and PRIVATE, a misaligned fixed address or offset -> EINVAL.
 *  2. a shared, writable mapping of a file opened for reading -> EACCES. Without PROT_WRITE it may never become writable:
 *     no VM_MAYWRITE.   3. mmap_lock for writing.
 *  4. MAP_FIXED: what is there goes, as by munmap. NOREPLACE: EEXIST. Else the hint if it is free, or the lowest gap -> ENOMEM.
 *  5. the area and its file, into the tree; merged with equal neighbours.   6. unlock; then tell userfaultfd what was unmapped.
 *
 * MAP_SHARED|MAP_ANONYMOUS is a mapping of a shmem file without a name.
 * Source: mm/mmap.c.
 * @kernel ksys_mmap_pgoff, do_mmap, mmap_region, shmem_zero_setup
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { HUGE_PAGES } from '../hw/pte.ts'
import { ERRNO } from './errno.ts'
import { cutsHugetlb } from './hugetlb_area.ts'
import { addressOf, type Mm, pageOfAddress } from './mm.ts'
import { FIRST_PAGE, linkNew, mergeAround, unmapLocked } from './mmap.ts'
import { PROT_WRITE, rightsOf } from './mprotect.ts'
import { OpenFile, ShmemInode } from './shmem.ts'
import { type UnmapEvent, unmapComplete } from './uffd_events.ts'
import { accounted, VM_HUGETLB, VM_MAYREAD, VM_MAYWRITE, VM_SHARED, VM_WRITE, Vma } from './vma.ts'

export const MAP_SHARED = 0x01
export const MAP_PRIVATE = 0x02
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20
/** Private anonymous memory of the hugetlb pool; lengths are rounded up to 2 MiB. */
export const MAP_HUGETLB = 0x40000
export const MAP_FIXED_NOREPLACE = 0x100000

export interface MmapRequest {
  /** Where, exactly (FIXED) or as a hint; 0: anywhere. */
  readonly address: number
  readonly length: number
  readonly prot: number
  readonly flags: number
  /** Null with MAP_ANONYMOUS. */
  readonly file: OpenFile | null
  /** Bytes into the file. */
  readonly offset: number
}

/** The byte address, or an errno. */
export function* mmap(k: Thread, mm: Mm, request: MmapRequest): Proc<number> {
  const { address, flags, prot, offset } = request
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  // 1.
  const hugetlb = (flags & MAP_HUGETLB) !== 0
  const align = hugetlb ? HUGE_PAGES : 1
  const pages = Math.ceil(request.length / (4096 * align)) * align
  const kind = flags & (MAP_SHARED | MAP_PRIVATE)
  const fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0
  const anonymous = (flags & MAP_ANONYMOUS) !== 0
  if (!(pages > 0) || (kind !== MAP_SHARED && kind !== MAP_PRIVATE) || offset % 4096 !== 0) return ERRNO.EINVAL
  if (!anonymous && request.file === null) return ERRNO.EBADF
  if (fixed && (!(pageOfAddress(address) >= FIRST_PAGE) || pageOfAddress(address) % align !== 0)) return ERRNO.EINVAL
  // A file of hugetlbfs, shared or not, is not modelled.
  if (hugetlb && (!anonymous || kind !== MAP_PRIVATE)) return ERRNO.EINVAL
  // 2.
  const shared = kind === MAP_SHARED
  let vmFlags = rightsOf(prot) | VM_MAYREAD | VM_MAYWRITE | (hugetlb ? VM_HUGETLB : 0)
  let file = anonymous ? null : request.file
  if (shared) {
    vmFlags |= VM_SHARED
    if (file !== null && !file.writable) {
      if ((prot & PROT_WRITE) !== 0) return ERRNO.EACCES
      vmFlags &= ~(VM_MAYWRITE | VM_WRITE)
    }
  }
  // 3.
  yield* mm.mmapLock.downWrite(k)
  // 4.
  const events: UnmapEvent[] = []
  const start = yield* place(k, mm, request, pages, fixed, events)
  if (start >= 0) {
    // 5.
    if (shared && anonymous) file = new OpenFile(new ShmemInode(mm.kernel.newId(), pages), 'shmem', true)
    else if (file !== null) file.inode.refs++
    const vma = new Vma(mm.kernel.newId(), start, start + pages, accounted(vmFlags), file?.kind ?? null)
    vma.file = file
    if (file !== null) vma.pgoff = shared && anonymous ? 0 : offset / 4096
    yield* linkNew(k, mm, vma)
    yield* mergeAround(k, mm, vma)
  }
  // 6.
  mm.mmapLock.upWrite(k)
  yield* unmapComplete(k, events)
  return start >= 0 ? addressOf(start) : start
}

/** 4.: the first page, or an errno. @kernel get_unmapped_area */
function* place(k: Thread, mm: Mm, request: MmapRequest, pages: number, fixed: boolean, events: UnmapEvent[]): Proc<number> {
  const wanted = pageOfAddress(request.address)
  const align = (request.flags & MAP_HUGETLB) !== 0 ? HUGE_PAGES : 1
  const isFree = () => wanted + pages <= mm.windowPages && mm.tree.overlapping(wanted, wanted + pages).length === 0
  if (fixed) {
    if (wanted + pages > mm.windowPages) return ERRNO.ENOMEM
    if (cutsHugetlb(mm, wanted, wanted + pages)) return ERRNO.EINVAL
    if ((request.flags & MAP_FIXED_NOREPLACE) !== 0) return isFree() ? wanted : ERRNO.EEXIST
    yield* unmapLocked(k, mm, wanted, wanted + pages, events)
    return wanted
  }
  if (wanted >= FIRST_PAGE && wanted % align === 0 && isFree()) return wanted
  const gap = mm.tree.findGap(FIRST_PAGE, pages, mm.windowPages, align)
  return gap >= 0 ? gap : ERRNO.ENOMEM
}
