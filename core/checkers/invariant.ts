/**
 * What an invariant of the race catalogue is to whoever checks: an id, a claim, and one or two looks at the state.
 *
 * Things in flight may break for a moment what must hold at rest: a page is in the reverse map before its PTE is stored. So an
 * invariant may look in two ways. `inFlight` holds after every single step, and leaves out what somebody holds the lock of;
 * `atRest` holds when all threads are done, and leaves out nothing. Both read only, and answer with one sentence or null.
 *
 * A look touches no footprint, so that it may be taken between two steps of a search: it reads columns and fields, and calls
 * nothing that announces or touches. An `inFlight` is cheap: it is bounded by the window and by the frames, and allocates nothing
 * while all is well.
 */
import type { Execution } from '../engine/execution.ts'
import type { Kernel } from '../mm/kernel.ts'
import type { Ledger } from './ledger.ts'

/** One simulation as a check sees it. */
export interface State {
  /** One a machine. */
  readonly kernels: readonly Kernel[]
  /** The tasks and what they wait for, where the step gear runs. */
  readonly execution?: Execution
  /** What a guest and its migration told, where somebody keeps account of it. */
  readonly ledger?: Ledger | undefined
}

export interface Invariant {
  /** `I-VMA`, as in docs/races.md. */
  readonly id: string
  readonly claim: string
  inFlight?(state: State): string | null
  atRest?(state: State): string | null
}

/** The first thing wrong on any machine, or null. */
export function onEachKernel(state: State, look: (kernel: Kernel) => string | null): string | null {
  const { kernels } = state
  for (let i = 0; i < kernels.length; i++) {
    const wrong = look(kernels[i])
    if (wrong !== null) return wrong
  }
  return null
}
