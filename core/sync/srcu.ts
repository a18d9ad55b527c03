/**
 * SRCU: readers that may sleep, and callbacks that run when every reader who could see the old state has left.
 *
 * Two reader counts and an index that says which one newcomers join. A grace period: flip the index, wait until the other
 * count is zero, run the callbacks queued before the flip; at most one at a time, later callbacks wait for the next. (The
 * kernel flips twice, because a reader fetches the index and joins in two steps; here joining is one step.)
 *
 * Step gear: the last reader out, or the caller when there is none, runs the callbacks: as early as is ever allowed, so
 * that a use after free shows. Clock gear: a callback runs in the first call a grace period later, on whose clock it counts.
 *
 * call_srcu queues under one lock for the whole domain in the kernel of 2014, which its user worried about; `queueing`
 * 'percpu' is the better implementation to compare. @kernel srcu_struct, call_srcu, srcu_barrier
 * Source: kernel/rcu/srcutree.c.
 */
import { fail } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, NOTHING, type Proc, write } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { smpMb } from './barriers.ts'
import { Spinlock } from './spinlock.ts'

/** How long a grace period takes where no reader is in the way. Ours: a jiffy at HZ=1000; SRCU's worker waits at least that. */
export const GRACE_PERIOD_NS = 1_000_000

type Callback = (k: Task) => void

interface Due {
  readonly callback: Callback
  readonly atNs: number
}

export type Queueing = 'global' | 'percpu'

export class Srcu {
  /** Callbacks run so far. */
  invoked = 0
  gracePeriods = 0
  readonly #lock: Spinlock
  readonly #costNs: number
  readonly #readers = [0, 0]
  #index: 0 | 1 = 0
  /** Callbacks of the grace period that is going on, or null; and those that came after it began. */
  #current: Callback[] | null = null
  #next: Callback[] = []
  /** Clock gear: in the order of their times. */
  #due: Due[] = []
  #readersLeftNs = 0
  #barriers: Task[] = []

  constructor(
    readonly id: number,
    costNs: number,
    readonly queueing: Queueing = 'global',
  ) {
    this.#costNs = costNs
    this.#lock = new Spinlock(id, 'srcu.queue', costNs)
  }

  get readers(): number {
    return this.#readers[0] + this.#readers[1]
  }

  /** Callbacks that wait for their grace period. */
  get pending(): number {
    return (this.#current?.length ?? 0) + this.#next.length + this.#due.length
  }

  /** Enters; the answer is for readUnlock. Announce 'srcu.readers' before it in the step gear. @kernel srcu_read_lock */
  readLock(k: Task): 0 | 1 {
    if (k.lockdep !== null) k.lockdep.takes(k, 'srcu', this.id, 'srcu')
    smpMb(k)
    return this.join()
  }

  /** Enters without telling lockdep: for RCU, which has rules of its own. */
  join(): 0 | 1 {
    touch(this.id, 'srcu.readers', AccessMode.acquireShared)
    this.#readers[this.#index]++
    return this.#index
  }

  /** @kernel srcu_read_unlock */
  readUnlock(k: Task, index: 0 | 1): void {
    if (k.lockdep !== null) k.lockdep.gives(k, 'srcu', this.id)
    this.leave(k, index)
  }

  leave(k: Task, index: 0 | 1): void {
    touch(this.id, 'srcu.readers', this.#current === null ? AccessMode.releaseShared : AccessMode.write)
    if (--this.#readers[index] < 0) fail(`${k.name} leaves an SRCU section that it did not enter`)
    if (k.clock.nowNs > this.#readersLeftNs) this.#readersLeftNs = k.clock.nowNs
    if (this.#current !== null) this.#advance(k)
  }

  /** Runs `callback` after a grace period. @kernel call_srcu */
  call(k: Task, callback: Callback): Proc<void> {
    if (k.stepping) return this.#callStep(k, callback)
    if (this.queueing === 'global') {
      this.#lock.lock(k)
      this.#lock.unlock(k)
    } else k.clock.nowNs += this.#costNs
    this.#runDue(k, k.clock.nowNs)
    const atNs = Math.max(k.clock.nowNs, this.#readersLeftNs) + GRACE_PERIOD_NS
    this.#due.push({ callback, atNs })
    return NOTHING
  }

  *#callStep(k: Task, callback: Callback): Proc<void> {
    if (this.queueing === 'global') yield* this.#lock.lock(k)
    else yield write(this.id, 'srcu.percpu')
    touch(this.id, 'srcu.readers', AccessMode.write)
    this.#next.push(callback)
    if (this.queueing === 'global') this.#lock.unlock(k)
    this.#advance(k)
  }

  /** Ends the grace period if its readers are gone, and begins the next while there is something to wait for. */
  #advance(k: Task): void {
    for (;;) {
      if (this.#current === null) {
        if (this.#next.length === 0) break
        this.#current = this.#next
        this.#next = []
        this.#index = this.#index === 0 ? 1 : 0
      }
      const old = this.#index === 0 ? 1 : 0
      if (this.#readers[old] > 0) return
      const callbacks = this.#current
      this.#current = null
      this.gracePeriods++
      for (const callback of callbacks) this.#invoke(k, callback)
    }
    const waiting = this.#barriers
    this.#barriers = []
    for (const task of waiting) task.wake(k.clock.nowNs)
  }

  #invoke(k: Task, callback: Callback): void {
    this.invoked++
    callback(k)
  }

  #runDue(k: Task, upToNs: number): void {
    if (this.#due.length === 0 || this.#due[0].atNs > upToNs) return
    this.gracePeriods++
    const due = this.#due
    let n = 0
    while (n < due.length && due[n].atNs <= upToNs) n++
    this.#due = due.slice(n)
    for (let i = 0; i < n; i++) this.#invoke(k, due[i].callback)
  }

  /** Sleeps until every callback queued so far has run. @kernel srcu_barrier */
  *barrier(k: Task): Proc<void> {
    if (!k.stepping) {
      const last = this.#due[this.#due.length - 1]
      if (last === undefined) return
      if (last.atNs > k.clock.nowNs) k.clock.nowNs = last.atNs
      this.#runDue(k, k.clock.nowNs)
      return
    }
    yield write(this.id, 'srcu.barrier')
    touch(this.id, 'srcu.readers', AccessMode.write)
    while (this.pending > 0) {
      this.#barriers.push(k)
      k.park('deferred callbacks')
      if (this.pending > 0) yield BLOCK
    }
  }
}
