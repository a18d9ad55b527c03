/**
 * `info`: questions about the newest run of this terminal, in the words of QEMU's monitor.
 *
 * It asks the run itself, so it answers while a run is going on, too. The layouts are info_text.ts and settings_text.ts.
 */
import { formatTime } from '../../base/units.ts'
import type { Progress } from '../../run/report.ts'
import { type Command, type CommandContext, CommandError } from '../command.ts'
import { ExitCode } from '../host.ts'
import type { NewestRun, ShellState } from '../shell_state.ts'
import { infoMigrateText } from './info_text.ts'
import { capabilitiesText, parametersText } from './settings_text.ts'

export const infoCommand: Command = {
  name: 'info',
  group: 'Migration',
  place: 'terminal',
  summary: 'what is known of the newest run',
  description: 'Answers in the layout of the monitor of QEMU 10.1. Works while a run is going on, too.',
  positionals: [
    {
      name: 'WHAT',
      meaning: 'what to tell',
      required: true,
      choices: [
        { word: 'migrate', meaning: 'the migration: status, times, RAM; with -a what its capabilities have to tell, too' },
        { word: 'migrate_capabilities', meaning: 'which capabilities are on' },
        { word: 'migrate_parameters', meaning: 'what the parameters are' },
        { word: 'status', meaning: 'whether the guest runs, and where' },
      ],
    },
  ],
  options: [{ name: 'all', short: 'a', kind: 'flag', meaning: 'of migrate: everything' }],
  examples: [
    { line: 'info migrate', meaning: "the migration in QEMU's layout" },
    { line: 'info migrate -a | grep Postcopy', meaning: 'only what belongs to post-copy' },
    { line: 'info migrate_parameters', meaning: 'what migrate_set_parameter can set, and what it is' },
    { line: 'info status', meaning: 'where the guest runs' },
  ],
  async run(context: CommandContext): Promise<number> {
    const { state, terminal, arguments: given } = context
    terminal.out(textOf(given.positionals[0] ?? '', given.has('all'), state))
    return ExitCode.good
  },
}

function textOf(what: string, all: boolean, state: ShellState): string {
  if (what === 'migrate_capabilities') return capabilitiesText(state)
  if (what === 'migrate_parameters') return parametersText(state)
  const { newest } = state
  if (newest === null) throw new CommandError('no migration was made in this terminal yet; start one with migrate')
  return what === 'status' ? statusText(newest) : infoMigrateText(newest.run.report(), all)
}

function statusText(newest: NewestRun): string {
  const progress = newest.run.progress()
  const at = `${formatTime(progress.nowNs)} of simulated time`
  if (newest.outcome === 'running') return `VM status: ${place(progress)}, ${at}\n`
  const how = {
    done: 'the run is over',
    'time-limit': 'time limit reached',
    failed: 'the run failed',
    interrupted: 'interrupted',
  }[newest.outcome]
  return `VM status: paused (${how}; was ${place(progress)}), ${at}\n`
}

function place({ phase, status }: Progress): string {
  if (phase === 'boot' || phase === 'before') return 'running on the source'
  if (phase === 'after' || phase === 'done') return 'running on the destination'
  if (status === 'postcopy-active') return 'running on the destination, pages still coming'
  return status === 'device' || status === 'pre-switchover' ? 'stopped for the switch' : 'running on the source'
}
