/**
 * What a task asks of the memory it runs on, where that memory reorders: the interface of sync/weak_memory.ts.
 *
 * It stands here because a task carries it (`Task.memory`, null where memory is sequentially consistent, and always null in the
 * clock gear). Code uses it through sync/barriers.ts; locks use `release` and `acquire`.
 */
import type { AccessOp } from './op.ts'
import type { Task } from './task.ts'

/** A field that goes through the store buffers: how it is named, and how it is read and written without them. */
export interface Place<T> {
  readonly object: number
  readonly label: string
  get(): T
  set(value: T): void
}

/** An object some of whose fields go through the store buffers. */
export interface Watched {
  readonly id: number
  /** The kernel's word for such a field; null for every other. */
  labelOf(field: string): string | null
}

/** What was stored before a lock was left. The lock looks held until all of it is visible. */
export interface Release {
  readonly isVisible: boolean
}

/** What a lock is called in its own announcements: whatever opens it says that it touches it. */
export interface LockName {
  readonly id: number
  readonly label: string
}

export interface MemoryOrder {
  store<T>(k: Task, place: Place<T>, value: T): void
  load<T>(k: Task, place: Place<T>): T
  /** The object as this CPU sees it, for loads and stores. */
  view<T extends Watched>(k: Task, target: T): T
  /** The announcements that go before a store and a load. */
  storing(k: Task, object: number, label: string): AccessOp
  loading(k: Task, object: number, label: string): AccessOp
  /** These fields are about to be loaded, and nothing says in which order. */
  ahead<T extends Watched>(k: Task, target: T, fields: readonly (keyof T & string)[]): void
  fullBarrier(k: Task): void
  /** `name`: the protection whose barrier this is; nothing is ordered where it was left out. */
  writeBarrier(k: Task, name: string): void
  readBarrier(k: Task): void
  /** Leaves a lock that was left before by `before`; `locked`: by an instruction that reads and writes, as of an rwsem. */
  release(k: Task, lock: LockName, before: Release | null, locked: boolean): Release | null
  /** Has got a lock. */
  acquire(k: Task): void
}
