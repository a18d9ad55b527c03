/**
 * A fault that a run is told to inject, and how it is spelled: `loss=1%`, `link-down@postcopy+10ms:2s`,
 * `latency@active+10ms:1s=50ms`, `rate@postcopy+5ms:1s=100Mbps`.
 *
 * A share is of all messages of the link, for the whole run. The others happen once: so long after the migration first entered
 * a state, for so long. Reading the words is the shell's work (inject_option.ts); these are the checked values.
 */
import { spellRate, spellTime } from '../base/units.ts'
import type { MigrationStatus } from '../trace/event.ts'

export const LINK_SHARES = ['loss', 'duplicate', 'reorder'] as const
export type LinkShare = (typeof LINK_SHARES)[number]

export const INCIDENTS = [
  'link-down',
  'latency',
  'rate',
  'handler-stall',
  'source-crash',
  'destination-crash',
  'cancel',
  'poison',
  'pause',
] as const
export type Incident = (typeof INCIDENTS)[number]

/** `precopy` is active, `postcopy` is postcopy-active. */
export type InjectionState = MigrationStatus | 'precopy' | 'postcopy'

export type Injection =
  | {
      readonly what: LinkShare
      /** Of messages, 0 to 1. */
      readonly share: number
    }
  | {
      readonly what: Incident
      readonly state: InjectionState
      /** After the state was first entered. */
      readonly afterNs: number
      /** null: for good. */
      readonly durationNs: number | null
      /** Of latency: ns each way on top; of rate: bits a second. Absent for the others. */
      readonly value?: number
    }

/** As it is written behind --inject. */
export function spellInjection(injection: Injection): string {
  if ('share' in injection) return `${injection.what}=${Number((injection.share * 100).toPrecision(15))}%`
  const { what, state, afterNs, durationNs, value } = injection
  const duration = durationNs === null ? '' : `:${spellTime(durationNs)}`
  const behind = value === undefined ? '' : `=${what === 'rate' ? spellRate(value) : spellTime(value)}`
  return `${what}@${state}+${spellTime(afterNs)}${duration}${behind}`
}
