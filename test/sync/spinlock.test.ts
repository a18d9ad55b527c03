/**
 * The spinlock: one holder at a time under any schedule, and a price for whoever asks while it was held.
 *
 * Lock ids order the locks; lockBoth takes the lower first.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { random, roundRobin } from '../../core/explore/schedulers.ts'
import { lockBoth, Spinlock, unlockBoth } from '../../core/sync/spinlock.ts'
import { type Body, clockTasks, runToIdle, stepTasks } from '../engine/tasks.ts'
import { Witness } from './locks.ts'

const COST_NS = 20

function stays(lock: Spinlock, witness: Witness, times: number): Body {
  return function* (k) {
    for (let i = 0; i < times; i++) {
      yield* lock.lock(k)
      yield* witness.inside(k, true, 2)
      lock.unlock(k)
    }
  }
}

describe('in the step gear', () => {
  it('holds one task at a time, and lets every one in at last, under any schedule', () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 4 }), (seed, times) => {
        const lock = new Spinlock(1, 'pt_lock', COST_NS)
        const witness = new Witness()
        const execution = stepTasks(
          random(new Prng(seed)),
          times.map((n) => stays(lock, witness, n)),
        )
        expect(execution.run(10_000)).toBe('done')
        expect(witness.broken).toEqual([])
        expect(witness.entries).toBe(times.reduce((a, b) => a + b))
        expect(lock.holder).toBeNull()
      }),
    )
  })

  it('announces the acquisition, and names the holder to whoever waits', () => {
    const lock = new Spinlock(7, 'pt_lock', COST_NS)
    const witness = new Witness()
    const execution = stepTasks(roundRobin(), [stays(lock, witness, 1), stays(lock, witness, 1)])
    const [, b] = execution.tasks
    if (b === undefined) throw new Error('no task B')
    execution.run(1)
    expect(execution.pending(b)).toMatchObject({ kind: 'access', mode: 4, object: 7, label: 'pt_lock' })
    expect([b.gate?.opens(b), b.waitsFor, b.waitsForTask?.name]).toEqual([false, 'pt_lock 7', 'A'])
  })

  it('taken twice by one task is a bug', () => {
    const lock = new Spinlock(7, 'pt_lock', COST_NS)
    const execution = stepTasks(roundRobin(), [
      function* (k) {
        yield* lock.lock(k)
        yield* lock.lock(k)
      },
    ])
    expect(() => execution.run(10)).toThrow('A takes pt_lock 7 twice')
  })
})

describe('two locks', () => {
  const pair = () => [new Spinlock(1, 'pt_lock', COST_NS), new Spinlock(2, 'pt_lock', COST_NS)] as const
  const takes = (first: Spinlock, second: Spinlock): Body =>
    function* (k) {
      yield* lockBoth(k, first, second)
      expect([first.holder, second.holder]).toEqual([k, k])
      unlockBoth(k, first, second)
    }

  it('taken by lockBoth in whatever order never deadlock', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const [a, b] = pair()
        const execution = stepTasks(random(new Prng(seed)), [takes(a, b), takes(b, a), takes(a, a)])
        expect(execution.run(1000)).toBe('done')
        expect([a.holder, b.holder]).toEqual([null, null])
      }),
    )
  })

  it('taken by hand in opposite orders do, and the deadlock is named', () => {
    const [a, b] = pair()
    const byHand = (first: Spinlock, second: Spinlock): Body =>
      function* (k) {
        yield* first.lock(k)
        yield* second.lock(k)
      }
    const execution = stepTasks(roundRobin(), [byHand(a, b), byHand(b, a)])
    expect(execution.run(100)).toBe('deadlock')
    expect(execution.deadlock().waits).toEqual(['A waits for pt_lock 2 held by B', 'B waits for pt_lock 1 held by A'])
  })
})

describe('in the clock gear', () => {
  it('costs its price when free', () => {
    const lock = new Spinlock(1, 'pt_lock', COST_NS)
    const { timeline, tasks } = clockTasks(1e6, [stays(lock, new Witness(), 1)])
    runToIdle(timeline)
    // 20 for the lock, 2 x 10 inside.
    expect(tasks[0]?.nowNs).toBe(40)
  })

  it('moves an earlier asker to the time at which it became free', () => {
    const lock = new Spinlock(1, 'pt_lock', COST_NS)
    const witness = new Witness()
    const { timeline, tasks } = clockTasks(1e6, [stays(lock, witness, 1), stays(lock, witness, 1), stays(lock, witness, 1)])
    runToIdle(timeline)
    // A holds it [20, 40), B from 40 + 20 to 80, C from 80 + 20 to 120: as if they had queued.
    expect(tasks.map((t) => t.nowNs)).toEqual([40, 80, 120])
  })

  it('does not move one who asks after it became free', () => {
    const lock = new Spinlock(1, 'pt_lock', COST_NS)
    const { timeline, tasks } = clockTasks(1e6, [
      stays(lock, new Witness(), 1),
      function* (k) {
        k.clock.charge(1000)
        yield* lock.lock(k)
        lock.unlock(k)
      },
    ])
    runToIdle(timeline)
    expect(tasks[1]?.nowNs).toBe(1000 + COST_NS)
  })

  it('asked for while held is a bug: nobody sleeps with a spinlock', () => {
    const lock = new Spinlock(7, 'pt_lock', COST_NS)
    const { tasks } = clockTasks(1, [function* () {}, function* () {}])
    const [a, b] = tasks
    if (a === undefined || b === undefined) throw new Error('no tasks')
    lock.lock(a)
    expect(() => lock.lock(b)).toThrow('pt_lock 7 is held by A in the clock gear')
    expect(() => lock.unlock(b)).toThrow('B unlocks pt_lock 7 held by A')
  })
})
