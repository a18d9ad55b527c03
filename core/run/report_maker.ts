/**
 * Makes the report of a run (report.ts) out of its machines, its migration and its checks.
 *
 * Every number comes out of the simulation. The two hashes: traceHash over every event of the run, stateHash over both
 * machines at the end (each guest page's PTE flags and content, on both sides).
 */
import { Hash64 } from '../base/hash.ts'
import { LackeyWorkload } from '../guest/lackey.ts'
import type { GuestPhase } from '../guest/workload.ts'
import { pteFlags, ptePfn } from '../hw/pte.ts'
import type { Machine } from '../machine/machine.ts'
import type { Process } from '../machine/process.ts'
import type { Xbzrle } from '../migration/xbzrle_save.ts'
import type { MigrationStatus } from '../trace/event.ts'
import { blocktimeReport } from './blocktime_report.ts'
import { forecastText } from './forecast.ts'
import type { HappenedIncident } from './incidents.ts'
import type { MigrationRun } from './migration_run.ts'
import { optionsAsUsed } from './options_used.ts'
import { forecastOf } from './progress.ts'
import type {
  ConsistencyReport,
  FaultsReport,
  GuestReport,
  MigrationReport,
  MmuReport,
  RunReport,
  XbzrleReport,
} from './report.ts'
import { VERSION } from './version.ts'

export function makeReport(run: MigrationRun): RunReport {
  return {
    schema: 'pageferry.report/1',
    version: VERSION,
    seed: run.options.seed,
    options: optionsAsUsed(run.options),
    traceHash: run.recorder.hash(),
    stateHash: stateHash(run),
    migration: migrationReport(run),
    consistency: consistencyReport(run),
    mmu: mmuReport(run),
    faults: faultsReport(run),
    prepaging: run.firstTouches.report(),
    guest: guestReport(run),
  }
}

const ms = (ns: number) => ns / 1e6

/** @qemu migrate_show_downtime, the other way round */
const EXPECTS_DOWNTIME: readonly MigrationStatus[] = ['active', 'pre-switchover', 'device', 'cancelling']

function migrationReport(run: MigrationRun): MigrationReport {
  const { state, blocktime, channels } = run
  const total = Math.max(0, (state.endNs || run.progress().nowNs) - state.startNs)
  const pages = state.normal + state.duplicate
  const limit = run.throttling?.limit
  const forecast = run.timedOut ? forecastOf(run) : null
  return {
    status: state.status,
    ...whatHappened(run),
    'total-time': state.startNs === 0 ? 0 : ms(total),
    'setup-time': ms(state.setupNs),
    downtime: ms(Math.max(0, state.downtimeEndNs - state.downtimeStartNs)),
    ...(run.rates !== null && EXPECTS_DOWNTIME.includes(state.status)
      ? { 'expected-downtime': ms(run.rates.expectedDowntimeNs) }
      : {}),
    ram: {
      transferred: channels.bytesSent,
      remaining: state.remaining * 4096,
      total: run.options.memBytes,
      duplicate: state.duplicate,
      normal: state.normal,
      'normal-bytes': state.normal * 4096,
      'dirty-pages-rate': Math.round(state.dirtyPagesRate),
      mbps: total === 0 ? 0 : (channels.bytesSent * 8000) / total,
      'dirty-sync-count': state.dirtySyncCount,
      'postcopy-requests': state.requests,
      'page-size': run.options.pageSizeBytes,
      'pages-per-second': total === 0 ? 0 : Math.round((pages * 1e9) / total),
      'multifd-bytes': channels.multifdBytesSent,
      'precopy-bytes': state.precopyBytes,
      'downtime-bytes': state.downtimeBytes,
      'postcopy-bytes': state.postcopyBytes,
    },
    ...(channels.xbzrle === null ? {} : { 'xbzrle-cache': xbzrleReport(channels.xbzrle) }),
    ...(run.throttle.percentage === 0 ? {} : { 'cpu-throttle-percentage': run.throttle.percentage }),
    ...(limit?.inService === true
      ? { 'dirty-limit-throttle-time-per-round': limit.throttleTimePerRound, 'dirty-limit-ring-full-time': limit.ringFullTime }
      : {}),
    ...snapshotReport(run),
    ...blocktimeReport(blocktime, run.options),
    ...(forecast === null ? {} : { forecast: forecastText(forecast) }),
  }
}

function xbzrleReport(xbzrle: Xbzrle): XbzrleReport {
  return {
    'cache-size': xbzrle.cacheBytes,
    bytes: xbzrle.bytes,
    pages: xbzrle.pages,
    'cache-miss': xbzrle.cacheMiss,
    'cache-miss-rate': xbzrle.cacheMissRate,
    'encoding-rate': xbzrle.encodingRate,
    overflow: xbzrle.overflow,
  }
}

