/**
 * The label of a litmus test in the museum: what it is about, what stands at the start, what keeps the race away, and its history.
 *
 *     two-movers-one-destination (R36): Two calls of remap_anon_pages place a page at one destination, one over the other.
 *     never: no interleaving may show that; memory model SC
 *
 * For somebody who sees the race for the first time. A drawing that is too wide is taken apart at its gaps.
 */
import { drawnLines, type Litmus, type LitmusResult } from '../../litmus/litmus.ts'
import { PROTECTIONS } from '../../mm/kconfig.ts'
import { wrap } from '../layout.ts'

/** Of the title's outcome. */
const RESULT_MEANING: Record<LitmusResult, string> = {
  never: 'no interleaving may show that',
  sometimes: 'some interleavings show that',
  always: 'every interleaving shows that',
}

export function labelText(litmus: Litmus, columns: number): string {
  const { name, title, result, refs, memoryModel, start, protections, breaks } = litmus
  const entries = refs.length === 0 ? '' : ` (${refs.join(', ')})`
  const lines = [
    wrap(`${name}${entries}: ${title}.`, columns),
    wrap(`${result}: ${RESULT_MEANING[result]}; memory model ${memoryModel.toUpperCase()}`, columns),
    '',
    ...drawnLines(start).map((line) => drawn(line, columns)),
    '',
    ...(breaks === undefined
      ? []
      : [wrap(`This is a kernel that has the race: ${breaks} breaks with nothing left out.`, columns), '']),
    ...(protections.length === 0
      ? []
      : ['What keeps the race away:', '', ...protections.map((one) => protectionText(one, columns))]),
  ]
  return `${lines.join('\n')}\n${historyText(litmus, columns)}`
}

/** What to call next. */
export function nextText({ name, protections }: Litmus, isSearched: boolean, program: string): string {
  const [first] = protections
  const ways = isSearched ? [] : [`  ${program}explore ${name}\n`]
  if (first !== undefined) ways.push(`  ${program}explore ${name} --without ${first}\n`)
  return ways.length === 0 ? '' : `\nSearch it${isSearched ? ' with something left out' : ''}:\n\n${ways.join('')}`
}

/** Empty where there is none: a published bug of a real kernel, and where to read of it. */
export function historyText({ history }: Litmus, columns: number): string {
  if (history === undefined) return ''
  const sources = history.sources.map((source) => wrap(`- ${source}`, columns, '  ').replaceAll('\n  ', '\n    '))
  return `\nIn a real kernel:\n\n${wrap(history.story, columns, '  ')}\n\n${sources.join('\n')}\n`
}

/** What stands side by side goes one below the other where there is no room. */
function drawn(line: string, columns: number): string {
  if (line.length + 2 <= columns) return `  ${line}`
  return line
    .split(/ {3,}/)
    .map((part) => wrap(part, columns - 4, '  ').replaceAll('\n', '\n    '))
    .join('\n')
}

function protectionText(name: string, columns: number): string {
  const known = PROTECTIONS.find((one) => one.name === name)
  if (known === undefined) return `  ${name}`
  const { meaning, prevents } = known
  return `  ${name}\n${wrap(`${meaning}.`, columns, '      ')}\n${wrap(`Without it: ${prevents}.`, columns, '      ')}`
}
