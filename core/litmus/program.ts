/**
 * A litmus test as a program that a search can start again and again, with the invariants of the catalogue watched.
 *
 * After each step: the scene's own watch, and every invariant's check of a state in which things may be in flight. At the end,
 * when nothing is: every invariant once more, strictly, and what the actors saw. Where nobody can go on any longer, that is I-WAIT
 * if somebody sleeps on a userfault, else I-DEAD.
 */
import { brokenAtRest, brokenInFlight } from '../checkers/invariants.ts'
import type { Scheduler } from '../engine/execution.ts'
import type { Run, Violation } from '../explore/program.ts'
import type { ProtectionName } from '../mm/kconfig.ts'
import { sleepsOnUserfault } from '../mm/uffd_fault.ts'
import type { MemoryModel } from '../sync/weak_memory.ts'
import type { Litmus } from './litmus.ts'
import { World } from './world.ts'

/** A run, and the machine on which it runs, for whoever tells its story. */
export interface LitmusRun extends Run {
  readonly world: World
}

export function programOf(
  litmus: Litmus,
  without: ReadonlySet<ProtectionName>,
  memoryModel: MemoryModel = litmus.memoryModel,
): (scheduler: Scheduler) => LitmusRun {
  return (scheduler) => {
    const world = new World(scheduler, without, { ...litmus.world, memoryModel })
    const scene = litmus.build(world)
    const state = { kernels: [world.kernel], execution: world.execution, ledger: scene.ledger }
    return {
      world,
      execution: world.execution,
      check: () => scene.watch?.() ?? brokenInFlight(state),
      finish: () => scene.judge?.() ?? brokenAtRest(state),
      deadlocked: () => waitsForEver(world),
      outcome: () => scene.outcome(),
    }
  }
}

/** Nobody can go on. A cycle of locks, or a thread that was never woken: the interrupts of idle CPUs are not to blame. */
function waitsForEver({ execution }: World): Violation {
  const waiting = execution.tasks.filter((task) => task.state !== 'done' && !task.daemon)
  const message = waiting.map(({ name, waitsFor, waitsForTask }) => {
    return `${name} waits for ${waitsFor}${waitsForTask === null ? '' : `, held by ${waitsForTask.name}`}`
  })
  return { invariant: waiting.some(sleepsOnUserfault) ? 'I-WAIT' : 'I-DEAD', message: message.join('; ') }
}
