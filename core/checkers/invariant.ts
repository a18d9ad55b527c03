/**
 * What an invariant of the race catalogue is to whoever checks: an id, a claim, and one or two looks at the state.
 *
 * Things in flight may break for a moment what must hold at rest: a page is in the reverse map before its PTE is stored. So an
 * invariant may look in two ways. `inFlight` holds after every single step, and leaves out what somebody holds the lock of;
 * `atRest` holds when all threads are done, and leaves out nothing. Both read only, and answer with one sentence or null.
 */
import type { Execution } from '../engine/execution.ts'
import type { Process } from '../machine/process.ts'

/** The machines as a check sees them. All processes belong to one simulation; they may be of several machines. */
export interface State {
  readonly processes: readonly Process[]
  /** The tasks and what they wait for, where the step gear runs. */
  readonly execution?: Execution
}

export interface Invariant {
  /** `I-VMA`, as in docs/races.md. */
  readonly id: string
  readonly claim: string
  inFlight?(state: State): string | null
  atRest?(state: State): string | null
}
