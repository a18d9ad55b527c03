/**
 * Schedulers as text and back: a printed schedule is the schedule, and what is no schedule is refused.
 *
 * What schedulers do to tasks is claimed in test/engine/execution.test.ts; here are replay's refusals and the notation.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { read } from '../../core/engine/op.ts'
import { parseSchedule, ReplayError, replay, roundRobin, scheduleText } from '../../core/explore/schedulers.ts'
import { type Body, stepTasks } from '../engine/tasks.ts'

const ids = fc.oneof(fc.nat(2), fc.nat(999_999))
const schedule = fc
  .array(fc.tuple(ids, fc.integer({ min: 1, max: 30 })), { maxLength: 20 })
  .map((runs) => runs.flatMap(([id, times]) => new Array<number>(times).fill(id)))

describe('a schedule as text', () => {
  it.each([
    [[0, 0, 0, 1, 0], '0*3 1 0'],
    [[7], '7'],
    [[10, 10, 2], '10*2 2'],
  ])('%j is %s', (tasks, text) => {
    expect(scheduleText(tasks)).toBe(text)
    expect(parseSchedule(text)).toEqual(tasks)
  })

  it('comes back as it was', () => {
    fc.assert(
      fc.property(schedule, (tasks) => {
        expect(parseSchedule(scheduleText(tasks))).toEqual(tasks)
      }),
    )
  })

  it('takes any blanks between and around', () => expect(parseSchedule(' 0*2\t1\n 0 ')).toEqual([0, 0, 1, 0]))

  it.each(['x', '0*', '*3', '0*0', '-1', '1.5', '0,1', '0*99999999', '1234567', '0*9999999 0*9999999'])('refuses "%s"', (text) =>
    expect(parseSchedule(text)).toBeNull(),
  )

  it('is read or refused, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123*  -x\n'), maxLength: 12 }), (text) => {
        const tasks = parseSchedule(text)
        if (tasks !== null) expect(parseSchedule(scheduleText(tasks))).toEqual(tasks)
      }),
    )
  })
})

describe('replay', () => {
  const twice: Body = function* () {
    yield read(0, 'x')
    yield read(0, 'x')
  }

  it('refuses a task that is not ready, naming step and task', () => {
    const run = () => stepTasks(replay([0, 0, 0]), [twice, twice]).run(100)
    expect(run).toThrow(ReplayError)
    expect(run).toThrow('step 2: task 0 is not ready; the code differs from what was recorded')
  })

  it('refuses to go on when the schedule is over', () => {
    expect(() => stepTasks(replay([0, 1]), [twice, twice]).run(100)).toThrow('the schedule ends at step 2, but the run goes on')
  })
})

describe('round robin', () => {
  it('starves nobody: between two steps of a task, each other ready task has at most one', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 5 }), (lengths) => {
        const bodies = lengths.map((n): Body => {
          return function* () {
            for (let i = 0; i < n; i++) yield read(0, 'x')
          }
        })
        const execution = stepTasks(roundRobin(), bodies)
        execution.run(1000)
        const last = new Map<number, number>()
        execution.schedule.forEach((id, step) => {
          const before = last.get(id)
          if (before !== undefined) expect(new Set(execution.schedule.slice(before, step)).size).toBe(step - before)
          last.set(id, step)
        })
        expect(execution.schedule).toHaveLength(lengths.reduce((sum, n) => sum + n, 0))
      }),
    )
  })
})
