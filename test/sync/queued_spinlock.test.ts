/**
 * The queued spinlock: first come, first served, and what passing it on costs, in the clock gear; a plain spinlock in the other.
 *
 * A lock word that nobody else wanted costs nothing to leave; one that others ask for meanwhile has to come back first.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { QUANTUM } from '../../core/engine/op.ts'
import type { Task } from '../../core/engine/task.ts'
import { random } from '../../core/explore/schedulers.ts'
import { CacheLine } from '../../core/sync/cache_line.ts'
import { QueuedSpinlock } from '../../core/sync/queued_spinlock.ts'
import { type Body, clockTasks, runToIdle, stepTasks } from '../engine/tasks.ts'
import { Witness } from './locks.ts'

const TRANSFER_NS = 100
const HOLD_NS = 1000

const make = (line = new CacheLine(TRANSFER_NS)) => new QueuedSpinlock(1, 'queue.lock', 0, line)

/** Asks at `atNs`, holds, and says when it got the lock. */
function asks(lock: QueuedSpinlock, atNs: number, got: [number, number][], yields = false): Body {
  return function* (k) {
    k.clock.charge(atNs)
    yield QUANTUM
    yield* lock.lock(k)
    got.push([k.id, k.nowNs])
    k.clock.charge(HOLD_NS)
    if (yields) yield QUANTUM
    lock.unlock(k)
  }
}

describe('in the clock gear', () => {
  it('lets askers in one by one in the order in which they came, also where the holder gives up its turn', () => {
    const orders = fc.uniqueArray(fc.integer({ min: 0, max: 900 }), { minLength: 2, maxLength: 8 })
    fc.assert(
      fc.property(orders, fc.boolean(), (starts, yields) => {
        const lock = make()
        const got: [number, number][] = []
        runToIdle(
          clockTasks(
            1,
            starts.map((at) => asks(lock, at, got, yields)),
          ).timeline,
        )
        const order = starts.map((at, id) => ({ at, id })).sort((a, b) => a.at - b.at)
        expect(got.map(([id]) => id)).toEqual(order.map(({ id }) => id))
        got.reduce((before, next) => {
          expect(next[1] - before[1]).toBeGreaterThanOrEqual(HOLD_NS)
          return next
        })
        expect(lock.holder).toBeNull()
      }),
    )
  })

  it('free for the CPU that had it last, one transfer for another, three for whoever waited', () => {
    const lock = make()
    const got: [number, number][] = []
    const { timeline, tasks } = clockTasks(1, [asks(lock, 0, got), asks(lock, 500, got)])
    runToIdle(timeline)
    // A: the word comes: 100. B asks at 500. A leaves at 1,100; the word comes back to it, B is told, B writes it: 1,400.
    expect(got).toEqual([
      [0, 100],
      [1, 1400],
    ])
    const b = tasks[1] as Task
    // B held it until 2,400 of its time.
    expect([lock.isFreeAt(2399), lock.isFreeAt(2400)]).toEqual([false, true])
    lock.lock(b)
    expect(b.nowNs).toBe(1400 + HOLD_NS)
  })

  it('locks on one line disturb each other without being waited for', () => {
    const line = new CacheLine(TRANSFER_NS)
    const { tasks } = clockTasks(1, [function* () {}, function* () {}])
    const [a, b] = tasks as [Task, Task]
    const [one, other] = [make(line), make(line)]
    one.lock(a)
    other.lock(b)
    one.unlock(a)
    expect([a.nowNs, b.nowNs]).toEqual([3 * TRANSFER_NS, 2 * TRANSFER_NS])
  })
})

it('in the step gear it is a spinlock: one holder under any schedule', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const lock = make()
      const witness = new Witness()
      const body: Body = function* (k) {
        yield* lock.lock(k)
        yield* witness.inside(k, true, 2)
        lock.unlock(k)
      }
      expect(stepTasks(random(new Prng(seed)), [body, body, body]).run(1000)).toBe('done')
      expect([witness.broken, witness.entries]).toEqual([[], 3])
    }),
    { numRuns: 30 },
  )
})
