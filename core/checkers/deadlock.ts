/**
 * I-DEAD: nobody waits for himself, along whatever chain: A waits for a lock that B holds, B for an interrupt to be taken on a CPU
 * where A has interrupts off.
 *
 * A cycle never dissolves, so it is found although others still run. The engine itself reports when nobody can go on. A lock whose
 * holders are not known one by one (readers of a semaphore, a page lock) is no edge here. What could deadlock in another order,
 * lockdep tells (core/sync/lockdep.ts). A lock that is left by somebody who did not take it goes by this name, too: the one that was
 * taken stays so, and whoever wants it waits for ever (core/sync/rwsem.ts).
 */
import type { Task } from '../engine/task.ts'
import type { Invariant, State } from './invariant.ts'

export const DEADLOCK: Invariant = {
  id: 'I-DEAD',
  claim: 'who waits for whom has no cycle',
  inFlight: noCycle,
}

function noCycle({ execution }: State): string | null {
  if (execution === undefined) return null
  const { tasks } = execution
  for (let i = 0; i < tasks.length; i++) if (isInCycle(tasks[i], tasks.length)) return describe(tasks[i])
  return null
}

/** Each task waits for one other at most: the chain comes back, ends, or runs into a cycle that others make. */
function isInCycle(first: Task, length: number): boolean {
  let task = next(first)
  for (let hops = 0; task !== null && hops < length; hops++) {
    if (task === first) return true
    task = next(task)
  }
  return false
}

function next(task: Task): Task | null {
  return task.state === 'done' ? null : task.waitsForTask
}

function describe(first: Task): string {
  const parts: string[] = []
  let task: Task | null = first
  do {
    parts.push(`${task.name} waits for ${task.waitsFor}`)
    task = task.waitsForTask
  } while (task !== null && task !== first)
  return `${parts.join(', ')}, which is ${first.name}'s to give`
}