function whatHappened({ incidents, aftermath, state, vm }: MigrationRun): Partial<MigrationReport> {
  const { packets, happened } = incidents
  const error = aftermath?.sentence ?? state.error
  const told = ({ what, atNs, refused }: HappenedIncident) => ({ what, at: ms(atNs), ...(refused === '' ? {} : { refused }) })
  return {
    ...(error === '' ? {} : { 'error-desc': error }),
    ...(packets === null ? {} : { packets }),
    ...(happened.length === 0 ? {} : { incidents: happened.map(told) }),
    ...(incidents.poisoned.size === 0
      ? {}
      : { poisoned: { pages: incidents.poisoned.size, 'machine-checks': vm.vcpus.filter((v) => v.machineChecked).length } }),
  }
}

function snapshotReport({ outgoing, writeFaults }: MigrationRun): Pick<MigrationReport, 'background-snapshot'> {
  const snapshot = outgoing?.snapshot ?? null
  if (snapshot === null) return {}
  const latency = Math.round(writeFaults.meanNs)
  const max = Math.round(writeFaults.quantiles(1)[0])
  const faults = snapshot.tracking.faults
  return { 'background-snapshot': { 'write-faults': faults, 'write-fault-latency': latency, 'write-fault-latency-max': max } }
}

function consistencyReport(run: MigrationRun): ConsistencyReport {
  const { check } = run
  return {
    verdict: check.verdict,
    loadsChecked: run.vm.vcpus.reduce((n, v) => n + v.loadsChecked, 0),
    mismatches: check.mismatches,
    pagesCompared: check.pagesCompared,
    ...check.counts,
    lost: check.counts.lost + (run.aftermath?.lost ?? 0),
    missing: run.aftermath?.missing ?? 0,
    firstViolation: check.first,
  }
}

function mmuReport(run: MigrationRun): MmuReport {
  const sum: MmuReport = { accesses: 0, l1Hits: 0, l2Hits: 0, walks: 0, walkRefs: 0, nestedRefs: 0, shootdowns: 0, ipis: 0 }
  for (const { kernel } of machines(run)) {
    for (const { mmu } of kernel.cpus) {
      const c = mmu.counters
      sum.accesses += c.l1Hits + c.l2Hits + c.walks
      sum.l1Hits += c.l1Hits
      sum.l2Hits += c.l2Hits
      sum.walks += c.walks
      sum.walkRefs += c.walkRefs
      sum.nestedRefs += c.nestedRefs
    }
    sum.shootdowns += kernel.shootdowns
    sum.ipis += kernel.ipis
  }
  return sum
}

function faultsReport(run: MigrationRun): FaultsReport {
  const sum: FaultsReport = {
    total: 0,
    minor: 0,
    major: 0,
    userfault: 0,
    speculative: 0,
    speculativeAborted: {},
    vmaLock: 0,
    classic: 0,
  }
  for (const { kernel } of machines(run)) {
    const { faults } = kernel
    sum.total += faults.total
    sum.minor += faults.minor
    sum.major += faults.major
    sum.userfault += faults.userfault
    sum.speculative += faults.speculative
    sum.vmaLock += faults.vmaLock
    sum.classic += faults.classic
    for (const [reason, count] of Object.entries(faults.aborted)) {
      sum.speculativeAborted[reason] = (sum.speculativeAborted[reason] ?? 0) + count
    }
  }
  return sum
}

function machines(run: MigrationRun): readonly Machine[] {
  return [run.source, run.destination]
}

function guestReport(run: MigrationRun): GuestReport {
  const ops = (phase: GuestPhase) => run.vm.vcpus.reduce((n, v) => n + v.ops(phase), 0)
  const traces = run.vm.vcpus.flatMap(({ workload }) => (workload instanceof LackeyWorkload ? [workload] : []))
  const written = run.shadow.written
  const { phaseNs } = run
  const beforeRate = ops('before') / Math.max(1, phaseNs.during - phaseNs.before)
  const duringNs = Math.max(1, (phaseNs.after || phaseNs.end || run.progress().nowNs) - phaseNs.during)
  const duringRate = Math.max(1, ops('during')) / duringNs
  return {
    name: run.options.guest,
    pages: run.pages,
    touchedPages: traces.length > 0 ? traces.reduce((n, trace) => n + trace.pagesSeen, 0) : written,
    opsBefore: ops('before'),
    opsDuring: ops('during'),
    opsAfter: ops('after'),
    slowdown: phaseNs.during === 0 ? 1 : beforeRate / duringRate,
  }
}

function stateHash(run: MigrationRun): string {
  const hash = new Hash64()
  for (const process of [run.sourceProcess, run.destinationProcess]) hashPages(hash, process, run.ramPage, run.pages)
  return hash.digest()
}

function hashPages(hash: Hash64, process: Process, ramPage: number, pages: number): void {
  const { phys } = process.machine.kernel
  for (let page = 0; page < pages; page++) {
    const pte = process.mm.table.lookup(ramPage + page)
    hash.int(pteFlags(pte))
    if (pte === 0) continue
    const pfn = ptePfn(pte)
    hash.int(phys.words[pfn * 2])
    hash.int(phys.words[pfn * 2 + 1])
    hash.int(phys.version[pfn])
  }
}
