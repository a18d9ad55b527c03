/**
 * The story of a schedule: who did what, where in the kernel, and what changed; on the screen of a terminal, and for Perfetto.
 */
import { describe, expect, it } from 'vitest'
import { litmusNamed } from '../../core/litmus/museum.ts'
import { parseLitmusSchedule } from '../../core/litmus/schedule_text.ts'
import { StoryError, tellStory } from '../../core/litmus/story.ts'
import { writeStoryPerfetto } from '../../core/litmus/story_perfetto.ts'
import { storyText } from '../../core/litmus/story_text.ts'
import { findSource } from './source_files.ts'

/** Mover 0 has looked at both PTEs when mover 1 comes and places its page; mover 0 places over it. */
const PREFIX = 'two-movers-one-destination:remap-pte-recheck:2x8.3'

function told(word: string, withSources = true) {
  const parsed = parseLitmusSchedule(word)
  if (!parsed.ok) throw new Error(parsed.message)
  return tellStory(parsed.schedule, withSources ? findSource : undefined)
}

/** And so on to the end. */
const RACE = told(PREFIX).schedule

describe('a story', () => {
  const story = told(RACE)

  it('ends with the broken invariant and the two values that disagree', () => {
    expect(story.violation).toMatchObject({ invariant: 'I-CNT', message: 'mapcount 1 != 0 ptes (pfn 2)' })
    expect(story.isCut).toBe(false)
  })

  it('of a run that breaks nothing ends with what the actors saw', () => {
    const { violation, outcome } = told('two-movers-one-destination:2x3')
    expect([violation, outcome]).toEqual([null, 'mover0=4096 mover1=-17'])
  })

  it('has a lane for each who acted, actors first', () => {
    expect(story.lanes.map(({ name, isDaemon }) => `${name}${isDaemon ? ' serves' : ''}`)).toEqual([
      'mover0',
      'mover1',
      'irq 0 serves',
      'irq 1 serves',
    ])
  })

  it("names the kernel's function and the numbered step of each access", () => {
    const recheck = story.steps.filter(({ place }) => place?.function === 'remap_anon_pages_pte' && place.step === '8')
    expect(recheck.map(({ access }) => access)).toEqual(['reads the pte of page 2', 'reads the pte of page 1'])
    expect(recheck[0]?.place).toMatchObject({ path: 'core/mm/remap_anon_pages.ts', callers: ['remap_anon_pages'] })
    const locks = story.steps.filter(({ access }) => access.startsWith('takes page.lock'))
    expect(locks.map(({ place }) => `${place?.function} ${place?.step}`)).toEqual([
      'remap_anon_pages_pte 4',
      'remap_anon_pages_pte 4',
    ])
  })

  it('says what a step changed: PTE, TLB entry, mapping, counts', () => {
    const all = story.steps.flatMap(({ changes }) => changes)
    expect(all).toContainEqual({ what: 'pte of page 1', before: 'frame 1 rw dirty', after: '' })
    expect(all).toContainEqual({ what: 'pte of page 3', before: 'frame 2 rw dirty', after: 'frame 1 rw dirty' })
    expect(all).toContainEqual({ what: 'mapping of frame 1', before: 'anon_vma 1 index 1', after: 'anon_vma 2 index 3' })
    expect(all).toContainEqual({ what: 'TLB of CPU 0, page 1', before: 'frame 1 rw', after: '' })
    expect(all).toContainEqual({ what: 'refcount of frame 1', before: '1', after: '2' })
  })

  it('marks switches, and counts those away from somebody who could have gone on', () => {
    // mover0 to mover1 is one. Whoever waits for an IPI could not have gone on.
    expect(story.steps.filter(({ isPreemption }) => isPreemption).map(({ step }) => step)).toEqual([9])
    expect(story.preemptions).toBe(1)
    expect(story.steps.filter(({ isSwitch }) => isSwitch)).toHaveLength(7)
  })

  it('told twice has one hash, and another schedule another', () => {
    expect(told(RACE).traceHash).toBe(story.traceHash)
    expect(told('two-movers-one-destination:remap-pte-recheck:3x8').traceHash).not.toBe(story.traceHash)
  })

  it('does without the sources: then there are no numbers, and all else is the same', () => {
    const bare = told(RACE, false)
    expect(bare.steps.map(({ access, changes }) => ({ access, changes }))).toEqual(
      story.steps.map(({ access, changes }) => ({ access, changes })),
    )
    expect(bare.steps.every(({ place }) => place?.step == null)).toBe(true)
    expect(bare.traceHash).toBe(story.traceHash)
  })

  it('of a prefix goes on without a switch that is not needed', () => {
    const { schedule, violation } = told(PREFIX)
    expect(violation?.invariant).toBe('I-CNT')
    expect(schedule.startsWith(`${PREFIX}x`)).toBe(true)
  })

  it('is refused where the schedule is not one of this code', () => {
    expect(() => told('two-movers-one-destination:remap-pte-recheck:0')).toThrow(StoryError)
    expect(() => told('two-movers-one-destination:remap-pte-recheck:0')).toThrow(/at step 1 task 0 cannot run, only 2 \(mover0\)/)
    expect(() => told(`${told('two-movers-one-destination:2x3').schedule}.2x50`)).toThrow(
      /the run ends after \d+ of its \d+ steps/,
    )
  })
})

