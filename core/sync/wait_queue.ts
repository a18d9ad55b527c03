/**
 * A wait queue whose entries carry a key, so that a waker can choose: the kernel's wait_queue_head_t with a wake function.
 *
 * The order that makes it safe: enqueue, park, look at the condition, sleep. Pairs with Task.park.
 *
 * Source: kernel/sched/wait.c.
 * @kernel add_wait_queue, remove_wait_queue, wake_up
 */
import { touch } from '../engine/footprint.ts'
import type { Place } from '../engine/memory_order.ts'
import { AccessMode } from '../engine/op.ts'
import type { Task } from '../engine/task.ts'
import { loadOnce, storeOnce } from './barriers.ts'

export class WaitQueue<E extends { readonly task: Task }> {
  readonly entries: E[] = []
  readonly #activity: Place<boolean>

  constructor(
    readonly id: number,
    readonly label: string,
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

  /** Adds at the tail: queues are first in, first out. `k`: who adds, where somebody looks without the lock (isActive). */
  add(entry: E, k: Task | null = null): void {
    touch(this.id, this.label, AccessMode.write)
    if (k !== null) storeOnce(k, this.#activity, true)
    this.entries.push(entry)
  }

  /** True if the entry was on the queue. */
  remove(entry: E): boolean {
    touch(this.id, this.label, AccessMode.write)
    const i = this.entries.indexOf(entry)
    if (i < 0) return false
    this.entries.splice(i, 1)
    return true
  }

  shift(): E | undefined {
    touch(this.id, this.label, AccessMode.write)
    return this.entries.shift()
  }

  /** Removes and wakes every entry that `matches`; returns how many. */
  wake(atNs: number, matches: (entry: E) => boolean): number {
    touch(this.id, this.label, AccessMode.write)
    let woken = 0
    for (let i = 0; i < this.entries.length; ) {
      const entry = this.entries[i]
      if (!matches(entry)) {
        i++
        continue
      }
      this.entries.splice(i, 1)
      entry.task.wake(atNs)
      woken++
    }
    return woken
  }
}
