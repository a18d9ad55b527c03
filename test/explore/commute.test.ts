/**
 * The checks of programs themselves: a footprint that leaves something out is found and named, and so is a program that does not
 * repeat itself.
 */
import { describe, expect, it } from 'vitest'
import { touch } from '../../core/engine/footprint.ts'
import { AccessMode, type Gate, type Proc, read, write } from '../../core/engine/op.ts'
import { findDisagreement } from '../../core/explore/commute.ts'
import { checkDeterminism, hashOf } from '../../core/explore/determinism.ts'
import type { Program } from '../../core/explore/program.ts'
import { stepTasks } from '../engine/tasks.ts'
import { add, type Deed, r, toy, w } from './toys.ts'

const honest: Deed[][] = [
  [w(0), { do: 'locked', lock: 0, deeds: [add(1)] }, { do: 'shared', lock: 1, deeds: [r(1)] }, { do: 'sleep', flag: 0 }],
  [r(0), { do: 'exclusive', lock: 1, deeds: [add(1)] }, { do: 'set', flag: 0 }, { do: 'quiet', lock: 2, word: 5 }],
  [
    { do: 'quiet', lock: 2, word: 5 },
    { do: 'await', word: 0 },
    { do: 'spawn', deeds: [r(0)] },
  ],
]

/** Two tasks that add to and double one word; the second says so only if `says`. */
function doubling(says: boolean): Program {
  return (scheduler) => {
    let x = 1
    const adds = function* (): Proc<void> {
      yield write(0, 'x')
      x++
    }
    const doubles = function* (): Proc<void> {
      yield write(1, 'y')
      if (says) touch(0, 'x', AccessMode.write)
      x *= 2
    }
    return { execution: stepTasks(scheduler, [adds, doubles]), check: () => null, finish: () => null, outcome: () => `x=${x}` }
  }
}

/** One task waits for the other, whose step touches what is waited for only if `says`. */
function waiting(says: boolean): Program {
  return (scheduler) => {
    let open = false
    const gate: Gate = { opens: () => open, describe: () => 'the door', holder: () => null }
    const waits = function* (): Proc<void> {
      yield { ...read(0, 'door'), gate }
    }
    const opens = function* (): Proc<void> {
      yield write(1, 'handle')
      if (says) touch(0, 'door', AccessMode.write)
      open = true
    }
    return { execution: stepTasks(scheduler, [waits, opens]), check: () => null, finish: () => null, outcome: () => '' }
  }
}

describe('footprints', () => {
  it('that say all are believed', () => {
    expect(findDisagreement(toy(honest), 300)).toBeNull()
    expect(findDisagreement(doubling(true))).toBeNull()
    expect(findDisagreement(waiting(true))).toBeNull()
  })

  it('that leave out a word are found, with the two steps', () => {
    const found = findDisagreement(doubling(false))
    expect(found?.message).toMatch(
      /^[AB] \(write [xy] [01]\) and [AB] \(write [xy] [01]\) do not commute: the end was "x=[34]" and is "x=[34]"$/,
    )
    expect(found?.steps.map(({ task }) => task).sort()).toEqual(['A', 'B'])
    expect(found?.prefix).toEqual([])
  })

  it('that leave out what opens a gate are found', () => {
    expect(findDisagreement(waiting(false))?.message).toBe(
      'B (write handle 1) lets go on A (read door 0), and does not say that it touches it',
    )
  })
})

describe('the determinism guard', () => {
  it('believes a program that repeats itself', () => {
    const check = checkDeterminism(toy(honest), 5)
    expect(check.same).toBe(true)
    expect(hashOf(toy(honest), check.schedule)).toBe(check.first)
  })

  it('tells schedules apart', () => {
    const program = toy([[w(0)], [w(0)]])
    expect(hashOf(program, [0, 1])).not.toBe(hashOf(program, [1, 0]))
  })

  it('finds a program that remembers its earlier runs', () => {
    let runs = 0
    const program: Program = (scheduler) => {
      const object = runs++
      const body = function* (): Proc<void> {
        yield write(object, 'x')
      }
      return { execution: stepTasks(scheduler, [body]), check: () => null, finish: () => null, outcome: () => '' }
    }
    expect(checkDeterminism(program).same).toBe(false)
  })
})
