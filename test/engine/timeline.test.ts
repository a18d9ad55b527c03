/**
 * The clock gear: who runs next, who sleeps how long, and that no wake-up is lost. How far a CPU may run ahead: timeline_bounds.test.ts.
 *
 * Tasks write down their turns as `A0` (task A, at 0 ns); the story of a run is that list.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BLOCK, QUANTUM, SLEEP } from '../../core/engine/op.ts'
import type { Task } from '../../core/engine/task.ts'
import { type Body, clockTasks, once, runToIdle, sleepFor, worker } from './tasks.ts'

describe('the order of turns', () => {
  it('is by smallest clock, and by CPU number where clocks are equal', () => {
    const story: string[] = []
    //   A  0....10........20           B  0..4..8..12
    const { timeline } = clockTasks(1, [worker(story, [10, 10]), worker(story, [4, 4, 4])])
    runToIdle(timeline)
    expect(story.join(' ')).toBe('A0 B0 B4 B8 A10')
  })

  it('is by arrival among tasks of one CPU', () => {
    const story: string[] = []
    const { timeline } = clockTasks(1, [worker(story, [5, 5]), worker(story, [5, 5]), worker(story, [5])], () => 0)
    runToIdle(timeline)
    expect(story.join(' ')).toBe('A0 B5 C10 A15 B20')
  })

  it('never goes back in time: starts of turns are ascending for any costs', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 8 }), { minLength: 1, maxLength: 5 }),
        (costs) => {
          const story: string[] = []
          const { timeline } = clockTasks(
            1,
            costs.map((c) => worker(story, c)),
          )
          runToIdle(timeline)
          const starts = story.map((turn) => Number(turn.slice(1)))
          expect(starts).toEqual(starts.toSorted((a, b) => a - b))
          expect(starts).toHaveLength(costs.flat().length)
        },
      ),
    )
  })

  it('is the same in every run, however the turns are cut into calls of run', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 5 }),
        (costs, cut) => {
          const told = (turns: number) => {
            const story: string[] = []
            const { timeline } = clockTasks(
              10,
              costs.map((c) => worker(story, c)),
              (id) => id >> 1,
            )
            while (timeline.run(turns) === 'running');
            return story
          }
          expect(told(cut)).toEqual(told(1000))
        },
      ),
    )
  })
})

describe('sleep', () => {
  it('ends at the wake-up time, while another CPU works', () => {
    const story: string[] = []
    const sleeper: Body = function* (k) {
      yield* sleepFor(k, 25)
      story.push(`${k.name}${k.nowNs}`)
    }
    const { timeline } = clockTasks(1, [sleeper, worker(story, [10, 10, 10])])
    runToIdle(timeline)
    expect(story.join(' ')).toBe('B0 B10 B20 A25')
  })

  it('lets others of the same CPU run, and is over late if they are not done', () => {
    const story: string[] = []
    const sleeper: Body = function* (k) {
      yield* sleepFor(k, 25)
      story.push(`${k.name}${k.nowNs}`)
    }
    const { timeline } = clockTasks(1, [sleeper, worker(story, [10, 30, 10])], () => 0)
    runToIdle(timeline)
    // B's third turn became ready at 40, A at 25.
    expect(story.join(' ')).toBe('B0 B10 A40 B40')
  })

  it('ends early for a task that parked and is woken, at the time of the wake', () => {
    const ends: number[] = []
    let sleeper: Task | null = null
    const { timeline } = clockTasks(1, [
      function* (k) {
        sleeper = k
        k.park('news, for at most 1000 ns')
        k.wakeAtNs = 1000
        yield SLEEP
        ends.push(k.nowNs)
        yield* sleepFor(k, 5)
        ends.push(k.nowNs)
      },
      function* (k) {
        k.clock.charge(100)
        yield QUANTUM
        sleeper?.wake(k.nowNs + 20)
      },
    ])
    runToIdle(timeline)
    // The alarm at 1000 does not ring a second time.
    expect(ends).toEqual([120, 125])
  })

  it('is not made longer by a wake that comes later than the alarm', () => {
    let end = 0
    let sleeper: Task | null = null
    const { timeline } = clockTasks(1, [
      function* (k) {
        sleeper = k
        k.park('news')
        k.wakeAtNs = 50
        yield SLEEP
        end = k.nowNs
      },
      once((k) => sleeper?.wake(k.nowNs + 500)),
    ])
    runToIdle(timeline)
    expect(end).toBe(50)
  })

  it('of a time that has passed costs no time', () => {
    const { timeline, tasks } = clockTasks(1, [
      function* (k) {
        k.clock.charge(100)
        k.wakeAtNs = 30
        yield SLEEP
      },
    ])
    runToIdle(timeline)
    expect(tasks.map((t) => t.nowNs)).toEqual([100])
  })
})

describe('a wake-up', () => {
  it('between park and block is not lost', () => {
    let went = false
    const { timeline } = clockTasks(1, [
      function* (k) {
        k.park('itself')
        k.wake(k.nowNs)
        yield* k.block()
        went = true
      },
    ])
    runToIdle(timeline)
    expect(went).toBe(true)
  })

  it('is not needed by a task that changed its mind', () => {
    let went = false
    const { timeline } = clockTasks(1, [
      function* (k) {
        k.park('itself')
        k.unpark()
        yield* k.block()
        went = true
      },
    ])
    runToIdle(timeline)
    expect(went).toBe(true)
  })

  it('between park and a bare BLOCK is not lost either', () => {
    let went = false
    const { timeline } = clockTasks(1, [
      function* (k) {
        k.park('itself')
        k.wake(k.nowNs)
        yield BLOCK
        went = true
      },
    ])
    runToIdle(timeline)
    expect(went).toBe(true)
  })

  it('moves the clock of the woken CPU to the time of the wake, never back', () => {
    const starts: number[] = []
    const parked: Task[] = []
    const waits: Body = function* (k) {
      parked.push(k)
      k.clock.charge(k.id * 100)
      k.park('news')
      yield BLOCK
      starts.push(k.nowNs)
    }
    const { timeline } = clockTasks(1, [
      waits,
      waits,
      function* (k) {
        yield* sleepFor(k, 60)
        for (const task of parked) task.wake(k.nowNs)
      },
    ])
    runToIdle(timeline)
    // A slept from 0 and is woken at 60; B had worked until 100.
    expect(starts).toEqual([60, 100])
  })

  it('of a task that is not parked does nothing', () => {
    const { timeline, tasks } = clockTasks(1, [
      function* (k) {
        yield* sleepFor(k, 100)
      },
      once(() => tasks[0]?.wake(10)),
    ])
    runToIdle(timeline)
    expect(tasks[0]?.nowNs).toBe(100)
  })

  it('that comes twice lets the task go on once', () => {
    let turns = 0
    const { timeline, tasks } = clockTasks(1, [
      function* (k) {
        k.park('news')
        yield BLOCK
        turns++
        k.park('more news')
        yield BLOCK
        turns++
      },
      once((k) => {
        tasks[0]?.wake(k.nowNs)
        tasks[0]?.wake(k.nowNs)
      }),
    ])
    runToIdle(timeline)
    expect([turns, tasks[0]?.state, tasks[0]?.waitsFor]).toEqual([1, 'blocked', 'more news'])
  })
})

describe('a ring of tasks that hand each other the turn', () => {
  it('loses no wake-up, whatever work lies between', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 5 }),
        fc.array(fc.nat(30), { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 1, max: 40 }),
        (size, work, quantumNs) => {
          let turn = 0
          const laps = 5
          const bodies = Array.from({ length: size }, (): Body => {
            return function* (k) {
              for (let lap = 0; lap < laps; lap++) {
                while (turn % size !== k.id) {
                  k.park('its turn')
                  if (turn % size !== k.id) yield BLOCK
                }
                k.clock.charge(work[turn % work.length] ?? 0)
                turn++
                tasks[turn % size]?.wake(k.nowNs)
                if (k.expired) yield QUANTUM
              }
            }
          })
          const { timeline, tasks } = clockTasks(quantumNs, bodies, (id) => id >> 1)
          runToIdle(timeline)
          expect(tasks.map((t) => t.state)).toEqual(bodies.map(() => 'done'))
          expect(turn).toBe(size * laps)
        },
      ),
    )
  })
})
