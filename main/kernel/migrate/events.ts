/**
 * The events of a migration, gathered: what each thread wrote on the board, the states, the sleeps of the vCPUs, what was injected, and
 * the verdict; by time.
 *
 * Where a thread's room was full, nothing after that moment is told of any thread: half of a picture would be a wrong one.
 * Pairs with event_log.ts, which writes, and core/run/kernel_events.ts, which says what crosses.
 */
import { faultOf } from '../../../core/guest/own_words.ts'
import type { KernelEvents } from '../../../core/run/kernel_events.ts'
import {
  EventKind,
  INCIDENT_NAME,
  type IncidentName,
  type Lane,
  MIGRATION_STATUS,
  VIOLATION_CAUSE,
} from '../../../core/trace/event.ts'
import { EVENT_THREADS, type EventThread } from './board.ts'
import type { Facts } from './coordinator.ts'
import type { EventLog, LoggedEvent } from './event_log.ts'

export interface TimedIncident {
  readonly what: IncidentName
  readonly atNs: number
  readonly isOver: boolean
}

type LanedEvent = LoggedEvent & { readonly lane: number }

const MACHINE_OF: Readonly<Record<EventThread, Lane['machine']>> = {
  migration: 'source',
  'return path': 'source',
  listen: 'destination',
  preempt: 'destination',
  fault: 'destination',
}
const MIGRATION = EVENT_THREADS.indexOf('migration')
/** Index into CHECK_NAME. */
const PAGES_COMPARED = 0
const LONGEST_ARG = 2 ** 31 - 1

export function eventsOf(facts: Facts): KernelEvents {
  const { board, phaseNs } = facts
  const lanes: Lane[] = EVENT_THREADS.map((name) => ({ name, machine: MACHINE_OF[name] }))
  const logs: EventLog[] = EVENT_THREADS.map((thread) => board.eventsOf(thread))
  for (const machine of ['source', 'destination'] as const) {
    for (let vcpu = 0; vcpu < board.shape.vcpus; vcpu++) {
      lanes.push({ name: `vCPU ${vcpu}`, machine })
      logs.push(board.eventsOfVcpu(machine, vcpu))
    }
  }
  const missedNs = Math.min(...logs.map((log) => log.missedNs))
  const all = [
    ...logs.flatMap((log, lane) => log.read().map((event) => ({ ...event, lane }))),
    ...statesOf(facts),
    ...sleepsOf(facts),
    ...incidentsOf(facts),
    ...verdictOf(facts),
  ]
  const events = all.filter(({ atNs }) => atNs < missedNs).sort((a, b) => a.atNs - b.atNs)
  return {
    lanes,
    timeNs: events.map(({ atNs }) => Math.max(0, atNs - phaseNs.boot)),
    kind: events.map(({ kind }) => kind),
    lane: events.map(({ lane }) => lane),
    page: events.map(({ page }) => page),
    count: events.map(({ count }) => count),
    arg: events.map(({ arg }) => arg),
    missedFromNs: Number.isFinite(missedNs) ? missedNs - phaseNs.boot : null,
  }
}

const one = (atNs: number, kind: LoggedEvent['kind'], lane: number, page: number, arg: number): LanedEvent => ({
  atNs,
  kind,
  lane,
  page,
  count: 1,
  arg,
})

function statesOf({ board }: Facts): LanedEvent[] {
  return Array.from({ length: board.statesEntered }, (_, n) => {
    const { status, atNs } = board.stateEntered(n)
    return one(atNs, EventKind.State, MIGRATION, -1, MIGRATION_STATUS.indexOf(status))
  })
}

function sleepsOf({ board }: Facts): LanedEvent[] {
  const { pages, vcpus } = board.shape
  const events: LanedEvent[] = []
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    const lane = EVENT_THREADS.length + vcpus + vcpu
    for (let n = 0; n < board.ofVcpu(vcpu, 'sleeps'); n++) {
      const at = vcpu * pages + n
      const [fromNs = 0, toNs = 0] = board.sleeps.subarray(2 * at, 2 * at + 2)
      const page = board.sleptOn[at] ?? -1
      events.push(one(fromNs, EventKind.Fault, lane, page, 0))
      events.push(one(toNs, EventKind.Wake, lane, page, Math.min(LONGEST_ARG, Math.round(toNs - fromNs))))
    }
  }
  return events
}

function incidentsOf({ happened }: Facts): LanedEvent[] {
  return happened.map(({ what, atNs, isOver }) => {
    const index = INCIDENT_NAME.indexOf(what)
    return one(atNs, EventKind.Incident, MIGRATION, -1, isOver ? ~index : index)
  })
}

/** A load that found something wrong, or the comparison at the end. */
function verdictOf({ board, comparison, phaseNs }: Facts): LanedEvent[] {
  const events: LanedEvent[] = []
  const load = board.firstWrong
  const indexOf = (cause: string) => Math.max(0, (VIOLATION_CAUSE as readonly string[]).indexOf(cause))
  if (load !== null) {
    const lane = EVENT_THREADS.length + board.shape.vcpus + load.vcpu
    const cause = faultOf(load.found, load.page, load.word, load.owner, load.expected)
    events.push(one(load.atNs, EventKind.Violation, lane, load.page, indexOf(cause)))
  }
  if (comparison === null) return events
  const { first } = comparison
  if (first === null) events.push(one(phaseNs.end, EventKind.CheckPassed, MIGRATION, -1, PAGES_COMPARED))
  else events.push(one(phaseNs.end, EventKind.Violation, MIGRATION, first.page, indexOf(first.cause)))
  return events
}
