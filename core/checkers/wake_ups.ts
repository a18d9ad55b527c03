/**
 * I-WAIT: no thread sleeps on a page that is there, once the call that brought it has returned.
 *
 * A call that resolves and wakes (UFFDIO_COPY and its kin, MOVE, WRITEPROTECT, WAKE) marks as answered every thread that was inside
 * handle_userfault for its pages when it returned. A thread that looks at its PTE after that, and finds nothing, may sleep all the
 * same, and is no longer answered. One that sleeps, answered, on what is there was forgotten. Without an answer it may wait for a
 * call still to come (DONTWAKE, the acknowledgement of 2014), but not when nobody can run any more, nor at rest.
 */
import type { Execution } from '../engine/execution.ts'
import type { Kernel } from '../mm/kernel.ts'
import { mustWaitFor } from '../mm/uffd_fault.ts'
import type { UserfaultWaiter } from '../mm/userfaultfd.ts'
import { entryOf } from './entries.ts'
import { type Invariant, onEachKernel } from './invariant.ts'

export const WAKE_UPS: Invariant = {
  id: 'I-WAIT',
  claim: 'no thread sleeps on a page that is there, once the call that brought it has returned',
  inFlight: (state) => onEachKernel(state, isStuck(state.execution) ? nobodySleepsOnWhatIsThere : noAnswerIsMissed),
  atRest: (state) => onEachKernel(state, nobodySleepsOnWhatIsThere),
}

function noAnswerIsMissed({ userfaults }: Kernel): string | null {
  if (userfaults.size === 0) return null
  for (const waiter of userfaults) if (waiter.answered && sleepsInVain(waiter)) return forgotten(waiter)
  return null
}

function nobodySleepsOnWhatIsThere({ userfaults }: Kernel): string | null {
  for (const waiter of userfaults) if (sleepsInVain(waiter)) return forgotten(waiter)
  return null
}

/** Inside handle_userfault a thread sleeps in one place only; locks are waited for behind gates, awake. */
function sleepsInVain({ task, woken, uffd, page, reason }: UserfaultWaiter): boolean {
  return task.state === 'blocked' && !woken && !mustWaitFor(entryOf(uffd.mm, page), reason)
}

function forgotten({ task, page }: UserfaultWaiter): string {
  return `${task.name} sleeps on page ${page}, which is there`
}

/** Somebody is not done, and nobody can go on. */
function isStuck(execution: Execution | undefined): boolean {
  if (execution === undefined) return false
  const { tasks } = execution
  let alive = false
  for (let i = 0; i < tasks.length; i++) {
    const task = tasks[i]
    if (task.state === 'done') continue
    if (task.state !== 'blocked' && (task.gate?.opens(task) ?? true)) return false
    alive ||= !task.daemon
  }
  return alive
}
