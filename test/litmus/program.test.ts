/**
 * A litmus test as a program: what its end is called where nobody can go on, and that all that it leaves to chance is the schedule.
 */
import { describe, expect, it } from 'vitest'
import { searchDpor } from '../../core/explore/dpor.ts'
import type { Violation } from '../../core/explore/program.ts'
import { replay } from '../../core/explore/schedulers.ts'
import { finish } from '../../core/explore/search.ts'
import type { Counterexample } from '../../core/explore/verdict.ts'
import type { Litmus } from '../../core/litmus/litmus.ts'
import { litmusNamed } from '../../core/litmus/museum.ts'
import { programOf } from '../../core/litmus/program.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'

function named(name: string): Litmus {
  const litmus = litmusNamed(name)
  if (litmus === null) throw new Error(`no litmus test ${name}`)
  return litmus
}

function counterexample(name: string, without: ProtectionName): Counterexample {
  const found = finish(searchDpor(programOf(named(name), new Set([without])))).counterexample
  if (found === null) throw new Error(`${name} holds without ${without}`)
  return found
}

function broken(name: string, without: ProtectionName): Violation {
  return counterexample(name, without).violation
}

describe('nobody can go on', () => {
  it('is I-WAIT where somebody sleeps on a userfault, and names who waits for what', () => {
    const { invariant, message } = broken('fault-against-unregister', 'uffd-unregister-wake')
    expect([invariant, message]).toEqual(['I-WAIT', 'toucher waits for a wake-up for page 2'])
  })

  it('is I-WAIT, too, where another waits for that one', () => {
    const { invariant, message } = broken('remove-is-not-removed', 'user-resolve-on-fault')
    expect(invariant).toBe('I-WAIT')
    expect(message).toBe('guest waits for a wake-up for page 1; manager waits for a userfault message to read')
  })

  it('is I-DEAD where locks are all that is waited for', () => {
    const { invariant, message } = broken('copy-against-writer', 'mfill-nofault')
    expect(invariant).toBe('I-DEAD')
    expect(message.split('; ').map((wait) => wait.replace(/ \d+$/, ''))).toEqual([
      'copier waits for mm.mmap_lock',
      'mapper waits for mm.mmap_lock',
    ])
  })
})

describe('a search', () => {
  it('finds a schedule that breaks the same when it is replayed', () => {
    const { schedule, violation } = counterexample('copy-in-place', 'mfill-copy-before-map')
    const run = programOf(named('copy-in-place'), new Set(['mfill-copy-before-map']))(replay(schedule))
    expect([run.execution.run(schedule.length + 1), run.finish()]).toEqual(['done', violation])
  })

  it('is not there with all protections in place: the search ends, and sees one outcome', () => {
    const program = programOf(named('fault-against-placing'), new Set())
    const verdict = finish(searchDpor(program))
    expect([verdict.verdict, verdict.outcomes]).toEqual(['verified', ['toucher=100 placer=0']])
  })
})
