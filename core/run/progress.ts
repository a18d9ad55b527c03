/**
 * A cheap look at a run that is still going (report.ts, Progress), for live views and for the host's loop.
 *
 * It is asked for at every slice, and looked at far less often: the latencies are sorted only when somebody reads them.
 * Pairs with report_maker.ts, which makes the account at the end.
 */
import type { Forecast } from './forecast.ts'
import type { MigrationRun } from './migration_run.ts'
import type { Progress } from './report.ts'

export function makeProgress(run: MigrationRun, phase: Progress['phase']): Progress {
  const { state, channels, incoming, blocktime } = run
  const nowNs = run.finished ? run.phaseNs.end : newestNs(run)
  const sinceNs = (state.isOver ? state.endNs : nowNs) - state.startNs
  return {
    phase,
    status: state.status,
    nowNs,
    startedNs: state.startNs,
    pagesTotal: run.pages,
    pagesReceived: incoming?.map.received ?? 0,
    transferredBytes: channels.bytesSent,
    mbps: state.startNs > 0 && sinceNs > 0 ? (channels.bytesSent * 8000) / sinceNs : 0,
    requests: state.requests,
    vcpusBlocked: blocktime.blocked + run.writeFaults.blocked,
    loadsChecked: run.vm.vcpus.reduce((n, v) => n + v.loadsChecked, 0),
    mismatches: run.check.mismatches,
    get latencyP50Ns() {
      return blocktime.quantiles(0.5)[0]
    },
    get latencyP99Ns() {
      return blocktime.quantiles(0.99)[0]
    },
    pagesPopulated: run.pagesPopulated,
    get forecast() {
      return forecastOf(run)
    },
  }
}

/** Of a pre-copy under way, else null. */
export function forecastOf(run: MigrationRun): Forecast | null {
  const { state, rates, forecaster } = run
  if (state.status !== 'active' || rates === null) return null
  return forecaster.forecast({
    remainingBytes: state.remaining * 4096 + rates.underWay(newestNs(run)),
    thresholdBytes: rates.thresholdBytes,
    sendingBytesPerSec: rates.bandwidth,
    dirtiedBytes: dirtiedBytes(run),
    slowings: run.throttling?.slowings ?? [],
  })
}

/** Of pages that were clean and were written, since the migration began. */
export function dirtiedBytes({ sourceProcess }: MigrationRun): number {
  return (sourceProcess.mm.dirtyLog?.marked ?? 0) * 4096
}

/** The clock of the CPU that is furthest. */
export function newestNs(run: MigrationRun): number {
  let ns = 0
  for (const { kernel } of [run.source, run.destination]) for (const cpu of kernel.cpus) ns = Math.max(ns, cpu.nowNs)
  return ns
}
