/**
 * Help, made from the registry alone: the list of commands, and a page for one of them.
 *
 * A page shows examples first, then what the command does, the options that most people need, the others, and last the
 * words that are known and not built yet.
 */
import type { Choice, Command, OptionSpec, Place } from './command.ts'
import { columnsOf, type Entry, wrap } from './layout.ts'
import type { Registry } from './registry.ts'

const GROUPS: readonly Command['group'][] = ['Migration', 'Races', 'Real kernel', 'Hosts', 'Terminal', 'Filters', 'Help']

/** Lines longer than this are hard to read, however wide the terminal is. */
const WIDEST = 110

export function helpIndex(registry: Registry, place: Place, program: string, columns: number): string {
  const width = Math.min(columns, WIDEST)
  const commands = registry.list(place)
  const groups = GROUPS.map((group) => {
    const entries = commands
      .filter((command) => command.group === group)
      .map(({ name, summary }) => ({ term: name, meaning: summary }))
    return entries.length === 0 ? '' : `${group}\n${columnsOf(entries, width)}\n`
  })
  const start = commands.find((command) => command.group === 'Migration')?.examples[0]
  const first =
    start === undefined ? '' : `Start with\n${columnsOf([{ term: `${program}${start.line}`, meaning: start.meaning }], width)}\n`
  return `${first}${groups.join('')}${wrap(`${program}help COMMAND says more, with examples; so do COMMAND --help and man COMMAND.`, width)}\n`
}

export function helpCommand(command: Command, program: string, columns: number): string {
  const width = Math.min(columns, WIDEST)
  const built = command.options.filter((option) => option.notBuilt === undefined && option.refused === undefined)
  const common = built.filter((option) => option.common)
  const rest = built.filter((option) => !option.common)
  const later = command.options.filter((option) => option.notBuilt !== undefined)
  const sections: [title: string, body: string][] = [
    ['Examples', command.examples.map((one) => `  ${program}${one.line}\n${wrap(one.meaning, width, '      ')}\n`).join('')],
    ['Usage', `  ${program}${usage(command)}\n`],
    ['', command.description === '' ? '' : `${wrap(command.description, width)}\n`],
    [
      'Arguments',
      columnsOf(
        command.positionals.flatMap((spec) => [{ term: spec.name, meaning: spec.meaning }, ...choiceEntries(spec.choices)]),
        width,
      ),
    ],
    [common.length > 0 && rest.length > 0 ? 'Most used options' : 'Options', optionList(common, width)],
    [common.length > 0 ? 'More options' : 'Options', optionList(rest, width)],
    [
      'Not built yet',
      columnsOf(
        later.map((option) => ({ term: optionTerm(option), meaning: `${option.meaning}; this version has ${option.notBuilt}` })),
        width,
      ),
    ],
  ]
  const shown = sections.filter(([, body]) => body !== '').map(([title, body]) => (title === '' ? body : `${title}\n${body}`))
  return `${wrap(`${command.name}: ${command.summary}`, width)}\n\n${shown.join('\n')}`
}

function usage(command: Command): string {
  const words = command.positionals.map((spec) => {
    const name = spec.repeatable ? `${spec.name}...` : spec.name
    return spec.required ? name : `[${name}]`
  })
  return [command.name, ...(command.options.length > 0 ? ['[OPTIONS]'] : []), ...words].join(' ')
}

function optionList(options: readonly OptionSpec[], width: number): string {
  return columnsOf(
    options.flatMap((option) => {
      const usual = option.defaultText === undefined ? '' : ` [${option.defaultText}]`
      const again = option.repeatable ? '; may be repeated' : ''
      return [{ term: optionTerm(option), meaning: `${option.meaning}${again}${usual}` }, ...choiceEntries(option.choices)]
    }),
    width,
  )
}

export function optionTerm(option: OptionSpec): string {
  const short = option.short === undefined ? '' : `-${option.short}, `
  if (option.kind === 'flag') return `${short}--${option.name}`
  return `${short}--${option.name} ${option.valueName ?? valueName(option)}`
}

function valueName(option: OptionSpec): string {
  if (option.kind === 'enum') return 'WORD'
  return option.kind === 'count' ? 'N' : option.kind.toUpperCase()
}

function choiceEntries(choices: readonly Choice[] | undefined): Entry[] {
  return (choices ?? []).map(({ word, meaning, notBuilt }) => ({
    term: `    ${word}`,
    meaning: notBuilt === undefined ? meaning : `${meaning} (not built yet)`,
  }))
}
