/**
 * The account of a migration: the report, out of what stands on the board and what the machines said at the end.
 *
 * Every figure was measured or counted. Where a machine is gone, the board still has what it did; what only it could have told is missing.
 */
import { release } from 'node:os'
import { Prng } from '../../../core/base/prng.ts'
import { makeWorkloads, parseGuest } from '../../../core/guest/catalog.ts'
import { faultOf } from '../../../core/guest/own_words.ts'
import { Blocktime } from '../../../core/migration/blocktime.ts'
import { blocktimeReport } from '../../../core/run/blocktime_report.ts'
import type { KernelConsistency, KernelFaults, KernelReport } from '../../../core/run/kernel_report.ts'
import { kernelOptionsAsUsed } from '../../../core/run/options_used.ts'
import type { GuestReport, HostReport, MigrationReport, Violation } from '../../../core/run/report.ts'
import { VERSION } from '../../../core/run/version.ts'
import { lostPages, sentenceOf, statusOf } from './aftermath.ts'
import type { Board, VcpuFigure } from './board.ts'
import { nowNs } from './clock.ts'
import { writtenPages } from './compare.ts'
import type { Facts } from './coordinator.ts'

/** What the model has, and a migration between two processes has not. */
const ABSENT = [
  'device state (256 KiB and 16 KiB a vCPU in the model, and the time to save and load it): there are no devices',
  'round trip of a network: both ends are on this host',
  'guest page tables: vCPUs are threads, their accesses are loads and stores of the process',
]

const ms = (ns: number) => ns / 1e6

export function account(facts: Facts): KernelReport {
  const { board, run, usage } = facts
  const { options } = run
  const migration = migrationOf(facts)
  const calls = board.get('placeCalls') + board.get('urgentPlaceCalls')
  const placed = board.get('placed') + board.get('urgentPlaced')
  const accesses = board.sum('before') + board.sum('during') + board.sum('after')
  const cpu = (side: 'source' | 'destination') => (usage[side]?.userSeconds ?? 0) + (usage[side]?.systemSeconds ?? 0)
  return {
    schema: 'pageferry.report/1',
    version: VERSION,
    machine: 'kernel',
    seed: options.seed,
    options: kernelOptionsAsUsed(run),
    traceHash: null,
    stateHash: null,
    migration,
    consistency: consistencyOf(facts),
    mmu: null,
    faults: faultsOf(facts),
    prepaging: null,
    guest: guestOf(facts),
    kernel: {
      release: release(),
      outcome: facts.outcome.how,
      pagesAPlacingCall: calls === 0 ? 0 : placed / calls,
      placingCalls: calls,
      alreadyThere: board.get('alreadyThere'),
      recoveries: board.get('recoveries'),
      cpuSeconds: { source: cpu('source'), destination: cpu('destination') },
      accessNs: accesses === 0 ? null : board.sum('threadNs') / accesses,
      absent: ABSENT,
    },
    host: hostOf(facts, migration),
    predicted: null,
  }
}

function migrationOf(facts: Facts): MigrationReport {
  const { board, run, incidents, phaseNs } = facts
  const startNs = board.get('startNs')
  const endNs = board.get('endNs') || phaseNs.after
  const totalNs = startNs === 0 ? 0 : Math.max(0, endNs - startNs)
  const transferred = board.get('sentBytes') + board.get('urgentBytes')
  const normal = board.get('normal') + board.get('urgentNormal')
  const duplicate = board.get('duplicate') + board.get('urgentDuplicate')
  const error = sentenceOf(facts)
  return {
    status: statusOf(facts),
    ...(error === '' ? {} : { 'error-desc': error }),
    ...(incidents.length === 0 ? {} : { incidents: [...incidents] }),
    'total-time': ms(totalNs),
    'setup-time': ms(board.get('setupNs')),
    downtime: ms(Math.max(0, board.get('downtimeEndNs') - board.get('downtimeStartNs'))),
    ram: {
      transferred,
      remaining: board.get('remaining') * 4096,
      total: run.options.memBytes,
      duplicate,
      normal,
      'normal-bytes': normal * 4096,
      'dirty-pages-rate': Math.round(board.get('dirtyPagesRate')),
      mbps: totalNs === 0 ? 0 : (transferred * 8000) / totalNs,
      'dirty-sync-count': board.get('dirtySyncCount'),
      'postcopy-requests': board.get('requests'),
      'page-size': 4096,
      'pages-per-second': totalNs === 0 ? 0 : Math.round(((normal + duplicate) * 1e9) / totalNs),
      'multifd-bytes': 0,
      'precopy-bytes': board.get('precopyBytes'),
      'downtime-bytes': board.get('downtimeBytes'),
      'postcopy-bytes': board.get('postcopyBytes') + board.get('urgentBytes'),
    },
    ...blocktimeReport(blocktimeOf(board), run.options),
  }
}

