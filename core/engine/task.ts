/**
 * A task (one thread of control) and the clock of the CPU it is pinned to.
 *
 * Sleeping follows the kernel's own rule, so that a wake-up is never lost: a task first parks itself (set_current_state),
 * then looks once more at the condition, then yields BLOCK. A wake in between un-parks it, and BLOCK returns at once.
 * Pairs with timeline.ts and execution.ts, which own the queues of ready tasks.
 *
 * @kernel set_current_state, try_to_wake_up
 */

import { touch } from './footprint.ts'
import type { LockWatch } from './lock_watch.ts'
import type { MemoryOrder } from './memory_order.ts'
import { AccessMode, type AccessOp, BLOCK, type Gate, type Op, type Proc } from './op.ts'

/** All that some code needs of a task: it looks at the time, and sleeps. Such code runs on a real clock, too. */
export interface Sleeper {
  readonly nowNs: number
  /** When it goes on after SLEEP. */
  wakeAtNs: number
}

/** The virtual time of one CPU, in ns. In the step gear it is the step number. */
export class Clock {
  nowNs = 0
  /** A running task should yield QUANTUM when nowNs has passed this. */
  sliceEndNs = 0
  isIdle = false

  constructor(readonly id: number) {}

  /** Clock gear: its last task went to sleep or ended, and no other is ready. */
  idle(): void {
    this.isIdle = true
  }

  /** Clock gear: a task runs on it again. */
  resume(): void {
    this.isIdle = false
  }

  charge(ns: number): void {
    this.nowNs += ns
  }
}

export type TaskState = 'ready' | 'sleeping' | 'blocked' | 'input' | 'done'

/** What the engine in charge does when a task is woken at a time. */
export interface Engine {
  readonly stepping: boolean
  ready(task: Task, atNs: number): void
}

export class Task {
  state: TaskState = 'ready'
  /** A daemon serves others and never ends by itself (an interrupt handler, a fault thread); a run does not wait for it. */
  daemon = false
  /** True between park and wake: BLOCK would sleep. */
  parked = false
  /** Step gear: the access that the task has announced and not yet performed; null before a wake-up. */
  announced: AccessOp | null = null
  /** Step gear: what that access has to wait for; null if nothing. */
  gate: Gate | null = null
  #sleepsOn = ''
  #sleepsBehind: (() => Task | null) | null = null
  /** The task waits busily, as for a spinlock: it does not sleep. */
  spinning = false
  /** Who checks what this task locks; null when nobody does. */
  lockdep: LockWatch | null = null
  /** The memory it runs on, where that reorders; null where each access is done and seen in its turn. */
  memory: MemoryOrder | null = null
  readyAtNs = 0
  wakeAtNs = 0
  engine: Engine | null = null
  proc: Proc<unknown> | null = null

  constructor(
    readonly id: number,
    readonly name: string,
    readonly clock: Clock,
    /** True in the step gear: accesses are announced. */
    readonly stepping: boolean,
  ) {}

  get nowNs(): number {
    return this.clock.nowNs
  }

  /** What the task waits for, in words, for deadlock reports. */
  get waitsFor(): string {
    return this.gate?.opens(this) === false ? this.gate.describe() : this.#sleepsOn
  }

  /** The task that holds what this one waits for, where there is one. */
  get waitsForTask(): Task | null {
    return this.gate?.opens(this) === false ? this.gate.holder() : (this.#sleepsBehind?.() ?? null)
  }

  /** True when the slice is used up: a loop should yield QUANTUM. Never in the step gear. */
  get expired(): boolean {
    return this.clock.nowNs >= this.clock.sliceEndNs
  }

  /** First half of going to sleep, with whoever one waits for at the time of asking; look at the condition after this, then `yield* k.block()`. */
  park(what: string, holder: (() => Task | null) | null = null): void {
    touch(this.id, 'task', AccessMode.write)
    this.parked = true
    this.#sleepsOn = what
    this.#sleepsBehind = holder
    this.spinning = false
  }

  /** As `park`, for a wait that is busy on real hardware: it may be done with a spinlock held. */
  spin(what: string, holder: (() => Task | null) | null = null): void {
    this.park(what, holder)
    this.spinning = true
  }

  /** Second half: sleeps unless somebody woke this task since `park`. */
  *block(): Generator<Op, void, void> {
    if (this.staysParked()) yield BLOCK
  }

  /** The question of `block`, for who yields BLOCK itself because it often sleeps: a generator less. */
  staysParked(): boolean {
    touch(this.id, 'task', AccessMode.read)
    return this.parked
  }

  /** Ends what `park` began, without a sleep: the condition holds already. @kernel __set_current_state */
  unpark(): void {
    touch(this.id, 'task', AccessMode.write)
    this.parked = false
    this.spinning = false
  }

  /** Lets the task go on at `atNs` (not before its own CPU's clock). Harmless if it is not parked. */
  wake(atNs: number): void {
    touch(this.id, 'task', AccessMode.write)
    if (!this.parked) return
    this.parked = false
    this.spinning = false
    this.#sleepsOn = ''
    this.#sleepsBehind = null
    if (this.state === 'blocked' || this.state === 'sleeping') this.engine?.ready(this, atNs)
  }
}
