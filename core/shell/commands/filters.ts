/**
 * Filters: commands that stand behind `|` and read what the one before printed. grep, head, tail, wc, sort.
 *
 * They know the options of their namesakes that people type without thinking, and no others.
 */
import { type Command, type CommandContext, CommandError, type OptionSpec } from '../command.ts'
import { ExitCode } from '../host.ts'
import { shown } from '../layout.ts'

/** Lines a filter handles before it looks whether it was stopped. */
const LINES_BETWEEN_LOOKS = 5000

const LINES: OptionSpec = {
  name: 'lines',
  short: 'n',
  kind: 'count',
  defaultText: '10',
  example: '5',
  meaning: 'how many',
  isDigits: true,
}

const grep: Command = {
  ...filter(
    'grep',
    'lines that match a pattern',
    'The pattern is a regular expression as JavaScript has them. Exits 1 where no line matches.',
  ),
  positionals: [{ name: 'PATTERN', meaning: 'a regular expression', required: true }],
  options: [
    { name: 'ignore-case', short: 'i', kind: 'flag', meaning: 'capitals do not matter' },
    { name: 'invert-match', short: 'v', kind: 'flag', meaning: 'lines that do not match' },
    { name: 'count', short: 'c', kind: 'flag', meaning: 'only how many' },
  ],
  examples: [
    { line: 'info migrate -a | grep Postcopy', meaning: 'lines about post-copy' },
    { line: 'help | grep -i map', meaning: 'commands that have to do with maps' },
  ],
  async run(context): Promise<number> {
    const { arguments: given, terminal } = context
    const pattern = compile(given.positionals[0] ?? '', given.has('ignore-case'))
    const wanted = !given.has('invert-match')
    const kept: string[] = []
    for (const [at, line] of linesOf(context).entries()) {
      if (at % LINES_BETWEEN_LOOKS === 0 && at > 0) await context.host.breathe()
      if (context.stop.aborted) return ExitCode.interrupted
      if (pattern.test(line) === wanted) kept.push(line)
    }
    print(terminal, given.has('count') ? [String(kept.length)] : kept)
    return kept.length > 0 ? ExitCode.good : ExitCode.failed
  },
}

const head: Command = {
  ...filter('head', 'the first lines', ''),
  options: [LINES],
  examples: [{ line: 'help migrate | head -5', meaning: 'the first five' }],
  async run(context): Promise<number> {
    print(context.terminal, linesOf(context).slice(0, context.arguments.number('lines', 10)))
    return ExitCode.good
  },
}

const tail: Command = {
  ...filter('tail', 'the last lines', ''),
  options: [LINES],
  examples: [{ line: 'migrate | tail -1', meaning: 'the verdict' }],
  async run(context): Promise<number> {
    const lines = linesOf(context)
    print(context.terminal, lines.slice(Math.max(0, lines.length - context.arguments.number('lines', 10))))
    return ExitCode.good
  },
}

const wc: Command = {
  ...filter('wc', 'counts lines, words and characters', 'Prints all three unless told which.'),
  options: [
    { name: 'lines', short: 'l', kind: 'flag', meaning: 'lines' },
    { name: 'words', short: 'w', kind: 'flag', meaning: 'words' },
    { name: 'chars', short: 'm', kind: 'flag', meaning: 'characters' },
  ],
  examples: [{ line: 'help | wc -l', meaning: 'how many lines' }],
  async run(context): Promise<number> {
    const text = inputOf(context)
    const counts = {
      lines: linesOf(context).length,
      words: text.split(/\s+/).filter((word) => word !== '').length,
      chars: Array.from(text).length,
    }
    const names = ['lines', 'words', 'chars'] as const
    const asked = names.filter((name) => context.arguments.has(name))
    print(context.terminal, [(asked.length > 0 ? asked : names).map((name) => counts[name]).join(' ')])
    return ExitCode.good
  },
}

const sort: Command = {
  ...filter('sort', 'lines in order', 'By code points, so that the order is the same everywhere.'),
  options: [
    { name: 'numeric', short: 'n', kind: 'flag', meaning: 'by the number at the start of the line' },
    { name: 'reverse', short: 'r', kind: 'flag', meaning: 'the largest first' },
    { name: 'unique', short: 'u', kind: 'flag', meaning: 'each line once' },
  ],
  examples: [{ line: 'help | sort -r', meaning: 'from z to a' }],
  async run(context): Promise<number> {
    const { arguments: given } = context
    const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
    const byNumber = (a: string, b: string) => leading(a) - leading(b) || byText(a, b)
    const lines = [...linesOf(context)].sort(given.has('numeric') ? byNumber : byText)
    if (given.has('reverse')) lines.reverse()
    print(context.terminal, given.has('unique') ? [...new Set(lines)] : lines)
    return ExitCode.good
  },
}

export const FILTERS: readonly Command[] = [grep, head, tail, wc, sort]

function filter(name: string, summary: string, description: string) {
  return { name, group: 'Filters', place: 'terminal', summary, description, positionals: [] } as const
}

function inputOf({ input, command }: CommandContext): string {
  if (input === null)
    throw new CommandError(
      `reads what another command prints; write for example ${command.examples[0]?.line ?? ''}`,
      ExitCode.usage,
    )
  return input
}

function linesOf(context: CommandContext): string[] {
  const text = inputOf(context)
  if (text === '') return []
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n')
}

function print(terminal: CommandContext['terminal'], lines: readonly string[]): void {
  if (lines.length > 0) terminal.out(`${lines.join('\n')}\n`)
}

function leading(line: string): number {
  const number = Number.parseFloat(line.trim().replace(/,/g, ''))
  return Number.isNaN(number) ? 0 : number
}

function compile(pattern: string, ignoresCase: boolean): RegExp {
  try {
    return new RegExp(pattern, ignoresCase ? 'i' : '')
  } catch {
    throw new CommandError(
      `'${shown(pattern)}' is no regular expression; a backslash before a sign makes it mean itself`,
      ExitCode.usage,
    )
  }
}
