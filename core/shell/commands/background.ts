/**
 * A command that goes on while the terminal takes the next line: `migrate -d`, and `wait` for its end.
 *
 * What it prints is kept, so that it does not run into what somebody types; wait prints it, and answers its exit code. There
 * is one at a time. Whoever closes the terminal stops it. A bug in it goes on to the host, awaited or not.
 */
import { type Command, type CommandContext, CommandError, type Terminal } from '../command.ts'
import { complain } from '../complain.ts'
import { ExitCode } from '../host.ts'

/** A command in the background; `output` and `errors` are what it has printed and nobody has seen. */
export interface Background {
  readonly done: Promise<number>
  readonly stop: { aborted: boolean }
  isOver: boolean
  output: string
  errors: string
}

/** Starts `work` with a context of its own. Refused while another one goes on. */
export function detach(context: CommandContext, work: (context: CommandContext) => Promise<number>): void {
  const { state, command, program } = context
  if (context.place === 'program')
    throw new CommandError('-d is for a terminal, which stays; this program ends with its migration', ExitCode.usage)
  const stop = { aborted: false }
  const terminal: Terminal = {
    out: (text) => {
      background.output += text
    },
    err: (text) => {
      background.errors += text
    },
    columns: context.terminal.columns,
    colour: context.terminal.colour,
  }
  const run = async (): Promise<number> => {
    try {
      return await work({ ...context, terminal, stop })
    } catch (error) {
      return complain(error, `${program}${command.name}: `, terminal)
    } finally {
      background.isOver = true
    }
  }
  // In a turn of its own: the line that began it is answered first.
  const background: Background = { stop, isOver: false, output: '', errors: '', done: Promise.resolve().then(run) }
  state.background = background
}

/** Stops what is in the background and waits for its end. */
export async function stopBackground(background: Background | null): Promise<void> {
  if (background === null) return
  background.stop.aborted = true
  await background.done
}

export const waitCommand: Command = {
  name: 'wait',
  group: 'Terminal',
  place: 'terminal',
  summary: 'waits for the migration in the background',
  description: 'Prints what it printed, and answers its exit code. Ctrl-C stops it.',
  positionals: [],
  options: [],
  examples: [{ line: 'migrate -d ; wait', meaning: 'the same as migrate' }],
  async run({ state, stop, terminal, host }: CommandContext): Promise<number> {
    const { background } = state
    if (background === null) throw new CommandError('nothing is in the background; migrate -d puts a migration there')
    while (!background.isOver) {
      if (stop.aborted) background.stop.aborted = true
      await host.breathe()
    }
    const code = await background.done
    state.background = null
    if (background.output !== '') terminal.out(background.output)
    if (background.errors !== '') terminal.err(background.errors)
    return code
  },
}
