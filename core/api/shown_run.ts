/**
 * The run on the screen, simulated or real: what a screen must know of it, how far it has come, and what it reported.
 *
 * A simulated one is asked while it goes on. A real one is over when the screen hears of it: its times are those of its events, its end
 * is that of its report. What a real kernel has not (a round trip, a rate that nobody set) is null.
 */
import type { KernelMigrateOptions } from '../run/kernel_report.ts'
import type { MigrationRun } from '../run/migration_run.ts'
import type { RunReport } from '../run/report.ts'
import type { KernelRunNews, RunOutcome } from '../shell/shell_state.ts'
import type { MilestoneCollector } from './milestones.ts'
import type { RunInfo, RunStatus } from './protocol.ts'

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
      predictedNs: null,
    }
  }

  status(): Omit<RunStatus, 'rows' | 'endNs'> {
    const { state } = this.run
    const { outcome } = this
    const orNone = (ns: number) => (ns > 0 ? ns : -1)
    const failed = outcome === 'failed' || state.status === 'failed'
    const over = outcome === 'done' || outcome === 'time-limit'
    return {
      state: failed ? 'failed' : outcome === 'interrupted' ? 'interrupted' : over ? 'done' : 'running',
      migration: state.status,
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
  readonly pages: number

  constructor(
    readonly news: KernelRunNews,
    readonly asked: KernelMigrateOptions,
    readonly milestones: MilestoneCollector,
  ) {
    this.pages = news.report.guest.pages
  }

  info(): Omit<RunInfo, 'lanes'> {
    const { options, isPaced } = this.asked
    const { command, report } = this.news
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
      predictedNs: report.predicted?.migration.status === 'completed' ? report.predicted.migration['total-time'] * 1e6 : null,
    }
  }

  status(): Omit<RunStatus, 'rows' | 'endNs'> {
    const { migration } = this.news.report
    const { states, running } = this.milestones.read()
    const at = (timeNs: number | undefined) => timeNs ?? -1
    return {
      state: migration.status === 'failed' ? 'failed' : 'done',
      migration: migration.status,
      startedNs: at(states.find(({ status }) => status === 'setup')?.timeNs),
      switchedNs: at(running.find(({ machine }) => machine === 'destination')?.fromNs),
      completedNs: at(states.find(({ status }) => status === 'completed')?.timeNs),
      error: migration['error-desc'] ?? '',
    }
  }

  report(): null {
    return null
  }
}
