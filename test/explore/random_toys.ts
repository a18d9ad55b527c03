/**
 * Random small programs for properties: two or three tasks, sometimes a daemon, over two words, three locks and a flag.
 *
 * They are small enough for every interleaving to be run, and hold what makes searches go wrong: locks taken inside locks, tries,
 * gates, sleeping and waking, spawned tasks, steps that touch more than they announce.
 */
import fc from 'fast-check'
import type { Program } from '../../core/explore/program.ts'
import { add, type Deed, r, toy, w } from './toys.ts'

const word = fc.nat(1)
const lock = fc.nat(1)
const plain: fc.Arbitrary<Deed> = fc.oneof(
  word.map(r),
  word.map(w),
  word.map(add),
  fc.record({ do: fc.constant('copy' as const), word, from: word }),
)
const inner = fc.array(plain, { maxLength: 2 })
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant('expect' as const), word }) },
  { weight: 4, arbitrary: plain },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('locked' as const, 'shared' as const, 'exclusive' as const, 'try' as const),
      lock,
      deeds: fc.oneof(
        inner,
        fc
          .record({ do: fc.constantFrom('locked' as const, 'shared' as const), lock: lock.map((n) => n + 1), deeds: inner })
          .map((d) => [d]),
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('quiet' as const), lock: fc.constant(2), word: fc.constant(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('await' as const, 'take' as const), word }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('sleep' as const, 'set' as const), flag: fc.nat(0) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('spawn' as const), deeds: fc.array(plain, { minLength: 1, maxLength: 2 }) }),
  },
)

export interface Shape {
  readonly tasks: readonly (readonly Deed[])[]
  readonly daemons: readonly (readonly Deed[])[]
}

export const small: fc.Arbitrary<Shape> = fc.record({
  tasks: fc.array(fc.array(deed, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 3 }),
  daemons: fc.array(fc.array(deed, { minLength: 1, maxLength: 2 }), { maxLength: 1 }),
})

export function program({ tasks, daemons }: Shape): Program {
  return toy(tasks, daemons)
}
