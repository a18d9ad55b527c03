/**
 * Random calls of three threads, of which any may fork, beside a handler of userfaults and a thread that migrates and evicts
 * pages: no lock is taken wrongly (lockdep watches both gears), nobody sleeps for ever, and the books balance.
 *
 * What a call answers is not looked at here; conformance cases do that. At the end everything exits and nothing may be left.
 * 10,000 sequences: 1,250 in each gear on each of four fault paths. A longer run: PAGEFERRY_SEQUENCES=100000 npm test -- random_calls
 */
import { describe, expect, it } from 'vitest'
import { PATHS, sequence } from './random_sequence.ts'
import { GEARS } from './rig.ts'

const SEQUENCES = Number(process.env.PAGEFERRY_SEQUENCES ?? 1250)

describe.each(GEARS)(`${SEQUENCES} sequences of random calls in the %s gear`, (gear) => {
  it.each(PATHS)(
    'on the fault path %s break no rule of locking, leave nobody asleep, and balance',
    { timeout: 600_000 },
    (path) => {
      const wrong: string[] = []
      for (let seed = 1; seed <= SEQUENCES && wrong.length < 3; seed++) {
        const what = sequence(gear, path, seed)
        if (what !== null) wrong.push(`seed ${seed}: ${what}`)
      }
      expect(wrong).toEqual([])
    },
  )
})
