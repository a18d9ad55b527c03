/**
 * What the command line knows and this version cannot do yet, each with what it has instead.
 *
 * A script that asks for something must never get something else (docs/decisions/0007): words that stand here are refused in one
 * sentence. Whoever builds one of them deletes its line, and help, completion and checks follow.
 */
import { CAPABILITY_NAMES, type Capabilities } from '../../migration/capabilities.ts'
import { DEFAULT_PARAMETERS, type MigrationParameters, PARAMETER_NAMES } from '../../migration/migration_parameters.ts'
import type { MigrateOptions } from '../../run/options.ts'
import { ArgumentError } from '../arguments.ts'

/** Keys are an option's name and, where it takes words, the word. */
export const NOT_BUILT: Readonly<Record<string, string>> = {
  'capability pause-before-switchover': 'a switch that waits for nobody',
}

/** For a spec: `...notBuilt('recover')`. */
export function notBuilt(key: string): { readonly notBuilt?: string } {
  const instead = NOT_BUILT[key]
  return instead === undefined ? {} : { notBuilt: instead }
}

/** Refuses the first thing asked for that is not built; single words of an option are refused where they are read. */
export function refuseNotBuilt(options: MigrateOptions): void {
  refuseSettings(options.capabilities, options.parameters)
  for (const { what } of options.inject) refuse(`inject ${what}`, `--inject ${what}`)
}

export function refuseSettings(capabilities: Partial<Capabilities>, parameters: Partial<MigrationParameters>): void {
  for (const name of CAPABILITY_NAMES) if (capabilities[name]) refuse(`capability ${name}`, `--capability ${name}=on`)
  for (const name of PARAMETER_NAMES) {
    const value = parameters[name] ?? DEFAULT_PARAMETERS[name]
    if (value !== DEFAULT_PARAMETERS[name]) refuse(`parameter ${name}`, `--parameter ${name}=${value}`)
  }
}

function refuse(key: string, words: string): void {
  const instead = NOT_BUILT[key]
  if (instead !== undefined) throw new ArgumentError(`${words} is not built yet; this version has ${instead}`)
}
