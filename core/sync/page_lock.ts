/**
 * Sleeping bit locks of pages: PG_locked with hashed wait queues.
 *
 * A page has no lock object of its own, only a bit; those who wait are found by the page's number. The caller keeps the
 * bit (mm/page.ts); this file keeps the waiters, and for the pages unlocked last the time, so that in the clock gear an
 * earlier asker on another CPU moves its clock there.
 *
 * Source: mm/filemap.c.
 * @kernel folio_lock, folio_unlock, folio_wait_bit
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, type Gate, NOTHING, type Proc } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'

/** The class of all page locks. */
const LABEL = 'page.lock'

/** The bit itself, wherever it lives. */
export interface LockBit {
  test(pfn: number): boolean
  set(pfn: number): void
  clear(pfn: number): void
}

/** Pages whose last unlocking is remembered; contention is between CPUs that are at most a quantum apart. */
const REMEMBERED = 256

export class PageLocks {
  readonly #bit: LockBit
  /** Made when the clock gear first unlocks a page. */
  #freePfn = new Int32Array(0)
  #freeAtNs = new Float64Array(0)
  readonly #waiters = new Map<number, Task[]>()

  constructor(bit: LockBit) {
    this.#bit = bit
  }

  lock(k: Task, pfn: number): Proc<void> {
    if (!k.stepping && !this.#bit.test(pfn)) {
      this.#enter(k, pfn)
      if (k.lockdep !== null) {
        k.lockdep.asks(k, LABEL, pfn, 'sleep')
        k.lockdep.takes(k, LABEL, pfn, 'sleep')
      }
      return NOTHING
    }
    return this.#lockSlow(k, pfn)
  }

  #enter(k: Task, pfn: number): void {
    this.#bit.set(pfn)
    if (k.stepping) return
    const i = pfn % REMEMBERED
    if (this.#freePfn[i] === pfn && this.#freeAtNs[i] > k.clock.nowNs) k.clock.nowNs = this.#freeAtNs[i]
  }

  *#lockSlow(k: Task, pfn: number): Proc<void> {
    k.lockdep?.asks(k, LABEL, pfn, 'sleep')
    if (k.stepping) yield { kind: 'access', mode: AccessMode.acquire, object: pfn, label: LABEL, gate: this.#gate(pfn) }
    while (this.#bit.test(pfn)) {
      this.#enqueue(k, pfn)
      k.park(`page lock of pfn ${pfn}`)
      yield BLOCK
    }
    this.#enter(k, pfn)
    k.lockdep?.takes(k, LABEL, pfn, 'sleep')
  }

  /** @kernel folio_trylock */
  tryLock(k: Task, pfn: number): boolean {
    if (k.stepping) touch(pfn, LABEL, AccessMode.write)
    if (this.#bit.test(pfn)) return false
    this.#bit.set(pfn)
    k.lockdep?.takes(k, LABEL, pfn, 'sleep')
    return true
  }

  /** Sleeps until whoever holds the lock gives it back, and does not take it. @kernel folio_wait_locked */
  *wait(k: Task, pfn: number): Proc<void> {
    k.lockdep?.asks(k, LABEL, pfn, 'sleep')
    if (k.stepping) {
      yield { kind: 'access', mode: AccessMode.read, object: pfn, label: LABEL, gate: this.#gate(pfn) }
      return
    }
    if (!this.#bit.test(pfn)) return
    this.#enqueue(k, pfn)
    k.park(`page lock of pfn ${pfn}`)
    yield BLOCK
  }

  #remember(k: Task, pfn: number): void {
    if (this.#freePfn.length === 0) {
      this.#freePfn = new Int32Array(REMEMBERED).fill(-1)
      this.#freeAtNs = new Float64Array(REMEMBERED)
    }
    this.#freePfn[pfn % REMEMBERED] = pfn
    this.#freeAtNs[pfn % REMEMBERED] = k.clock.nowNs
  }

  #gate(pfn: number): Gate {
    return { opens: () => !this.#bit.test(pfn), describe: () => `page lock of pfn ${pfn}`, holder: () => null }
  }

  #enqueue(k: Task, pfn: number): void {
    const queue = this.#waiters.get(pfn)
    if (queue === undefined) this.#waiters.set(pfn, [k])
    else queue.push(k)
  }

  unlock(k: Task, pfn: number): void {
    if (k.lockdep !== null) k.lockdep.gives(k, LABEL, pfn)
    if (k.stepping) touch(pfn, LABEL, AccessMode.release)
    this.#bit.clear(pfn)
    if (!k.stepping) this.#remember(k, pfn)
    if (this.#waiters.size === 0) return
    const queue = this.#waiters.get(pfn)
    if (queue === undefined) return
    this.#waiters.delete(pfn)
    for (const task of queue) task.wake(k.clock.nowNs)
  }
}
