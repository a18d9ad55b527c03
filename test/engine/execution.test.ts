/**
 * The step gear: every interleaving can be reached, a schedule replays to the same trace, a deadlock is found and named.
 *
 * The tasks announce every access; what they do with it is written down in the order in which it happens.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import type { Execution, Scheduler } from '../../core/engine/execution.ts'
import { BLOCK, INPUT, QUANTUM, read, SLEEP, write } from '../../core/engine/op.ts'
import type { Task } from '../../core/engine/task.ts'
import { random, replay, roundRobin } from '../../core/explore/schedulers.ts'
import { type Body, stepTasks } from './tasks.ts'

/** Performs `n` announced accesses and notes each. */
function accesses(story: string[], n: number): Body {
  return function* (k) {
    for (let i = 1; i <= n; i++) {
      yield write(0, 'x')
      story.push(`${k.name}${i}`)
    }
  }
}

/** Runs every schedule: a choice is a list of indices into `ready`; the next list is the last one counted up. */
function everySchedule(make: (scheduler: Scheduler) => Execution, atEnd: (execution: Execution) => void): number {
  const choices: { at: number; of: number }[] = []
  for (let runs = 0; ; ) {
    let depth = 0
    const execution = make({
      pick: (ready) => {
        const choice = choices[depth] ?? { at: 0, of: ready.length }
        choices[depth++] = choice
        return choice.at
      },
    })
    execution.run(1000)
    atEnd(execution)
    runs++
    while (choices.length > 0) {
      const last = choices[choices.length - 1]
      if (last !== undefined && ++last.at < last.of) break
      choices.pop()
    }
    if (choices.length === 0) return runs
  }
}

/** x = x + 1 in two accesses, `times` times. */
function increments(memory: { x: number }, times: number): Body {
  return function* () {
    for (let i = 0; i < times; i++) {
      yield read(0, 'x')
      const seen = memory.x
      yield write(0, 'x')
      memory.x = seen + 1
    }
  }
}

describe('round robin', () => {
  it('gives each task one step in turn, by id', () => {
    const story: string[] = []
    const execution = stepTasks(roundRobin(), [accesses(story, 2), accesses(story, 3), accesses(story, 1)])
    expect(execution.run(100)).toBe('done')
    expect(story.join(' ')).toBe('A1 B1 C1 A2 B2 B3')
  })
})

describe('every schedule', () => {
  it('of two tasks of two accesses is run once, and all 6 orders of accesses are seen', () => {
    const stories: string[] = []
    const schedules = new Set<string>()
    let story: string[] = []
    const runs = everySchedule(
      (scheduler) => {
        story = []
        return stepTasks(scheduler, [accesses(story, 2), accesses(story, 2)])
      },
      (execution) => {
        schedules.add(execution.schedule.join(''))
        stories.push(story.join(' '))
      },
    )
    // A task takes a step an access: 2 + 2 steps, and C(4, 2) = 6 ways to mix them.
    expect([runs, schedules.size, stories.length]).toEqual([6, 6, 6])
    expect(new Set(stories)).toEqual(
      new Set(['A1 A2 B1 B2', 'A1 B1 A2 B2', 'A1 B1 B2 A2', 'B1 A1 A2 B2', 'B1 A1 B2 A2', 'B1 B2 A1 A2']),
    )
  })

  it('of three tasks of two accesses is one of 6! / (2! 2! 2!) = 90', () => {
    const make = (scheduler: Scheduler) => stepTasks(scheduler, [accesses([], 2), accesses([], 2), accesses([], 2)])
    const outcomes = new Set<string>()
    expect(everySchedule(make, (execution) => outcomes.add(execution.schedule.join('')))).toBe(90)
    expect(outcomes.size).toBe(90)
  })

  it('of two unlocked increments ends with 1 or 2, never 0', () => {
    const ends = new Map<number, number>()
    let memory = { x: 0 }
    everySchedule(
      (scheduler) => {
        memory = { x: 0 }
        return stepTasks(scheduler, [increments(memory, 1), increments(memory, 1)])
      },
      () => ends.set(memory.x, (ends.get(memory.x) ?? 0) + 1),
    )
    // Right only if one's write comes before the other's read: orders of r w R W with both pairs whole, 2 of 6.
    expect([...ends.keys()].sort()).toEqual([1, 2])
  })
})

describe('a schedule', () => {
  const run = (scheduler: Scheduler) => {
    const memory = { x: 0 }
    const trace: string[] = []
    const execution = stepTasks(scheduler, [increments(memory, 2), increments(memory, 2), increments(memory, 1)])
    const outcome = execution.run(1000, () => {
      const { performed, schedule } = execution
      trace.push(`${schedule.at(-1)} ${performed === null ? '-' : `${performed.mode} ${performed.label}`} x=${memory.x}`)
    })
    return { outcome, trace, schedule: execution.schedule, x: memory.x }
  }

  it('drawn by seed is the same for the same seed', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        expect(run(random(new Prng(seed)))).toEqual(run(random(new Prng(seed))))
      }),
    )
  })

  it('drawn by other seeds differs, and finds each lost update there is', () => {
    const ends = new Set<number>()
    const schedules = new Set<string>()
    for (let seed = 0; seed < 500; seed++) {
      const { x, schedule } = run(random(new Prng(seed)))
      ends.add(x)
      schedules.add(schedule.join(''))
    }
    // There are 10! / (4! 4! 2!) = 3,150.
    expect(schedules.size).toBeGreaterThan(300)
    // Five increments; at worst C reads 0 before all others and writes 1 after them.
    expect(Math.min(...ends)).toBe(1)
    expect(Math.max(...ends)).toBe(5)
  })

  it('once recorded replays to the same trace', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const first = run(random(new Prng(seed)))
        expect(run(replay(first.schedule))).toEqual(first)
      }),
    )
  })
})

