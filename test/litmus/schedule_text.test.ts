/**
 * A schedule as a word: what it holds comes back, it needs no quotes, and what is wrong with one is said.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MUSEUM } from '../../core/litmus/museum.ts'
import { parseLitmusSchedule, spellSchedule } from '../../core/litmus/schedule_text.ts'
import { PROTECTIONS } from '../../core/mm/kconfig.ts'
import { MEMORY_MODELS } from '../../core/sync/weak_memory.ts'

const NAMES = PROTECTIONS.map(({ name }) => name)

function refusal(text: string) {
  const parsed = parseLitmusSchedule(text)
  if (parsed.ok) throw new Error(`${text} was taken for a schedule`)
  return parsed
}

describe('a schedule as text', () => {
  it('comes back as it was, and is one word that no shell changes', () => {
    const schedules = fc.record({
      litmus: fc.constantFrom(...MUSEUM),
      without: fc.subarray(NAMES).map((names) => [...names].sort()),
      model: fc.constantFrom(...MEMORY_MODELS),
      steps: fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 60 }),
    })
    fc.assert(
      fc.property(schedules, (schedule) => {
        const text = spellSchedule(schedule)
        expect(text).toMatch(/^[\w.,:@+-]+$/)
        expect(parseLitmusSchedule(text)).toEqual({ ok: true, schedule })
      }),
    )
  })

  it('codes runs, and leaves out what goes without saying', () => {
    const litmus = MUSEUM.find(({ name }) => name === 'two-movers-one-destination')
    if (litmus === undefined) throw new Error('the sample is gone')
    const word = (steps: number[]) => spellSchedule({ litmus, without: [], model: litmus.memoryModel, steps })
    expect(word([2, 2, 2, 3, 2])).toBe('two-movers-one-destination:2x3.3.2')
    expect(spellSchedule({ litmus, without: ['remap-pte-recheck'], model: 'tso', steps: [0, 0] })).toBe(
      'two-movers-one-destination:remap-pte-recheck:@tso:0x2',
    )
  })
})

describe('what is no schedule', () => {
  it('names the unknown word and those it could be', () => {
    expect(refusal('two-movers-one-destinatio:2x3')).toMatchObject({ unknown: 'two-movers-one-destinatio' })
    expect(refusal('two-movers-one-destinatio:2x3').known).toContain('two-movers-one-destination')
    expect(refusal('two-movers-one-destination:remap-pte-rechek:2')).toMatchObject({ unknown: 'remap-pte-rechek', known: NAMES })
    expect(refusal('two-movers-one-destination:@tos:2')).toMatchObject({ unknown: 'tos', known: MEMORY_MODELS })
  })

  it.each([
    'two-movers-one-destination:',
    'two-movers-one-destination:2x',
    'two-movers-one-destination:2y3',
    'two-movers-one-destination:2x0',
  ])('%s has no list of steps', (text) => expect(refusal(text).message).toMatch(/no list of steps/))

  it('asks for no more memory than a schedule can need', () => {
    expect(refusal('two-movers-one-destination:1x9999999').message).toMatch(/no list of steps/)
  })

  it('is what the same word is without its steps', () => expect(refusal('two-movers-one-destination').ok).toBe(false))
})
