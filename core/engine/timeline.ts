/**
 * The clock gear: discrete events over one virtual clock a CPU.
 *
 * 1. The CPU whose next task can start first runs next (ties: lower CPU number).
 * 2. Its clock moves to that start; its slice ends one quantum after the earliest start on any other CPU.
 * 3. The task runs until it yields, charging time to its clock as it goes. What it does in between is atomic.
 * 4. Sleeping tasks queue on their CPU by wake time; blocked tasks are off the queue until woken.
 *
 * Where processors are shared (processors.ts), 2. waits for one, and the turn takes it.
 *
 * A task may run ahead of another CPU by at most one quantum, so contention is exact to that grain. A woken task's CPU
 * shortens the slice of the one that runs. Same tasks, same order: the queue breaks ties by arrival.
 */
import { assert, fail } from '../base/assert.ts'
import type { Processors } from './processors.ts'
import type { Clock, Engine, Task } from './task.ts'

export type TimelineState = 'running' | 'input' | 'idle' | 'stopped'

export class Timeline implements Engine {
  readonly stepping = false
  /** Turns taken so far. */
  turns = 0
  /** A task whose sleep keeps nothing going: where only that is left, everything waits. */
  bystander: Task | null = null
  readonly #quantumNs: number
  readonly #queues: Task[][] = []
  /** CPUs whose queue may hold a task, in no order: most sleep most of the time. */
  readonly #busy: number[] = []
  readonly #isBusy: boolean[] = []
  readonly #clocks: Clock[] = []
  #current: Clock | null = null
  #inputTask: Task | null = null
  /** It has its input, and goes on with the turn that it is in. */
  #resumed: Task | null = null
  #stopped = false
  #paused = false
  /** Null: each CPU is a processor. */
  readonly #processors: Processors | null
  /** That of the present turn. */
  #processor = 0

  constructor(quantumNs: number, processors: Processors | null = null) {
    if (quantumNs <= 0) fail(`quantum ${quantumNs} <= 0`)
    this.#quantumNs = quantumNs
    this.#processors = processors
  }

  /** Adds a task, ready at its CPU's present time. */
  spawn(task: Task, atNs = task.clock.nowNs): void {
    task.engine = this
    const c = task.clock.id
    while (this.#queues.length <= c) this.#queues.push([])
    this.#clocks[c] = task.clock
    this.ready(task, atNs)
  }

  ready(task: Task, atNs: number): void {
    const queue = this.#queues[task.clock.id]
    if (task.state === 'sleeping') {
      if (atNs >= task.readyAtNs) return
      queue.splice(queue.indexOf(task), 1)
    }
    task.state = 'ready'
    this.#enqueue(queue, task, atNs)
    const current = this.#current
    if (current !== null) {
      // On another CPU, or on this very one: the running task shares from then on.
      const start = Math.max(task.clock.nowNs, current === task.clock ? atNs : queue[0].readyAtNs)
      const end = start + this.#quantumNs
      if (end < current.sliceEndNs) current.sliceEndNs = end
    }
  }

  #enqueue(queue: Task[], task: Task, atNs: number): void {
    task.readyAtNs = atNs
    const c = task.clock.id
    if (!this.#isBusy[c]) {
      this.#isBusy[c] = true
      this.#busy.push(c)
    }
    let i = queue.length
    while (i > 0 && queue[i - 1].readyAtNs > atNs) i--
    if (i === queue.length) queue.push(task)
    else queue.splice(i, 0, task)
  }

  /** Ends this `run` after the present turn, so that the host can look; the next one goes on. */
  pause(): void {
    this.#paused = true
  }

  /** Ends the simulation after the present turn: `run` answers 'stopped' from then on. */
  stop(): void {
    this.#stopped = true
  }

