/**
 * `--parameter NAME=VALUE`, and `migrate_set_parameter NAME VALUE`: words to QEMU's parameters and back.
 *
 * A bare number is in QEMU's unit (QMP's: bytes a second, bytes, milliseconds); `1Gbps`, `64M` and `300ms` are taken, too.
 * downtime-limit is --downtime-limit under another name. What the parameters are is core/migration/migration_parameters.ts.
 */
import { parseCount, parseRate, parseSize, parseTime } from '../../base/units.ts'
import {
  DEFAULT_PARAMETERS,
  isParameter,
  type MigrationParameters,
  PARAMETER_NAMES,
  PARAMETERS,
  type Parameter,
  type ParameterName,
} from '../../migration/migration_parameters.ts'
import { ArgumentError } from '../arguments.ts'
import type { Choice } from '../command.ts'
import { shown } from '../layout.ts'
import { didYouMean } from '../suggestion.ts'
import { isOn, splitAtEquals } from './capability_options.ts'

/** Of the one parameter that is an option of its own. */
const DOWNTIME: Parameter = {
  kind: 'ms',
  default: 300,
  min: 0,
  max: 2_000_000,
  meaning: 'longest stop of the guest that is wanted',
}
const DOWNTIME_NAME = 'downtime-limit'

const ALL_NAMES: readonly string[] = [...PARAMETER_NAMES, DOWNTIME_NAME]

/** Of all parameters, downtime-limit included. */
export const PARAMETER_CHOICES: readonly Choice[] = ALL_NAMES.map((word) => {
  const { kind, default: usual, meaning, notModelled } = specOf(word)
  const unit = kind === 'word' || kind === 'flag' || kind === 'text' || kind === 'count' ? '' : ` ${kind}`
  const why = notModelled === undefined ? '' : `; not modelled, since ${notModelled}`
  return { word, meaning: `${meaning}${why} [${spellParameter(usual)}${unit}]` }
})

/** What somebody set; a downtime limit stands apart, in ns. */
export interface SetParameters {
  readonly parameters: Partial<MigrationParameters>
  readonly downtimeLimitNs: number | null
}

/** What the words of several --parameter say. */
export function parametersOf(words: readonly string[]): SetParameters {
  const values: Record<string, number | boolean | string> = {}
  for (const word of words) {
    const [name = '', value] = splitAtEquals(word)
    parameterNamed(name, '--parameter ')
    if (value === null)
      throw new ArgumentError(
        `--parameter ${shown(word)} needs a value, for example --parameter ${name}=${spellParameter(specOf(name).default)}`,
      )
    if (Object.hasOwn(values, name)) throw new ArgumentError(`--parameter ${name} is given twice; keep one of the two`)
    values[name] = parameterValue(name, value, `--parameter ${name}=`)
  }
  return setOf(values)
}

/** Of checked values by name. */
export function setOf(values: Readonly<Record<string, number | boolean | string>>): SetParameters {
  const { [DOWNTIME_NAME]: downtime, ...parameters } = values
  return {
    parameters: parameters as Partial<MigrationParameters>,
    downtimeLimitNs: downtime === undefined ? null : Number(downtime) * 1e6,
  }
}

/** Refuses a name that QEMU has not; `before` is what stands before it where people read it. */
export function parameterNamed(name: string, before: string): void {
  if (ALL_NAMES.includes(name)) return
  const nearest = didYouMean(name, ALL_NAMES)
  throw new ArgumentError(
    `${before}${shown(name)} is none of QEMU's parameters${nearest || '; info migrate_parameters lists them'}`,
  )
}

/** The checked value; `before` is what stands before it where people read it. */
export function parameterValue(name: string, text: string, before: string): number | boolean | string {
  const spec = specOf(name)
  const value = read(spec, text, before)
  if (spec.notModelled !== undefined && value !== spec.default)
    throw new ArgumentError(`${before}${shown(text)} is not modelled, since ${spec.notModelled}; leave it out`)
  return value
}

function read(spec: Parameter, text: string, before: string): number | boolean | string {
  if (spec.kind === 'text') return text
  if (spec.kind === 'flag') return isOn(text, before)
  if (spec.kind === 'word') {
    const words = spec.words ?? []
    if (words.includes(text)) return text
    throw new ArgumentError(`${before}${shown(text)} is not one of ${words.join(', ')}${didYouMean(text, words)}`)
  }
  const value = readNumber(spec, text)
  if (value === null) throw new ArgumentError(`${before}${shown(text)} is not ${WANTED[spec.kind]}`)
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = spec
  if (value < min || value > max) throw new ArgumentError(`${before}${shown(text)} must be from ${min} to ${max}`)
  return value
}

type NumberKind = Exclude<Parameter['kind'], 'text' | 'flag' | 'word'>

const WANTED: Readonly<Record<NumberKind, string>> = {
  'bytes/s': 'a whole number of bytes a second; write for example 125000000, 1Gbps or 100M',
  bytes: 'a whole number of bytes; write for example 67108864 or 64M',
  ms: 'a whole number of milliseconds; write for example 300 or 300ms',
  percent: 'a whole percentage; write for example 50',
  'MB/s': 'a whole number of MB a second; write for example 10',
  count: 'a whole number; write for example 2',
}

function readNumber(spec: Parameter, text: string): number | null {
  const bare = parseCount(text)
  if (bare.ok) return bare.value
  switch (spec.kind) {
    case 'bytes/s': {
      const rate = parseRate(text)
      return rate.ok ? whole(rate.value / 8) : sizeOf(text)
    }
    case 'bytes':
      return sizeOf(text)
    case 'ms': {
      const time = parseTime(text)
      return time.ok ? whole(time.value / 1e6) : null
    }
    case 'percent':
      return text.endsWith('%') ? readNumber({ ...spec, kind: 'count' }, text.slice(0, -1)) : null
    default:
      return null
  }
}

function sizeOf(text: string): number | null {
  const size = parseSize(text)
  return size.ok ? size.value : null
}

function whole(value: number): number | null {
  return Number.isInteger(value) ? value : null
}

function specOf(name: string): Parameter {
  return isParameter(name) ? PARAMETERS[name] : DOWNTIME
}

/** NAME=, and behind it the words that a parameter takes. */
export function completeParameter(partial: string): readonly Choice[] {
  const [name, value] = splitAtEquals(partial)
  if (value === null || !isParameter(name))
    return PARAMETER_CHOICES.filter(({ word }) => specOf(word).notModelled === undefined).map((choice) => ({
      ...choice,
      word: `${choice.word}=`,
    }))
  const { kind, words = [], meaning }: Parameter = PARAMETERS[name]
  return (kind === 'flag' ? ['on', 'off'] : words).map((word) => ({ word: `${name}=${word}`, meaning }))
}

/** In QEMU's unit, as it is read. */
export function spellParameter(value: number | boolean | string): string {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)
}

/** Those that are not QEMU's default. */
export function spellParameters(parameters: MigrationParameters): string[] {
  return PARAMETER_NAMES.filter((name: ParameterName) => parameters[name] !== DEFAULT_PARAMETERS[name]).map(
    (name) => `${name}=${spellParameter(parameters[name])}`,
  )
}
