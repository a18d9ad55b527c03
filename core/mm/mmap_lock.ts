/**
 * mmap_lock, and the lock of one area that 6.4 put beside it.
 *
 * An area's lock is held by readers (page faults) and written by whoever changes the area. There is no unlock for writing:
 * a write lock is a number in the area equal to the number in mmap_lock, and leaving mmap_lock counts that up, which
 * releases all areas at once. Hence writers need mmap_lock for writing, and may collect as many areas as they like.
 *
 * In the clock gear a write section is atomic but lasts: an area keeps from when to when it was write-locked last.
 * Pairs with vma_lock.ts. @kernel mmap_lock, mm_lock_seq, vma_start_write, vma_end_write_all
 * Source: include/linux/mmap_lock.h, 6.4 to 6.14.
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, NOTHING, type Proc, read, write } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { Rwsem } from '../sync/rwsem.ts'

export class MmapLock extends Rwsem {
  /** @kernel mm_lock_seq */
  sequence = 1
  #lockedAreas: VmaLock[] = []

  constructor(
    id: number,
    costNs: number,
    wakeupNs: number,
    lineTransferNs: number,
    wakerNs: number,
    cpus?: { readonly length: number },
  ) {
    super(id, 'mm.mmap_lock', costNs, wakeupNs, lineTransferNs, wakerNs, cpus)
  }

  /** @kernel mmap_write_unlock, vma_end_write_all */
  override upWrite(k: Task): void {
    this.#endWriteAll(k)
    super.upWrite(k)
  }

  /** @kernel mmap_write_downgrade */
  override downgrade(k: Task): void {
    this.#endWriteAll(k)
    super.downgrade(k)
  }

  #endWriteAll(k: Task): void {
    touch(this.id, 'mm.mm_lock_seq', AccessMode.write)
    this.sequence++
    if (this.#lockedAreas.length === 0) return
    for (const area of this.#lockedAreas) area.lockedUntilNs = k.clock.nowNs
    this.#lockedAreas = []
  }

  /** An area that the next upWrite releases. */
  noteLocked(area: VmaLock): void {
    this.#lockedAreas.push(area)
  }
}

export class VmaLock {
  /** Equal to mmap_lock's: write-locked. @kernel vm_lock_seq */
  sequence = 0
  lockedFromNs = Number.POSITIVE_INFINITY
  lockedUntilNs = Number.NEGATIVE_INFINITY
  readonly #rwsem: Rwsem

  constructor(
    readonly id: number,
    costNs: number,
    lineTransferNs: number,
  ) {
    // No price of waking: kernels that have this lock spin on one that readers hold (5.3), and its readers are short.
    this.#rwsem = new Rwsem(id, 'vma.lock', costNs, 0, lineTransferNs)
  }

  /** Waits for the readers, and keeps new ones out until mmap_lock is left. The caller writes mmap_lock. @kernel vma_start_write */
  startWrite(k: Task, mmapLock: MmapLock): Proc<void> {
    if (this.sequence === mmapLock.sequence) return NOTHING
    return this.#startWrite(k, mmapLock)
  }

  *#startWrite(k: Task, mmapLock: MmapLock): Proc<void> {
    yield* this.#rwsem.downWrite(k)
    if (k.stepping) yield write(this.id, 'vma.vm_lock_seq')
    this.#mark(k, mmapLock)
    this.#rwsem.upWrite(k)
  }

  #mark(k: Task, mmapLock: MmapLock): void {
    this.sequence = mmapLock.sequence
    this.lockedFromNs = k.clock.nowNs
    this.lockedUntilNs = Number.POSITIVE_INFINITY
    mmapLock.noteLocked(this)
  }

  /**
   * A read lock, or false at once where a writer is near: compare, try, and compare again (`looksTwice`), because a writer may
   * have come and marked the area in between. @kernel vma_start_read
   */
  *startRead(k: Task, mmapLock: MmapLock, looksTwice: boolean): Proc<boolean> {
    if (k.stepping) yield read(this.id, 'vma.vm_lock_seq')
    if (this.#isWriteLocked(k, mmapLock)) return false
    if (k.stepping) yield { kind: 'access', mode: AccessMode.acquireShared, object: this.id, label: 'vma.lock' }
    if (!this.#rwsem.tryRead(k)) return false
    if (k.stepping) yield read(this.id, 'vma.vm_lock_seq')
    if (looksTwice && this.#isWriteLocked(k, mmapLock)) {
      this.#rwsem.upRead(k)
      return false
    }
    return true
  }

  #isWriteLocked(k: Task, mmapLock: MmapLock): boolean {
    touch(mmapLock.id, 'mm.mm_lock_seq', AccessMode.read)
    if (this.sequence === mmapLock.sequence) return true
    const now = k.clock.nowNs
    return !k.stepping && this.lockedFromNs <= now && now < this.lockedUntilNs
  }

  /** @kernel vma_end_read */
  endRead(k: Task): void {
    this.#rwsem.upRead(k)
  }
}
