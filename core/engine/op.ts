/**
 * What a task may say to the engine when it yields.
 *
 * A thread of control is a generator, `Proc<T>`. It is written once, top to bottom, and runs in two gears:
 *
 * - In the step gear (execution.ts) every access to shared state is announced before it happens:
 *   `if (k.stepping) yield read(page, 'page.mapping')`. The scheduler may run another task there.
 * - In the clock gear (timeline.ts) those points are dormant: a task yields only to sleep, to wait for a wake-up, for
 *   input from the host, or at the end of its quantum. What happens between two yields is atomic there, and time passes
 *   only through `charge`.
 *
 * The engine knows nothing of memory: an access names an object by a number and a label.
 */

import type { Task } from './task.ts'

/** How an access touches its object; two reads of the same object commute, and so do shared acquires and releases. */
export const AccessMode = { read: 0, write: 1, acquireShared: 2, release: 3, acquire: 4, releaseShared: 5 } as const
export type AccessMode = (typeof AccessMode)[keyof typeof AccessMode]

/** What an access has to wait for: while it is shut, the task that announced the access is not ready. */
export interface Gate {
  opens(task: Task): boolean
  /** What the task waits for, in words, for deadlock reports: `pte_lock 3`. */
  describe(): string
  /** Who keeps it shut, where that is one task. */
  holder(): Task | null
  /** What it looks at besides the announced object; a step that changes any of these says that it touches it. */
  readonly also?: readonly { readonly object: number; readonly label: string }[]
}

export interface AccessOp {
  readonly kind: 'access'
  readonly mode: AccessMode
  /** Identity of what is touched, unique together with `label`. */
  readonly object: number
  /** The field, in the kernel's words: `page.mapping`, `pte`, `mm.mmap_lock`. */
  readonly label: string
  /** Absent: the access can always be performed. */
  readonly gate?: Gate
}

/** The task is parked (Task.park) and goes on after Task.wake. */
export interface BlockOp {
  readonly kind: 'block'
}
/** Go on at Task.wakeAtNs, or earlier if woken. */
export interface SleepOp {
  readonly kind: 'sleep'
}
/** The time slice is used up; go on when this CPU's turn comes again. */
export interface QuantumOp {
  readonly kind: 'quantum'
}
/** The task needs bytes from the host; goes on when the host has fed them. */
export interface InputOp {
  readonly kind: 'input'
}

export type Op = AccessOp | BlockOp | SleepOp | QuantumOp | InputOp
export type Proc<T> = Generator<Op, T, void>

export const BLOCK: BlockOp = { kind: 'block' }
export const SLEEP: SleepOp = { kind: 'sleep' }
export const QUANTUM: QuantumOp = { kind: 'quantum' }
export const INPUT: InputOp = { kind: 'input' }

export function read(object: number, label: string): AccessOp {
  return { kind: 'access', mode: AccessMode.read, object, label }
}

export function write(object: number, label: string): AccessOp {
  return { kind: 'access', mode: AccessMode.write, object, label }
}

/**
 * A Proc that is already over: what a lock returns when it was free, so that the usual case costs no generator.
 * Stateless, hence shareable.
 */
export const NOTHING: Proc<void> = (() => {
  const end: IteratorReturnResult<undefined> = { done: true, value: undefined }
  const nothing = { next: () => end, return: () => end, throw: () => end, [Symbol.iterator]: () => nothing }
  return nothing as unknown as Proc<void>
})()
