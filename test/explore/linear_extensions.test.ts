/**
 * Linear extensions against numbers that are known: binomials and multinomials, also beyond what a double can hold.
 */
import { describe, expect, it } from 'vitest'
import { AccessMode } from '../../core/engine/op.ts'
import { HappensBefore } from '../../core/explore/happens_before.ts'
import { CUTS_A_SEARCH, LinearExtensions } from '../../core/explore/linear_extensions.ts'
import { finish } from '../../core/explore/search.ts'

/** So many events of each task, one task after the other, each on what `word` says for it. */
function order(events: readonly number[], word: (task: number, event: number) => number): HappensBefore {
  const made = new HappensBefore()
  events.forEach((_, id) => {
    made.born(made.task(id))
  })
  events.forEach((n, id) => {
    const task = made.task(id)
    for (let event = 0; event < n; event++) {
      made.append(task, [made.names.id(word(id, event), 'word'), AccessMode.write])
    }
  })
  return made
}

const PROGRESS = { schedules: 1, traces: 1, depth: 1, frontier: 0 }

function counted(trace: HappensBefore, extensions = new LinearExtensions()): bigint | null {
  return finish(extensions.count(trace, PROGRESS))
}

function factorial(n: number): bigint {
  return n < 2 ? 1n : BigInt(n) * factorial(n - 1)
}

function multinomial(events: readonly number[]): bigint {
  const sum = events.reduce((a, b) => a + b, 0)
  return events.reduce((ways, n) => ways / factorial(n), factorial(sum))
}

describe('independent tasks can be mixed in', () => {
  // The last but one has 2^60 ways, the last 2^94.
  it.each([[[3, 3]], [[1, 2, 3, 4]], [[32, 31]], [[21, 21, 21]]])('%j: the multinomial', (events) => {
    expect(counted(order(events, (task) => task))).toBe(multinomial(events))
  })
})

it('what all write is in one order', () => expect(counted(order([5, 5, 5], () => 0))).toBe(1n))

it('a grid of two tasks in lock step has a Catalan number of ways', () => {
  // Event i of task 1 comes after event i of task 0: ballot sequences of 5, that is 42.
  expect(counted(order([5, 5], (_, event) => event))).toBe(42n)
})

it('too many ways, or too many cuts, are not counted', () => {
  expect(counted(order([30, 30, 30], (task) => task))).toBeNull()
  expect(counted(order([120, 120, 120], (task) => task))).toBeNull()
  const spent = new LinearExtensions()
  spent.cuts = CUTS_A_SEARCH
  expect(
    counted(
      order([2, 2], (task) => task),
      spent,
    ),
  ).toBeNull()
})

it('a count that takes long yields on the way', () => {
  const counting = new LinearExtensions().count(
    order([30, 30, 30], (task) => task),
    PROGRESS,
  )
  expect(counting.next()).toEqual({ done: false, value: PROGRESS })
})
