/** A Proc that runs at once: its answer, the quantum that is put off, and the sleep that is a mistake. */
import { describe, expect, test } from 'vitest'
import { atOnce } from '../../core/engine/at_once.ts'
import { BLOCK, NOTHING, type Proc, QUANTUM, SLEEP } from '../../core/engine/op.ts'

function* answers(): Proc<number> {
  yield QUANTUM
  const inner = yield* half()
  yield QUANTUM
  return inner * 2
}

function* half(): Proc<number> {
  yield QUANTUM
  return 21
}

function* sleeps(op: typeof BLOCK | typeof SLEEP): Proc<void> {
  yield QUANTUM
  yield op
}

describe('a Proc that runs at once', () => {
  test('gives its answer, the ends of its quanta put off', () => expect(atOnce(answers())).toBe(42))

  test('is over where there was nothing to do', () => expect(atOnce(NOTHING)).toBeUndefined())

  test.each([BLOCK, SLEEP])('may not sleep: $kind', (op) => {
    expect(() => atOnce(sleeps(op))).toThrow(`has to wait (${op.kind})`)
  })
})
