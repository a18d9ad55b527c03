/**
 * What a search searches: a program that can be started again and again, and runs one announced step at a time.
 *
 * A generator cannot be copied, so each schedule is run from the start. A program must be deterministic: the same choices give
 * the same run. The search knows tasks by their ids and names, and nothing of what they do.
 */
import { AssertionError, InvariantError } from '../base/assert.ts'
import type { Deadlock, Execution } from '../engine/execution.ts'

/** A broken invariant, with the two values that disagree. */
export interface Violation {
  /** `I-RMAP`; `I-DEAD` for a deadlock; `BUG` where an assertion of the model has no name in the catalogue. */
  readonly invariant: string
  /** One sentence. */
  readonly message: string
  readonly expected?: string
  readonly found?: string
}

/** One start of a program. The tasks are spawned on `execution`; nothing has run yet. */
export interface Run {
  readonly execution: Execution
  /** After each step: what it broke, or null. Cheap. */
  check(): Violation | null
  /** After the last step, all tasks done: what the end shows to be broken, or null. */
  finish(): Violation | null
  /** No task can go on, and not all are done: what that breaks. I-DEAD unless the program has a better name. */
  deadlocked?(deadlock: Deadlock): Violation
  /** At the end: what the threads saw, as one short line; equal lines mean equal outcomes. */
  outcome(): string
}

export type Program = (scheduler: Execution['scheduler']) => Run

/** What an exception thrown by a step says is broken; anything but a failed assertion of the model goes on as it is. */
export function violationOf(error: unknown): Violation {
  if (error instanceof InvariantError) return { invariant: error.invariant, message: error.message }
  if (error instanceof AssertionError) return { invariant: 'BUG', message: error.message }
  throw error
}
