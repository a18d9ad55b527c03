/**
 * A wait queue whose entries carry a key, so that a waker can choose: the kernel's wait_queue_head_t with a wake function.
 *
 * The order that makes it safe: enqueue, park, look at the condition, sleep. Pairs with Task.park.
 *
 * An entry lies on the stack of its sleeper. In the clock gear whoever walks the queue, or links a neighbour, fetches its cache
 * line (`transferNs`) unless its CPU was the last to have it: with many sleepers the walk is what a wake-up costs.
 *
 * Source: kernel/sched/wait.c.
 * @kernel add_wait_queue, remove_wait_queue, wake_up
 */
import { touch } from '../engine/footprint.ts'
import type { Place } from '../engine/memory_order.ts'
import { AccessMode } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { loadOnce, storeOnce } from './barriers.ts'

/** Of a transfer: a line that is only read comes from the nearest of the caches that have it. Ours. */
const READ_SHARE = 1 / 3

export class WaitQueue<E extends { readonly task: Task; lineCpu?: number }> {
  readonly entries: E[] = []
  readonly #activity: Place<boolean>

  constructor(
    readonly id: number,
    readonly label: string,
    /** Clock gear: an entry's cache line from one CPU to another; 0: not modelled. */
    readonly transferNs = 0,
  ) {
    this.#activity = { object: id, label, get: () => this.entries.length > 0, set: () => {} }
  }

  /** Somebody is queued, by a look without the lock: it may be old. Announce it as a load. @kernel waitqueue_active */
  isActive(k: Task): boolean {
    touch(this.id, this.label, AccessMode.read)
    return loadOnce(k, this.#activity)
  }

  get length(): number {
    touch(this.id, this.label, AccessMode.read)
    return this.entries.length
  }

  has(entry: E): boolean {
    touch(this.id, this.label, AccessMode.read)
    return this.entries.includes(entry)
  }

  /** Adds at the tail: queues are first in, first out. `k`: who adds; `watched`: somebody looks without the lock (isActive). */
  add(entry: E, k: Task | null = null, watched = k !== null): void {
    touch(this.id, this.label, AccessMode.write)
    if (k !== null) {
      if (watched) storeOnce(k, this.#activity, true)
      this.#reach(k, this.entries[this.entries.length - 1])
      entry.lineCpu = k.clock.id
    }
    this.entries.push(entry)
  }

  #reach(k: Task, entry: E | undefined): void {
    if (k.stepping || this.transferNs === 0 || entry === undefined || entry.lineCpu === k.clock.id) return
    entry.lineCpu = k.clock.id
    k.clock.nowNs += this.transferNs * READ_SHARE
  }

  /** True if the entry was on the queue. `k`: who removes it, where that has a price. */
  remove(entry: E, k: Task | null = null): boolean {
    touch(this.id, this.label, AccessMode.write)
    const i = this.entries.indexOf(entry)
    if (i < 0) return false
    if (k !== null) {
      this.#reach(k, entry)
      this.#reach(k, this.entries[i - 1])
      this.#reach(k, this.entries[i + 1])
    }
    this.entries.splice(i, 1)
    return true
  }

  shift(): E | undefined {
    touch(this.id, this.label, AccessMode.write)
    return this.entries.shift()
  }

  /**
   * Removes and wakes every entry that `matches`; returns how many. With a waker, what the walk and each wake-up (`wakerNs`)
   * take is its time, and delays whom it wakes later.
   */
  wake(atNs: number, matches: (entry: E) => boolean, waker: Task | null = null, wakerNs = 0): number {
    touch(this.id, this.label, AccessMode.write)
    const startNs = waker?.clock.nowNs ?? 0
    let woken = 0
    for (let i = 0; i < this.entries.length; ) {
      const entry = this.entries[i]
      if (waker !== null) this.#reach(waker, entry)
      if (!matches(entry)) {
        i++
        continue
      }
      this.entries.splice(i, 1)
      entry.task.wake(waker === null ? atNs : atNs + waker.clock.nowNs - startNs)
      if (waker !== null && !waker.stepping) waker.clock.nowNs += wakerNs
      woken++
    }
    return woken
  }

  /** Wakes the first entry that `isReady` and leaves it where it is; what is on the way to it is the waker's time. @kernel WQ_FLAG_EXCLUSIVE */
  wakeOne(waker: Task, delayNs: number, wakerNs: number, isReady: (entry: E) => boolean): void {
    touch(this.id, this.label, AccessMode.write)
    for (const entry of this.entries) {
      this.#reach(waker, entry)
      if (!isReady(entry)) continue
      entry.task.wake(waker.clock.nowNs + delayNs)
      if (!waker.stepping) waker.clock.nowNs += wakerNs
      return
    }
  }
}
