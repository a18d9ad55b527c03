/**
 * The reader-writer semaphore: readers together, writers alone, first come first served, in both gears.
 *
 * Stories are lists such as `R0 W1 R2`: reader task 0 entered, then writer task 1, then reader task 2.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { type Proc, QUANTUM, SLEEP } from '../../core/engine/op.ts'
import { Clock, Task } from '../../core/engine/task.ts'
import { random, roundRobin } from '../../core/explore/schedulers.ts'
import { Rwsem } from '../../core/sync/rwsem.ts'
import { type Body, clockTasks, runToIdle, stepTasks } from '../engine/tasks.ts'
import { Witness } from './locks.ts'

const COST_NS = 10

function make(): Rwsem {
  return new Rwsem(3, 'mmap_lock', COST_NS)
}

function down(k: Task, lock: Rwsem, writes: boolean): Proc<void> {
  return writes ? lock.downWrite(k) : lock.downRead(k)
}

function up(k: Task, lock: Rwsem, writes: boolean): void {
  if (writes) lock.upWrite(k)
  else lock.upRead(k)
}

function stays(lock: Rwsem, witness: Witness, plan: readonly boolean[]): Body {
  return function* (k) {
    for (const writes of plan) {
      yield* down(k, lock, writes)
      yield* witness.inside(k, writes, 2)
      up(k, lock, writes)
    }
  }
}

const plans = fc.array(fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 4 })

/** Each task arrives at its own time, holds the lock for a time while asleep, and leaves. */
function holders(
  lock: Rwsem,
  story: string[],
  plan: readonly { readonly writes: boolean; readonly atNs: number; readonly holdNs: number }[],
) {
  const witness = new Witness()
  const bodies = plan.map(({ writes, atNs, holdNs }): Body => {
    return function* (k) {
      k.wakeAtNs = atNs
      yield SLEEP
      yield* down(k, lock, writes)
      story.push(`${writes ? 'W' : 'R'}${k.id}`)
      witness.enter(k, writes)
      k.wakeAtNs = k.nowNs + holdNs
      yield SLEEP
      witness.leave(k)
      up(k, lock, writes)
    }
  })
  const { timeline, tasks } = clockTasks(1, bodies)
  runToIdle(timeline)
  return { witness, tasks }
}

describe('in the step gear', () => {
  it('a writer is alone and everybody gets in at last, under any schedule', () => {
    fc.assert(
      fc.property(fc.nat(), plans, (seed, plan) => {
        const lock = make()
        const witness = new Witness()
        const execution = stepTasks(
          random(new Prng(seed)),
          plan.map((p) => stays(lock, witness, p)),
        )
        expect(execution.run(10_000)).toBe('done')
        expect(witness.broken).toEqual([])
        expect(witness.entries).toBe(plan.flat().length)
        expect(lock.isHeld).toBe(false)
      }),
    )
  })

  it('readers are together in some schedule', () => {
    const lock = make()
    const witness = new Witness()
    stepTasks(roundRobin(), [stays(lock, witness, [false]), stays(lock, witness, [false])]).run(100)
    expect(witness.together).toBe(2)
  })

  it('a reader that asks again behind a queued writer is a deadlock', () => {
    const lock = make()
    lock.queues = true
    const execution = stepTasks(roundRobin(), [
      function* (k) {
        yield* lock.downRead(k)
        yield* new Witness().inside(k, false, 2)
        yield* lock.downRead(k)
      },
      stays(lock, new Witness(), [true]),
    ])
    expect(execution.run(100)).toBe('deadlock')
    expect(execution.deadlock().waits).toEqual(['A waits for mmap_lock 3', 'B waits for mmap_lock 3'])
  })

  it('a writer that asks again is a bug', () => {
    const lock = make()
    const execution = stepTasks(roundRobin(), [
      function* (k) {
        yield* lock.downWrite(k)
        yield* lock.downRead(k)
      },
    ])
    expect(() => execution.run(10)).toThrow('A takes mmap_lock 3 while writing it')
  })
})

describe('the queue', () => {
  it('is first come, first served: a reader waits behind a waiting writer, readers of one batch go together', () => {
    const story: string[] = []
    //        0    10   20   30   40   50
    //  R0    holds for 100
    //  W1          waits
    //  R2, R3            wait behind it; W4, R5 behind them
    const { witness } = holders(make(), story, [
      { writes: false, atNs: 0, holdNs: 100 },
      { writes: true, atNs: 10, holdNs: 100 },
      { writes: false, atNs: 20, holdNs: 100 },
      { writes: false, atNs: 30, holdNs: 100 },
      { writes: true, atNs: 40, holdNs: 100 },
      { writes: false, atNs: 50, holdNs: 100 },
    ])
    expect(story.join(' ')).toBe('R0 W1 R2 R3 W4 R5')
    expect([witness.together, witness.broken]).toEqual([2, []])
  })

  it('serves any crowd in order of arrival, up to readers that go together', () => {
    const visit = fc.record({ writes: fc.boolean(), holdNs: fc.integer({ min: 0, max: 300 }) })
    fc.assert(
      fc.property(fc.array(visit, { minLength: 1, maxLength: 12 }), (visits) => {
        const story: string[] = []
        const { witness, tasks } = holders(
          make(),
          story,
          visits.map((v, i) => ({ ...v, atNs: i * 7 })),
        )
        expect(witness.broken).toEqual([])
        expect(tasks.map((t) => t.state)).toEqual(visits.map(() => 'done'))
        const order = story.map((s) => Number(s.slice(1)))
        order.forEach((id, i) => {
          for (const later of order.slice(i + 1)) {
            // Only two readers may have changed places.
            if (later < id) expect([visits[id]?.writes, visits[later]?.writes]).toEqual([false, false])
          }
        })
      }),
    )
  })
})

