/**
 * Lockdep: finds wrong locking at the moment it is asked for, whether or not this run deadlocks.
 *
 * Every lock has a class, its label. For each acquisition that may wait:
 *  1. a lock that sleeps is not asked for with a spinlock held, inside an RCU read section, or with interrupts off;
 *  2. no lock is asked for twice, and two of one class only as their class says (ascending by number, or by subclass);
 *  3. every held class must stand before the asked one in the declared order (mm/lock_order.ts);
 *  4. classes that are not declared must close no cycle in the graph of what was ever asked for under what.
 * Trylocks and read sections do not wait: they skip 1 to 4, but are held from then on. The write side of a sequence count
 * is no lock (readers compare, they never wait): only "begun twice in one context" and "ended but not begun" are checked.
 * Interrupts off count as a lock that the sender of an IPI waits for: hence "spins with interrupts off on a lock whose
 * owner shoots down TLBs" is a cycle (R14). Further: release of what is not held, sleeping where one must not, the end of
 * a task that still holds something.
 *
 * A report names both chains: what this task holds, and who took them the other way round, when. A violation is a bug and
 * throws. Costs nothing where Task.lockdep is null. Pairs with engine/lock_watch.ts. Source: Documentation/locking/lockdep-design.rst.
 *
 * @kernel lock_acquire, lock_release, might_sleep, lockdep_assert_held
 */
import { fail, violate } from '../base/assert.ts'
import type { LockMode, LockWatch } from '../engine/lock_watch.ts'
import type { Task } from '../engine/task.ts'
import { Cpu } from '../hw/cpu.ts'

/** The class of interrupts being off. */
export const IRQ_OFF = 'cpu.irq_off'

/** What is declared of a class. */
export interface LockClass {
  /** The label of its locks. */
  readonly label: string
  /**
   * Whether a task may hold two: never; ascending by number; or by subclass, which the caller passes (the kernel's
   * SINGLE_DEPTH_NESTING).
   */
  readonly nesting: 'never' | 'ascending' | 'subclass'
  /** What it guards, in a few words. */
  readonly guards: string
}

interface Held {
  readonly label: string
  readonly object: number
  readonly mode: LockMode
  readonly subclass: number
  readonly atNs: number
}

/** The first time that `to` was asked for under `from`. */
interface Edge {
  readonly from: string
  readonly to: string
  /** The task, when, and all that it held. */
  readonly witness: string
}

const UNDECLARED = -1

export class Lockdep implements LockWatch {
  /** Acquisitions checked. */
  checked = 0
  readonly #classes = new Map<string, LockClass>()
  readonly #ranks = new Map<string, number>()
  readonly #held = new Map<Task, Held[]>()
  readonly #edges = new Map<string, Map<string, Edge>>()

