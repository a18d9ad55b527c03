/**
 * The memory models on the classical litmus tests: which outcomes each allows and which it forbids, exactly.
 *
 * Threads are on CPUs of their own, x and y start at 0. The search covers every interleaving of the threads and of the lanes,
 * so a set of outcomes is complete: what is not in it cannot happen. It is compared with a search that uses no independence.
 *
 *     SB   x=1; r0=y  |  y=1; r1=x        MP    x=1; y=1  |  r0=y; r1=x      LB   r0=x; y=1  |  r1=y; x=1
 *     2+2W x=1; y=2   |  y=1; x=2         CoRR  x=1       |  r0=x; r1=x
 */
import { describe, expect, it } from 'vitest'
import { Execution } from '../../core/engine/execution.ts'
import type { Place } from '../../core/engine/memory_order.ts'
import { AccessMode, type Proc } from '../../core/engine/op.ts'
import { Clock, Task } from '../../core/engine/task.ts'
import { searchDfs } from '../../core/explore/dfs.ts'
import { searchDpor } from '../../core/explore/dpor.ts'
import type { Program } from '../../core/explore/program.ts'
import { finish } from '../../core/explore/search.ts'
import { loading, loadOnce, loadsFollow, seenBy, smpMb, smpRmb, smpWmb, storeOnce, storing } from '../../core/sync/barriers.ts'
import { Rwsem } from '../../core/sync/rwsem.ts'
import { Spinlock } from '../../core/sync/spinlock.ts'
import { type MemoryModel, WeakMemory } from '../../core/sync/weak_memory.ts'

/** x and y, and what the threads read. */
class Shared {
  readonly id = 1
  x = 0
  y = 0
  readonly lock = new Spinlock(2, 'lock', 0)
  readonly sem = new Rwsem(3, 'sem', 0)
  readonly read: number[] = []

  labelOf(field: string): string | null {
    return field === 'x' || field === 'y' ? field : null
  }

  place(field: 'x' | 'y'): Place<number> {
    return {
      object: this.id,
      label: field,
      get: () => this[field],
      set: (value) => {
        this[field] = value
      },
    }
  }

  *store(k: Task, field: 'x' | 'y', value: number): Proc<void> {
    yield storing(k, this.id, field)
    storeOnce(k, this.place(field), value)
  }

  *load(k: Task, field: 'x' | 'y', into: number): Proc<void> {
    yield loading(k, this.id, field)
    this.read[into] = loadOnce(k, this.place(field))
  }
}

type Body = (k: Task, m: Shared) => Proc<void>
type Outcome = (m: Shared) => string

const reads: Outcome = (m) => m.read.join('')
const values: Outcome = (m) => `${m.x}${m.y}`

function programOf(model: MemoryModel, bodies: readonly Body[], outcome: Outcome, without: readonly string[] = []): Program {
  return (scheduler) => {
    const execution = new Execution(scheduler)
    const shared = new Shared()
    const clocks = bodies.map((_, cpu) => new Clock(cpu))
    const memory = model === 'sc' ? null : new WeakMemory(model, new Set(without))
    let id = 0
    const spawn = (name: string, clock: Clock): Task => {
      const task = new Task(id++, name, clock, true)
      execution.spawn(task)
      return task
    }
    for (const clock of clocks) {
      memory?.addCpu(clock, (name, proc) => {
        const lane = spawn(name, clock)
        lane.proc = proc
        return lane
      })
    }
    bodies.forEach((body, cpu) => {
      const task = spawn(`thread ${cpu}`, clocks[cpu] ?? new Clock(cpu))
      task.memory = memory
      task.proc = body(task, shared)
    })
    return { execution, check: () => null, finish: () => null, outcome: () => outcome(shared) }
  }
}

/** All outcomes, by both searches. */
function outcomes(model: MemoryModel, bodies: readonly Body[], outcome = reads, without: readonly string[] = []): string[] {
  const program = programOf(model, bodies, outcome, without)
  const reduced = finish(searchDpor(program))
  expect(reduced.verdict).toBe('verified')
  const whole = finish(searchDfs(program, { everyStep: true }))
  expect([whole.verdict, whole.outcomes]).toEqual(['verified', reduced.outcomes])
  return [...reduced.outcomes]
}

