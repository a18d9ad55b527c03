/**
 * `migrate_set_capability` and `migrate_set_parameter`: what holds for the migrations to come of this terminal, under the names
 * of QEMU's monitor.
 *
 * A setting is checked as soon as it is made: what can go with no mode is refused. The
 * options of a `migrate` line go before it, and the command that repeats a run spells it out. Texts: settings_text.ts.
 */
import { CAPABILITIES, CAPABILITY_NAMES } from '../../migration/capabilities.ts'
import { DEFAULT_PARAMETERS } from '../../migration/migration_parameters.ts'
import { MODES } from '../../run/options.ts'
import { settleCapabilities } from '../../run/settings.ts'
import type { Command, CommandContext } from '../command.ts'
import { CommandError } from '../command.ts'
import { ExitCode } from '../host.ts'
import type { Settings } from '../shell_state.ts'
import { CAPABILITY_CHOICES, capabilityNamed, isOn } from './capability_options.ts'
import { PARAMETER_CHOICES, parameterNamed, parameterValue, setOf } from './parameter_options.ts'

const MODELLED = CAPABILITY_CHOICES.filter(({ word }) => CAPABILITY_NAMES.some((name) => name === word && isModelled(name)))

function isModelled(name: (typeof CAPABILITY_NAMES)[number]): boolean {
  return CAPABILITIES[name].notModelled === undefined
}

export const setCapabilityCommand: Command = {
  name: 'migrate_set_capability',
  group: 'Migration',
  place: 'terminal',
  summary: 'switches a migration capability on or off for the migrations to come',
  description: 'What a capability needs is switched on with it when a migration starts. info migrate_capabilities lists them.',
  positionals: [
    { name: 'CAPABILITY', meaning: "one of QEMU's", required: true, offers: MODELLED },
    {
      name: 'STATE',
      meaning: 'on or off',
      required: true,
      choices: [
        { word: 'on', meaning: 'the next migration has it' },
        { word: 'off', meaning: 'the next migration has it not, and what needs it is refused' },
      ],
    },
  ],
  options: [],
  examples: [{ line: 'migrate_set_capability postcopy-preempt on', meaning: 'as --capability postcopy-preempt=on' }],
  async run(context: CommandContext): Promise<number> {
    const [name = '', word = ''] = context.arguments.positionals
    const capability = capabilityNamed(name, '')
    const { settings } = context.state
    keep(context, { ...settings, capabilities: { ...settings.capabilities, [capability]: isOn(word, '') } })
    return ExitCode.good
  },
}

export const setParameterCommand: Command = {
  name: 'migrate_set_parameter',
  group: 'Migration',
  place: 'terminal',
  summary: 'sets a migration parameter for the migrations to come',
  description:
    "A bare number is in QEMU's unit: bytes a second, bytes, milliseconds, percent. 1Gbps, 64M and 300ms are taken, too. info migrate_parameters lists them.",
  positionals: [
    { name: 'PARAMETER', meaning: "one of QEMU's", required: true, offers: PARAMETER_CHOICES },
    { name: 'VALUE', meaning: 'what it is set to', required: true },
  ],
  options: [],
  examples: [
    { line: 'migrate_set_parameter downtime-limit 100', meaning: 'as --downtime-limit 100ms' },
    { line: 'migrate_set_parameter downtime-limit 100ms', meaning: 'the same' },
  ],
  async run(context: CommandContext): Promise<number> {
    const [name = '', value = ''] = context.arguments.positionals
    parameterNamed(name, '')
    const set = setOf({ [name]: parameterValue(name, value, `${name} `) })
    const { settings } = context.state
    keep(context, {
      ...settings,
      parameters: { ...settings.parameters, ...set.parameters },
      downtimeLimitNs: set.downtimeLimitNs ?? settings.downtimeLimitNs,
    })
    return ExitCode.good
  },
}

function keep({ state }: CommandContext, settings: Settings): void {
  if (state.newest?.outcome === 'running')
    throw new CommandError('a migration is under way; set this before it starts, or when it is over')
  const parameters = { ...DEFAULT_PARAMETERS, ...settings.parameters }
  const tried = MODES.map((mode) =>
    settleCapabilities({ mode, capabilities: settings.capabilities, parameters, dirtyTracking: null }),
  )
  const problem = tried.find((one) => !one.ok)
  if (problem !== undefined && !problem.ok && tried.every((one) => !one.ok))
    throw new CommandError(problem.message, ExitCode.usage)
  state.settings = settings
}
