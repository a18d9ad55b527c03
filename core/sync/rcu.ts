/**
 * RCU: readers that do not sleep, and callbacks after a grace period.
 *
 * The same grace periods as srcu.ts, with what makes RCU cheap and narrow: entering costs nothing, callbacks are queued on
 * each CPU without a lock, and a reader may not sleep, which lockdep checks.
 *
 * Source: kernel/rcu/tree.c.
 * @kernel rcu_read_lock, rcu_read_unlock, call_rcu, rcu_barrier
 */
import { fail } from '../base/assert.ts'
import type { Proc } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { Srcu } from './srcu.ts'

export class Rcu {
  readonly #domain: Srcu
  readonly #inside = new Map<Task, 0 | 1>()

  constructor(id: number) {
    this.#domain = new Srcu(id, 0, 'percpu')
  }

  get pending(): number {
    return this.#domain.pending
  }

  /** Sections do not nest here. Announce 'rcu.readers' before it in the step gear. */
  readLock(k: Task): void {
    if (this.#inside.has(k)) fail(`${k.name} enters an RCU section twice`)
    if (k.lockdep !== null) k.lockdep.takes(k, 'rcu', 0, 'rcu')
    this.#inside.set(k, this.#domain.join())
  }

  readUnlock(k: Task): void {
    const index = this.#inside.get(k)
    if (index === undefined) {
      fail(`${k.name} leaves an RCU section that it did not enter`)
      return
    }
    if (k.lockdep !== null) k.lockdep.gives(k, 'rcu', 0)
    this.#inside.delete(k)
    this.#domain.leave(k, index)
  }

  /** @kernel call_rcu */
  call(k: Task, callback: (k: Task) => void): Proc<void> {
    return this.#domain.call(k, callback)
  }

  /** @kernel rcu_barrier */
  barrier(k: Task): Proc<void> {
    return this.#domain.barrier(k)
  }
}
