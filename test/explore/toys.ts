/**
 * Toy programs for the tests of the strategies: each task a list of small deeds on a few shared words, locks and flags.
 *
 * What a task reads goes into the outcome, so that two runs have one outcome exactly when no task can tell them apart and the
 * memory ends the same. Deeds announce and touch as the model does: a step may touch more than it announced.
 */

import { Execution } from '../../core/engine/execution.ts'
import { touch } from '../../core/engine/footprint.ts'
import { AccessMode, type Gate, type Proc, read, write } from '../../core/engine/op.ts'
import { Clock, Task } from '../../core/engine/task.ts'
import type { Program, Violation } from '../../core/explore/program.ts'
import { Rwsem } from '../../core/sync/rwsem.ts'
import { Spinlock } from '../../core/sync/spinlock.ts'

export type Deed =
  | { readonly do: 'read' | 'write' | 'add'; readonly word: number }
  /** One step that touches two words. */
  | { readonly do: 'copy'; readonly word: number; readonly from: number }
  /** Inside the lock a deed of its own. */
  | { readonly do: 'locked' | 'shared' | 'exclusive'; readonly lock: number; readonly deeds: readonly Deed[] }
  /** Adds to a word under a lock without announcing it: the lock orders it. */
  | { readonly do: 'quiet'; readonly lock: number; readonly word: number }
  | { readonly do: 'try'; readonly lock: number; readonly deeds: readonly Deed[] }
  /** Waits at a gate until the word is not 0; `take` then takes one from it. */
  | { readonly do: 'await' | 'take'; readonly word: number }
  /** Parks until the flag is set, looking at it in the right order; `set` sets it and wakes. */
  | { readonly do: 'sleep' | 'set'; readonly flag: number }
  | { readonly do: 'spawn'; readonly deeds: readonly Deed[] }
  /** Breaks T-ZERO if the word is 0. */
  | { readonly do: 'expect'; readonly word: number }

export const r = (word: number): Deed => ({ do: 'read', word })
export const w = (word: number): Deed => ({ do: 'write', word })
export const add = (word: number): Deed => ({ do: 'add', word })

class Toy {
  readonly words = new Int32Array(8)
  readonly #spinlocks = [0, 1, 2].map((n) => new Spinlock(n, 'toy.lock', 0))
  readonly #rwsems = [0, 1, 2].map((n) => new Rwsem(n, 'toy.rwsem', 0))
  readonly #flags = new Set<number>()
  readonly #sleepers: { readonly flag: number; readonly task: Task }[] = []
  readonly seen: string[] = []
  broken: Violation | null = null
  tasks = 0

  constructor(readonly execution: Execution) {}

  start(deeds: readonly Deed[], daemon = false): void {
    const id = this.tasks++
    const k = new Task(id, `T${id}`, new Clock(id), true)
    k.daemon = daemon
    this.seen.push('')
    k.proc = this.#all(k, deeds)
    this.execution.spawn(k)
  }

  *#all(k: Task, deeds: readonly Deed[]): Proc<void> {
    for (const deed of deeds) yield* this.#perform(k, deed)
  }

  *#perform(k: Task, deed: Deed): Proc<void> {
    const { words } = this
    switch (deed.do) {
      case 'read':
        yield read(deed.word, 'word')
        this.#sees(k, `${words[deed.word]}`)
        return
      case 'write':
        yield write(deed.word, 'word')
        words[deed.word] = k.id + 1
        return
      case 'add':
        yield write(deed.word, 'word')
        words[deed.word] = at(words, deed.word) + 1
        return
      case 'copy':
        yield write(deed.word, 'word')
        touch(deed.from, 'word', AccessMode.read)
        words[deed.word] = at(words, deed.from)
        return
      case 'expect':
        yield read(deed.word, 'word')
        if (at(words, deed.word) === 0) this.broken = { invariant: 'T-ZERO', message: `word ${deed.word} is 0` }
        return
      case 'await':
        yield { ...read(deed.word, 'word'), gate: this.#notZero(deed.word) }
        return
      case 'take':
        yield { ...write(deed.word, 'word'), gate: this.#notZero(deed.word) }
        words[deed.word] = at(words, deed.word) - 1
        return
      case 'sleep':
        yield* this.#sleep(k, deed.flag)
        return
      case 'set':
        yield write(deed.flag, 'flag')
        this.#flags.add(deed.flag)
        for (const { flag, task } of this.#sleepers) if (flag === deed.flag) task.wake(0)
        return
      case 'spawn':
        yield write(99, 'spawn')
        this.start(deed.deeds)
        return
      default:
        yield* this.#under(k, deed)
    }
  }

  #notZero(word: number): Gate {
    return { opens: () => at(this.words, word) !== 0, describe: () => `word ${word}`, holder: () => null }
  }

  #sees(k: Task, what: string): void {
    this.seen[k.id] += what
  }

  *#sleep(k: Task, flag: number): Proc<void> {
    yield write(flag, 'flag')
    k.park(`flag ${flag}`)
    this.#sleepers.push({ flag, task: k })
    yield read(flag, 'flag')
    if (this.#flags.has(flag)) return
    yield* k.block()
  }

  *#under(k: Task, deed: Deed & { lock: number }): Proc<void> {
    const spinlock = nth(this.#spinlocks, deed.lock)
    const rwsem = nth(this.#rwsems, deed.lock)
    switch (deed.do) {
      case 'locked':
        yield* spinlock.lock(k)
        yield* this.#all(k, deed.deeds)
        spinlock.unlock(k)
        return
      case 'quiet':
        yield* spinlock.lock(k)
        this.words[deed.word] = at(this.words, deed.word) * 3 + k.id + 1
        spinlock.unlock(k)
        return
      case 'try':
        yield write(deed.lock, 'toy.lock')
        if (!spinlock.tryLock(k)) {
          this.#sees(k, 'busy')
          return
        }
        yield* this.#all(k, deed.deeds)
        spinlock.unlock(k)
        return
      case 'shared':
        yield* rwsem.downRead(k)
        yield* this.#all(k, deed.deeds)
        rwsem.upRead(k)
        return
      case 'exclusive':
        yield* rwsem.downWrite(k)
        yield* this.#all(k, deed.deeds)
        rwsem.upWrite(k)
    }
  }
}

/** A program of these tasks; those of `daemons` need not end. */
export function toy(tasks: readonly (readonly Deed[])[], daemons: readonly (readonly Deed[])[] = []): Program {
  return (scheduler) => {
    const execution = new Execution(scheduler)
    const all = new Toy(execution)
    for (const deeds of tasks) all.start(deeds)
    for (const deeds of daemons) all.start(deeds, true)
    return {
      execution,
      check: () => all.broken,
      finish: () => null,
      outcome: () => `${all.words.join('')} ${all.seen.join(' ')}`,
    }
  }
}

function nth<T>(list: readonly T[], n: number): T {
  const found = list[n]
  if (found === undefined) throw new Error(`no number ${n}`)
  return found
}

function at(words: Int32Array, n: number): number {
  return words[n] ?? 0
}
