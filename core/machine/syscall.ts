/**
 * System calls: the only door from user code (guest, migration, conformance cases) into core/mm.
 *
 * Byte addresses in, results or negated errno out, as the man pages say; each call charges its entry and exit. `k` is the
 * calling thread, `p` its process (Process.adopt makes a thread run there). The ioctls of userfaultfd are in uffd_calls.ts.
 */
import type { Bitmap } from '../base/bitmap.ts'
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { dirtyLogClear, dirtyLogGet, dirtyLogStart, dirtyLogStop } from '../mm/dirty_log.ts'
import { type DirtyRing, dirtyRingsEnable, dirtyRingsReset } from '../mm/dirty_ring.ts'
import { fork } from '../mm/fork.ts'
import { readUserBuffer } from '../mm/gup.ts'
import { madvise } from '../mm/madvise.ts'
import { memoryFailure } from '../mm/memory_failure.ts'
import { mincore, mlock, munlock } from '../mm/mlock.ts'
import { pageOfAddress as pageOf } from '../mm/mm.ts'
import { exitMmap, munmap } from '../mm/mmap.ts'
import { MAP_ANONYMOUS, MAP_PRIVATE, mmap } from '../mm/mmap_call.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../mm/mprotect.ts'
import { mremap } from '../mm/mremap.ts'
import { pagemapScanHolding, pagemapScanWritten } from '../mm/pagemap_scan.ts'
import { remapAnonPages } from '../mm/remap_anon_pages.ts'
import { OpenFile, putInode, ShmemInode } from '../mm/shmem.ts'
import { newUserfaultfd2014, Userfaultfd2014 } from '../mm/userfaultfd_2014.ts'
import { type AccessOutcome, load, processVmReadv, store } from './access.ts'
import { Process } from './process.ts'
import { uffdCalls } from './uffd_calls.ts'

