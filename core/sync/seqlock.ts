/**
 * A seqlock: a spinlock for writers and a sequence count for readers, who start over when it changed.
 *
 * A bare count would not do where a reader waits for "even": it would spin for ever on the CPU of a preempted writer. The
 * lock also keeps writers apart. In the step gear a reader that finds the count odd is not ready until the writer leaves.
 *
 * Source: include/linux/seqlock.h.
 * @kernel seqlock_t, write_seqlock, write_sequnlock, read_seqbegin, read_seqretry
 */
import { AccessMode, type Gate, NOTHING, type Proc } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { Seqcount } from './seqcount.ts'
import { Spinlock } from './spinlock.ts'

export class Seqlock {
  readonly count: Seqcount
  readonly lock: Spinlock
  readonly #gate: Gate = {
    opens: () => (this.count.sequence & 1) === 0,
    describe: () => `${this.label} ${this.id} to be even`,
    holder: () => this.lock.holder,
  }

  constructor(
    readonly id: number,
    readonly label: string,
    costNs: number,
  ) {
    this.count = new Seqcount(id, label)
    this.lock = new Spinlock(id, `${label}.lock`, costNs)
  }

  /** @kernel write_seqlock */
  writeLock(k: Task): Proc<void> {
    if (k.stepping) return this.#writeLockStep(k)
    this.lock.lock(k)
    return this.count.begin(k)
  }

  *#writeLockStep(k: Task): Proc<void> {
    yield* this.lock.lock(k)
    yield* this.count.begin(k)
  }

  /** @kernel write_sequnlock */
  writeUnlock(k: Task): Proc<void> {
    if (k.stepping) return this.#writeUnlockStep(k)
    this.count.end(k)
    this.lock.unlock(k)
    return NOTHING
  }

  *#writeUnlockStep(k: Task): Proc<void> {
    yield* this.count.end(k)
    this.lock.unlock(k)
  }

  /** Waits until nobody writes; step gear only. @kernel read_seqbegin */
  *readBegin(k: Task): Proc<number> {
    if (k.stepping) yield { kind: 'access', mode: AccessMode.read, object: this.id, label: this.label, gate: this.#gate }
    return this.count.sequence
  }

  /** Clock gear: whoever comes during a write section goes on at its end. Nothing changes before the answer is used. */
  readWait(k: Task): void {
    if (this.count.isOdd(k)) k.clock.nowNs = this.count.endedNs
  }
}