  /** The declared classes, outermost first. */
  constructor(order: readonly LockClass[]) {
    order.forEach((lockClass, rank) => {
      if (this.#classes.has(lockClass.label)) fail(`lock class ${lockClass.label} is declared twice`)
      this.#classes.set(lockClass.label, lockClass)
      this.#ranks.set(lockClass.label, rank)
    })
  }

  asks(task: Task, label: string, object: number, mode: LockMode, subclass = 0): void {
    this.checked++
    const held = this.#of(task)
    // 1.
    if (mode !== 'spin') this.#mayCall(task, held, `asks for ${label} ${object}, which sleeps,`)
    for (const h of held) {
      // 2.
      if (h.label === label) this.#checkNesting(task, held, h, object, subclass)
      // 3. and 4.
      else if (ordersOthers(h.mode)) this.#checkOrder(task, held, h.label, label)
    }
    if (interruptsOff(task)) this.#checkOrder(task, held, IRQ_OFF, label)
  }

  takes(task: Task, label: string, object: number, mode: LockMode, subclass = 0): void {
    const held = this.#of(task)
    if (mode === 'count') for (const h of held) if (h.label === label) this.#checkNesting(task, held, h, object, subclass)
    held.push({ label, object, mode, subclass, atNs: task.nowNs })
  }

  gives(task: Task, label: string, object: number): void {
    const held = this.#of(task)
    for (let i = held.length - 1; i >= 0; i--) {
      const h = held[i]
      if (h.label !== label || h.object !== object) continue
      held.splice(i, 1)
      return
    }
    fail(account(task, held, `gives back ${label} ${object}, which it does not hold`, []))
  }

  waitsForInterrupts(task: Task): void {
    this.checked++
    const held = this.#of(task)
    if (interruptsOff(task)) this.#report(task, held, 'waits for an IPI with its own interrupts off')
    for (const h of held) if (ordersOthers(h.mode)) this.#checkOrder(task, held, h.label, IRQ_OFF)
  }

  sleeps(task: Task, what: string): void {
    this.#mayCall(task, this.#of(task), `sleeps, waiting for ${what},`)
  }

  ends(task: Task): void {
    const held = this.#held.get(task)
    if (held !== undefined && held.length > 0) fail(account(task, held, 'ends', []))
    this.#held.delete(task)
  }

  /** Whether the task holds the lock, for writing if `exclusive`. @kernel lockdep_is_held */
  isHeld(task: Task, label: string, object: number, exclusive = false): boolean {
    return this.#of(task).some((h) => h.label === label && h.object === object && !(exclusive && h.mode === 'read'))
  }

  /** What the task holds, outermost first: `mm.mmap_lock 1 (read)`. */
  heldBy(task: Task): string[] {
    return this.#of(task).map((h) => (h.mode === 'read' ? `${h.label} ${h.object} (read)` : `${h.label} ${h.object}`))
  }

  /** Every pair of classes seen, as `outer > inner`. */
  get pairs(): string[] {
    return [...this.#edges.values()].flatMap((inner) => [...inner.values()].map((e) => `${e.from} > ${e.to}`)).sort()
  }

  /** Labels seen that no one declared. */
  get undeclared(): string[] {
    const seen = new Set([...this.#edges.values()].flatMap((inner) => [...inner.values()].flatMap((e) => [e.from, e.to])))
    return [...seen].filter((label) => label !== IRQ_OFF && !this.#classes.has(label)).sort()
  }

  #of(task: Task): Held[] {
    let held = this.#held.get(task)
    if (held === undefined) {
      held = []
      this.#held.set(task, held)
    }
    return held
  }

  #mayCall(task: Task, held: readonly Held[], what: string): void {
    const atomic = held.find((h) => h.mode === 'spin' || h.mode === 'rcu')
    if (atomic !== undefined) {
      const inside = atomic.mode === 'spin' ? 'with a spinlock held' : 'inside an RCU read section'
      this.#report(task, held, `${what} ${inside} (${atomic.label} ${atomic.object})`)
    }
    if (interruptsOff(task)) this.#report(task, held, `${what} with interrupts off`)
  }

  #checkNesting(task: Task, held: readonly Held[], outer: Held, object: number, subclass: number): void {
    const { label } = outer
    if (outer.object === object) this.#report(task, held, `asks twice for ${label} ${object}`)
    const nesting = this.#classes.get(label)?.nesting ?? 'subclass'
    if (nesting === 'ascending' && object <= outer.object)
      this.#report(task, held, `asks for ${label} ${object} after ${outer.object}: two of this class are taken ascending`)
    if (nesting === 'never' || (nesting === 'subclass' && subclass <= outer.subclass))
      this.#report(task, held, `asks for a second ${label}, ${object}, and does not say that it nests`)
  }

  #checkOrder(task: Task, held: readonly Held[], from: string, to: string): void {
    if (this.#edges.get(from)?.has(to)) return
    const path = this.#path(to, from)
    const outer = this.#ranks.get(from) ?? UNDECLARED
    const inner = this.#ranks.get(to) ?? UNDECLARED
    if (inner !== UNDECLARED && outer > inner)
      this.#report(task, held, `asks for ${to} inside ${from}, but the order declared is ${to}, then ${from}`, path)
    if (path.length > 0) this.#report(task, held, `asks for ${to} inside ${from}, but they were taken the other way round`, path)
    let inners = this.#edges.get(from)
    if (inners === undefined) {
      inners = new Map()
      this.#edges.set(from, inners)
    }
    inners.set(to, { from, to, witness: `${task.name} at ${task.nowNs}, holding ${describe(held)}` })
  }

  /** The edges that lead from one class to another, the shortest way; empty if none do. */
  #path(from: string, to: string): Edge[] {
    const cameBy = new Map<string, Edge>()
    const queue = [from]
    for (const label of queue) {
      for (const edge of this.#edges.get(label)?.values() ?? []) {
        if (edge.to === from || cameBy.has(edge.to)) continue
        cameBy.set(edge.to, edge)
        queue.push(edge.to)
      }
    }
    const path: Edge[] = []
    for (let edge = cameBy.get(to); edge !== undefined; edge = cameBy.get(edge.from)) path.unshift(edge)
    return path
  }

  #report(task: Task, held: readonly Held[], what: string, path: readonly Edge[] = []): never {
    violate('I-DEAD', account(task, held, what, path))
  }
}

function account(task: Task, held: readonly Held[], what: string, path: readonly Edge[]): string {
  const lines = [`lockdep: ${task.name} ${what}`, `  ${task.name} at ${task.nowNs} holds ${describe(held)}`]
  for (const edge of path) lines.push(`  ${edge.from} > ${edge.to}: ${edge.witness}`)
  return lines.join('\n')
}

/** Whether others may wait for what is held so: not for a sequence count, nor for an RCU reader, which never sleeps. */
function ordersOthers(mode: LockMode): boolean {
  return mode !== 'count' && mode !== 'rcu'
}

function interruptsOff(task: Task): boolean {
  return task.clock instanceof Cpu && task.clock.irqOff > 0
}

function describe(held: readonly Held[]): string {
  if (held.length === 0) return 'nothing'
  return held.map((h) => `${h.label} ${h.object}${h.mode === 'read' ? ' (read)' : ''} since ${h.atNs}`).join(', ')
}
