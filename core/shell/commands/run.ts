/**
 * `run`: a script of commands, one a line, as they would be typed into the terminal.
 *
 * The script has a shell of its own, so that what was set before does not change what it does. It ends at the first line that
 * is not good, with that line's exit code, unless it is told to go on; `&&`, `||` and `|` work as on the terminal.
 */
import { type Command, type CommandContext, CommandError } from '../command.ts'
import { ExitCode } from '../host.ts'
import { shown } from '../layout.ts'
import { readText } from './text_file.ts'

const LARGEST_BYTES = 2 ** 20

export const runCommand: Command = {
  name: 'run',
  group: 'Migration',
  summary: 'runs a script of commands',
  description:
    'One command a line, as it is typed into the terminal; what begins with # is a comment. The script ends at the first ' +
    'command that fails, with its exit code. Settings made by migrate_set_capability and migrate_set_parameter hold inside it.',
  positionals: [{ name: 'FILE', meaning: 'the script, by custom with the ending .pf', required: true }],
  options: [
    { name: 'keep-going', short: 'k', kind: 'flag', common: true, meaning: 'go on behind a command that fails' },
    { name: 'echo', short: 'x', kind: 'flag', common: true, meaning: 'print each command before it runs' },
  ],
  examples: [
    { line: 'run docs/examples/modes.pf', meaning: 'the three modes on one guest' },
    { line: 'run nightly.pf --keep-going --echo', meaning: 'all of it, whatever fails' },
  ],
  run,
}

async function run(context: CommandContext): Promise<number> {
  const { arguments: given, host, terminal, stop, program } = context
  const path = given.positionals[0] ?? ''
  if (/\.ya?ml$/i.test(path))
    throw new CommandError(
      `${path} is a scenario, which this version cannot run; write its commands into a .pf file`,
      ExitCode.usage,
    )
  const text = await readText(path, host, LARGEST_BYTES)
  if (text === null) throw new CommandError(`there is no file ${path}; name a script of commands, one a line`)
  const shell = context.newShell()
  const lines = text.split(/\r?\n/)
  let exitCode: number = ExitCode.good
  try {
    for (const [at, raw] of lines.entries()) {
      const line = raw.trim()
      if (line === '' || line.startsWith('#')) continue
      if (given.has('echo')) terminal.err(`+ ${line}\n`)
      const code = await shell.run(line, terminal, stop)
      if (stop.aborted) return ExitCode.interrupted
      if (code === ExitCode.good) continue
      exitCode = code
      terminal.err(`${program}run: ${path}:${at + 1}: ${shown(line)} ended with exit code ${code}.\n`)
      if (!given.has('keep-going')) break
    }
    return exitCode
  } finally {
    await shell.close()
  }
}
