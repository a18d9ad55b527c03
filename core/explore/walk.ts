/**
 * One run of a program, step by step: what every strategy walks along, choosing a task at each step.
 *
 * A run ends when no task is ready. Tasks that never end by themselves (interrupt handlers, store buffers) go on as long as they
 * have something to do, also when all others are done: what is in flight arrives. If then somebody who is no daemon
 * is not done, that is a deadlock. The first thing that breaks, in a step, in the check after it or at the end, is the run's
 * violation; the run must not go on after it.
 */
import { fail } from '../base/assert.ts'
import type { Execution, Scheduler } from '../engine/execution.ts'
import type { Task } from '../engine/task.ts'
import { type Program, type Run, type Violation, violationOf } from './program.ts'
import { refuse } from './schedulers.ts'

/** A strategy names the task of each step itself. */
const NOBODY: Scheduler = { pick: () => fail('a search chooses its steps itself') }

export class Walk {
  readonly run: Run
  readonly execution: Execution
  violation: Violation | null = null
  /** Switches so far from a task that could have gone on. */
  preemptions = 0
  last: Task | null = null

  constructor(program: Program) {
    this.run = program(NOBODY)
    this.execution = this.run.execution
    try {
      this.execution.start()
    } catch (error) {
      this.violation = violationOf(error)
    }
  }

  get steps(): number {
    return this.execution.step
  }

  ready(): Task[] {
    return this.execution.readyTasks()
  }

  /** One step of a task that is ready; what it broke, if anything. */
  perform(task: Task): Violation | null {
    this.#count(task)
    try {
      this.execution.perform(task)
      this.execution.start()
      this.violation = this.run.check()
    } catch (error) {
      this.violation = violationOf(error)
    }
    return this.violation
  }

  /** One step that an earlier run has taken without breaking anything. */
  follow(id: number): void {
    const { execution } = this
    const task = execution.tasks.find((t) => t.id === id)
    if (task === undefined || !execution.isReady(task)) refuse(this.steps, id)
    this.#count(task)
    execution.perform(task)
    execution.start()
  }

  #count(task: Task): void {
    const { last } = this
    if (last !== task && last !== null && this.execution.isReady(last)) this.preemptions++
    this.last = task
  }

  /** No task is ready: what the end shows to be broken, if anything. */
  end(): Violation | null {
    try {
      this.violation = this.execution.alive ? this.#deadlock() : this.run.finish()
    } catch (error) {
      this.violation = violationOf(error)
    }
    return this.violation
  }

  #deadlock(): Violation {
    const deadlock = this.execution.deadlock()
    if (this.run.deadlocked !== undefined) return this.run.deadlocked(deadlock)
    return { invariant: 'I-DEAD', message: `deadlock at step ${deadlock.step}: ${deadlock.waits.join('; ')}` }
  }
}
