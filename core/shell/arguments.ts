/**
 * Reads the words after a command's name against what the command takes, and checks every value.
 *
 * Understands `--name value`, `--name=value`, `--flag`, `-x`, `-x value`, `-5` where a command says so, and `--` before
 * words that begin with a dash. Whatever is wrong becomes one ArgumentError: one sentence that names the option, what
 * was found, and an example. Pairs with command.ts (the specs) and completion.ts (which reads the same specs).
 */
import { type Parsed, parseCount, parseRate, parseSize, parseTime, spellRate, spellSize, spellTime } from '../base/units.ts'
import { type Choice, type Command, CommandError, type OptionSpec } from './command.ts'
import { ExitCode } from './host.ts'
import { shown } from './layout.ts'
import { didYouMean } from './suggestion.ts'

/** A usage error; the shell adds the command's name before it and exits 2. */
export class ArgumentError extends CommandError {
  constructor(message: string) {
    super(message, ExitCode.usage)
  }
}

interface Value {
  readonly text: string
  /** The checked number of a size, rate, time or count. */
  readonly number: number
}

/** The checked values of one call. Asking for an option that the command does not have is a bug and throws. */
export class Arguments {
  constructor(
    readonly command: Command,
    readonly positionals: readonly string[],
    /** `-h` or `--help` was given: nothing else was checked. */
    readonly wantsHelp: boolean,
    private readonly given: ReadonlyMap<string, readonly Value[]>,
  ) {}

  has(name: string): boolean {
    return this.values(name).length > 0
  }

  /** The value as written, or null where the option was not given. */
  text(name: string): string | null {
    return this.values(name)[0]?.text ?? null
  }

  number(name: string, fallback: number): number {
    return this.values(name)[0]?.number ?? fallback
  }

  list(name: string): readonly string[] {
    return this.values(name).map((value) => value.text)
  }

  private values(name: string): readonly Value[] {
    if (!this.command.options.some((option) => option.name === name)) throw new Error(`${this.command.name} has no --${name}`)
    return this.given.get(name) ?? []
  }
}

export function parseArguments(command: Command, words: readonly string[]): Arguments {
  const given = new Map<string, Value[]>()
  const positionals: string[] = []
  const isHelp = (word: string) => word === '--help' || (word === '-h' && findShort(command, 'h') === undefined)
  const end = words.indexOf('--')
  if (words.slice(0, end < 0 ? words.length : end).some(isHelp)) return new Arguments(command, [], true, given)

  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (word === '--') {
      positionals.push(...words.slice(at + 1))
      break
    }
    if (!word.startsWith('-') || word === '-') {
      positionals.push(word)
      continue
    }
    const found = findOption(command, word)
    if (found === null && command.options.length === 0 && command.positionals.some((spec) => spec.repeatable)) {
      // A command of free words, like echo, takes them as they are.
      positionals.push(word)
      continue
    }
    if (found === null) throw new ArgumentError(unknownOption(command, word))
    const { option, attached } = found
    if (option.notBuilt !== undefined) throw notBuilt(`--${option.name}`, option.notBuilt)
    if (option.refused !== undefined)
      throw new ArgumentError(`--${option.name} makes no sense here: ${option.refused}; leave it out`)
    let text = attached
    if (option.kind === 'flag') {
      if (text !== null) throw new ArgumentError(`--${option.name} takes no value; write --${option.name} alone`)
      text = ''
    } else if (text === null) {
      const next = words[at + 1]
      if (next === undefined || (next.startsWith('-') && next !== '-' && !/^-[\d.]/.test(next))) {
        throw new ArgumentError(`--${option.name} needs a value, ${exampleOf(option)}`)
      }
      text = next
      at++
    }
    const earlier = given.get(option.name)
    if (earlier !== undefined && !option.repeatable)
      throw new ArgumentError(`--${option.name} is given twice; keep one of the two`)
    const value = checkValue(option, text)
    if (earlier) earlier.push(value)
    else given.set(option.name, [value])
  }
  checkPositionals(command, positionals)
  return new Arguments(command, positionals, false, given)
}

