/**
 * A story for a terminal: lanes side by side, one line a step, what it changed below it, and the verdict last.
 *
 *        mover0    mover1
 *      1 |         takes for reading mm.mmap_lock (mm 1)  remap_anon_pages 3
 *      2 *takes pte_lock 4  remap_anon_pages_pte 1
 *
 * A step begins in its lane's column and may run on to the right, since nobody else acts on its line. `*` marks a switch away from
 * a task that could have gone on, `-` one that it had to make. Pairs with story.ts.
 */

import { drawnLines } from './litmus.ts'
import type { Place } from './place.ts'
import type { Story, StoryStep } from './story.ts'

export interface StoryLayout {
  readonly columns: number
  readonly colour: boolean
  /** Put before the command that tells the story again. */
  readonly program: string
}

/** A lane's text has at least so many columns. */
const NARROWEST = 46
/** And lanes stand at most so far apart. */
const WIDEST_GAP = 24
const MARGIN = 7
const RED = '\u001b[31m'
const BOLD = '\u001b[1m'
const DIM = '\u001b[2m'
const PLAIN = '\u001b[0m'
/** Blue, yellow, green, magenta, cyan: the order of the lanes on the screen. */
const LANE_COLOURS = ['\u001b[34m', '\u001b[33m', '\u001b[32m', '\u001b[35m', '\u001b[36m']

export function storyText(story: Story, layout: StoryLayout): string {
  const { lanes, steps } = story
  const gap = gapOf(story, layout.columns)
  const paint = (code: string, text: string) => (layout.colour ? `${code}${text}${PLAIN}` : text)
  const rails = (upTo: number) =>
    lanes
      .slice(0, upTo)
      .map(() => '|'.padEnd(gap))
      .join('')
  const lines = [...headLines(story)]
  lines.push(
    ' '.repeat(MARGIN) + lanes.map(({ name }, i) => cut(name, i < lanes.length - 1 ? gap - 1 : NARROWEST).padEnd(gap)).join(''),
  )
  for (const step of steps) {
    const mark = step.isPreemption ? '*' : step.isSwitch ? '-' : ' '
    const left = `${String(step.step).padStart(5)} ${mark}${rails(step.lane)}`
    const room = layout.columns - left.length
    const text = cut(stepWords(step), room)
    const colour = LANE_COLOURS[step.lane % LANE_COLOURS.length] ?? ''
    lines.push(left + paint(step.isPreemption ? BOLD + colour : colour, text))
    for (const { what, before, after } of step.changes) {
      const indent = ' '.repeat(MARGIN) + rails(step.lane)
      const words = `  ${what}: ${before === '' ? 'not there' : before} -> ${after === '' ? 'gone' : after}`
      lines.push(indent + paint(DIM, cut(words, layout.columns - indent.length)))
    }
  }
  return `${[...lines, '', ...endLines(story, layout)].map((line) => line.trimEnd()).join('\n')}\n`
}

/** One step on one line: what, then where. */
export function stepWords({ access, place }: StoryStep): string {
  return place === null ? access : `${access}  ${placeWords(place)}`
}

/** `remap_anon_pages_pte 8`. */
export function placeWords(place: Place): string {
  return place.step === null ? place.function : `${place.function} ${place.step}`
}

function gapOf({ lanes }: Story, columns: number): number {
  if (lanes.length < 2) return WIDEST_GAP
  const free = Math.floor((columns - MARGIN - NARROWEST) / (lanes.length - 1))
  return Math.max(2, Math.min(WIDEST_GAP, free))
}

function* headLines({ litmus, title, protections, memoryModel, start }: Story): Generator<string> {
  yield `${litmus}: ${title}.`
  yield `left out: ${protections.length === 0 ? 'nothing' : protections.join(', ')}; memory model ${memoryModel}`
  yield ''
  for (const line of drawnLines(start)) yield `  ${line}`
  yield ''
}

function* endLines(story: Story, { colour, program }: StoryLayout): Generator<string> {
  const { violation, outcome, steps, preemptions, isCut } = story
  const walk = `${steps.length} step${steps.length === 1 ? '' : 's'}, ${preemptions} preemption${preemptions === 1 ? '' : 's'}`
  if (violation !== null) {
    const name = `\u2715 ${violation.invariant}`
    yield `${colour ? `${RED}${name}${PLAIN}` : name}: ${violation.message}`
    if (violation.expected !== undefined && !violation.message.includes(violation.expected))
      yield `  expected ${violation.expected}, found ${violation.found ?? 'nothing'}`
    if (outcome !== null) yield `  the actors saw: ${outcome}`
  } else if (isCut) yield 'The schedule ends here; the run would go on.'
  else yield `No invariant is broken; the actors saw: ${outcome ?? ''}`
  yield `  ${walk}${preemptions > 0 ? ' (* a switch away from somebody who could have gone on)' : ''}`
  yield `  again: ${program}replay ${story.schedule}`
}

function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(1, columns - 3))}...`
}