type Barrier = (k: Task, m: Shared) => Proc<void> | void
const none: Barrier = () => {}
const mb: Barrier = (k) => smpMb(k)
const wmb: Barrier = (k) => smpWmb(k, 'wmb')
const rmb: Barrier = (k) => smpRmb(k)

function* barrier(k: Task, m: Shared, b: Barrier): Proc<void> {
  const proc = b(k, m)
  if (proc !== undefined) yield* proc
}

const MODELS = ['sc', 'tso', 'pso', 'pso+rl'] as const

/** Store one, load the other. */
const sb = (mine: 'x' | 'y', other: 'x' | 'y', into: number, between: Barrier): Body =>
  function* (k, m) {
    yield* m.store(k, mine, 1)
    yield* barrier(k, m, between)
    yield* m.load(k, other, into)
  }
const storeBuffering = (a: Barrier, b: Barrier) => [sb('x', 'y', 0, a), sb('y', 'x', 1, b)]

/** The data, then the flag; the flag, then the data, whose load may be done early where no barrier stands. */
const messagePassing = (writes: Barrier, readsInOrder: boolean): Body[] => [
  function* (k, m) {
    yield* m.store(k, 'x', 1)
    yield* barrier(k, m, writes)
    yield* m.store(k, 'y', 1)
  },
  function* (k, m) {
    if (!readsInOrder) loadsFollow(k, m, ['x'])
    yield* m.load(k, 'y', 0)
    if (readsInOrder) yield* barrier(k, m, rmb)
    yield* m.load(k, 'x', 1)
  },
]

describe('SB: both threads miss the store of the other', () => {
  it.each([
    ['sc', ['01', '10', '11']],
    ['tso', ['00', '01', '10', '11']],
    ['pso', ['00', '01', '10', '11']],
    ['pso+rl', ['00', '01', '10', '11']],
  ] as const)('%s: %j', (model, expected) => {
    expect(outcomes(model, storeBuffering(none, none))).toEqual(expected)
  })

  it.each(MODELS)('%s: never with a full barrier on both sides', (model) => {
    expect(outcomes(model, storeBuffering(mb, mb))).toEqual(['01', '10', '11'])
  })

  it.each(['tso', 'pso', 'pso+rl'] as const)('%s: a barrier on one side alone, or write barriers, do not help', (model) => {
    expect(outcomes(model, storeBuffering(mb, none))).toContain('00')
    expect(outcomes(model, storeBuffering(wmb, wmb))).toContain('00')
  })
})

describe('MP: the flag is seen and the data not', () => {
  it.each([
    ['sc', none, false, false],
    ['tso', none, false, false],
    ['pso', none, false, true],
    ['pso', none, true, true],
    ['pso', wmb, false, false],
    ['pso+rl', wmb, false, true],
    ['pso+rl', none, true, true],
    ['pso+rl', wmb, true, false],
    ['pso+rl', mb, true, false],
  ] as const)('%s, %o, read barrier %o: %o', (model, writes, readsInOrder, seen) => {
    const found = outcomes(model, messagePassing(writes, readsInOrder))
    expect(found).toEqual(seen ? ['00', '01', '10', '11'] : ['00', '01', '11'])
  })

  it('a write barrier that is left out orders nothing', () => {
    expect(outcomes('pso', messagePassing(wmb, true), reads, ['wmb'])).toContain('10')
    expect(outcomes('pso', messagePassing(wmb, true), reads, ['another'])).not.toContain('10')
  })
})

describe('LB: both threads see a store that comes after their load', () => {
  const lb = (from: 'x' | 'y', to: 'x' | 'y', into: number): Body =>
    function* (k, m) {
      yield* m.load(k, from, into)
      yield* m.store(k, to, 1)
    }
  // A store is never seen before the loads that stand before it are done.
  it.each(MODELS)('%s: never', (model) => {
    expect(outcomes(model, [lb('x', 'y', 0), lb('y', 'x', 1)])).toEqual(['00', '01', '10'])
  })
})

describe('2+2W: both first stores come last', () => {
  const two = (first: 'x' | 'y', second: 'x' | 'y', between: Barrier): Body =>
    function* (k, m) {
      yield* m.store(k, first, 1)
      yield* barrier(k, m, between)
      yield* m.store(k, second, 2)
    }
  it.each([
    ['sc', none, false],
    ['tso', none, false],
    ['pso', none, true],
    ['pso', wmb, false],
  ] as const)('%s, %o: %o', (model, between, seen) => {
    const found = outcomes(model, [two('x', 'y', between), two('y', 'x', between)], values)
    expect(found).toEqual(seen ? ['11', '12', '21', '22'] : ['12', '21', '22'])
  })
})