export function checkValue(option: OptionSpec, text: string): Value {
  if (option.kind === 'flag') return { text, number: Number.NaN }
  if (text === '') throw new ArgumentError(`--${option.name} needs a value, ${exampleOf(option)}`)
  switch (option.kind) {
    case 'size':
      return inBounds(option, text, parseSize(text), spellSize)
    case 'rate':
      return inBounds(option, text, parseRate(text), spellRate)
    case 'time':
      return inBounds(option, text, parseTime(text), spellTime)
    case 'count':
      return inBounds(option, text, parseCount(text, option.min, option.max), String)
    case 'enum':
      checkChoice(`--${option.name}`, text, option.choices ?? [])
      return { text, number: Number.NaN }
    case 'text':
    case 'file':
      return { text, number: Number.NaN }
  }
}

function inBounds(option: OptionSpec, text: string, parsed: Parsed, spell: (value: number) => string): Value {
  if (!parsed.ok) throw new ArgumentError(`--${option.name} ${shown(text)} ${parsed.message}`)
  const { value } = parsed
  if (option.min !== undefined && value < option.min) {
    throw new ArgumentError(`--${option.name} ${shown(text)} is too small; it must be at least ${spell(option.min)}`)
  }
  if (option.max !== undefined && value > option.max) {
    throw new ArgumentError(`--${option.name} ${shown(text)} is too large; it must be at most ${spell(option.max)}`)
  }
  return { text, number: value }
}

function checkChoice(what: string, text: string, choices: readonly Choice[]): void {
  const choice = choices.find(({ word }) => word === text)
  const built = choices.filter((one) => one.notBuilt === undefined).map(({ word }) => word)
  if (choice === undefined) {
    const words = choices.map(({ word }) => word)
    throw new ArgumentError(`${what} ${shown(text)} is not one of ${built.join(', ')}${didYouMean(text, words)}`)
  }
  if (choice.notBuilt !== undefined) throw notBuilt(`${what} ${text}`, choice.notBuilt)
}

function notBuilt(what: string, instead: string): ArgumentError {
  return new ArgumentError(`${what} is not built yet; this version has ${instead}`)
}

function checkPositionals(command: Command, positionals: readonly string[]): void {
  const specs = command.positionals
  const last = specs[specs.length - 1]
  if (positionals.length > specs.length && !last?.repeatable) {
    const extra = shown(positionals[specs.length] ?? '')
    const takes = specs.length === 0 ? 'takes options only' : `takes ${specs.map((spec) => spec.name).join(' ')} only`
    throw new ArgumentError(`does not know what to do with '${extra}'; it ${takes}`)
  }
  specs.forEach((spec, at) => {
    const text = positionals[at]
    if (text === undefined) {
      if (spec.required)
        throw new ArgumentError(`needs ${spec.name}: ${spec.meaning}, for example ${command.examples[0]?.line ?? command.name}`)
    } else if (spec.choices) checkChoice(spec.name, text, spec.choices)
  })
}

function findOption(command: Command, word: string): { option: OptionSpec; attached: string | null } | null {
  if (word.startsWith('--')) {
    const equals = word.indexOf('=')
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals)
    const option = command.options.find((one) => one.name === name)
    return option ? { option, attached: equals < 0 ? null : word.slice(equals + 1) } : null
  }
  const digits = /^-(\d+)$/.exec(word)
  const byDigits = digits && command.options.find((one) => one.isDigits)
  if (byDigits) return { option: byDigits, attached: digits[1] ?? '' }
  const option = findShort(command, word.slice(1, 2))
  if (!option || (option.kind === 'flag' && word.length > 2)) return null
  return { option, attached: word.length > 2 ? word.slice(2).replace(/^=/, '') : null }
}

function findShort(command: Command, short: string): OptionSpec | undefined {
  return command.options.find((option) => option.short === short)
}

function unknownOption(command: Command, word: string): string {
  const name = word.split('=', 1)[0] ?? word
  const known = [...command.options.map((option) => option.name), 'help']
  const suggestion = didYouMean(name.replace(/^-+/, ''), known, '--')
  return `has no option ${shown(name)}${suggestion || `; see help ${command.name}`}`
}

function exampleOf(option: OptionSpec): string {
  const value = option.example ?? option.choices?.find((one) => one.notBuilt === undefined)?.word ?? option.defaultText ?? 'VALUE'
  return `for example --${option.name} ${value}`
}
