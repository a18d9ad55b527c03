/**
 * COPY, ZEROPAGE, CONTINUE and POISON: fill a missing page so that nobody ever sees half of it.
 *
 * The ioctl (uffdCopy and its three siblings):
 *  1. mmap_changing -> EAGAIN, also in the field.   2. ranges, mode -> EINVAL, field untouched.   3. mm gone -> ESRCH, untouched.
 *  4. mfill_atomic.   5. the field: bytes or errno.   6. wake the bytes done, unless DONTWAKE.   7. all: 0; some: EAGAIN.
 *
 * mfill_atomic:
 *  a. the area of the whole range, its anon_vma made, registered -> else ENOENT.   b. map_changing_lock for reading; mmap_changing -> EAGAIN.
 *  c. MODE_WP needs a WP registration, CONTINUE needs shmem -> EINVAL.
 *  d. each page: make it, then PTE lock; occupied -> EEXIST; rmap, rss, store the PTE: visible at once and whole.
 *  e. COPY reads its source with page faults disabled. If that would fault: keep the page, drop every lock, copy with faults
 *     on (it may sleep on another userfault), and start over at a: everything may have changed.
 *
 * COPY and CONTINUE may replace a marker; ZEROPAGE and POISON need a none PTE.
 * Source: mm/userfaultfd.c, 4.3 and later; fs/userfaultfd.c.
 * @kernel mfill_atomic, mfill_atomic_install_pte, userfaultfd_copy, userfaultfd_zeropage, userfaultfd_continue, userfaultfd_poison
 */
