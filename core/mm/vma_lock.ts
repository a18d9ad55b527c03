/**
 * The page fault under a lock of the area alone: what mainline did instead of speculation (6.4 and later).
 *
 * lock_vma_under_rcu, which never blocks; any doubt is "no", and the classic path answers:
 *  1. RCU section. 2. look the area up (the tree's contract: a walk under RCU sees some whole state of the tree).
 *  3. vma_start_read: not write-locked, try the read lock, still not write-locked.
 *  4. the area still covers the address and is not detached. 5. leave RCU.
 *
 * Readers keep writers out while they work, so nothing is checked again: rights are exact, tables may be allocated, a
 * userfault may sleep once the area's lock is released. Only an area's first page of its own needs more: its anon_vma is the
 * neighbours' business, hence mmap_lock is tried for it (vmfAnonPrepare; until 6.9 an area without one was a doubt in step 4).
 * Pairs with mmap_lock.ts, and with vma_sequence.ts for writers.
 *
 * Source: mm/memory.c; "per-VMA locks", 2023; a373baed5a9d ("mm: delay the check for a NULL anon_vma"), 737019cf6ac5, 2024.
 * @kernel lock_vma_under_rcu, vma_start_read, vma_end_read
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { PTE_NONE } from '../hw/pte.ts'
import { handleHugeFault } from './huge_memory.ts'
import { chooseNode } from './mempolicy.ts'
import type { Mm } from './mm.ts'
import { VmaLock } from './mmap_lock.ts'
import { pteAlloc } from './pgtable.ts'
import { handlePteFault } from './pte_fault.ts'
import { type Attempt, type FaultGuard, type FirstTry, INDEX_NOW, pteLock, type Vmf } from './vm_fault.ts'
import { VM_READ, VM_WRITE, type Vma } from './vma.ts'

/** What holding the area's lock means to fault code: the PTE lock is taken as ever. */
const UNDER_VMA_LOCK: FaultGuard = {
  speculative: false,
  settlesUserfault: false,
  lockPte: pteLock,
  release: (k: Thread, vmf: Vmf) => vmf.vma.lock?.endRead(k),
}

/** The lock of an area; most areas never need one. */
export function vmaLock(mm: Mm, vma: Vma): VmaLock {
  const { lockNs, lineTransferNs } = mm.kernel.preset
  vma.lock ??= new VmaLock(vma.id, lockNs.value, lineTransferNs.value)
  return vma.lock
}

/** The area of a page, read-locked, or why not. @kernel lock_vma_under_rcu */
export function* lockVmaUnderRcu(k: Thread, mm: Mm, page: number): Proc<Vma | string> {
  const { kernel } = mm
  // 1.
  if (k.stepping) yield read(0, 'rcu.readers')
  kernel.rcu.readLock(k)
  // 2.
  if (k.stepping) yield read(mm.id, 'mm.mm_mt')
  const vma = mm.tree.walk(page)
  if (vma === null) {
    kernel.rcu.readUnlock(k)
    return 'no-vma'
  }
  vma.use('lock_vma_under_rcu')
  // 3.
  const lock = vmaLock(mm, vma)
  if (!(yield* lock.startRead(k, mm.mmapLock, kernel.has('vma-lock-second-look')))) {
    kernel.rcu.readUnlock(k)
    return 'locked'
  }
  // 4.
  if (k.stepping) yield read(vma.id, 'vma.vm_end')
  vma.use('lock_vma_under_rcu')
  const gone = isGone(mm, vma, page)
  if (gone) lock.endRead(k)
  // 5.
  kernel.rcu.readUnlock(k)
  return gone ? 'detached' : vma
}

function isGone(mm: Mm, vma: Vma, page: number): boolean {
  touch(vma.id, 'vma.vm_rb', AccessMode.read)
  touch(vma.id, 'vma.vm_end', AccessMode.read)
  return mm.kernel.has('vma-lock-recheck') && !(vma.linked && vma.contains(page))
}

/** One try under the area's lock. */
export function* faultUnderVmaLock(
  k: Thread,
  mm: Mm,
  page: number,
  store: boolean,
  flags: number,
  offset: number,
): Proc<FirstTry> {
  const { kernel } = mm
  const vma = yield* lockVmaUnderRcu(k, mm, page)
  if (typeof vma === 'string') {
    kernel.faults.countAbort(vma)
    return 'fallback'
  }
  if (k.stepping) yield read(vma.id, 'vma.vm_flags')
  if ((vma.flags & (store ? VM_WRITE : VM_READ)) === 0) {
    vma.lock?.endRead(k)
    return 'sigsegv'
  }
  const prot = vma.pageProt
  const guard = UNDER_VMA_LOCK
  let attempt: Attempt | 'fallback' = 'fallback'
  let slot = mm.table.walk(page)
  if (slot < 0) {
    const pmdSlot = mm.table.pmdSlotAllocate(page)
    const vmf = { mm, vma, page, store, slot: pmdSlot, pte: PTE_NONE, prot, guard, index: INDEX_NOW, flags, offset }
    attempt = yield* handleHugeFault(k, vmf)
    if (attempt === 'fallback') slot = yield* pteAlloc(k, mm, page)
  }
  if (slot >= 0) {
    yield* chooseNode(k, vma)
    if (k.stepping) yield read(slot, 'pte')
    const pte = kernel.tables.get(slot)
    attempt = yield* handlePteFault(k, { mm, vma, page, store, slot, pte, prot, guard, index: INDEX_NOW, flags, offset })
  }
  switch (attempt) {
    case 'fallback': // A huge page came in between: hardware walks again.
    case 'done':
      vma.lock?.endRead(k)
      kernel.faults.vmaLock++
      return 'ok'
    case 'oom':
      vma.lock?.endRead(k)
      return 'oom'
    case 'changed':
      vma.lock?.endRead(k)
      kernel.faults.countAbort('not-supported')
      return 'fallback'
    case 'retry':
    case 'sigbus':
      return attempt
  }
}
