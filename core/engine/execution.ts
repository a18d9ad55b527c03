/**
 * The step gear: one announced access at a time, under a scheduler that a search strategy or a person drives.
 *
 * 1. Each task is run up to its first announcement, so that its pending access is known before it is chosen.
 * 2. The scheduler picks one of the ready tasks; that task performs its pending access and runs to its next one.
 * 3. Time is the step number. A sleeping task is ready: time may pass at any point.
 *    A task whose pending access has a gate that is shut is not ready: so locks are waited for without a step of their own,
 *    and which of the waiters gets one next is the scheduler's choice.
 * 4. When no task is ready and not all are done, that is a deadlock; the report names who waits for what.
 *
 * While footprints are recorded (footprint.ts) each step says what it touched.
 *
 * The schedule (task ids, in order) is recorded and replays to the same trace. Pairs with core/explore, which supplies
 * schedulers, and with timeline.ts, which runs the same tasks by time.
 */
import { assert } from '../base/assert.ts'
import { type Footprint, forgetTouched, isRecording, takeFootprint, touch } from './footprint.ts'
import { AccessMode, type AccessOp } from './op.ts'
import type { Engine, Task } from './task.ts'

/** Chooses the index into `ready` of the task to run; `last` is the task that ran before, or null. */
export interface Scheduler {
  pick(ready: readonly Task[], last: Task | null, step: number): number
}

export interface Deadlock {
  readonly step: number
  /** One line a task that waits. */
  readonly waits: readonly string[]
}

export type Outcome = 'running' | 'done' | 'deadlock' | 'bound'

/** While footprints are recorded: what the next step of a task touches for certain, the first of it what it announced. */
export function nextFootprint(task: Task, op: AccessOp | null): Footprint {
  forgetTouched()
  touchNext(task, op)
  return takeFootprint()
}

function touchNext(task: Task, op: AccessOp | null): void {
  // Going on after a wake-up depends on whoever woke the task.
  if (op === null) touch(task.id, 'task', AccessMode.read)
  else {
    touch(op.object, op.label, op.mode)
    for (const { object, label } of op.gate?.also ?? []) touch(object, label, AccessMode.read)
  }
}

/** How many names the next step of a task has to wait for, or may have to: the first so many of its footprint. */
export function gateNames(op: AccessOp | null): number {
  if (op === null) return 1
  return op.gate === undefined ? 0 : 1 + (op.gate.also?.length ?? 0)
}

export class Execution implements Engine {
  readonly stepping = true
  readonly schedule: number[] = []
  step = 0
  /** The access that the last step performed, or null if it was a wake-up. */
  performed: AccessOp | null = null
  /** What the last step touched, while footprints are recorded. */
  footprint: Footprint = []
  readonly #tasks: Task[] = []
  readonly #unstarted: Task[] = []
  #last: Task | null = null

  constructor(readonly scheduler: Scheduler) {}

  spawn(task: Task): void {
    assert(task.stepping, `task ${task.name} was not made for the step gear`)
    task.engine = this
    this.#tasks.push(task)
    this.#unstarted.push(task)
  }

  /** Runs new tasks up to their first announcement: what they do before it is theirs alone. Not a step. */
  start(): void {
    for (let task = this.#unstarted.shift(); task !== undefined; task = this.#unstarted.shift()) {
      task.clock.nowNs = this.step
      task.clock.sliceEndNs = Number.POSITIVE_INFINITY
      this.#run(task)
      if (isRecording()) takeFootprint()
    }
  }

  ready(task: Task): void {
    task.state = 'ready'
  }

  get tasks(): readonly Task[] {
    return this.#tasks
  }

  /** The access a ready task would perform next. */
  pending(task: Task): AccessOp | null {
    return task.announced
  }

  /** Whether a task that has been started could run the next step. A sleeping one may: time passes at any point. */
  isReady(task: Task): boolean {
    if (task.state === 'ready') return task.gate === null || task.gate.opens(task)
    return task.state === 'sleeping'
  }

  /** Tasks that could run the next step, in the order in which they were spawned. */
  readyTasks(): Task[] {
    const ready: Task[] = []
    for (const task of this.#tasks) if (this.isReady(task)) ready.push(task)
    return ready
  }

  /** Some task that is no daemon has not ended. */
  get alive(): boolean {
    return this.#tasks.some((t) => t.state !== 'done' && !t.daemon)
  }

  /** Runs one step of the task that the scheduler picks. The run is done when all tasks but the daemons are. */
  advance(): Outcome {
    if (this.#unstarted.length > 0) this.start()
    if (!this.alive) return 'done'
    const ready = this.readyTasks()
    if (ready.length === 0) return 'deadlock'
    const i = this.scheduler.pick(ready, this.#last, this.step)
    assert(i >= 0 && i < ready.length, `scheduler picked ${i} of ${ready.length}`)
    this.perform(ready[i])
    return 'running'
  }

  /** Runs one step of a task that is ready. */
  perform(task: Task): void {
    this.schedule.push(task.id)
    this.#last = task
    this.step++
    task.clock.nowNs = this.step
    task.clock.sliceEndNs = Number.POSITIVE_INFINITY
    const op = task.announced
    this.performed = op
    if (!isRecording()) {
      this.#run(task)
      return
    }
    forgetTouched()
    touchNext(task, op)
    try {
      this.#run(task)
    } finally {
      this.footprint = takeFootprint()
    }
  }

  /** Runs until everything is done, nothing can run, or `maxSteps` are used up. */
  run(maxSteps: number, afterStep: () => void = () => {}): Outcome {
    while (this.step < maxSteps) {
      const outcome = this.advance()
      if (outcome !== 'running') return outcome
      afterStep()
    }
    return 'bound'
  }

  #run(task: Task): void {
    const proc = task.proc
    assert(proc !== null, `task ${task.name} has no proc`)
    task.state = 'ready'
    task.gate = null
    const result = proc.next()
    if (result.done === true) {
      task.state = 'done'
      task.announced = null
      task.lockdep?.ends(task)
      return
    }
    const op = result.value
    switch (op.kind) {
      case 'access':
        task.announced = op
        if (op.gate !== undefined) task.gate = op.gate
        return
      case 'block':
        task.announced = null
        if (task.parked) {
          task.state = 'blocked'
          if (!task.spinning) task.lockdep?.sleeps(task, task.waitsFor)
        }
        return
      case 'sleep':
        task.lockdep?.sleeps(task, 'a time to pass')
        task.state = 'sleeping'
        task.announced = null
        return
      case 'quantum':
        task.announced = null
        return
      case 'input':
        throw new Error(`task ${task.name} asked for input in the step gear`)
    }
  }

  deadlock(): Deadlock {
    const waits = this.#tasks
      .filter((t) => t.state === 'blocked' || (t.gate !== null && !t.gate.opens(t)))
      .map((t) => `${t.name} waits for ${t.waitsFor}${t.waitsForTask ? ` held by ${t.waitsForTask.name}` : ''}`)
    return { step: this.step, waits }
  }
}