export type { DirtyRing } from '../mm/dirty_ring.ts'
// biome-ignore lint/performance/noBarrelFile: this is the door; user code gets the numbers and types of its calls here and nowhere else.
export { ERRNO, errnoName } from '../mm/errno.ts'
export {
  MADV_DOFORK,
  MADV_DONTFORK,
  MADV_DONTNEED,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MADV_NOUSERFAULT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_USERFAULT,
} from '../mm/madvise.ts'
export { MLOCK_ONFAULT } from '../mm/mlock.ts'
export { addressOf, pageOfAddress } from '../mm/mm.ts'
export { MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_HUGETLB, MAP_PRIVATE, MAP_SHARED } from '../mm/mmap_call.ts'
export { PROT_NONE, PROT_READ, PROT_WRITE } from '../mm/mprotect.ts'
export { MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from '../mm/mremap.ts'
export type { OpenFile } from '../mm/shmem.ts'
export * from '../mm/uffd_abi.ts'
export type { UffdRead } from '../mm/uffd_read.ts'
export type { Userfaultfd } from '../mm/userfaultfd.ts'
export { USERFAULTFD_PROTOCOL, Userfaultfd2014 } from '../mm/userfaultfd_2014.ts'
export type { AccessOutcome } from './access.ts'

/** An area, as a line of /proc/self/maps. */
export interface MapsLine {
  readonly start: number
  readonly end: number
  /** VM_*. */
  readonly flags: number
}

export const sys = {
  ...uffdCalls,

  /** Anonymous and private unless told otherwise; the address, or an errno. `address` is a hint but for MAP_FIXED. */
  mmap: (
    k: Thread,
    p: Process,
    length: number,
    prot = PROT_READ | PROT_WRITE,
    flags = MAP_PRIVATE | MAP_ANONYMOUS,
    address = 0,
    file: OpenFile | null = null,
    offset = 0,
  ): Proc<number> => mmap(k, p.mm, { address, length, prot, flags, file, offset }),
  munmap: (k: Thread, p: Process, address: number, length: number): Proc<number> => munmap(k, p.mm, address, length),
  mremap: (k: Thread, p: Process, old: number, oldLength: number, newLength: number, flags: number, to = 0): Proc<number> =>
    mremap(k, p.mm, old, oldLength, newLength, flags, to),
  madvise: (k: Thread, p: Process, address: number, length: number, advice: number): Proc<number> =>
    madvise(k, p.mm, address, length, advice),
  /** madvise(MADV_HWPOISON) of one page: as if the hardware had found its frame broken. */
  hwpoison: (k: Thread, p: Process, address: number): Proc<number> => memoryFailure(k, p.mm, pageOf(address)),
  mprotect: (k: Thread, p: Process, address: number, length: number, prot: number): Proc<number> =>
    mprotect(k, p.mm, address, length, prot),
  mlock: (k: Thread, p: Process, address: number, length: number, flags = 0): Proc<number> =>
    mlock(k, p.mm, address, length, flags),
  munlock: (k: Thread, p: Process, address: number, length: number): Proc<number> => munlock(k, p.mm, address, length),
  /** Which pages are here, or an errno. */
  mincore: (k: Thread, p: Process, address: number, length: number): Proc<number | boolean[]> =>
    mincore(k, p.mm, address, length),
  remapAnonPages: (k: Thread, p: Process, dst: number, src: number, length: number, flags: number): Proc<number> =>
    remapAnonPages(k, p.mm, dst, src, length, flags),

  *fork(k: Thread, p: Process): Proc<Process> {
    const child = new Process(p.machine, yield* fork(k, p.mm))
    child.privileged = p.privileged
    return child
  },
  /** exit(2) of the process's last thread: its address space is gone. */
  exit: (k: Thread, p: Process): Proc<void> => exitMmap(k, p.mm),
  /** A fatal signal: what `thread` sleeps on killably ends. */
  kill(k: Thread, thread: Thread): void {
    thread.fatalSignal = true
    thread.wake(k.nowNs)
  },

  /** A file that lives in memory, and its descriptor. */
  memfdCreate: (p: Process, length: number): OpenFile =>
    new OpenFile(new ShmemInode(p.mm.kernel.newId(), Math.ceil(length / 4096)), 'shmem', true),
  /** An ordinary file, opened for reading and writing. Only its kind matters here: its content is not modelled. */
  openFile: (p: Process, length: number): OpenFile =>
    new OpenFile(new ShmemInode(p.mm.kernel.newId(), Math.ceil(length / 4096)), 'file', true),
  /** The same file, opened for reading only. */
  reopenReadOnly: (file: OpenFile): OpenFile => new OpenFile(file.inode, file.kind, false),
  closeFile: (p: Process, file: OpenFile): void => putInode(p.mm.kernel, file.inode),

  /** A load or a store of user code, with its signal. */
  load: (k: Thread, p: Process, address: number): Proc<AccessOutcome> => load(k, p, address),
  store: (k: Thread, p: Process, address: number, value: number): Proc<AccessOutcome> => store(k, p, address, value),
  /** write(2) of the buffer to something that takes it all: bytes or EFAULT. */
  write: (k: Thread, p: Process, address: number, length: number): Proc<number> => readUserBuffer(k, p.mm, address, length),
  processVmReadv: (k: Thread, target: Process, address: number, length: number): Proc<number> =>
    processVmReadv(k, target, address, length),

  /** Modelled after KVM_SET_USER_MEMORY_REGION with KVM_MEM_LOG_DIRTY_PAGES, KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG. */
  dirtyLogStart: (k: Thread, p: Process, address: number, length: number, initiallySet = false): Proc<number> =>
    dirtyLogStart(k, p.mm, pageOf(address), pageOf(address) + length / 4096, initiallySet),
  /** Sets in `out` the bits of the pages that were written, bit 0 for the first; their marks stay. */
  dirtyLogGet: (k: Thread, p: Process, address: number, length: number, out: Bitmap): Proc<number> =>
    dirtyLogGet(k, p.mm, pageOf(address), pageOf(address) + length / 4096, out),
  /** Of the range, the pages whose bit is set in `which`; its bit 0 is for the page at `origin`. */
  dirtyLogClear: (k: Thread, p: Process, address: number, length: number, which: Bitmap, origin: number): Proc<number> =>
    dirtyLogClear(k, p.mm, pageOf(address), pageOf(address) + length / 4096, which, pageOf(origin)),
  dirtyLogStop: (k: Thread, p: Process): Proc<void> => dirtyLogStop(k, p.mm),
  /** KVM_CAP_DIRTY_LOG_RING: a ring for the vCPU on each of these CPUs; KVM_RESET_DIRTY_RINGS. */
  dirtyRingsEnable: (p: Process, cpus: readonly number[], entries: number): number => dirtyRingsEnable(p.mm, cpus, entries),
  /** The rings as user code has them mapped. */
  dirtyRings: (p: Process): readonly DirtyRing[] => p.mm.dirtyRings?.all ?? [],
  *dirtyRingsReset(k: Thread, p: Process): Proc<number> {
    k.cpu.nowNs += k.cpu.preset.syscallNs.value
    return yield* dirtyRingsReset(k, p.mm)
  },

  /** PAGEMAP_SCAN of a range for PAGE_IS_WRITTEN, with PM_SCAN_WP_MATCHING; sets in `out` the bits of the pages, bit 0 for the first. */
  pagemapScanWritten: (k: Thread, p: Process, address: number, length: number, out: Bitmap): Proc<number> =>
    pagemapScanWritten(k, p.mm, pageOf(address), pageOf(address) + length / 4096, out),

  /** The same for pages that hold something: are there or swapped out, and not the kernel's zero page. Protects nothing. */
  pagemapScanHolding: (k: Thread, p: Process, address: number, length: number, out: Bitmap): Proc<number> =>
    pagemapScanHolding(k, p.mm, pageOf(address), pageOf(address) + length / 4096, out),

  /** userfaultfd(2) as proposed in 2014; the handshake is the caller's. */
  userfaultfd2014: (p: Process): Userfaultfd2014 => new Userfaultfd2014(p.mm, p.mm.kernel.newId()),
  /** The same with its errno: unknown flags, and in July a second one. */
  openUserfaultfd2014: (p: Process, flags: number, series: 'july' | 'october' = 'october'): Userfaultfd2014 | number =>
    newUserfaultfd2014(p.mm, flags, series),

  /** /proc/self/maps. */
  maps: (p: Process): MapsLine[] => p.mm.tree.areas.map(({ start, end, flags }) => ({ start, end, flags })),
} as const
