/**
 * `run`: a script of commands, one a line, as they would be typed into the terminal; or a scenario (scenario.ts).
 *
 * The script has a shell of its own, so that what was set before does not change what it does. It ends at the first line that
 * is not good, with that line's exit code, unless it is told to go on; `&&`, `||` and `|` work as on the terminal.
 */
import { type Command, type CommandContext, CommandError } from '../command.ts'
import { ExitCode } from '../host.ts'
import { shown } from '../layout.ts'
import { quoteWord } from '../line.ts'
import { parseScenario, type Scenario } from './scenario.ts'
import { readText } from './text_file.ts'

const LARGEST_BYTES = 2 ** 20

export const runCommand: Command = {
  name: 'run',
  group: 'Migration',
  summary: 'runs a script of commands, or a scenario',
  description:
    'One command a line, as it is typed into the terminal; what begins with # is a comment. The script ends at the first ' +
    'command that fails, with its exit code. Settings made by migrate_set_capability and migrate_set_parameter hold inside it.\n\n' +
    'A scenario is a .yaml file: version: 1, a name, options of migrate under migrate, faults under inject, and steps, each with a name and options of its own. It is ' +
    'checked before anything runs.',
  positionals: [{ name: 'FILE', meaning: 'the script, by custom with the ending .pf, or the scenario, .yaml', required: true }],
  options: [
    { name: 'keep-going', short: 'k', kind: 'flag', common: true, meaning: 'go on behind a command that fails' },
    { name: 'echo', short: 'x', kind: 'flag', common: true, meaning: 'print each command before it runs' },
  ],
  examples: [
    { line: 'run docs/examples/modes.pf', meaning: 'the three modes on one guest' },
    { line: 'run docs/examples/link_breaks.yaml', meaning: 'a link that breaks, by a scenario' },
    { line: 'run nightly.pf --keep-going --echo', meaning: 'all of it, whatever fails' },
  ],
  run,
}

async function run(context: CommandContext): Promise<number> {
  const { arguments: given, host, terminal, stop, program } = context
  const path = given.positionals[0] ?? ''
  const text = await readText(path, host, LARGEST_BYTES)
  if (text === null) throw new CommandError(`there is no file ${path}; name a script of commands, one a line, or a scenario`)
  const lines = /\.ya?ml$/i.test(path) ? linesOf(parseScenario(text, path)) : scriptLines(text)
  const shell = context.newShell()
  let exitCode: number = ExitCode.good
  try {
    for (const { line, number, title } of lines) {
      if (title !== null) terminal.out(`# ${title}\n`)
      if (given.has('echo')) terminal.err(`+ ${line}\n`)
      const code = await shell.run(line, terminal, stop)
      if (stop.aborted) return ExitCode.interrupted
      if (code === ExitCode.good) continue
      exitCode = code
      terminal.err(`${program}run: ${path}:${number}: ${shown(line)} ended with exit code ${code}.\n`)
      if (!given.has('keep-going')) break
    }
    return exitCode
  } finally {
    await shell.close()
  }
}

interface Line {
  readonly line: string
  /** In the file. */
  readonly number: number
  readonly title: string | null
}

function scriptLines(text: string): Line[] {
  const lines = text.split(/\r?\n/).map((raw, at) => ({ line: raw.trim(), number: at + 1, title: null }))
  return lines.filter(({ line }) => line !== '' && !line.startsWith('#'))
}

function linesOf({ steps }: Scenario): Line[] {
  return steps.map(({ name, line, words }) => ({ line: words.map(quoteWord).join(' '), number: line, title: name }))
}
