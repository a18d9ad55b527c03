/**
 * The museum: every litmus test keeps its word. With every protection on nothing breaks; with any one of those it lists left out,
 * the invariant breaks, by a schedule that can be run again.
 *
 * The searches here are small, so that the whole museum passes in a minute; `explore all` searches to the end.
 */
import { describe, expect, it } from 'vitest'
import { findDisagreement } from '../../core/explore/commute.ts'
import { checkDeterminism } from '../../core/explore/determinism.ts'
import { searchDpor } from '../../core/explore/dpor.ts'
import { searchRandom } from '../../core/explore/random.ts'
import { finish } from '../../core/explore/search.ts'
import { type ExploreAnswer, type ExploreQuestion, explore } from '../../core/litmus/explore.ts'
import type { Litmus } from '../../core/litmus/litmus.ts'
import { MUSEUM } from '../../core/litmus/museum.ts'
import { programOf } from '../../core/litmus/program.ts'
import { parseLitmusSchedule } from '../../core/litmus/schedule_text.ts'
import { tellStory } from '../../core/litmus/story.ts'
import { PROTECTIONS, type ProtectionName } from '../../core/mm/kconfig.ts'

/** Of the searches with every protection on: enough to end for most. */
const CLEAN_SCHEDULES = 400
const COMMUTE_RUNS = 8
/** Schedules by chance of a test that breaks anyway: enough to tell sometimes from always. */
const WITNESS_RUNS = 40

function ask(litmus: Litmus, without: readonly ProtectionName[], more: Partial<ExploreQuestion> = {}): ExploreAnswer {
  const usual = { model: null, strategy: null, seed: 1, preemptions: null, schedules: null, steps: null }
  const search = explore({ ...usual, litmus: litmus.name, without, ...more })
  for (;;) {
    const { done, value } = search.next()
    if (done === true) return value
  }
}

function replayedInvariant({ schedule }: ExploreAnswer): string | undefined {
  const parsed = parseLitmusSchedule(schedule ?? '')
  if (!parsed.ok) throw new Error(parsed.message)
  return tellStory(parsed.schedule).violation?.invariant
}

describe('the museum', () => {
  it('has names that are unique, and words joined by dashes', () => {
    const names = MUSEUM.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/)
  })

  it('refers to entries of the catalogue, R01 to R83', () => {
    for (const { name, refs } of MUSEUM) {
      expect(new Set(refs).size, name).toBe(refs.length)
      for (const ref of refs) expect(ref, name).toMatch(/^R(0[1-9]|[1-7]\d|8[0-3])$/)
    }
  })

  it('shows each protection, and each race that the protection says it prevents', () => {
    for (const { name, prevents } of PROTECTIONS) {
      const shown = MUSEUM.filter(({ protections }) => protections.includes(name)).map(({ refs }) => refs)
      expect(shown.length, name).toBeGreaterThan(0)
      expect(shown.flat(), name).toEqual(expect.arrayContaining(prevents.match(/R\d\d/g) ?? []))
    }
  })

  it('draws what stands at the start, and titles without a full stop', () => {
    for (const { name, title, start } of MUSEUM) {
      expect(start.trim(), name).not.toBe('')
      expect(title, name).toMatch(/[^.]$/)
    }
  })

  it('lists a protection once, and none for a test of what breaks anyway', () => {
    for (const { name, protections, breaks, result } of MUSEUM) {
      expect(new Set(protections).size, name).toBe(protections.length)
      if (breaks !== undefined) expect([result === 'never', protections], name).toEqual([false, []])
    }
  })
})

describe.each(MUSEUM.map((litmus) => [litmus.name, litmus] as const))('%s', (_name, litmus) => {
  const { breaks, protections, result } = litmus
  const program = programOf(litmus, new Set())

  if (breaks === undefined) {
    it('is clean with every protection on', () => {
      const { verdict, counterexample, outcomes } = finish(searchDpor(program, { schedules: CLEAN_SCHEDULES }))
      expect([verdict === 'violation', counterexample?.violation]).toEqual([false, undefined])
      // What is seen sometimes is seen beside something else.
      if (result === 'sometimes') expect(outcomes.length).toBeGreaterThan(1)
    })

    // What is left in pieces by a run that breaks commutes with nothing.
    it('says all that its steps touch', () => expect(findDisagreement(program, COMMUTE_RUNS)?.message).toBeUndefined())
  } else {
    it(`breaks ${breaks}, as it says`, () => {
      const answer = ask(litmus, [])
      expect(answer).toMatchObject({ verdict: 'verified', isWitness: true, invariant: breaks })
      expect(replayedInvariant(answer)).toBe(breaks)
    })

    it(`breaks ${result}: by chance as well`, () => {
      const holds = Array.from({ length: WITNESS_RUNS }, (_, seed) => finish(searchRandom(program, { seed, schedules: 1 })))
      expect(holds.some(({ verdict }) => verdict !== 'violation')).toBe(result === 'sometimes')
    })
  }

  it.each(protections)('without %s: breaks, and breaks again when it is replayed', (protection) => {
    const answer = ask(litmus, [protection])
    expect(answer.verdict).toBe('violation')
    expect(replayedInvariant(answer)).toBe(answer.invariant)
  })

  it('runs the same schedule the same way twice', () => {
    for (const seed of [1, 2]) {
      const { first, second, schedule } = checkDeterminism(program, seed)
      expect(second, `seed ${seed}, ${schedule.length} steps`).toBe(first)
    }
  })
})
