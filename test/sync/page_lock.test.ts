/**
 * Page locks: a bit a page, and whoever finds it set sleeps until it is clear, in both gears.
 *
 * The bit lives with the page; here it is a Set of frame numbers.
 */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { SLEEP } from '../../core/engine/op.ts'
import { Clock, Task } from '../../core/engine/task.ts'
import { random, roundRobin } from '../../core/explore/schedulers.ts'
import { PageLocks } from '../../core/sync/page_lock.ts'
import { type Body, clockTasks, runToIdle, stepTasks } from '../engine/tasks.ts'
import { Witness } from './locks.ts'

function make() {
  const bits = new Set<number>()
  return {
    bits,
    locks: new PageLocks({ test: (pfn) => bits.has(pfn), set: (pfn) => bits.add(pfn), clear: (pfn) => bits.delete(pfn) }),
  }
}

const plans = fc.array(fc.array(fc.nat(2), { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 4 })

describe('in the step gear', () => {
  it('a page has one holder at a time, pages do not disturb each other, and all get in, under any schedule', () => {
    fc.assert(
      fc.property(fc.nat(), plans, (seed, plan) => {
        const { bits, locks } = make()
        const witnesses = [new Witness(), new Witness(), new Witness()]
        const bodies = plan.map((pages): Body => {
          return function* (k) {
            for (const pfn of pages) {
              yield* locks.lock(k, pfn)
              const witness = witnesses[pfn]
              if (witness !== undefined) yield* witness.inside(k, true, 2)
              locks.unlock(k, pfn)
            }
          }
        })
        expect(stepTasks(random(new Prng(seed)), bodies).run(10_000)).toBe('done')
        expect(witnesses.map((w) => w.broken)).toEqual([[], [], []])
        expect(witnesses.reduce((n, w) => n + w.entries, 0)).toBe(plan.flat().length)
        expect(bits.size).toBe(0)
      }),
    )
  })

  it('a lock never given back is a deadlock that names the page', () => {
    const { locks } = make()
    const keeps: Body = function* (k) {
      yield* locks.lock(k, 7)
    }
    const execution = stepTasks(roundRobin(), [keeps, keeps])
    expect(execution.run(100)).toBe('deadlock')
    expect(execution.deadlock().waits).toEqual(['B waits for page lock of pfn 7'])
  })
})

describe('in the clock gear', () => {
  it('a holder may sleep; waiters go on when it unlocks, one after the other', () => {
    const { locks } = make()
    const entered: string[] = []
    const sleeps: Body = function* (k) {
      yield* locks.lock(k, 1)
      entered.push(`${k.name}${k.nowNs}`)
      k.wakeAtNs = k.nowNs + 100
      yield SLEEP
      locks.unlock(k, 1)
    }
    const { timeline, tasks } = clockTasks(1, [sleeps, sleeps, sleeps])
    runToIdle(timeline)
    expect(entered.join(' ')).toBe('A0 B100 C200')
    expect(tasks.map((t) => t.state)).toEqual(['done', 'done', 'done'])
  })

  it('moves an earlier asker to the time at which the page was unlocked', () => {
    const { locks } = make()
    const works: Body = function* (k) {
      yield* locks.lock(k, 1)
      k.clock.charge(100)
      locks.unlock(k, 1)
    }
    const { timeline, tasks } = clockTasks(1e6, [works, works])
    runToIdle(timeline)
    // As if B had waited: [0, 100), then [100, 200).
    expect(tasks.map((t) => t.nowNs)).toEqual([100, 200])
  })
})

it('a try takes a free page and leaves a taken one', () => {
  const { locks, bits } = make()
  const k = new Task(0, 'A', new Clock(0), false)
  expect([locks.tryLock(k, 1), locks.tryLock(k, 1), locks.tryLock(k, 2)]).toEqual([true, false, true])
  expect([...bits]).toEqual([1, 2])
})