  /** Lets the task that yielded INPUT go on, in the same turn: how often the host was asked makes no difference. */
  resumeInput(): void {
    assert(this.#inputTask !== null, 'no task waits for input')
    this.#resumed = this.#inputTask
    this.#inputTask = null
  }

  /**
   * Takes at most `turns` turns. `idle` means that no task but the bystander can ever run again without a wake from outside: everything
   * is done, or everything waits. `stopped` means that `stop` was called. `input` means that a task waits for the host (resumeInput).
   */
  run(turns: number): TimelineState {
    if (this.#inputTask !== null) return 'input'
    const resumed = this.#resumed
    this.#resumed = null
    if (resumed !== null && this.#turn(resumed, this.#queues[resumed.clock.id])) return 'input'
    this.#paused = false
    for (let n = 0; n < turns && !this.#paused; n++) {
      if (this.#stopped) return 'stopped'
      let best = -1
      let bestStart = Number.POSITIVE_INFINITY
      let second = Number.POSITIVE_INFINITY
      const busy = this.#busy
      for (let i = 0; i < busy.length; i++) {
        const c = busy[i]
        const queue = this.#queues[c]
        if (queue.length === 0) {
          this.#isBusy[c] = false
          busy[i--] = busy[busy.length - 1]
          busy.pop()
          continue
        }
        const start = Math.max(this.#clocks[c].nowNs, queue[0].readyAtNs)
        if (start < bestStart || (start === bestStart && c < best)) {
          second = bestStart
          bestStart = start
          best = c
        } else if (start < second) second = start
      }
      if (best < 0) return 'idle'
      const queue = this.#queues[best]
      if (busy.length === 1 && queue.length === 1 && queue[0] === this.bystander) return 'idle'
      this.turns++
      const task = (queue.length === 1 ? queue.pop() : queue.shift()) as Task
      const clock = task.clock
      if (this.#processors !== null) {
        this.#processor = this.#processors.take(clock, bestStart)
        bestStart = Math.max(bestStart, this.#processors.freeNs(this.#processor))
        second = Math.max(second, bestStart)
      }
      clock.nowNs = bestStart
      clock.sliceEndNs = second + this.#quantumNs
      // Another task may be ready on this very CPU: share it by quanta too.
      if (queue.length > 0)
        clock.sliceEndNs = Math.min(clock.sliceEndNs, Math.max(bestStart, queue[0].readyAtNs) + this.#quantumNs)
      if (this.#turn(task, queue)) return 'input'
    }
    return 'running'
  }

  /** One turn of one task, or the rest of it; true if it now waits for the host. */
  #turn(task: Task, queue: Task[]): boolean {
    const { clock } = task
    task.state = 'ready'
    if (clock.isIdle) clock.resume()
    this.#current = clock
    const waits = this.#step(task, queue)
    this.#current = null
    this.#processors?.release(this.#processor, clock.nowNs)
    return waits
  }

  /** The clock's task is off it: what is ready later leaves it idle until then. */
  #leaves(clock: Clock, queue: readonly Task[]): void {
    if (queue.length === 0 || queue[0].readyAtNs > clock.nowNs) clock.idle()
  }

  #step(task: Task, queue: Task[]): boolean {
    const proc = task.proc
    if (proc === null) fail(`task ${task.name} has no proc`)
    const result = proc.next()
    if (result.done === true) {
      task.state = 'done'
      task.lockdep?.ends(task)
      this.#leaves(task.clock, queue)
      return false
    }
    switch (result.value.kind) {
      case 'quantum':
        task.lockdep?.sleeps(task, 'its next quantum')
        this.#enqueue(queue, task, task.clock.nowNs)
        return false
      case 'sleep':
        if (!task.spinning) {
          task.lockdep?.sleeps(task, 'a time to pass')
          this.#leaves(task.clock, queue)
        }
        task.state = 'sleeping'
        this.#enqueue(queue, task, Math.max(task.wakeAtNs, task.clock.nowNs))
        return false
      case 'block':
        if (task.parked) {
          task.state = 'blocked'
          if (!task.spinning) {
            task.lockdep?.sleeps(task, task.waitsFor)
            this.#leaves(task.clock, queue)
          }
        } else this.#enqueue(queue, task, task.clock.nowNs)
        return false
      case 'input':
        task.lockdep?.sleeps(task, 'input')
        task.state = 'input'
        this.#inputTask = task
        return true
      case 'access':
        throw new Error(`task ${task.name} announced ${result.value.label} in the clock gear`)
    }
  }
}