describe('coherence', () => {
  const twice: Body[] = [
    (k, m) => m.store(k, 'x', 1),
    function* (k, m) {
      loadsFollow(k, m, ['x'])
      yield* m.load(k, 'x', 0)
      yield* m.load(k, 'x', 1)
    },
  ]
  it.each(MODELS)('%s: two loads of one location never go back (CoRR)', (model) => {
    expect(outcomes(model, twice)).toEqual(['00', '01', '11'])
  })

  it.each(MODELS)('%s: a CPU sees its own last store, and others see its stores in order', (model) => {
    const own: Body[] = [
      function* (k, m) {
        yield* m.store(k, 'x', 1)
        yield* m.store(k, 'x', 2)
        yield* m.load(k, 'x', 0)
      },
      function* (k, m) {
        yield* m.load(k, 'x', 1)
        yield* m.load(k, 'x', 2)
      },
    ]
    expect(outcomes(model, own)).toEqual(['200', '201', '202', '211', '212', '222'])
  })
})

describe('locks', () => {
  const locked: Barrier = function* (k, m) {
    yield* m.lock.lock(k)
    m.lock.unlock(k)
  }
  it('taking one orders as a full barrier in tso, and does not in pso', () => {
    expect(outcomes('tso', storeBuffering(locked, locked))).not.toContain('00')
    // Not one lock for both: whoever takes it second has to wait for the stores of the first.
    expect(outcomes('pso', storeBuffering(locked, none))).toContain('00')
  })

  /** A store under a lock, then a load of what the other stores under another lock. */
  const leaves = (mine: 'x' | 'y', other: 'x' | 'y', into: number, lockOf: (m: Shared) => Spinlock | Rwsem): Body =>
    function* (k, m) {
      const lock = lockOf(m)
      if (lock instanceof Rwsem) yield* lock.downWrite(k)
      else yield* lock.lock(k)
      yield* m.store(k, mine, 1)
      if (lock instanceof Rwsem) lock.upWrite(k)
      else lock.unlock(k)
      yield* m.load(k, other, into)
    }
  it.each([
    ['tso', 'spinlock', true],
    ['tso', 'rwsem', false],
    ['pso', 'spinlock', true],
    ['pso', 'rwsem', true],
  ] as const)('%s: loads go ahead of leaving a %s: %o', (model, kind, seen) => {
    const lockOf = (m: Shared) => (kind === 'rwsem' ? m.sem : m.lock)
    const found = outcomes(model, [leaves('x', 'y', 0, lockOf), sb('y', 'x', 1, mb)])
    expect(found.includes('00')).toBe(seen)
  })

  it.each(MODELS)('%s: what was stored under a lock is seen by the next holder', (model) => {
    const holder: Body = function* (k, m) {
      yield* m.lock.lock(k)
      yield storing(k, m.id, 'x')
      const seen = seenBy(k, m)
      seen.x = seen.x + 1
      m.lock.unlock(k)
    }
    expect(outcomes(model, [holder, holder], values)).toEqual(['20'])
  })
})

describe('sequential consistency', () => {
  it('allocates nothing: the object itself is what is seen', () => {
    const k = new Task(0, 'A', new Clock(0), true)
    const shared = new Shared()
    expect(seenBy(k, shared)).toBe(shared)
    expect(loading(k, 1, 'x')).toEqual({ kind: 'access', mode: AccessMode.read, object: 1, label: 'x' })
  })
})

describe('a mistake in the use of it', () => {
  it('is loud: a CPU without buffers, and more locations than a CPU has buffers for', () => {
    const memory = new WeakMemory('pso')
    const clock = new Clock(0)
    const k = new Task(0, 'A', clock, true)
    expect(() => memory.fullBarrier(k)).toThrow('without store buffers')
    memory.addCpu(clock, (name) => new Task(1, name, clock, true))
    const storeMany = () => {
      for (let i = 0; i < 20; i++) memory.storing(k, i, 'x')
    }
    expect(storeMany).toThrow('locations')
  })
})
