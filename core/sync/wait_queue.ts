/**
 * A wait queue whose entries carry a key, so that a waker can choose: the kernel's wait_queue_head_t with a wake function.
 *
 * The order that makes it safe: enqueue, park, look at the condition, sleep. Pairs with Task.park.
 *
 * Source: kernel/sched/wait.c.
 * @kernel add_wait_queue, remove_wait_queue, wake_up
 */
import type { Task } from '../engine/task.ts'

export class WaitQueue<E extends { readonly task: Task }> {
  readonly entries: E[] = []

  get length(): number {
    return this.entries.length
  }

  /** Adds at the tail: queues are first in, first out. */
  add(entry: E): void {
    this.entries.push(entry)
  }

  /** True if the entry was on the queue. */
  remove(entry: E): boolean {
    const i = this.entries.indexOf(entry)
    if (i < 0) return false
    this.entries.splice(i, 1)
    return true
  }

  shift(): E | undefined {
    return this.entries.shift()
  }

  /** Removes and wakes every entry that `matches`; returns how many. */
  wake(atNs: number, matches: (entry: E) => boolean): number {
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
