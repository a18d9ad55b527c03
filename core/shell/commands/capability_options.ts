/**
 * `--capability NAME=on|off`, and `migrate_set_capability NAME on|off`: words to switches and back.
 *
 * Which capabilities go together is settings.ts; what they are is core/migration/capabilities.ts.
 */
import {
  CAPABILITIES,
  CAPABILITY_NAMES,
  type Capabilities,
  type CapabilityName,
  isCapability,
} from '../../migration/capabilities.ts'
import type { MigrateOptions } from '../../run/options.ts'
import { type Asked, settleCapabilities } from '../../run/settings.ts'
import { ArgumentError } from '../arguments.ts'
import type { Choice } from '../command.ts'
import { shown } from '../layout.ts'
import { didYouMean } from '../suggestion.ts'

export const CAPABILITY_CHOICES: readonly Choice[] = CAPABILITY_NAMES.map((word) => {
  const { summary, notModelled } = CAPABILITIES[word]
  const meaning = notModelled === undefined ? summary : `${summary}; not modelled, since ${notModelled}`
  return { word, meaning }
})

/** What the words of several --capability say. */
export function capabilitiesOf(words: readonly string[]): Partial<Capabilities> {
  const switches: Partial<Record<CapabilityName, boolean>> = {}
  for (const word of words) {
    const [name = '', value] = splitAtEquals(word)
    if (value === null)
      throw new ArgumentError(`--capability ${shown(word)} needs on or off, for example --capability multifd=on`)
    const capability = capabilityNamed(name, '--capability ')
    if (switches[capability] !== undefined)
      throw new ArgumentError(`--capability ${capability} is given twice; keep one of the two`)
    switches[capability] = isOn(value, `--capability ${capability}=`)
  }
  return switches
}

/** `before` is what stands before the name where people read it. */
export function capabilityNamed(name: string, before: string): CapabilityName {
  if (isCapability(name)) return name
  const nearest = didYouMean(name, CAPABILITY_NAMES)
  throw new ArgumentError(
    `${before}${shown(name)} is none of QEMU's capabilities${nearest || '; info migrate_capabilities lists them'}`,
  )
}

export function isOn(value: string, before: string): boolean {
  if (value === 'on' || value === 'off') return value === 'on'
  throw new ArgumentError(`${before}${shown(value)} is neither on nor off`)
}

/** Name and value of NAME=VALUE; a value of null where there is no `=`. */
export function splitAtEquals(word: string): [name: string, value: string | null] {
  const at = word.indexOf('=')
  return at < 0 ? [word, null] : [word.slice(0, at), word.slice(at + 1)]
}

/** NAME=on and NAME=off of what can be switched. */
export function completeCapability(): readonly Choice[] {
  return CAPABILITY_CHOICES.filter(({ word }) => isCapability(word) && CAPABILITIES[word].notModelled === undefined).flatMap(
    (choice) => [
      { ...choice, word: `${choice.word}=on` },
      { ...choice, word: `${choice.word}=off` },
    ],
  )
}

/** The fewest switches that say the same. */
export function spellCapabilities(options: MigrateOptions): string[] {
  const named: Partial<Record<CapabilityName, boolean>> = {}
  const asked = (): Asked => ({ ...options, capabilities: named })
  const differing = () => {
    const settled = settleCapabilities(asked())
    return CAPABILITY_NAMES.filter((name) => !settled.ok || settled.capabilities[name] !== options.capabilities[name])
  }
  for (const name of differing()) named[name] = options.capabilities[name]
  // What another brings with it need not be said.
  for (const name of CAPABILITY_NAMES) {
    const value = named[name]
    if (value === undefined) continue
    delete named[name]
    if (differing().length > 0) named[name] = value
  }
  return CAPABILITY_NAMES.flatMap((name) => (named[name] === undefined ? [] : [`${name}=${named[name] ? 'on' : 'off'}`]))
}
