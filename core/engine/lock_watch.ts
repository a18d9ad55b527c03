/**
 * What a lock tells whoever checks locking, and what the engine tells it: the interface of sync/lockdep.ts.
 *
 * It stands here because a task carries its watch (`Task.lockdep`, null when nobody checks), and every lock asks its task.
 * A lock's class is its label: all locks with one label are ordered alike. An object is its number in that class.
 */
import type { Task } from './task.ts'

/**
 * How a lock is held. spin: its owner must not sleep, and neither may an rcu reader. sleep: it may be held across sleeps
 * and waiting for it sleeps. read: the same, shared. srcu: a reader that may sleep. count: the write side of a sequence
 * count, which readers compare and never wait for.
 */
export type LockMode = 'spin' | 'sleep' | 'read' | 'rcu' | 'srcu' | 'count'

export interface LockWatch {
  /** The task wants the lock and may have to wait: called before any wait. Trylocks and read sections do not call it. */
  asks(task: Task, label: string, object: number, mode: LockMode, subclass?: number): void
  /** The task has the lock. */
  takes(task: Task, label: string, object: number, mode: LockMode, subclass?: number): void
  /** The task gives the lock back. */
  gives(task: Task, label: string, object: number): void
  /** The task waits, busily, until every CPU has its interrupts on (an IPI with acknowledgement). */
  waitsForInterrupts(task: Task): void
  /** The task goes to sleep, or might. */
  sleeps(task: Task, what: string): void
  /** The task is over. */
  ends(task: Task): void
}