import { type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { HUGE_PAGES } from '../hw/pte.ts'
import { anonVmaPrepare } from './anon_vma.ts'
import { ERRNO } from './errno.ts'
import { copyHugeUnlocked, fillHugetlbPage, fitsHugetlb } from './mfill_hugetlb.ts'
import { copyUnlocked, fillPage, type MfillState, NEEDS_SOURCE } from './mfill_page.ts'
import { type Mm, pageOfAddress } from './mm.ts'
import {
  UFFDIO_CONTINUE_MODE_DONTWAKE,
  UFFDIO_CONTINUE_MODE_WP,
  UFFDIO_COPY_MODE_DONTWAKE,
  UFFDIO_COPY_MODE_WP,
  UFFDIO_POISON_MODE_DONTWAKE,
  UFFDIO_ZEROPAGE_MODE_DONTWAKE,
} from './uffd_abi.ts'
import { validateRange } from './uffd_api.ts'
import { noteAnswered, wakeUserfault } from './uffd_wake.ts'
import { countReferences, type Userfaultfd } from './userfaultfd.ts'
import { VM_SHARED, VM_UFFD_WP, type Vma } from './vma.ts'

export interface UffdResult {
  readonly result: number
  /** What the kernel wrote into the result field: bytes done, or an errno; 0 if it left the field alone. */
  readonly done: number
}

/** UFFDIO_COPY. `src` is an address of the caller's mm, at any alignment. @kernel userfaultfd_copy */
export function* uffdCopy(
  k: Thread,
  uffd: Userfaultfd,
  dst: number,
  src: number,
  length: number,
  mode: number,
  caller: Mm = uffd.mm,
): Proc<UffdResult> {
  // The window is not the end of a task's addresses: a source outside of it is not there, not invalid.
  const bad = length > 0 ? 0 : ERRNO.EINVAL
  const known = UFFDIO_COPY_MODE_DONTWAKE | UFFDIO_COPY_MODE_WP
  return yield* resolve(k, uffd, dst, length, bad, known, mode, UFFDIO_COPY_MODE_WP, { what: 'copy', caller, src })
}

/** UFFDIO_ZEROPAGE: the shared zero page, or a fresh page of the cache on shmem. @kernel userfaultfd_zeropage */
export function* uffdZeropage(k: Thread, uffd: Userfaultfd, dst: number, length: number, mode: number): Proc<UffdResult> {
  return yield* resolve(k, uffd, dst, length, 0, UFFDIO_ZEROPAGE_MODE_DONTWAKE, mode, 0, { what: 'zeropage' })
}

/** UFFDIO_CONTINUE: maps what the page cache holds. @kernel userfaultfd_continue */
export function* uffdContinue(k: Thread, uffd: Userfaultfd, dst: number, length: number, mode: number): Proc<UffdResult> {
  const known = UFFDIO_CONTINUE_MODE_DONTWAKE | UFFDIO_CONTINUE_MODE_WP
  return yield* resolve(k, uffd, dst, length, 0, known, mode, UFFDIO_CONTINUE_MODE_WP, { what: 'continue' })
}

/** UFFDIO_POISON: whoever touches it gets SIGBUS. @kernel userfaultfd_poison */
export function* uffdPoison(k: Thread, uffd: Userfaultfd, dst: number, length: number, mode: number): Proc<UffdResult> {
  return yield* resolve(k, uffd, dst, length, 0, UFFDIO_POISON_MODE_DONTWAKE, mode, 0, { what: 'poison' })
}

type What = Pick<MfillState, 'what'> & { readonly caller?: Mm; readonly src?: number }

function* resolve(
  k: Thread,
  uffd: Userfaultfd,
  dst: number,
  length: number,
  badSource: number,
  knownModes: number,
  mode: number,
  wpMode: number,
  what: What,
): Proc<UffdResult> {
  const { mm } = uffd
  const { kernel } = mm
  k.cpu.nowNs += k.cpu.preset.syscallNs.value
  countReferences(k, uffd)
  // 1.
  if (k.stepping) yield read(uffd.id, 'uffd.mmap_changing')
  if (uffd.isChanging && kernel.has('uffd-mmap-changing'))
    return { result: ERRNO.EAGAIN, done: kernel.has('uffd-again-field') ? ERRNO.EAGAIN : 0 }
  // 2.
  const bad = badSource !== 0 ? badSource : validateRange(mm, dst, length)
  if (bad !== 0 || (mode & ~knownModes) !== 0) return { result: ERRNO.EINVAL, done: 0 }
  // 3.
  if (mm.users === 0) return { result: ERRNO.ESRCH, done: 0 }
  const start = pageOfAddress(dst)
  const pages = length / 4096
  const wakes = (mode & 1) === 0
  // R50: the order is place, then wake.
  if (wakes && !kernel.has('uffd-place-before-wake')) yield* wakeUserfault(k, uffd, start, start + pages)
  // 4. and 5.
  const done = yield* mfillAtomic(k, uffd, {
    start,
    pages,
    wp: (mode & wpMode) !== 0,
    caller: mm,
    src: 0,
    done: 0,
    kept: -1,
    ...what,
  })
  countReferences(k, uffd)
  if (done < 0) return { result: done, done }
  // 6.
  if (wakes && kernel.has('uffd-place-before-wake')) yield* wakeUserfault(k, uffd, start, start + done / 4096)
  if (wakes) noteAnswered(k, uffd, start, start + done / 4096)
  // 7.
  return { result: done === length ? 0 : ERRNO.EAGAIN, done }
}

/** Bytes filled, or an errno if none were. @kernel mfill_atomic */
function* mfillAtomic(k: Thread, uffd: Userfaultfd, state: MfillState): Proc<number> {
  const { mm } = uffd
  const { kernel } = mm
  const holds = kernel.has('mfill-area-lock')
  let error = 0
  let vma: Vma | null = null
  for (;;) {
    yield* mm.mmapLock.downRead(k)
    // a.
    if (vma === null || kernel.has('mfill-revalidate')) vma = yield* findDestination(k, mm, state)
    if (vma === null) {
      mm.mmapLock.upRead(k)
      error = ERRNO.ENOENT
      break
    }
    if (!holds) mm.mmapLock.upRead(k)
    // b. and c.
    yield* uffd.mapChangingLock.downRead(k)
    error = check(uffd, vma, state)
    // d.
    while (error === 0 && state.done < state.pages) {
      vma.use('mfill_atomic')
      error = vma.isHugetlb ? yield* fillHugetlbPage(k, mm, vma, state) : yield* fillPage(k, mm, vma, state)
      if (error !== 0) break
      state.done += vma.isHugetlb ? HUGE_PAGES : 1
      if (k.fatalSignal) error = ERRNO.EINTR
    }
    uffd.mapChangingLock.upRead(k)
    if (holds) mm.mmapLock.upRead(k)
    // e.
    if (error !== NEEDS_SOURCE) break
    error = kernel.pages.isHuge(state.kept) ? yield* copyHugeUnlocked(k, state) : yield* copyUnlocked(k, state)
    if (error !== 0) break
  }
  if (state.kept >= 0) kernel.pages.put(state.kept)
  return state.done > 0 ? state.done * 4096 : error
}

/**
 * The registered area that holds the whole range, or null. What lies at its start has an anon_vma from then on, registered or not.
 * @kernel find_vma_and_prepare_anon, validate_dst_vma
 */
function* findDestination(k: Thread, mm: Mm, state: MfillState): Proc<Vma | null> {
  const vma = mm.tree.find(state.start)
  if (!vma?.contains(state.start)) return null
  if ((vma.flags & VM_SHARED) === 0) yield* anonVmaPrepare(k, mm, vma)
  return state.start + state.pages <= vma.end && vma.uffd !== null ? vma : null
}

/** b. and c. */
function check(uffd: Userfaultfd, vma: Vma, state: MfillState): number {
  if (uffd.isChanging && uffd.mm.kernel.has('uffd-mmap-changing')) return ERRNO.EAGAIN
  if (vma.isAnonymous && (vma.flags & VM_SHARED) !== 0) return ERRNO.EINVAL
  if (state.wp && (vma.flags & VM_UFFD_WP) === 0) return ERRNO.EINVAL
  if (vma.isHugetlb) return fitsHugetlb(state) ? 0 : ERRNO.EINVAL
  if (!vma.isAnonymous && !vma.isShmem) return ERRNO.EINVAL
  if (state.what === 'continue' && !vma.isShmem) return ERRNO.EINVAL
  return 0
}
