/**
 * The page fault: the choice of a path, and the classic one, under mmap_lock.
 *
 * Where the kernel has a path without mmap_lock, it is tried first (speculative_fault.ts, vma_lock.ts); it does the fault, or
 * falls back. The classic path:
 *
 *  1. mmap_lock for reading; find the area; no area or no right -> SIGSEGV.
 *  2. Walk, allocating tables. Sample the PTE.
 *  3. The work itself: pte_fault.ts.
 *  4. A missing page of a userfault area: handle_userfault drops the lock and sleeps; start over.
 *
 * @kernel do_user_addr_fault, handle_mm_fault
 */
import { type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { ptePresent, pteWritable } from '../hw/pte.ts'
import type { Mm } from './mm.ts'
import { handlePteFault } from './pte_fault.ts'
import { handleSpeculativeFault, handleSpeculativeFault2014 } from './speculative_fault.ts'
import { FAULT_FLAG_USER, FAULT_USER, type FirstTry } from './vm_fault.ts'
import { VM_READ, VM_WRITE } from './vma.ts'
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
    yield* mm.mmapLock.downRead(k)
    const vma = mm.tree.find(page)
    if (vma === null || !vma.contains(page) || (vma.flags & (store ? VM_WRITE : VM_READ)) === 0) {
      mm.mmapLock.upRead(k)
      return 'sigsegv'
    }
    // 2.
    const slot = mm.table.walkAllocate(page)
    if (k.stepping) yield read(slot, 'pte')
    const pte = kernel.tables.get(slot)
    // 3.
    const attempt = yield* handlePteFault(k, { mm, vma, page, store, slot, pte, prot: vma.pageProt, guard: null, flags, offset })
    switch (attempt) {
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
  const slot = mm.table.walk(page)
  if (slot < 0) return false
  const pte = mm.kernel.tables.get(slot)
  return ptePresent(pte) && (!store || pteWritable(pte))
}
