/**
 * Processors that CPUs share: work takes as long as so many can do it in, in turns, whoever is ready first goes first, and sleep takes none.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { QUANTUM, SLEEP } from '../../core/engine/op.ts'
import { Processors } from '../../core/engine/processors.ts'
import { type Body, clockTasks, runToIdle } from './tasks.ts'

const QUANTUM_NS = 10

/** Works for so long, in portions of a ns. */
function works(ns: number): Body {
  return function* (k) {
    for (let n = 0; n < ns; n++) {
      k.clock.charge(1)
      if (k.expired) yield QUANTUM
    }
  }
}

function ends(count: number, bodies: readonly Body[]): number[] {
  const { timeline, tasks } = clockTasks(QUANTUM_NS, bodies, undefined, new Processors(count))
  runToIdle(timeline)
  return tasks.map((task) => task.nowNs)
}

describe('processors that are shared', () => {
  it('do all work in the time that so many take, and none before its own time is over', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 6 }),
        (count, work) => {
          const at = ends(count, work.map(works))
          const last = Math.max(...at)
          const sum = work.reduce((n, ns) => n + ns, 0)
          // The last is never behind what a list schedule takes: its own work, and an equal share of all the rest.
          expect(last).toBeGreaterThanOrEqual(Math.max(...work, Math.ceil(sum / count)))
          expect(last).toBeLessThanOrEqual(sum / count + Math.max(...work) + 2 * QUANTUM_NS)
          for (const [i, ns] of at.entries()) expect(ns).toBeGreaterThanOrEqual(work[i] ?? 0)
        },
      ),
    ))

  it('change nothing where there are as many as tasks', () => {
    const work = [30, 70, 110]
    expect(ends(3, work.map(works))).toEqual(work)
  })

  it('take turns: of two equals on one processor neither ends a quantum before the other', () => {
    const [a = 0, b = 0] = ends(1, [works(500), works(500)])
    expect(Math.max(a, b)).toBe(1000)
    expect(Math.abs(a - b)).toBeLessThanOrEqual(2 * QUANTUM_NS)
  })

  it('are left to others by who sleeps', () => {
    const sleeper: Body = function* (k) {
      k.park('a while')
      k.wakeAtNs = 400
      yield SLEEP
      k.clock.charge(5)
    }
    const [slept, worked] = ends(1, [sleeper, works(300)])
    expect([slept, worked]).toEqual([405, 300])
  })

  it('count a CPU as idle from when another takes its processor, and not before', () => {
    const seen: boolean[] = []
    const watched = clockTasks(
      QUANTUM_NS,
      [
        works(15),
        function* (k) {
          seen.push(watched.tasks[0]?.clock.isIdle ?? false)
          k.clock.charge(1)
          yield QUANTUM
        },
      ],
      undefined,
      new Processors(1),
    )
    runToIdle(watched.timeline)
    expect(seen).toEqual([true])
    const apart: boolean[] = []
    const free = clockTasks(
      QUANTUM_NS,
      [
        works(15),
        function* (k) {
          apart.push(free.tasks[0]?.clock.isIdle ?? false)
          k.clock.charge(1)
          yield QUANTUM
        },
      ],
      undefined,
      new Processors(2),
    )
    runToIdle(free.timeline)
    expect(apart).toEqual([false])
  })

  it('are one at least', () => expect(() => new Processors(0)).toThrow('0 processors'))
})
