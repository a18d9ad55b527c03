/**
 * The page fault: the choice of a path, and the classic one, under mmap_lock.
 *
 * Where the kernel has a path without mmap_lock, it is tried first (speculative_fault.ts, vma_lock.ts); it does the fault, or
 * falls back. The classic path:
 *
 *  1. mmap_lock for reading; find the area; no area or no right -> SIGSEGV.
 *  2. Walk. No leaf table: 2 MiB may be mapped at once, or should be (huge_memory.ts); else one is allocated. Sample the PTE.
 *  3. The work itself: pte_fault.ts.
 *  4. A missing page of a userfault area: handle_userfault drops the lock and sleeps; start over.
 *
 * Source: arch/x86/mm/fault.c; mm/memory.c.
 * @kernel do_user_addr_fault, handle_mm_fault
 */
import { type Proc, QUANTUM } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { PTE_NONE, ptePresent, pteWritable } from '../hw/pte.ts'
import { loading } from '../sync/barriers.ts'
import { handleHugeFault } from './huge_memory.ts'
import type { Mm } from './mm.ts'
import { pteAlloc, ptepGet } from './pgtable.ts'
import { handlePteFault } from './pte_fault.ts'
import { handleSpeculativeFault, handleSpeculativeFault2014 } from './speculative_fault.ts'
import { type Attempt, FAULT_FLAG_USER, FAULT_USER, type FirstTry, INDEX_NOW } from './vm_fault.ts'
import { VM_READ, VM_WRITE, type Vma } from './vma.ts'
import { faultUnderVmaLock } from './vma_lock.ts'

/** What a user thread gets back: go on, a signal, or the end (a fatal signal came while it slept). */
export type FaultResult = 'ok' | 'sigsegv' | 'sigbus' | 'oom' | 'killed'

/** Handles a fault of `k` on a page of `mm`; sleeps where the page must come from elsewhere. @kernel do_user_addr_fault */
export function* handlePageFault(
  k: Thread,
  mm: Mm,
  page: number,
  store: boolean,
  flags = FAULT_USER,
  offset = 0,
): Proc<FaultResult> {
  const kernel = mm.kernel
  k.cpu.nowNs += k.cpu.preset.faultNs.value
  kernel.faults.total++
  let slept = false
  // Only user code's own faults: the kernel's, on its behalf, may hold what a fall-back would wait for.
  if (kernel.faultPath !== 'classic' && (flags & FAULT_FLAG_USER) !== 0) {
    const first = yield* tryWithoutMmapLock(k, mm, page, store, flags, offset)
    if (first === 'ok') kernel.faults.minor++
    if (first === 'retry') {
      slept = true
      if (k.fatalSignal) return 'killed'
      k.cpu.nowNs += k.cpu.preset.faultNs.value
      if (isResolved(mm, page, store)) {
        kernel.faults.major++
        return 'ok'
      }
    } else if (first !== 'fallback') return first
  }
  kernel.faults.classic++
  for (;;) {
    // 1.
    if (k.expired) yield QUANTUM
    yield* mm.mmapLock.downRead(k)
    const vma = mm.tree.find(page)
    if (vma === null || !vma.contains(page) || (vma.flags & (store ? VM_WRITE : VM_READ)) === 0) {
      mm.mmapLock.upRead(k)
      return 'sigsegv'
    }
    // 2. and 3.
    const attempt = yield* handleMmFault(k, mm, vma, page, store, flags, offset)
    switch (attempt) {
      case 'fallback': // A huge page came in between: hardware walks again.
      case 'done':
        mm.mmapLock.upRead(k)
        if (slept) kernel.faults.major++
        else kernel.faults.minor++
        return 'ok'
      case 'changed':
      case 'retry':
        // 4.
        slept = true
        if (k.fatalSignal) return 'killed'
        k.cpu.nowNs += k.cpu.preset.faultNs.value
        // Resolved meanwhile: hardware restarts the instruction and walks again.
        if (isResolved(mm, page, store)) {
          kernel.faults.major++
          return 'ok'
        }
        continue
      case 'sigbus':
        return 'sigbus'
      case 'oom':
        mm.mmapLock.upRead(k)
        return 'oom'
    }
  }
}

/** 2. and 3., with mmap_lock held for reading; 'fallback': a huge page came in between, and the table must be walked again. */
export function* handleMmFault(
  k: Thread,
  mm: Mm,
  vma: Vma,
  page: number,
  store: boolean,
  flags: number,
  offset: number,
): Proc<Attempt | 'fallback'> {
  const prot = vma.pageProt
  const guard = null
  const index = INDEX_NOW
  let slot = mm.table.walk(page)
  if (slot < 0) {
    const pmdSlot = mm.table.pmdSlotAllocate(page)
    const vmf = { mm, vma, page, store, slot: pmdSlot, pte: PTE_NONE, prot, guard, index, flags, offset }
    const huge = yield* handleHugeFault(k, vmf)
    if (huge !== 'fallback') return huge
    slot = yield* pteAlloc(k, mm, page)
    if (slot < 0) return 'fallback'
  }
  if (k.stepping) yield loading(k, slot, 'pte')
  const pte = ptepGet(k, mm.kernel, slot)
  return yield* handlePteFault(k, { mm, vma, page, store, slot, pte, prot, guard, index, flags, offset })
}

function tryWithoutMmapLock(k: Thread, mm: Mm, page: number, store: boolean, flags: number, offset: number): Proc<FirstTry> {
  switch (mm.kernel.faultPath) {
    case 'vma-lock':
      return faultUnderVmaLock(k, mm, page, store, flags, offset)
    case 'speculative-2014':
      return handleSpeculativeFault2014(k, mm, page, store)
    default:
      return handleSpeculativeFault(k, mm, page, store)
  }
}

function isResolved(mm: Mm, page: number, store: boolean): boolean {
  const pte = mm.table.lookup(page)
  return ptePresent(pte) && (!store || pteWritable(pte))
}
