/**
 * Completion of the word at the end of a line: a command's name, then its options, then an option's value, each with one
 * line of meaning. Reads the same specs as help.ts and arguments.ts; the line is cut by line.ts.
 */
import type { Choice, Command, OptionSpec, Place } from './command.ts'
import { optionTerm } from './help.ts'
import type { Host } from './host.ts'
import { type Lexed, lexLine, quoteWord } from './line.ts'
import type { Registry } from './registry.ts'

export interface Completion {
  readonly word: string
  readonly meaning: string
}

/** Whole words that could stand where the line's last word stands. Never throws. */
export async function completeLine(registry: Registry, place: Place, line: string, host: Host): Promise<readonly Completion[]> {
  const lexed = lexLine(line)
  const { words, partial, isPiped } = lastCommand(lexed)
  // A comment ends the line, and nothing is completed in it.
  if (!lexed.endsInWord && line !== '' && !/[\s;&|]$/.test(line)) return []
  const found =
    words.length === 0 ? commandNames(registry, place, isPiped) : await argumentsOf(registry, place, words, partial, host)
  return found.filter(({ word }) => word.startsWith(partial)).map(({ word, meaning }) => ({ word: quoteWord(word), meaning }))
}

/** Where in the line its last word begins: a completion replaces everything from there. */
export function completionStart(line: string): number {
  const lexed = lexLine(line)
  return lexed.endsInWord ? (lexed.tokens[lexed.tokens.length - 1]?.column ?? line.length) : line.length
}

function lastCommand(lexed: Lexed): { words: string[]; partial: string; isPiped: boolean } {
  let words: string[] = []
  let isPiped = false
  for (const token of lexed.tokens) {
    if (token.word !== null) words.push(token.word)
    else {
      words = []
      isPiped = token.joint === '|'
    }
  }
  const partial = lexed.endsInWord ? (words.pop() ?? '') : ''
  return { words, partial, isPiped }
}

function commandNames(registry: Registry, place: Place, isPiped: boolean): Choice[] {
  const commands = registry.list(place).filter((command) => !isPiped || command.group === 'Filters')
  const words = new Map<string, string>()
  for (const { name, summary } of commands) {
    const [first = ''] = name.split(' ')
    if (!words.has(first)) words.set(first, first === name ? summary : `${secondWords(registry, first, place).join(', ')}`)
  }
  return [...words].map(([word, meaning]) => ({ word, meaning }))
}

function secondWords(registry: Registry, first: string, place: Place): string[] {
  return registry.family(first, place).map(({ name }) => name.slice(first.length + 1))
}

async function argumentsOf(
  registry: Registry,
  place: Place,
  words: readonly string[],
  partial: string,
  host: Host,
): Promise<Choice[]> {
  const found = registry.match(words, place)
  if (found === null) {
    const [first = ''] = words
    return words.length > 1
      ? []
      : registry.family(first, place).map(({ name, summary }) => ({ word: name.slice(first.length + 1), meaning: summary }))
  }
  const { command, length } = found
  const before = words.slice(length)
  const previous = optionNamed(command, before[before.length - 1] ?? '')
  if (previous !== null && previous.kind !== 'flag') return valuesOf(previous, partial, host)

  const equals = partial.indexOf('=')
  if (partial.startsWith('--') && equals > 0) {
    const option = optionNamed(command, partial.slice(0, equals))
    if (option === null || option.kind === 'flag') return []
    const head = partial.slice(0, equals + 1)
    const values = await valuesOf(option, partial.slice(equals + 1), host)
    return values.map(({ word, meaning }) => ({ word: head + word, meaning }))
  }

  const options = optionsLeft(command, before)
  if (partial.startsWith('-')) return options
  const positionals = positionalsOf(command, before, registry, place)
  return positionals.length > 0 ? positionals : partial === '' ? options : []
}

function optionNamed(command: Command, word: string): OptionSpec | null {
  return command.options.find((option) => word === `--${option.name}` || word === `-${option.short}`) ?? null
}

function optionsLeft(command: Command, before: readonly string[]): Choice[] {
  return command.options
    .filter((option) => option.notBuilt === undefined && option.refused === undefined)
    .filter(
      (option) =>
        option.repeatable || !before.some((word) => word === `--${option.name}` || word.startsWith(`--${option.name}=`)),
    )
    .map((option) => ({
      word: `--${option.name}`,
      meaning: option.kind === 'flag' ? option.meaning : `${valueWord(option)}: ${option.meaning}`,
    }))
}

function valueWord(option: OptionSpec): string {
  return optionTerm(option).replace(/^.*--\S+ /, '')
}

async function valuesOf(option: OptionSpec, partial: string, host: Host): Promise<Choice[]> {
  const choices = [...(option.complete?.(partial) ?? option.choices ?? [])].filter((choice) => choice.notBuilt === undefined)
  const isPath = option.kind === 'file' || (option.name === 'guest' && /[./]/.test(partial))
  if (isPath && host.listFiles) {
    const files = await host.listFiles(partial)
    choices.push(...files.map((word) => ({ word, meaning: word.endsWith('/') ? 'folder' : 'file' })))
  }
  if (choices.length > 0) return choices
  const known = [{ word: option.defaultText, meaning: 'the default' }]
  if (option.example !== option.defaultText) known.push({ word: option.example, meaning: 'for example' })
  return known.flatMap(({ word, meaning }) => (word === undefined || /\s/.test(word) ? [] : [{ word, meaning }]))
}

function positionalsOf(command: Command, before: readonly string[], registry: Registry, place: Place): Choice[] {
  // Values of options are not positionals.
  let taken = 0
  for (let at = 0; at < before.length; at++) {
    const word = before[at] ?? ''
    const option = optionNamed(command, word)
    if (option !== null && option.kind !== 'flag') at++
    else if (!word.startsWith('-')) taken++
  }
  const specs = command.positionals
  const last = specs[specs.length - 1]
  const spec = specs[taken] ?? (last?.repeatable ? last : undefined)
  if (spec === undefined) return []
  return spec.isCommand
    ? commandNames(registry, place, false)
    : [...(spec.choices ?? spec.offers ?? [])].filter((choice) => choice.notBuilt === undefined)
}
