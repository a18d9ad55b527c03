/**
 * What a command is: a name, what people read about it, what it takes, and what it does.
 *
 * Every command of every host is one such value in one Registry. Help, completion, the checks of arguments.ts and the
 * answers of the terminal are all made from it, so a command cannot be documented one way and behave another.
 */
import type { Arguments } from './arguments.ts'
import { ExitCode, type Host } from './host.ts'
import type { Registry } from './registry.ts'
import type { RunObserver, ShellState } from './shell_state.ts'

export interface Choice {
  readonly word: string
  readonly meaning: string
  /** Set where the word is known and not built yet: what this version has instead. */
  readonly notBuilt?: string
}

export type ValueKind = 'size' | 'rate' | 'time' | 'count' | 'enum' | 'text' | 'file' | 'flag'

export interface OptionSpec {
  /** Without its dashes. */
  readonly name: string
  readonly short?: string
  readonly kind: ValueKind
  /** What help shows for the value: SIZE, RATE, NAME=on|off. */
  readonly valueName?: string
  readonly meaning: string
  /** The default as a word; absent where there is none. */
  readonly defaultText?: string
  /** A good value, shown in errors. */
  readonly example?: string
  readonly repeatable?: boolean
  /** For 'enum', and for completion of 'text'. */
  readonly choices?: readonly Choice[]
  /** Finer completion of the value than `choices`: whole values for what has been typed. */
  complete?(partial: string): readonly Choice[]
  /** Bounds of a number. */
  readonly min?: number
  readonly max?: number
  /** One of the handful that most people need. */
  readonly common?: boolean
  /** Set where the option is known and not built yet: what this version has instead. */
  readonly notBuilt?: string
  /** Set where a like command has the option and this one cannot: why, as half a sentence. Nobody is offered it. */
  readonly refused?: string
  /** `-5` stands for this option with the value 5, as in `head -5`. */
  readonly isDigits?: boolean
}

export interface PositionalSpec {
  readonly name: string
  readonly meaning: string
  readonly required?: boolean
  readonly repeatable?: boolean
  /** Only these words; also offered by completion. */
  readonly choices?: readonly Choice[]
  /** Words that completion offers; others may be right, too, and the command says which. */
  readonly offers?: readonly Choice[]
  /** A command's name; completed and checked against the registry. */
  readonly isCommand?: boolean
}

export interface Example {
  readonly line: string
  readonly meaning: string
}

/** Where a command makes sense. `program`: `pageferry NAME`; `terminal`: a line typed into a shell. */
export type Place = 'program' | 'terminal'

export interface Command {
  readonly name: string
  readonly summary: string
  /** A few sentences; paragraphs are separated by an empty line. */
  readonly description: string
  readonly positionals: readonly PositionalSpec[]
  readonly options: readonly OptionSpec[]
  readonly examples: readonly Example[]
  /** Absent: everywhere. */
  readonly place?: Place
  /** Heading in the list of commands. */
  readonly group: 'Migration' | 'Races' | 'Real kernel' | 'Hosts' | 'Terminal' | 'Filters' | 'Help'
  run(context: CommandContext): Promise<number>
}

/** Where a command's words go, and what can be shown there. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  /** One line that is drawn over itself while something long goes on; nothing takes it away. Absent where nobody watches. */
  status?(line: string): void
  readonly columns: number
  /** Colours may be used on `out`. */
  readonly colour: boolean
}

export interface StopSignal {
  readonly aborted: boolean
}

export interface CommandContext {
  readonly command: Command
  readonly arguments: Arguments
  /** What the command before `|` printed; null without one. */
  readonly input: string | null
  readonly terminal: Terminal
  readonly host: Host
  readonly stop: StopSignal
  readonly registry: Registry
  readonly state: ShellState
  readonly observer: RunObserver
  /** Put before a command's name where people read it: `pageferry ` or nothing. */
  readonly program: string
  readonly place: Place
  /** Record every event, for a screen that plays them back. */
  readonly keepEvents: boolean
  /** A shell beside this one, as a terminal has it: for scripts. */
  newShell(): LineRunner
}

/** Runs typed lines, one after the other. */
export interface LineRunner {
  /** The exit code of the line's last step. */
  run(line: string, terminal: Terminal, stop: StopSignal): Promise<number>
  /** Stops what goes on in the background. */
  close(): Promise<void>
}

/** An error that is the user's to mend, raised by a command. `message` is one sentence; the shell puts the name of the command before it. */
export class CommandError extends Error {
  constructor(
    message: string,
    readonly exitCode: number = ExitCode.failed,
  ) {
    super(message)
  }
}
