/**
 * A spinlock.
 *
 * Step gear: taking it is an announced access behind a gate: a waiter is not ready until the lock is free, and names the holder,
 * so that a cycle is found.
 * Clock gear: nobody sleeps with a spinlock held, so it is always free when asked for, but it carries the time at which
 * it became free: an earlier asker's clock moves there. That is the price of contention.
 *
 * A subclass above 0 tells lockdep that a second lock of the same class is meant (spin_lock_nested).
 *
 * Source: kernel/locking/spinlock.c; mm/userfaultfd.c (two at once).
 * @kernel spin_lock, spin_trylock, spin_unlock
 */
import { fail, violate } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import type { LockWatch } from '../engine/lock_watch.ts'
import type { MemoryOrder, Release } from '../engine/memory_order.ts'
import { AccessMode, type AccessOp, type Gate, NOTHING, type Proc } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'

export class Spinlock {
  holder: Task | null = null
  #freeAtNs = 0
  /** What the last holder stored and not everybody sees yet. */
  #left: Release | null = null
  readonly #gate: Gate = {
    opens: () => this.#isFree,
    describe: () => `${this.label} ${this.id}`,
    holder: () => this.holder,
  }
  #announcement: AccessOp | null = null

  constructor(
    readonly id: number,
    readonly label: string,
    readonly costNs: number,
  ) {}

  lock(k: Task, subclass = 0): Proc<void> {
    if (k.stepping) return this.#lockStep(k, subclass)
    if (k.lockdep !== null) this.#watch(k.lockdep, k, subclass)
    if (this.holder !== null) fail(`${this.label} ${this.id} is held by ${this.holder?.name} in the clock gear`)
    this.holder = k
    const clock = k.clock
    if (this.#freeAtNs > clock.nowNs) clock.nowNs = this.#freeAtNs
    clock.nowNs += this.costNs
    return NOTHING
  }

  #watch(lockdep: LockWatch, k: Task, subclass: number): void {
    lockdep.asks(k, this.label, this.id, 'spin', subclass)
    lockdep.takes(k, this.label, this.id, 'spin', subclass)
  }

  *#lockStep(k: Task, subclass: number): Proc<void> {
    k.lockdep?.asks(k, this.label, this.id, 'spin', subclass)
    if (this.holder === k) violate('I-DEAD', `${k.name} takes ${this.label} ${this.id} twice`)
    yield this.announce()
    this.holder = k
    if (k.memory !== null) this.#acquire(k, k.memory)
    k.lockdep?.takes(k, this.label, this.id, 'spin', subclass)
  }

  get #isFree(): boolean {
    return this.holder === null && (this.#left === null || this.#left.isVisible)
  }

  #acquire(k: Task, memory: MemoryOrder): void {
    memory.acquire(k)
    this.#left = null
  }

  /** The access that waits until the lock is free and takes it. */
  announce(): AccessOp {
    this.#announcement ??= {
      kind: 'access',
      mode: AccessMode.acquire,
      object: this.id,
      label: this.label,
      gate: this.#gate,
    }
    return this.#announcement
  }

  /** The access that waits until the lock is free and does not take it: stands for a loop that tries again and again. */
  awaitFree(): AccessOp {
    return { kind: 'access', mode: AccessMode.read, object: this.id, label: this.label, gate: this.#gate }
  }

  /** Takes the lock if it is free. Announce a write of the lock before calling it in the step gear. */
  tryLock(k: Task): boolean {
    if (!this.#isFree) return false
    this.holder = k
    if (k.memory !== null) this.#acquire(k, k.memory)
    const clock = k.clock
    if (!k.stepping && this.#freeAtNs > clock.nowNs) clock.nowNs = this.#freeAtNs
    clock.nowNs += this.costNs
    k.lockdep?.takes(k, this.label, this.id, 'spin')
    return true
  }

  unlock(k: Task): void {
    if (this.holder !== k)
      violate('I-DEAD', `${k.name} unlocks ${this.label} ${this.id} held by ${this.holder?.name ?? 'nobody'}`)
    if (k.lockdep !== null) k.lockdep.gives(k, this.label, this.id)
    this.holder = null
    this.#freeAtNs = k.clock.nowNs
    if (!k.stepping) return
    touch(this.id, this.label, AccessMode.release)
    if (k.memory !== null) this.#left = k.memory.release(k, this, this.#left, false)
  }
}

/**
 * Takes two locks, the one with the lower id first, and once if they are the same.
 * @kernel double_pt_lock
 */
export function lockBoth(k: Task, a: Spinlock, b: Spinlock): Proc<void> {
  if (a === b) return a.lock(k)
  const first = a.id < b.id ? a : b
  const second = first === a ? b : a
  if (k.stepping) return lockInTurn(k, first, second)
  // In the clock gear neither lock makes a task wait: both are taken at once.
  first.lock(k)
  return second.lock(k)
}

function* lockInTurn(k: Task, first: Spinlock, second: Spinlock): Proc<void> {
  yield* first.lock(k)
  yield* second.lock(k)
}

/** @kernel double_pt_unlock */
export function unlockBoth(k: Task, a: Spinlock, b: Spinlock): void {
  a.unlock(k)
  if (a !== b) b.unlock(k)
}
