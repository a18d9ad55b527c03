/**
 * What tests of locks share: a witness that sees who is inside, and says so when two are that must not be.
 *
 * `inside` is a body's stay in a critical section: announced accesses in the step gear, time in the clock gear.
 */
import { type Proc, read, write } from '../../core/engine/op.ts'
import type { Task } from '../../core/engine/task.ts'

export class Witness {
  readonly writers = new Set<Task>()
  readonly readers = new Set<Task>()
  /** Most readers inside at once. */
  together = 0
  entries = 0
  readonly broken: string[] = []

  enter(k: Task, writes: boolean): void {
    this.entries++
    ;(writes ? this.writers : this.readers).add(k)
    this.together = Math.max(this.together, this.readers.size)
    const wrong = this.writers.size > 1 || (this.writers.size === 1 && this.readers.size > 0)
    if (wrong) this.broken.push([...this.writers, ...this.readers].map((t) => t.name).join(' '))
  }

  leave(k: Task): void {
    this.writers.delete(k)
    this.readers.delete(k)
  }

  *inside(k: Task, writes: boolean, accesses: number): Proc<void> {
    this.enter(k, writes)
    for (let i = 0; i < accesses; i++) {
      if (k.stepping) yield writes ? write(0, 'data') : read(0, 'data')
      else k.clock.charge(10)
    }
    this.leave(k)
  }
}