describe('on a terminal', () => {
  const story = told(RACE)

  it.each([80, 100, 160])('of %i columns no line of a step is wider', (columns) => {
    const text = storyText(story, { columns, colour: false, program: 'pageferry ' })
    const steps = text.split('\n').filter((line) => /^ {3,4}\d+ /.test(line) || /^ {7}/.test(line))
    expect(steps.length).toBeGreaterThan(story.steps.length)
    expect(Math.max(...steps.map((line) => line.length))).toBeLessThanOrEqual(columns)
    expect(text).not.toContain('\u001b')
  })

  it('one line a step, and the verdict and the command that tells it again last', () => {
    const lines = storyText(story, { columns: 100, colour: false, program: 'pageferry ' }).trimEnd().split('\n')
    expect(lines.filter((line) => /^ {3,4}\d+ [ *-]/.test(line))).toHaveLength(story.steps.length)
    expect(lines).toContain('    9 *|              takes for reading mm.mmap_lock (mm 1)  remap_anon_pages 3')
    expect(lines.find((line) => line.startsWith('\u2715'))).toBe('\u2715 I-CNT: mapcount 1 != 0 ptes (pfn 2)')
    expect(lines.at(-1)).toBe(`  again: pageferry replay ${RACE}`)
  })

  it('in colour says the same words', () => {
    const layout = { columns: 90, program: '' }
    const plain = storyText(story, { ...layout, colour: false })
    const coloured = storyText(story, { ...layout, colour: true })
    expect(coloured).not.toBe(plain)
    // biome-ignore lint/complexity/useRegexLiterals: a literal with an escape sign is refused
    expect(coloured.replace(new RegExp('\u001b\\[\\d+m', 'g'), '')).toBe(plain)
  })
})

describe('for Perfetto', () => {
  it('is a JSON trace: a thread a lane, a slice a step, an arrow a switch, and the broken invariant', () => {
    const story = told(RACE)
    const { traceEvents } = JSON.parse([...writeStoryPerfetto(story)].join('')) as { traceEvents: { ph: string; name: string }[] }
    const count = (ph: string) => traceEvents.filter((event) => event.ph === ph).length
    expect(count('X')).toBe(story.steps.length)
    expect(count('M')).toBe(1 + story.lanes.length)
    expect([count('s'), count('f')]).toEqual([7, 7])
    expect(traceEvents.find(({ ph }) => ph === 'i')?.name).toMatch(/^I-CNT: /)
  })
})

describe('the sample', () => {
  it('is in the museum', () => expect(litmusNamed('two-movers-one-destination')).not.toBeNull())
})
