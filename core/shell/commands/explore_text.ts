/**
 * What `explore` says to people: the table of litmus tests, a verdict in one sentence, and the line of progress.
 *
 * A verdict never claims more than the search did: `verified` names the number of interleavings, the memory model and that
 * preemptions were not bounded; anything else names its bound.
 */
import { formatCount } from '../../base/units.ts'
import type { Bound, SearchProgress } from '../../explore/verdict.ts'
import type { ExploreAnswer } from '../../litmus/explore.ts'
import type { Litmus } from '../../litmus/litmus.ts'
import { columnsOf, wrap } from '../layout.ts'

const GREEN = '\u001b[32m'
const RED = '\u001b[31m'
const YELLOW = '\u001b[33m'
const PLAIN = '\u001b[0m'

export function litmusTable(museum: readonly Litmus[], columns: number, program: string): string {
  const entries = museum.map(({ name, title, refs, protections, memoryModel, result }) => {
    const model = memoryModel === 'sc' ? '' : `; ${memoryModel}`
    return { term: name, meaning: `${title} (${result}; ${refs.join(' ')}${model}). Leave out: ${protections.join(', ')}` }
  })
  const count = `${museum.length} litmus test${museum.length === 1 ? '' : 's'}`
  return `${columnsOf(entries, columns, '', 34)}\n${wrap(`${count}; ${program}explore NAME searches one, ${program}explore all every one.`, columns)}\n`
}

/** One line and a full stop; a violation is told by its story besides. */
export function verdictText(answer: ExploreAnswer, seconds: number, columns: number, colour: boolean): string {
  const { verdict } = answer
  const mark = { verified: '\u2713', bounded: '~', violation: '\u2715' }[verdict]
  const code = { verified: GREEN, bounded: YELLOW, violation: RED }[verdict]
  const head = `${mark} ${answer.litmus}`
  const text = wrap(`${head}: ${verdictSentence(answer)} (${seconds.toFixed(2)} s).`, columns - 4).replaceAll('\n', '\n    ')
  return `${colour ? text.replace(head, `${code}${head}${PLAIN}`) : text}\n`
}

export function verdictSentence(answer: ExploreAnswer): string {
  const { verdict, traces, interleavings, memoryModel, schedules, bound, invariant, counterexample, protections } = answer
  const model = `memory model ${memoryModel.toUpperCase()}`
  const without = protections.length === 0 ? '' : ` without ${protections.join(', ')}`
  if (answer.isWitness) {
    return (
      `breaks as it says: ${invariant ?? ''}: ${counterexample?.message ?? ''}; ${many(counterexample?.steps ?? 0, 'step')}, ` +
      `${many(counterexample?.preemptions ?? 0, 'preemption')}, found in ${many(schedules, 'schedule')}, ${model}`
    )
  }
  switch (verdict) {
    case 'verified': {
      const all = interleavings === null ? 'all interleavings' : `all ${formatDigits(interleavings)} interleavings`
      return `verified${without}: ${all} (${many(traces, 'trace')} up to equivalence), ${model}, any number of preemptions`
    }
    case 'bounded':
      return `no violation${without} in ${many(schedules, 'schedule')}, ${model}; bound: ${boundText(bound)}`
    case 'violation':
      return (
        `violation of ${invariant ?? ''}${without}: ${counterexample?.message ?? ''}; ` +
        `${many(counterexample?.steps ?? 0, 'step')}, ${many(counterexample?.preemptions ?? 0, 'preemption')}, ` +
        `found in ${many(schedules, 'schedule')}, ${model}`
      )
  }
}

export function boundText(bound: Bound | null): string {
  const words: string[] = []
  if (bound?.preemptions !== undefined) words.push(`every schedule of at most ${many(bound.preemptions, 'preemption')}`)
  if (bound?.schedules !== undefined) words.push(`stopped after ${many(bound.schedules, 'schedule')}`)
  if (bound?.steps !== undefined) words.push(`schedules cut after ${many(bound.steps, 'step')}`)
  return words.join(', ') || 'chance'
}

/** `1,234 schedules  41,000/s  depth 39  frontier 12`. */
export function progressText(progress: SearchProgress, schedulesASecond: number): string {
  const { schedules, depth, frontier } = progress
  const rate = schedulesASecond > 0 ? `  ${formatCount(Math.round(schedulesASecond))}/s` : ''
  return `${many(schedules, 'schedule')}${rate}  depth ${depth}  frontier ${formatCount(frontier)}`
}

export function many(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? '' : 's'}`
}

/** Groups of three; counts of interleavings are larger than a number can be. */
function formatDigits(digits: string): string {
  return digits.length > 24 ? `${digits[0]}.${digits.slice(1, 3)}e${digits.length - 1}` : digits.replace(/\B(?=(\d{3})+$)/g, ',')
}
