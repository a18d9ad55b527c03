/**
 * Which settings suit a guest: candidates, what became of each, and the choice among them with its reasons.
 *
 * Each candidate is a whole run of the simulator, made by whoever asks (core/shell/commands/advise.ts); nothing here guesses.
 * The choice, of those that completed, were consistent and kept the deadline:
 *  1. By the first priority, the best, and with it all that are nearly as good: within 5 % or 5 ms.
 *  2. Of those by the next priority, and so on; last by those that nobody asked for.
 *  3. What is still equal goes to the one that stands first in the list, which has the plainer settings.
 * 5 % and 5 ms are ours: less than that is within what another seed changes.
 */
import { formatTime } from '../base/units.ts'
import { payloadBytesPerNs } from '../hw/wire.ts'
import type { CapabilityName } from '../migration/capabilities.ts'
import type { MigrationParameters } from '../migration/migration_parameters.ts'
import type { MigrateOptions, Mode } from './options.ts'
import type { RunReport } from './report.ts'
import { settleCapabilities } from './settings.ts'

export const PRIORITIES = ['downtime', 'total-time', 'slowdown'] as const
export type Priority = (typeof PRIORITIES)[number]
export const DEFAULT_PRIORITIES: readonly Priority[] = ['downtime', 'total-time']

export interface Candidate {
  readonly name: string
  readonly options: MigrateOptions
}

interface Setting {
  readonly name: string
  readonly mode: Mode
  readonly capabilities?: readonly CapabilityName[]
  readonly parameters?: Partial<MigrationParameters>
  readonly prepaging?: string
  /** One of each kind: what a quick search looks at. */
  readonly isQuick?: true
  /** Bits a second, of the fastest link that it is worth a try on. */
  readonly fastestLink?: number
}

/** Plain ones first. */
const SETTINGS: readonly Setting[] = [
  { name: 'pre-copy', mode: 'precopy', isQuick: true },
  { name: 'pre-copy with auto-converge', mode: 'precopy', capabilities: ['auto-converge'], isQuick: true },
  { name: 'pre-copy with multifd', mode: 'precopy', capabilities: ['multifd'], parameters: { 'multifd-channels': 4 } },
  { name: 'pre-copy with xbzrle', mode: 'precopy', capabilities: ['xbzrle'] },
  {
    name: 'pre-copy with zstd',
    mode: 'precopy',
    capabilities: ['multifd'],
    parameters: { 'multifd-channels': 4, 'multifd-compression': 'zstd' },
    // A faster link carries a page sooner than a CPU compresses it.
    fastestLink: 1e9,
  },
  { name: 'hybrid with preempt', mode: 'hybrid', capabilities: ['postcopy-preempt'], isQuick: true },
  { name: 'post-copy', mode: 'postcopy' },
  { name: 'post-copy with preempt', mode: 'postcopy', capabilities: ['postcopy-preempt'], isQuick: true },
  { name: 'post-copy with multi-pivot', mode: 'postcopy', prepaging: 'multi-pivot' },
]

const LEAST_LIMIT_NS = 10e9
const LIMIT_IN_PASSES = 10

/** Simulated time after which a candidate is given up: ten passes over RAM, and ten seconds at least. */
export function usualLimitNs({ memBytes, bandwidthBitsPerSec }: MigrateOptions): number {
  return Math.max(LEAST_LIMIT_NS, Math.ceil((LIMIT_IN_PASSES * memBytes) / payloadBytesPerNs(bandwidthBitsPerSec)))
}

/** `base` says guest, machines and link; it has a time limit, or a pre-copy might never end. */
export function candidatesOf(base: MigrateOptions, isQuick: boolean): Candidate[] {
  return SETTINGS.filter(
    (s) => (!isQuick || s.isQuick) && base.bandwidthBitsPerSec <= (s.fastestLink ?? Number.POSITIVE_INFINITY),
  ).map(({ name, mode, capabilities: names = [], parameters: own = {}, prepaging = base.prepaging }) => {
    const parameters = { ...base.parameters, ...own }
    const capabilities = Object.fromEntries(names.map((n) => [n, true]))
    const settled = settleCapabilities({ mode, capabilities, parameters, dirtyTracking: null })
    if (!settled.ok) throw new Error(`${name}: ${settled.message}`)
    const { dirtyTracking } = settled
    return { name, options: { ...base, mode, capabilities: settled.capabilities, parameters, prepaging, dirtyTracking } }
  })
}

/** never: out of time, and it would not have ended; unfinished: out of time. */
export type OutcomeStatus = 'completed' | 'never' | 'unfinished' | 'failed' | 'inconsistent'

/** What became of a candidate. Times in ms, as in reports; those of one that did not complete are of no use. */
export interface Outcome {
  readonly name: string
  readonly status: OutcomeStatus
  readonly 'total-time': number
  readonly downtime: number
  readonly slowdown: number
  readonly blocktime: number
  /** Where it did not complete: what goes behind its name in a sentence. */
  readonly why: string
}

