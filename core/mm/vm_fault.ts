/**
 * One page fault on its way: what all fault code is told, and how it takes the PTE lock.
 *
 * Fault code runs with one of three things held: mmap_lock, the lock of the area, or nothing (a speculation). Code that
 * does the work need not know which: it takes the PTE lock through pteMapLock, which fails where a speculation no longer
 * holds, and then gives back what it allocated and answers 'changed'.
 *
 * Source: Peter Zijlstra, RFC 2/6 "Prepare for FAULT_FLAG_SPECULATIVE", October 2014; v12, 16 April 2019.
 * @kernel vm_fault, pte_map_lock
 */
import { AccessMode, NOTHING, type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Slot } from '../hw/page_table.ts'
import type { Pte } from '../hw/pte.ts'
import { anonVmaPrepare } from './anon_vma.ts'
import type { Mm } from './mm.ts'
import type { Vma } from './vma.ts'

/** What keeps the area as it is while the fault is handled; null: mmap_lock, held for reading. */
export interface FaultGuard {
  /** Takes the lock of the page table page; false: something changed, and the lock is not held. */
  lockPte(k: Thread, vmf: Vmf): Proc<boolean>
  /** Lets go, before a sleep that may be long. @kernel release_fault_lock */
  release(k: Thread, vmf: Vmf): void
  /** Nothing is held: what may sleep on a lock, or needs the tree to stand still, must answer 'changed'. */
  readonly speculative: boolean
  /**
   * The area was found not to be a userfault area, and the count would say if it had become one before the PTE lock was taken:
   * what registers later comes after this fault.
   */
  readonly settlesUserfault: boolean
}

/** May drop the lock and be tried again. @kernel FAULT_FLAG_ALLOW_RETRY */
export const FAULT_FLAG_ALLOW_RETRY = 1 << 2
/** Must not sleep: says RETRY instead. */
export const FAULT_FLAG_RETRY_NOWAIT = 1 << 3
/** User code's own access, not the kernel's on its behalf. */
export const FAULT_FLAG_USER = 1 << 6
/** What a plain load or store of user code brings. @kernel FAULT_FLAG_DEFAULT */
export const FAULT_USER = FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_USER
/** An access by a system call (copy_from_user, get_user_pages). */
export const FAULT_KERNEL = FAULT_FLAG_ALLOW_RETRY

/** See Vmf.index. */
export const INDEX_NOW = -1

export interface Vmf {
  readonly mm: Mm
  readonly vma: Vma
  readonly page: number
  readonly store: boolean
  readonly slot: Slot
  /** The PTE as sampled before the work began. @kernel orig_pte */
  readonly pte: Pte
  /** PTE flags of a page mapped here, as sampled with the area. @kernel vm_page_prot */
  readonly prot: number
  readonly guard: FaultGuard | null
  /** The page's index as sampled with the area; INDEX_NOW: the area holds still until it is asked. @kernel linear_page_index */
  readonly index: number
  /** FAULT_FLAG_*; absent: a fault of user code that may sleep. */
  readonly flags: number
  /** Where in the page the access was. @kernel vmf->real_address */
  readonly offset: number
}

/**
 * What one attempt says: done, start over (the guard was released), a signal (the guard was released), no memory, or
 * changed: the speculation did not hold and nothing was done.
 */
export type Attempt = 'done' | 'retry' | 'sigbus' | 'oom' | 'changed'

/** What a try without mmap_lock says: over, or slept and to be looked at again, or to be done under mmap_lock. */
export type FirstTry = 'ok' | 'sigsegv' | 'sigbus' | 'oom' | 'retry' | 'fallback'

/** A Proc that is already over, with its answer. */
export function over<T>(value: T): Proc<T> {
  const end: IteratorReturnResult<T> = { done: true, value }
  const proc = { next: () => end, return: () => end, throw: () => end, [Symbol.iterator]: () => proc }
  return proc as unknown as Proc<T>
}

/** Procs that are already over: what the clock gear answers without a generator. */
export const LOCKED = over(true)
export const NOT_LOCKED = over(false)

/** Takes the PTE lock if what the fault was told still holds. @kernel pte_map_lock, pte_spinlock */
export function pteMapLock(k: Thread, vmf: Vmf): Proc<boolean> {
  return vmf.guard === null ? pteLock(k, vmf) : vmf.guard.lockPte(k, vmf)
}

/** The PTE lock where the area cannot change: always taken. */
export function pteLock(k: Thread, vmf: Vmf): Proc<boolean> {
  const taken = vmf.mm.kernel.pteLock(vmf.slot).lock(k)
  return taken === NOTHING ? LOCKED : thenLocked(taken)
}

function* thenLocked(taken: Proc<void>): Proc<boolean> {
  yield* taken
  return true
}

/**
 * Before an area's first page: its anon_vma. Making one needs the neighbours to stand still, hence mmap_lock, for reading. Under the lock
 * of the area alone that is only tried, since waiting would be the wrong way round; false: a writer has it, and the fault must come back
 * with mmap_lock. A speculation has asked before. @kernel vmf_anon_prepare
 */
export function vmfAnonPrepare(k: Thread, vmf: Vmf): Proc<boolean> {
  if (vmf.vma.anonVma !== null && !k.stepping) return LOCKED
  if (vmf.guard === null) return thenLocked(anonVmaPrepare(k, vmf.mm, vmf.vma))
  return vmf.guard.speculative ? LOCKED : prepareUnderVmaLock(k, vmf)
}

function* prepareUnderVmaLock(k: Thread, { mm, vma }: Vmf): Proc<boolean> {
  if (k.stepping) yield read(vma.id, 'vma.anon_vma')
  if (vma.anonVma !== null) return true
  const lock = mm.mmapLock
  if (k.stepping) yield { kind: 'access', mode: AccessMode.acquireShared, object: lock.id, label: lock.label }
  if (!lock.tryRead(k)) return false
  yield* anonVmaPrepare(k, mm, vma)
  lock.upRead(k)
  return true
}

/** Drops mmap_lock, or whatever the fault holds instead. @kernel release_fault_lock */
export function releaseFaultLock(k: Thread, vmf: Vmf): void {
  if (vmf.guard === null) vmf.mm.mmapLock.upRead(k)
  else vmf.guard.release(k, vmf)
}
