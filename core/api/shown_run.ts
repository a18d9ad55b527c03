/**
 * The run on the screen, simulated or real: what a screen must know of it, how far it has come, and what it reported.
 *
 * A simulated one is asked itself. Of a real one there are the events that have come, and its report when it is over. What a real
 * kernel has not (a round trip, a rate that nobody set) is null; what the model had said of it is a run of its own beside it.
 */
import type { KernelReport } from '../run/kernel_report.ts'
import type { MigrationRun } from '../run/migration_run.ts'
import type { RunReport } from '../run/report.ts'
import type { KernelRun, RunOutcome } from '../shell/shell_state.ts'
import type { MigrationStatus } from '../trace/event.ts'
import { chartSeries } from './chart_series.ts'
import { MilestoneCollector } from './milestones.ts'
import type { Prediction, RunInfo, RunStatus } from './protocol.ts'

const PAGE_BYTES = 4096

export interface ShownRun {
  readonly pages: number
  info(): Omit<RunInfo, 'lanes'>
  status(): Omit<RunStatus, 'rows' | 'endNs'>
  /** Of a simulated run that is over. */
  report(): RunReport | null
}

export class SimulatedRun implements ShownRun {
  outcome: RunOutcome = 'running'
  #report: RunReport | null = null

  constructor(
    readonly run: MigrationRun,
    readonly command: string,
  ) {}

  get pages(): number {
    return this.run.pages
  }

  info(): Omit<RunInfo, 'lanes'> {
    const { options, pages, channels } = this.run
    return {
      machine: 'simulated',
      command: this.command,
      seed: options.seed,
      pages,
      vcpus: options.vcpus,
      bandwidthBitsPerSec: options.bandwidthBitsPerSec,
      rttNs: options.rttNs,
      urgentChannel: channels.urgent !== null,
      multifdChannels: channels.multifd.length,
    }
  }

  status(): Omit<RunStatus, 'rows' | 'endNs'> {
    const { state } = this.run
    const orNone = (ns: number) => (ns > 0 ? ns : -1)
    return {
      ...standing(this.outcome, state.status),
      startedNs: orNone(state.startNs),
      switchedNs: orNone(state.downtimeEndNs),
      completedNs: state.status === 'completed' ? state.endNs : -1,
      error: state.error,
    }
  }

  report(): RunReport | null {
    if (!this.run.finished) return null
    this.#report ??= this.run.report()
    return this.#report
  }
}

export class RealRun implements ShownRun {
  outcome: RunOutcome = 'running'
  /** Of one that came to its end. */
  kernelReport: KernelReport | null = null
  readonly pages: number

  constructor(
    readonly run: KernelRun,
    readonly milestones: MilestoneCollector,
  ) {
    this.pages = run.asked.options.memBytes / PAGE_BYTES
  }

  info(): Omit<RunInfo, 'lanes'> {
    const { command, asked } = this.run
    const { options, isPaced } = asked
    return {
      machine: 'kernel',
      command,
      seed: options.seed,
      pages: this.pages,
      vcpus: options.vcpus,
      bandwidthBitsPerSec: isPaced ? options.bandwidthBitsPerSec : null,
      rttNs: null,
      urgentChannel: options.capabilities['postcopy-preempt'],
      multifdChannels: 0,
    }
  }

  status(): Omit<RunStatus, 'rows' | 'endNs'> {
    const migration = this.kernelReport?.migration ?? null
    const { states, running } = this.milestones.read()
    const status = migration?.status ?? states.at(-1)?.status ?? 'none'
    return {
      ...standing(this.outcome, status),
      startedNs: states.find((state) => state.status === 'setup')?.timeNs ?? -1,
      switchedNs: running.find(({ machine }) => machine === 'destination')?.fromNs ?? -1,
      completedNs: states.find((state) => state.status === 'completed')?.timeNs ?? -1,
      error: migration?.['error-desc'] ?? '',
    }
  }

  report(): null {
    return null
  }

  /** What the model had said, in so many bins of its own time. */
  prediction(bins: number): Prediction | null {
    const { predicted } = this.run
    if (predicted === null) return null
    const { recorder } = predicted
    const milestones = new MilestoneCollector(recorder).read()
    const at = (status: MigrationStatus) => milestones.states.find((state) => state.status === status)?.timeNs ?? -1
    return {
      startedNs: at('setup'),
      completedNs: at('completed'),
      milestones,
      series: chartSeries(recorder, recorder.endNs / bins),
    }
  }
}

/** `status`: of the migration. */
function standing(outcome: RunOutcome, status: MigrationStatus): Pick<RunStatus, 'state' | 'migration'> {
  const isOver = outcome === 'done' || outcome === 'time-limit'
  const hasFailed = outcome === 'failed' || (status === 'failed' && outcome !== 'interrupted')
  return { state: hasFailed ? 'failed' : isOver ? 'done' : outcome, migration: status }
}
