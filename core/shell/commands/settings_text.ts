/**
 * `info migrate_capabilities` and `info migrate_parameters` in the layout of QEMU's monitor.
 *
 * While a migration is under way they tell its own; else what the next one starts with, before its mode adds what it needs.
 * Source: QEMU, migration/migration-hmp-cmds.c, by its output.
 */
import { CAPABILITY_NAMES, DEFAULT_CAPABILITIES } from '../../migration/capabilities.ts'
import { DEFAULT_PARAMETERS, PARAMETER_NAMES, PARAMETERS, type ParameterKind } from '../../migration/migration_parameters.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from '../../run/options.ts'
import type { ShellState } from '../shell_state.ts'
import { spellParameter } from './parameter_options.ts'

/** As QEMU writes them behind the number. */
const UNIT: Partial<Record<ParameterKind, string>> = { ms: ' ms', bytes: ' bytes', 'bytes/s': ' bytes/second', 'MB/s': ' MB/s' }

/** QEMU prints this one behind max-postcopy-bandwidth. */
const DOWNTIME_BEFORE = 'x-checkpoint-delay'

export function capabilitiesText(state: ShellState): string {
  const { capabilities } = settingsOf(state)
  return CAPABILITY_NAMES.map((name) => `${name}: ${capabilities[name] ? 'on' : 'off'}\n`).join('')
}

export function parametersText(state: ShellState): string {
  const { parameters, downtimeLimitNs } = settingsOf(state)
  return PARAMETER_NAMES.map((name) => {
    const { kind } = PARAMETERS[name]
    const value = spellParameter(parameters[name])
    const line = `${name}: ${kind === 'text' ? `'${value}'` : value}${UNIT[kind] ?? ''}\n`
    return name === DOWNTIME_BEFORE ? `downtime-limit: ${downtimeLimitNs / 1e6} ms\n${line}` : line
  }).join('')
}

function settingsOf({ newest, settings }: ShellState): Pick<MigrateOptions, 'capabilities' | 'parameters' | 'downtimeLimitNs'> {
  if (newest?.outcome === 'running') return newest.run.options
  return {
    capabilities: { ...DEFAULT_CAPABILITIES, ...settings.capabilities },
    parameters: { ...DEFAULT_PARAMETERS, ...settings.parameters },
    downtimeLimitNs: settings.downtimeLimitNs ?? DEFAULT_OPTIONS.downtimeLimitNs,
  }
}
