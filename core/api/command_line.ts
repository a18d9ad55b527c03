/**
 * The command line as a host sees it: call the program with its words, or open a terminal that takes lines.
 *
 * The host brings its own commands (`serve`, `shell`) in the shape of all others; they join core's in one registry. A
 * Terminal carries the text, a StopSignal asks to stop, a RunObserver is shown every run. Pairs with main/cli.
 */
import type { Command, CommandContext, StopSignal, Terminal } from '../shell/command.ts'
import { type Completion, completionStart } from '../shell/completion.ts'
import { CORE_COMMANDS } from '../shell/core_commands.ts'
import type { Host } from '../shell/host.ts'
import { columnsOf } from '../shell/layout.ts'
import { Registry } from '../shell/registry.ts'
import { Shell } from '../shell/shell.ts'
import type { RunObserver } from '../shell/shell_state.ts'

export type { Command, CommandContext, StopSignal, Terminal }

export interface Program {
  readonly host: Host
  /** Commands that only this host has. */
  readonly commands: readonly Command[]
  readonly observer: RunObserver
}

/** Runs the words of one call, as `pageferry WORDS`, and resolves with its exit code. */
export function callProgram(program: Program, words: readonly string[], terminal: Terminal, stop: StopSignal): Promise<number> {
  const registry = new Registry([...CORE_COMMANDS, ...program.commands])
  const { host, observer } = program
  return new Shell({ host, registry, place: 'program', program: 'pageferry ', keepEvents: false, observer }).call(
    words,
    terminal,
    stop,
  )
}

/** What could stand at the end of a line. */
export interface Offers {
  /** Where the word begins that an offer replaces. */
  readonly start: number
  readonly offers: readonly Completion[]
  /** All of them with their meanings, for people. */
  readonly listing: string
}

/** A terminal opened from inside a command, with that command's registry, host and observer. */
export class OpenTerminal {
  readonly #shell: Shell

  /** `more`: commands that make sense in this terminal only. */
  constructor(
    private readonly context: CommandContext,
    more: readonly Command[],
  ) {
    const { host, observer, keepEvents } = context
    const registry = new Registry([...context.registry.commands, ...more])
    this.#shell = new Shell({ host, registry, place: 'terminal', program: '', keepEvents, observer })
  }

  run(line: string, stop: StopSignal): Promise<number> {
    return this.#shell.run(line, this.context.terminal, stop)
  }

  /** Stops what goes on in the background. */
  close(): Promise<void> {
    return this.#shell.close()
  }

  async complete(line: string): Promise<Offers> {
    const offers = await this.#shell.complete(line)
    const entries = offers.map(({ word, meaning }) => ({ term: word, meaning }))
    return { start: completionStart(line), offers, listing: columnsOf(entries, this.context.terminal.columns) }
  }
}
