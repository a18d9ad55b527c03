/**
 * Sleeping bit locks of pages: PG_locked with hashed wait queues.
 *
 * A page has no lock object of its own, only a bit; those who wait are found by the page's number. The caller keeps the
 * bit (mm/page.ts); this file keeps the waiters.
 *
 * @kernel folio_lock, folio_unlock, folio_wait_bit
 */
import { AccessMode, BLOCK, NOTHING, type Proc } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'

/** The class of all page locks. */
const LABEL = 'page.lock'

/** The bit itself, wherever it lives. */
export interface LockBit {
  test(pfn: number): boolean
  set(pfn: number): void
  clear(pfn: number): void
}

export class PageLocks {
  readonly #bit: LockBit
  readonly #waiters = new Map<number, Task[]>()

  constructor(bit: LockBit) {
    this.#bit = bit
  }

  lock(k: Task, pfn: number): Proc<void> {
    if (!k.stepping && !this.#bit.test(pfn)) {
      this.#bit.set(pfn)
      if (k.lockdep !== null) {
        k.lockdep.asks(k, LABEL, pfn, 'sleep')
        k.lockdep.takes(k, LABEL, pfn, 'sleep')
      }
      return NOTHING
    }
    return this.#lockSlow(k, pfn)
  }

  *#lockSlow(k: Task, pfn: number): Proc<void> {
    k.lockdep?.asks(k, LABEL, pfn, 'sleep')
    if (k.stepping) yield { kind: 'access', mode: AccessMode.acquire, object: pfn, label: LABEL }
    while (this.#bit.test(pfn)) {
      let queue = this.#waiters.get(pfn)
      if (queue === undefined) {
        queue = []
        this.#waiters.set(pfn, queue)
      }
      queue.push(k)
      k.park(`page lock of pfn ${pfn}`)
      yield BLOCK
    }
    this.#bit.set(pfn)
    k.lockdep?.takes(k, LABEL, pfn, 'sleep')
  }

  /** @kernel folio_trylock */
  tryLock(k: Task, pfn: number): boolean {
    if (this.#bit.test(pfn)) return false
    this.#bit.set(pfn)
    k.lockdep?.takes(k, LABEL, pfn, 'sleep')
    return true
  }

  unlock(k: Task, pfn: number): void {
    if (k.lockdep !== null) k.lockdep.gives(k, LABEL, pfn)
    this.#bit.clear(pfn)
    if (this.#waiters.size === 0) return
    const queue = this.#waiters.get(pfn)
    if (queue === undefined) return
    this.#waiters.delete(pfn)
    for (const task of queue) task.wake(k.clock.nowNs)
  }
}
