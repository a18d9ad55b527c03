/**
 * A spinlock that many CPUs want at once, with the price of passing it on: the kernel's queued spinlock.
 *
 * Step gear: a spinlock like any other. Clock gear:
 *  1. Free and nobody waits: its word is written, and the cache line comes over first if another CPU had it.
 *  2. Else the asker writes itself into the word and spins on a line of its own, in its turn: first come, first served.
 *  3. Its turn: the word comes back to who leaves, the line that the next one spins on goes over, then the word: three transfers.
 *  4. Leaving writes the word.
 *
 * Locks whose words lie side by side share the line, and so disturb each other without ever being waited for together.
 *
 * Source: kernel/locking/qspinlock.c.
 * @kernel queued_spin_lock_slowpath
 */
import { BLOCK, type Proc, SLEEP } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import type { CacheLine } from './cache_line.ts'
import { Spinlock } from './spinlock.ts'

export class QueuedSpinlock extends Spinlock {
  readonly #waiters: Task[] = []
  #leftNs = 0

  constructor(
    id: number,
    label: string,
    costNs: number,
    /** Where the lock's word is. */
    readonly line: CacheLine,
  ) {
    super(id, label, costNs)
  }

  override lock(k: Task, subclass = 0): Proc<void> {
    if (k.stepping) return super.lock(k, subclass)
    if (this.isFreeAt(k.clock.nowNs)) {
      // 1.
      this.line.touch(k.clock)
      return super.lock(k, subclass)
    }
    this.#waiters.push(k)
    return this.#spin(k, subclass)
  }

  /** Who asks at this time need not wait. */
  isFreeAt(nowNs: number): boolean {
    return this.#isFree(nowNs) && this.#waiters.length === 0
  }

  #isFree(nowNs: number): boolean {
    return this.holder === null && this.#leftNs <= nowNs
  }

  *#spin(k: Task, subclass: number): Proc<void> {
    // 2. Who waits may be woken for what it waited for before it came here: it looks again.
    while (this.#waiters[0] !== k || !this.#isFree(k.clock.nowNs)) {
      k.spin(`${this.label} ${this.id}`, () => this.holder)
      if (this.#waiters[0] === k && this.holder === null) {
        k.wakeAtNs = this.#leftNs
        yield SLEEP
      } else yield BLOCK
    }
    k.unpark()
    this.#waiters.shift()
    // 3.
    k.clock.nowNs += 2 * this.line.transferNs
    this.line.touch(k.clock)
    super.lock(k, subclass)
  }

  override unlock(k: Task): void {
    // 4.
    if (!k.stepping) this.line.touch(k.clock)
    super.unlock(k)
    if (k.stepping) return
    this.#leftNs = k.clock.nowNs
    this.#waiters[0]?.wake(this.#leftNs)
  }
}
