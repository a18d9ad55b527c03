/**
 * The small commands: help and man, version, echo and clear.
 *
 * What help prints is made by help.ts from the registry; this file only decides which page was asked for.
 */

import { VERSION } from '../../run/version.ts'
import { type Command, type CommandContext, CommandError } from '../command.ts'
import { helpCommand, helpIndex } from '../help.ts'
import { ExitCode } from '../host.ts'

async function runHelp(context: CommandContext): Promise<number> {
  const { registry, place, program, terminal } = context
  const name = context.arguments.positionals.join(' ')
  if (name === '') {
    if (context.command.name === 'man') throw new CommandError(`which page? For example ${program}man migrate`, ExitCode.usage)
    terminal.out(helpIndex(registry, place, program, terminal.columns))
    return ExitCode.good
  }
  // What works only in the other place is still explained here.
  const command = registry.find(name, place) ?? registry.find(name, place === 'program' ? 'terminal' : 'program')
  if (command === null) throw new CommandError(registry.unknown(name, place, program), ExitCode.unknownCommand)
  terminal.out(helpCommand(command, command.place === 'terminal' ? '' : program, terminal.columns))
  return ExitCode.good
}

export const helpEntry: Command = {
  name: 'help',
  group: 'Help',
  summary: 'the list of commands, or what one of them does',
  description: '',
  positionals: [
    { name: 'COMMAND', meaning: 'the command to explain; without one, all are listed', isCommand: true, repeatable: true },
  ],
  options: [],
  examples: [
    { line: 'help', meaning: 'all commands' },
    { line: 'help migrate', meaning: 'examples and options of migrate' },
  ],
  run: runHelp,
}

export const manCommand: Command = {
  name: 'man',
  group: 'Help',
  summary: 'the same page as help COMMAND',
  description: '',
  positionals: [{ name: 'COMMAND', meaning: 'the command to explain', isCommand: true, repeatable: true }],
  options: [],
  examples: [{ line: 'man migrate', meaning: 'examples and options of migrate' }],
  run: runHelp,
}

export const versionCommand: Command = {
  name: 'version',
  group: 'Help',
  summary: 'the version of Pageferry',
  description: '',
  positionals: [],
  options: [],
  examples: [{ line: 'version', meaning: 'name and version on one line' }],
  async run(context): Promise<number> {
    context.terminal.out(`pageferry ${VERSION} (${context.host.platform})\n`)
    return ExitCode.good
  },
}

export const echoCommand: Command = {
  name: 'echo',
  group: 'Terminal',
  place: 'terminal',
  summary: 'prints its words',
  description: '',
  positionals: [{ name: 'WORD', meaning: 'printed with one space between two', repeatable: true }],
  options: [],
  examples: [{ line: "echo 'first run' ; migrate", meaning: 'a heading before a run' }],
  async run(context): Promise<number> {
    context.terminal.out(`${context.arguments.positionals.join(' ')}\n`)
    return ExitCode.good
  },
}

export const clearCommand: Command = {
  name: 'clear',
  group: 'Terminal',
  place: 'terminal',
  summary: 'empties the screen',
  description: '',
  positionals: [],
  options: [],
  examples: [{ line: 'clear', meaning: 'an empty screen with the prompt on top' }],
  async run(context): Promise<number> {
    context.terminal.out('\u001b[H\u001b[2J\u001b[3J')
    return ExitCode.good
  },
}