/** The sleeps that the vCPUs wrote down, in the order in which they happened. */
function blocktimeOf(board: Board): Blocktime {
  const { pages, vcpus } = board.shape
  const blocktime = new Blocktime(vcpus)
  const events: { readonly vcpu: number; readonly atNs: number; readonly isEnd: boolean }[] = []
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    for (let n = 0; n < board.ofVcpu(vcpu, 'sleeps'); n++) {
      const at = (vcpu * pages + n) * 2
      events.push({ vcpu, atNs: board.sleeps[at] ?? 0, isEnd: false }, { vcpu, atNs: board.sleeps[at + 1] ?? 0, isEnd: true })
    }
  }
  events.sort((a, b) => a.atNs - b.atNs)
  for (const { vcpu, atNs, isEnd } of events) {
    if (isEnd) blocktime.end(vcpu, atNs)
    else blocktime.begin(vcpu, atNs)
  }
  return blocktime
}

function consistencyOf(facts: Facts): KernelConsistency {
  const { board, comparison } = facts
  const atLoads = { lost: board.sum('lost'), stale: board.sum('stale'), misplaced: board.sum('misplaced') }
  const found = {
    lost: atLoads.lost + (comparison?.lost ?? 0),
    stale: atLoads.stale + (comparison?.stale ?? 0),
    misplaced: atLoads.misplaced + (comparison?.misplaced ?? 0),
    duplicated: comparison?.duplicated ?? 0,
  }
  const mismatches = found.lost + found.stale + found.misplaced + found.duplicated
  const { lost, missing } = lostPages(facts)
  return {
    verdict: mismatches === 0 ? 'consistent' : 'inconsistent',
    loadsChecked: board.sum('loadsChecked'),
    mismatches,
    pagesCompared: comparison?.pagesCompared ?? 0,
    ...found,
    lost: found.lost + lost,
    missing,
    torn: null,
    accounting: 0,
    firstViolation: firstViolation(facts),
  }
}

function firstViolation({ board, comparison, phaseNs }: Facts): Violation | null {
  const load = board.firstWrong
  if (load !== null) {
    const { vcpu, page, word, owner, expected, found, atNs } = load
    const seenBy = `a load of vCPU ${vcpu}`
    return violation(faultOf(found, page, word, owner, expected), page, seenBy, atNs - phaseNs.before, expected, found)
  }
  const first = comparison?.first ?? null
  if (first === null) return null
  const cause = first.cause === 'lost' || first.cause === 'stale' || first.cause === 'duplicated' ? first.cause : 'misplaced'
  return violation(cause, first.page, 'the comparison at the end', phaseNs.end - phaseNs.before, first.expected, first.found)
}

function violation(
  cause: Violation['cause'],
  page: number,
  seenBy: string,
  timeNs: number,
  expectedVersion: number,
  found: number,
): Violation {
  const message =
    `page 0x${page.toString(16)} is ${cause}: expected version ${expectedVersion}, found the word 0x${(found >>> 0).toString(16)}, ` +
    `seen by ${seenBy} at ${(timeNs / 1e6).toFixed(3)} ms`
  return { cause, page, seenBy, timeNs, expectedVersion, foundVersion: -1, message }
}

function faultsOf({ board, usage }: Facts): KernelFaults {
  const sum = (what: 'minorFaults' | 'majorFaults') => (usage.source?.[what] ?? 0) + (usage.destination?.[what] ?? 0)
  const [minor, major] = [sum('minorFaults'), sum('majorFaults')]
  return {
    total: minor + major,
    minor,
    major,
    userfault: board.get('userfaults'),
    speculative: null,
    speculativeAborted: null,
    vmaLock: null,
    classic: null,
  }
}

function guestOf({ board, run, data, phaseNs }: Facts): GuestReport {
  const { options } = run
  const parsed = parseGuest(options.guest)
  const workloads = parsed.ok
    ? makeWorkloads(parsed.guest, board.shape.pages, board.shape.vcpus, new Prng(options.seed).fork('guest'), data.capture)
    : []
  const ops = (phase: VcpuFigure) =>
    workloads.reduce((n, workload, vcpu) => n + Math.floor(board.ofVcpu(vcpu, phase) / (workload?.accessesPerOp ?? 1)), 0)
  const beforeRate = ops('before') / Math.max(1, phaseNs.during - phaseNs.before)
  const duringRate = Math.max(1, ops('during')) / Math.max(1, phaseNs.after - phaseNs.during)
  return {
    name: options.guest,
    pages: board.shape.pages,
    touchedPages: writtenPages(board),
    opsBefore: ops('before'),
    opsDuring: ops('during'),
    opsAfter: ops('after'),
    slowdown: beforeRate / duringRate,
  }
}

function hostOf({ board, usage, startedNs }: Facts, migration: MigrationReport): HostReport {
  const wallSeconds = (nowNs() - startedNs) / 1e9
  const accesses = board.sum('boot') + board.sum('before') + board.sum('during') + board.sum('after')
  return {
    wallSeconds,
    accessesPerSecond: Math.round(accesses / wallSeconds),
    pagesPerSecond: migration.ram['pages-per-second'],
    peakRssBytes: Math.max(usage.source?.peakRssBytes ?? 0, usage.destination?.peakRssBytes ?? 0),
    node: process.version,
  }
}
