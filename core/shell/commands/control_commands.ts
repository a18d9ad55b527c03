/**
 * What is said to the migration under way, under the names of QEMU's monitor: `migrate_start_postcopy` and its like.
 *
 * They make sense while one goes on in the background (`migrate -d`). What they may do and when is core/run/control.ts.
 */
import type { MigrationControl } from '../../run/control.ts'
import { MIGRATION_STATUS } from '../../trace/event.ts'
import { type Command, type CommandContext, CommandError } from '../command.ts'
import { ExitCode } from '../host.ts'

export const startPostcopyCommand: Command = {
  name: 'migrate_start_postcopy',
  group: 'Migration',
  place: 'terminal',
  summary: 'the guest switches to the destination now, and the rest of its pages follow',
  description: 'Of a migration in mode hybrid, or with the capability postcopy-ram, that is still in pre-copy.',
  positionals: [],
  options: [],
  examples: [
    { line: 'migrate --mode hybrid --postcopy-after 1000passes -d', meaning: 'a migration that waits for the word' },
    { line: 'migrate_start_postcopy', meaning: 'the word' },
  ],
  run: say((control) => control.startPostcopy()),
}

const cancelCommand: Command = {
  name: 'migrate_cancel',
  group: 'Migration',
  place: 'terminal',
  summary: 'the migration under way ends, and the guest goes on at the source',
  description: 'Not in post-copy: then the guest runs at the destination, and part of its memory is nowhere else.',
  positionals: [],
  options: [],
  examples: [{ line: 'migrate_cancel', meaning: 'as --inject cancel@precopy+TIME, now' }],
  run: say((control) => control.cancel()),
}

const pauseCommand: Command = {
  name: 'migrate_pause',
  group: 'Migration',
  place: 'terminal',
  summary: 'breaks the connection of a post-copy; the guest runs on with the pages it has',
  description: '',
  positionals: [],
  options: [],
  examples: [{ line: 'migrate_pause', meaning: 'as --inject pause@postcopy+TIME, now' }],
  run: say((control) => control.pause()),
}

export const recoverCommand: Command = {
  name: 'migrate_recover',
  group: 'Migration',
  place: 'terminal',
  summary: 'a paused post-copy connects again, and goes on',
  description:
    'In QEMU the destination is told migrate_recover, and then the source migrate -r. Here one word does for both sides, and migrate -r is the same.',
  positionals: [],
  options: [],
  examples: [{ line: 'migrate_recover', meaning: 'go on after migrate_pause, or after the link was down' }],
  run: say((control) => control.recover()),
}

const continueCommand: Command = {
  name: 'migrate_continue',
  group: 'Migration',
  place: 'terminal',
  summary: 'a migration that pauses before the switch goes on',
  description:
    'With the capability pause-before-switchover. The guest stands meanwhile, and that is downtime; migrate_cancel lets it go on at the source. The state is named, so that nothing happens to a migration that is elsewhere.',
  positionals: [
    {
      name: 'STATE',
      meaning: 'the state that it is in',
      required: true,
      choices: MIGRATION_STATUS.map((word) => ({
        word,
        meaning: word === 'pre-switchover' ? 'it pauses before the switch' : 'nothing waits there',
      })),
    },
  ],
  options: [],
  examples: [
    { line: 'migrate -d --mode precopy --capability pause-before-switchover=on', meaning: 'a migration that pauses' },
    { line: 'migrate_continue pre-switchover', meaning: 'it goes on' },
  ],
  run: say((control, [state = '']) => control.continueFrom(state)),
}

export const CONTROL_COMMANDS: readonly Command[] = [
  startPostcopyCommand,
  cancelCommand,
  continueCommand,
  pauseCommand,
  recoverCommand,
]

/** `order` answers why not, or null. */
function say(order: (control: MigrationControl, words: readonly string[]) => string | null): Command['run'] {
  return async ({ state, arguments: given }: CommandContext): Promise<number> => {
    const { newest } = state
    if (newest === null || newest.outcome !== 'running')
      throw new CommandError('no migration is under way; start one in the background with migrate -d')
    const problem = order(newest.run.control, given.positionals)
    if (problem !== null) throw new CommandError(problem)
    return ExitCode.good
  }
}