export function outcomeOf(
  { name, options }: Candidate,
  { migration, guest, consistency }: RunReport,
  timedOut: boolean,
): Outcome {
  const { forecast, 'error-desc': error } = migration
  const numbers = {
    name,
    'total-time': migration['total-time'],
    downtime: migration.downtime,
    slowdown: guest.slowdown,
    blocktime: migration['postcopy-blocktime'],
  }
  if (consistency.verdict === 'inconsistent')
    return {
      ...numbers,
      status: 'inconsistent',
      why: `broke a check: ${consistency.firstViolation?.message ?? 'see its report'}`,
    }
  if (timedOut) {
    const late = `was not done at ${formatTime(options.timeLimitNs)}`
    if (forecast === undefined) return { ...numbers, status: 'unfinished', why: late }
    if (!forecast.includes('never')) return { ...numbers, status: 'unfinished', why: `${late}, and ${forecast}` }
    return { ...numbers, status: 'never', why: forecast }
  }
  if (migration.status === 'completed') return { ...numbers, status: 'completed', why: '' }
  const why = `ended with status ${migration.status}${error === undefined ? '' : `: ${error}`}`
  return { ...numbers, status: 'failed', why }
}

export interface Advice {
  readonly winner: Outcome | null
  readonly runnerUp: Outcome | null
  /** Sentences without their full stop; where there is no winner, the only one says so. */
  readonly reasons: readonly string[]
}

/** The choice. `deadlineNs`: total-time at most, or Infinity. */
export function choose(outcomes: readonly Outcome[], asked: readonly Priority[], deadlineNs: number): Advice {
  if (outcomes.length === 0) return { winner: null, runnerUp: null, reasons: [] }
  const priorities = [...asked, ...PRIORITIES.filter((p) => !asked.includes(p))]
  const completed = outcomes.filter((o) => o.status === 'completed')
  const inTime = completed.filter((o) => o['total-time'] * 1e6 <= deadlineNs)
  const { best, lost } = contest(inTime, priorities)
  if (best === null) return { winner: null, runnerUp: null, reasons: [nobody(outcomes, completed, deadlineNs)] }
  const { best: runnerUp } = contest(
    inTime.filter((o) => o !== best),
    priorities,
  )
  const price = PRIORITIES.filter((p) => !asked.includes(p)).map((p) => `${p} ${figure(best, p)}`)
  price.push(`blocktime ${figure(best, 'blocktime')}`)
  const reasons = [praise(best, runnerUp, priorities, lost), `the price of ${best.name}: ${price.join(', ')}`]
  for (const one of outcomes) {
    if (one === best || one === runnerUp) continue
    const by = lost.get(one)
    if (one.status !== 'completed') reasons.push(`${one.name} ${one.why}`)
    else if (one['total-time'] * 1e6 > deadlineNs)
      reasons.push(`${one.name} takes ${figure(one, 'total-time')}, more than the deadline of ${formatTime(deadlineNs)}`)
    else if (by === undefined) reasons.push(`${one.name} gains nothing over ${best.name}`)
    else reasons.push(`${one.name} has ${by} ${figure(one, by)}, ${best.name} ${figure(best, by)}`)
  }
  return { winner: best, runnerUp, reasons }
}

/** The best, and by which priority each of the others fell behind; those equal in all are not in the map. */
function contest(outcomes: readonly Outcome[], priorities: readonly Priority[]) {
  const lost = new Map<Outcome, Priority>()
  let left = outcomes
  // 1. and 2.
  for (const priority of priorities) {
    const least = Math.min(...left.map((o) => o[priority]))
    const most = Math.max(least * 1.05, priority === 'slowdown' ? 0 : least + 5)
    for (const one of left) if (one[priority] > most) lost.set(one, priority)
    left = left.filter((o) => !lost.has(o))
  }
  // 3.
  return { best: left[0] ?? null, lost }
}

function praise(
  best: Outcome,
  second: Outcome | null,
  priorities: readonly Priority[],
  lost: ReadonlyMap<Outcome, Priority>,
): string {
  const all = priorities.map((p) => `${p} ${figure(best, p)}`).join(', ')
  if (second === null) return `${best.name} is the only one that will do: ${all}`
  const by = lost.get(second)
  if (by === undefined) return `${best.name} has ${all}; ${second.name} is as good, and not as plain`
  const ties = priorities
    .slice(0, priorities.indexOf(by))
    .map((p) => `${p} ${figure(best, p)} and ${figure(second, p)} count as equal`)
  const decides = `${by} ${figure(best, by)}; ${second.name} ${figure(second, by)}`
  return ties.length === 0
    ? `${best.name} has ${decides}`
    : `${best.name} and ${second.name}: ${ties.join(', ')}; ${best.name} has ${decides}`
}

function nobody(outcomes: readonly Outcome[], completed: readonly Outcome[], deadlineNs: number): string {
  if (completed.length === 0) {
    return `none of ${outcomes.length} candidates completed; ${outcomes[0].name} ${outcomes[0].why}`
  }
  const nearest = completed.reduce((a, b) => (b['total-time'] < a['total-time'] ? b : a))
  return `nothing is done within ${formatTime(deadlineNs)}; the nearest is ${nearest.name}, which takes ${figure(nearest, 'total-time')}`
}

/** Of one outcome, for people. */
export function figure(outcome: Outcome, what: Priority | 'blocktime'): string {
  return what === 'slowdown' ? `${outcome.slowdown.toFixed(2)} times` : formatTime(outcome[what] * 1e6)
}