describe('an announcement', () => {
  it('is performed by the step after it, not by the one that makes it', () => {
    const story: string[] = []
    const execution = stepTasks(roundRobin(), [accesses(story, 2)])
    const [task] = execution.tasks as [Task]
    execution.advance()
    expect([execution.pending(task)?.label, execution.performed?.label, story]).toEqual(['x', 'x', ['A1']])
    execution.advance()
    expect([execution.pending(task), execution.performed?.label, story]).toEqual([null, 'x', ['A1', 'A2']])
  })

  it('is known before its task is first chosen', () => {
    const seen: (string | undefined)[] = []
    const execution: Execution = stepTasks(
      {
        pick: (ready) => {
          seen.push(...ready.map((t) => execution.pending(t)?.label))
          return 0
        },
      },
      [accesses([], 1), accesses([], 1)],
    )
    execution.advance()
    expect(seen).toEqual(['x', 'x'])
  })
})

describe('a deadlock', () => {
  /** Takes two locks, each the index of its holder in `held`. */
  const both = (held: (Task | null)[], first: number, second: number): Body =>
    function* (k) {
      for (const lock of [first, second]) {
        yield write(lock, 'lock')
        while (held[lock]) {
          k.park(`lock ${lock}`, () => held[lock] ?? null)
          yield BLOCK
        }
        held[lock] = k
      }
      for (const lock of [first, second]) held[lock] = null
    }

  it('of two locks taken in opposite order is found in some schedules, and names who waits for what', () => {
    const found = new Map<string, readonly string[]>()
    const outcomes = new Set<string>()
    everySchedule(
      (scheduler) => {
        const held = [null, null]
        return stepTasks(scheduler, [both(held, 0, 1), both(held, 1, 0)])
      },
      (execution) => {
        const blocked = execution.tasks.every((t) => t.state === 'blocked')
        outcomes.add(blocked ? 'deadlock' : 'other')
        if (blocked) found.set(execution.schedule.join(''), execution.deadlock().waits)
      },
    )
    expect(outcomes).toContain('deadlock')
    expect([...new Set([...found.values()].map((waits) => waits.join('; ')))]).toEqual([
      'A waits for lock 1 held by B; B waits for lock 0 held by A',
    ])
  })

  it('is the outcome of run, with its step', () => {
    const execution = stepTasks(roundRobin(), [
      function* (k) {
        yield read(0, 'x')
        k.park('a letter')
        yield BLOCK
      },
    ])
    expect(execution.run(100)).toBe('deadlock')
    expect(execution.deadlock()).toEqual({ step: 1, waits: ['A waits for a letter'] })
  })

  it('is not one where only a daemon waits', () => {
    const execution = stepTasks(roundRobin(), [
      function* (k) {
        k.daemon = true
        k.park('work')
        yield BLOCK
      },
      accesses([], 1),
    ])
    expect(execution.run(100)).toBe('done')
  })
})

describe('time', () => {
  it('is the step number', () => {
    const times: number[] = []
    const note: Body = function* (k) {
      for (let i = 0; i < 2; i++) {
        yield read(0, 'x')
        times.push(k.nowNs)
      }
    }
    stepTasks(roundRobin(), [note, note]).run(100)
    expect(times).toEqual([1, 2, 3, 4])
  })

  it('may pass at any point: a sleeper is ready at once', () => {
    const execution = stepTasks(roundRobin(), [
      function* (k) {
        k.wakeAtNs = 1e9
        yield SLEEP
        expect(k.expired).toBe(false)
        yield QUANTUM
      },
    ])
    expect([execution.run(100), execution.step]).toEqual(['done', 2])
  })

  it('is bounded: run stops at its number of steps', () => {
    const execution = stepTasks(roundRobin(), [
      function* () {
        for (;;) yield read(0, 'x')
      },
    ])
    expect([execution.run(17), execution.step, execution.schedule.length]).toEqual(['bound', 17, 17])
  })
})

it('a wake-up between park and block is not lost in any schedule', () => {
  const outcomes = new Set<string>()
  everySchedule(
    (scheduler) => {
      let isThere = false
      const execution = stepTasks(scheduler, [
        function* (k) {
          while (!isThere) {
            k.park('news')
            yield read(0, 'news')
            if (!isThere) yield* k.block()
          }
        },
        function* (k) {
          yield write(0, 'news')
          isThere = true
          execution.tasks[0]?.wake(k.nowNs)
        },
      ])
      return execution
    },
    (execution) => outcomes.add(execution.tasks.map((t) => t.state).join(' ')),
  )
  expect([...outcomes]).toEqual(['done done'])
})

it('what has no place in this gear is a bug that names the task', () => {
  const asks: Body = function* () {
    yield INPUT
  }
  expect(() => stepTasks(roundRobin(), [asks]).run(1)).toThrow('task A asked for input in the step gear')
  expect(() => stepTasks({ pick: () => 7 }, [accesses([], 1)]).run(1)).toThrow('scheduler picked 7 of 1')
})