describe('in the clock gear', () => {
  it('costs its price when free, and readers do not move each other', () => {
    const lock = make()
    const witness = new Witness()
    const { timeline, tasks } = clockTasks(1e6, [stays(lock, witness, [false]), stays(lock, witness, [false])])
    runToIdle(timeline)
    expect(tasks.map((t) => t.nowNs)).toEqual([30, 30])
  })

  it('moves a reader behind the last writer, and a writer behind both', () => {
    const lock = make()
    const witness = new Witness()
    const { timeline, tasks } = clockTasks(1e6, [
      stays(lock, witness, [true]),
      stays(lock, witness, [false]),
      stays(lock, witness, [false]),
      stays(lock, witness, [true]),
    ])
    runToIdle(timeline)
    // W [10, 30); both readers [40, 60) together; W [70, 90).
    expect(tasks.map((t) => t.nowNs)).toEqual([30, 60, 60, 90])
  })

  it('hands a sleeping waiter the lock at the time the holder leaves', () => {
    const lock = make()
    const { tasks } = holders(
      lock,
      [],
      [
        { writes: true, atNs: 0, holdNs: 500 },
        { writes: true, atNs: 5, holdNs: 100 },
      ],
    )
    // 10 + 500; then 10 + 100.
    expect(tasks.map((t) => t.nowNs)).toEqual([510, 620])
  })

  it('keeps writers alone when quanta cut the turns', () => {
    fc.assert(
      fc.property(plans, fc.integer({ min: 1, max: 100 }), (plan, quantumNs) => {
        const lock = make()
        const witness = new Witness()
        const bodies = plan.map((p): Body => {
          return function* (k) {
            for (const writes of p) {
              yield* down(k, lock, writes)
              witness.enter(k, writes)
              for (let i = 0; i < 5; i++) {
                k.clock.charge(13)
                if (k.expired) yield QUANTUM
              }
              witness.leave(k)
              up(k, lock, writes)
            }
          }
        })
        const { timeline } = clockTasks(quantumNs, bodies)
        runToIdle(timeline)
        expect([witness.broken, witness.entries]).toEqual([[], plan.flat().length])
      }),
    )
  })
})

describe('a try', () => {
  it('succeeds only where no sleep is needed', () => {
    const lock = make()
    const { tasks } = clockTasks(1, [function* () {}, function* () {}])
    const [a, b] = tasks
    if (a === undefined || b === undefined) throw new Error('no tasks')
    expect([lock.tryRead(a), lock.tryRead(b), lock.tryWrite(b)]).toEqual([true, true, false])
    lock.upRead(a)
    lock.upRead(b)
    expect([lock.tryWrite(a), lock.tryRead(b), lock.tryWrite(b), lock.isHeld]).toEqual([true, false, false, true])
    expect(() => lock.upWrite(b)).toThrow('B leaves mmap_lock 3, written by A')
    lock.upWrite(a)
    expect(() => lock.upRead(b)).toThrow('B leaves mmap_lock 3, which has no reader')
  })
})

describe('the price of contention in the clock gear', () => {
  const COST_NS = 20
  const WAKEUP_NS = 2000
  const WAKER_NS = 700

  it('is a transfer of the lock word for each CPU in turn, also among readers', () => {
    const sem = new Rwsem(1, 'mm.mmap_lock', COST_NS, 0, 50)
    const tasks = [0, 1, 2].map((id) => new Task(id, `t${id}`, new Clock(id), false))
    for (const k of tasks) sem.downRead(k)
    // Each asks at 0: 20 + 50, then behind one and behind two transfers.
    expect(tasks.map((k) => k.nowNs)).toEqual([70, 120, 170])
  })

  it('is, for readers who came while a writer had it, the wake-ups one after the other', () => {
    const sem = new Rwsem(1, 'mm.mmap_lock', COST_NS, WAKEUP_NS, 0, WAKER_NS)
    const [writer, ...readers] = [0, 1, 2, 3].map((id) => new Task(id, `t${id}`, new Clock(id), false))
    if (writer === undefined) throw new Error('no writer')
    sem.downWrite(writer)
    writer.clock.charge(1000)
    sem.upWrite(writer)
    for (const k of readers) sem.downRead(k)
    const leftNs = COST_NS + 1000
    expect(readers.map((k) => k.nowNs)).toEqual([0, 1, 2].map((n) => leftNs + WAKEUP_NS + n * WAKER_NS + COST_NS))
  })
})
