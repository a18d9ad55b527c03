/**
 * A fault that a run is told to inject, and how it is spelled: `loss=1%`, `link-down@postcopy+10ms:2s`,
 * `latency@active+10ms:1s=50ms`, `rate@postcopy+5ms:1s=100Mbps`.
 *
 * A share is of all packets of the links, for the whole run. The others happen once: so long after the migration first entered
 * a state, for so long. Reading the words is the shell's work (inject_option.ts); these are the checked values.
 */
import { spellRate, spellTime } from '../base/units.ts'
import type { IncidentName } from '../trace/event.ts'

export const LINK_SHARES = ['loss', 'duplicate', 'reorder'] as const
export type LinkShare = (typeof LINK_SHARES)[number]

/** What an incident is, whether it lasts, and what it is told besides. */
interface IncidentSpec {
  readonly meaning: string
  readonly duration: 'needed' | 'optional' | 'none'
  readonly value?: 'time' | 'rate'
}

export const INCIDENTS = {
  'link-down': { meaning: 'nothing passes the link', duration: 'optional' },
  latency: { meaning: 'messages take longer by =TIME each way', duration: 'optional', value: 'time' },
  rate: { meaning: 'the link carries =RATE only', duration: 'optional', value: 'rate' },
  'handler-stall': { meaning: 'the fault thread of the destination does not run', duration: 'needed' },
  'source-crash': { meaning: 'the source is gone', duration: 'none' },
  'destination-crash': { meaning: 'the destination is gone', duration: 'none' },
  cancel: { meaning: 'somebody says migrate_cancel', duration: 'none' },
  poison: { meaning: 'the memory of a page not yet sent is found broken', duration: 'none' },
  pause: { meaning: 'somebody says migrate_pause', duration: 'none' },
} as const satisfies Readonly<Record<IncidentName, IncidentSpec>>
export type Incident = IncidentName

/** `precopy` is active, `postcopy` is postcopy-active. */
export const INJECTION_STATES = [
  'precopy',
  'postcopy',
  'setup',
  'active',
  'pre-switchover',
  'device',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'cancelling',
] as const
export type InjectionState = (typeof INJECTION_STATES)[number]

export interface WeatherInjection {
  readonly what: LinkShare
  /** Of packets, 0 to 1. */
  readonly share: number
}

export interface TimedInjection {
  readonly what: Incident
  readonly state: InjectionState
  /** After the state was first entered. */
  readonly afterNs: number
  /** null: for good. */
  readonly durationNs: number | null
  /** Of latency: ns each way on top; of rate: bits a second. Absent for the others. */
  readonly value?: number
}

export type Injection = WeatherInjection | TimedInjection

/** As it is written behind --inject. */
export function spellInjection(injection: Injection): string {
  if ('share' in injection) return `${injection.what}=${Number((injection.share * 100).toPrecision(15))}%`
  const { what, state, afterNs, durationNs, value } = injection
  const duration = durationNs === null ? '' : `:${spellTime(durationNs)}`
  const behind = value === undefined ? '' : `=${what === 'rate' ? spellRate(value) : spellTime(value)}`
  return `${what}@${state}+${spellTime(afterNs)}${duration}${behind}`
}
