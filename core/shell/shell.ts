/**
 * Runs commands: a typed line with its joints and pipes, or the words of a program's call.
 *
 * 1. line.ts cuts the line; each step runs or is passed over by the exit code of the one before.
 * 2. The registry finds the command; an unknown one exits 127 with a suggestion.
 * 3. arguments.ts checks its words; a usage error exits 2.
 * 4. The command runs; what it throws as CommandError or HostError becomes one sentence. Anything else is a bug and
 *    goes on to the host.
 * In a pipeline each command's text is handed to the next when it has ended, and the exit code is that of the last
 * command that was not good, so that a filter cannot hide a failure.
 */
import { parseArguments } from './arguments.ts'
import { CommandError, type Place, type StopSignal, type Terminal } from './command.ts'
import { stopBackground } from './commands/background.ts'
import { complain } from './complain.ts'
import { type Completion, completeLine } from './completion.ts'
import { helpCommand } from './help.ts'
import { ExitCode, type Host } from './host.ts'
import { sentence } from './layout.ts'
import { parseLine, type SimpleCommand } from './line.ts'
import type { Registry } from './registry.ts'
import { NO_SETTINGS, type RunObserver, type ShellState } from './shell_state.ts'

export interface ShellOptions {
  readonly host: Host
  readonly registry: Registry
  readonly place: Place
  /** Put before a command's name where people read it: `pageferry ` or nothing. */
  readonly program: string
  /** Record every event of a run, for a screen that plays them back. */
  readonly keepEvents: boolean
  readonly observer?: RunObserver
}

export class Shell {
  readonly state: ShellState = { newest: null, background: null, settings: NO_SETTINGS, searches: 0 }

  constructor(private readonly options: ShellOptions) {}

  /** One typed line; resolves with the exit code of its last step. */
  async run(line: string, terminal: Terminal, stop: StopSignal): Promise<number> {
    let exitCode: number = ExitCode.good
    try {
      for (const step of parseLine(line)) {
        if (step.when === 'if-good' && exitCode !== ExitCode.good) continue
        if (step.when === 'if-bad' && exitCode === ExitCode.good) continue
        exitCode = await this.runPipeline(step.pipeline, terminal, stop)
        if (stop.aborted) return ExitCode.interrupted
      }
      return exitCode
    } catch (error) {
      return complain(error, '', terminal)
    }
  }

  /** The words of one command, as a program is called: no quotes, no pipes. */
  async call(words: readonly string[], terminal: Terminal, stop: StopSignal): Promise<number> {
    const [first, ...rest] = words
    if (first === undefined || first === '--help' || first === '-h')
      return this.runCommand(['help', ...rest], null, terminal, stop)
    if (first === '--version' || first === '-V') return this.runCommand(['version', ...rest], null, terminal, stop)
    return this.runCommand(words, null, terminal, stop)
  }

  /** Stops what goes on in the background. */
  close(): Promise<void> {
    return stopBackground(this.state.background)
  }

  complete(line: string): Promise<readonly Completion[]> {
    return completeLine(this.options.registry, this.options.place, line, this.options.host)
  }

  private async runPipeline(pipeline: readonly SimpleCommand[], terminal: Terminal, stop: StopSignal): Promise<number> {
    let input: string | null = null
    let exitCode: number = ExitCode.good
    for (const [at, { words }] of pipeline.entries()) {
      const isLast = at === pipeline.length - 1
      const chunks: string[] = []
      // What goes into a pipe is read by a filter: no colours, and its lines are not cut to the screen.
      const piped: Terminal = {
        out: (text) => chunks.push(text),
        err: (text) => terminal.err(text),
        columns: terminal.columns,
        colour: false,
      }
      const own = await this.runCommand(words, input, isLast ? terminal : piped, stop)
      if (own !== ExitCode.good) exitCode = own
      if (stop.aborted) return ExitCode.interrupted
      input = chunks.join('')
    }
    return exitCode
  }

  private async runCommand(
    words: readonly string[],
    input: string | null,
    terminal: Terminal,
    stop: StopSignal,
  ): Promise<number> {
    const { registry, place, program, host, keepEvents } = this.options
    const [first = ''] = words
    const found = registry.match(words, place)
    if (found === null) {
      const isFamily = registry.family(first, place).length > 0
      const unknown = registry.unknown(isFamily ? words.slice(0, 2).join(' ') : first, place, program)
      terminal.err(sentence(`${program === '' ? '' : `${program.trim()}: `}${unknown}`))
      return isFamily ? ExitCode.usage : ExitCode.unknownCommand
    }
    const { command, length } = found
    const who = `${program}${command.name}: `
    try {
      const parsed = parseArguments(command, words.slice(length))
      if (parsed.wantsHelp) {
        terminal.out(helpCommand(command, program, terminal.columns))
        return ExitCode.good
      }
      if (input !== null && command.group !== 'Filters') {
        throw new CommandError(
          `does not read what another command prints; behind | stands a filter, for example grep`,
          ExitCode.usage,
        )
      }
      return await command.run({
        command,
        arguments: parsed,
        input,
        terminal,
        host,
        stop,
        registry,
        state: this.state,
        observer: this.options.observer ?? {},
        program,
        place,
        keepEvents,
        newShell: () => new Shell({ ...this.options, place: 'terminal', program: '' }),
      })
    } catch (error) {
      return complain(error, who, terminal)
    }
  }
}
