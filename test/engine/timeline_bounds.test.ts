/**
 * The clock gear's bounds: how far a CPU may run ahead, when a run ends, and what waits for the host.
 *
 * The order of turns, sleeping and waking are in timeline.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { BLOCK, INPUT, QUANTUM, read } from '../../core/engine/op.ts'
import { Clock, Task } from '../../core/engine/task.ts'
import { Timeline } from '../../core/engine/timeline.ts'
import { type Body, clockTasks, nameOf, runToIdle, sleepFor, worker } from './tasks.ts'

describe('the quantum', () => {
  /** Charges a nanosecond at a time until told to stop; notes how far it is ahead of the slowest other CPU that still works. */
  function runner(endNs: number, working: Set<Clock>, lead: (ns: number) => void): Body {
    return function* (k) {
      while (k.nowNs < endNs) {
        const others = [...working].filter((c) => c !== k.clock).map((c) => c.nowNs)
        lead(k.nowNs - Math.min(...others, k.nowNs))
        k.clock.charge(1)
        if (k.expired) yield QUANTUM
      }
      working.delete(k.clock)
    }
  }

  it.each([1, 10, 64])('of %d ns bounds how far a CPU runs ahead', (quantumNs) => {
    const working = new Set<Clock>()
    let largest = 0
    const lead = (ns: number) => {
      largest = Math.max(largest, ns)
    }
    const bodies = [300, 500, 400].map((endNs) => runner(endNs, working, lead))
    const { timeline, tasks } = clockTasks(quantumNs, bodies)
    for (const task of tasks) working.add(task.clock)
    runToIdle(timeline)
    expect(largest).toBeLessThanOrEqual(quantumNs)
    expect(largest).toBeGreaterThanOrEqual(quantumNs - 1)
  })

  it('counts from the earliest start of another CPU, so that a lone task is not cut up', () => {
    const { timeline } = clockTasks(10, [
      function* (k) {
        while (k.nowNs < 10_000) {
          k.clock.charge(1)
          if (k.expired) yield QUANTUM
        }
      },
    ])
    runToIdle(timeline)
    expect(timeline.turns).toBe(1)
  })

  it('is cut short by waking a task of another CPU', () => {
    let endOfSlice = 0
    const { timeline, tasks } = clockTasks(10, [
      function* (k) {
        k.park('news')
        yield BLOCK
      },
      function* (k) {
        yield* sleepFor(k, 5)
        tasks[0]?.wake(k.nowNs + 7)
        while (!k.expired) k.clock.charge(1)
        endOfSlice = k.nowNs
      },
    ])
    runToIdle(timeline)
    // A can start at 12, so B may run to 22.
    expect(endOfSlice).toBe(22)
  })

  it('is cut short by waking a task of the same CPU', () => {
    const story: string[] = []
    const { timeline, tasks } = clockTasks(
      10,
      [
        function* (k) {
          k.park('news')
          yield BLOCK
          story.push(`${k.name}${k.nowNs}`)
        },
        function* (k) {
          tasks[0]?.wake(k.nowNs)
          while (k.nowNs < 1000) {
            k.clock.charge(1)
            if (k.expired) yield QUANTUM
          }
          story.push(`${k.name}${k.nowNs}`)
        },
      ],
      () => 0,
    )
    runToIdle(timeline)
    expect(story.join(' ')).toBe('A10 B1000')
  })

  it('must be more than nothing', () => expect(() => new Timeline(0)).toThrow('quantum 0 <= 0'))
})

describe('the end of a run', () => {
  it('is idle when all are done, and stays so', () => {
    const { timeline } = clockTasks(1, [worker([], [1, 2])])
    expect([timeline.run(100), timeline.run(100)]).toEqual(['idle', 'idle'])
    expect(timeline.turns).toBe(3)
  })

  it('is idle, too, when everybody waits for somebody', () => {
    const { timeline, tasks } = clockTasks(1, [
      function* (k) {
        k.park('what never comes')
        yield BLOCK
      },
    ])
    expect(timeline.run(100)).toBe('idle')
    expect(tasks[0]?.waitsFor).toBe('what never comes')
  })

  it('comes after the present turn when stop is called', () => {
    const story: string[] = []
    const { timeline } = clockTasks(1, [
      function* (k) {
        yield* worker(story, [1, 1])(k)
        timeline.stop()
        story.push('stop')
      },
      worker(story, [10, 10, 10]),
    ])
    expect(timeline.run(100)).toBe('stopped')
    expect(timeline.run(100)).toBe('stopped')
    expect(story.join(' ')).toBe('A0 B0 A1 stop')
  })

  it('is not reached in fewer turns than it takes: run answers running', () => {
    const { timeline } = clockTasks(1, [worker([], [1, 1, 1])])
    expect([timeline.run(3), timeline.turns, timeline.run(3), timeline.turns]).toEqual(['running', 3, 'idle', 4])
  })
})

describe('input', () => {
  it('holds everybody up until it is fed, so that the host cannot change the order', () => {
    const story: string[] = []
    const { timeline } = clockTasks(1, [
      function* (k) {
        story.push('A asks')
        yield INPUT
        story.push(`A goes on at ${k.nowNs}`)
      },
      worker(story, [10, 10]),
    ])
    expect([timeline.run(100), timeline.run(100)]).toEqual(['input', 'input'])
    expect(story).toEqual(['A asks'])
    timeline.resumeInput()
    runToIdle(timeline)
    expect(story).toEqual(['A asks', 'A goes on at 0', 'B0', 'B10'])
  })

  it('that nobody waits for is a bug', () => {
    expect(() => new Timeline(1).resumeInput()).toThrow('no task waits for input')
  })
})

it('an announced access is a bug in this gear, and names the task', () => {
  const { timeline } = clockTasks(1, [
    function* () {
      yield read(1, 'pte')
    },
  ])
  expect(() => timeline.run(1)).toThrow('task A announced pte in the clock gear')
})

it('a task spawned while another runs is ready at the time it was given', () => {
  const story: string[] = []
  const { timeline } = clockTasks(10, [
    function* (k) {
      const child = new Task(1, nameOf(1), new Clock(1), false)
      child.proc = worker(story, [1])(child)
      timeline.spawn(child, 30)
      k.clock.charge(20)
      story.push(`slice ends at ${k.clock.sliceEndNs}`)
      yield QUANTUM
      k.clock.charge(20)
      yield QUANTUM
      story.push(`A${k.nowNs}`)
    },
  ])
  runToIdle(timeline)
  expect(story.join(', ')).toBe('slice ends at 40, B30, A40')
})
