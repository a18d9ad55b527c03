/**
 * What a shell remembers between two lines: the newest run, which `info migrate` reads, and what was set for the next one.
 *
 * A RunObserver is how a screen or a live view is told of a run or a search while it happens; migrate.ts and explore.ts call it.
 */
import type { SearchProgress } from '../explore/verdict.ts'
import type { Story } from '../litmus/story.ts'
import type { Capabilities } from '../migration/capabilities.ts'
import type { MigrationParameters } from '../migration/migration_parameters.ts'
import type { KernelMigrateOptions, KernelReport } from '../run/kernel_report.ts'
import type { MigrationRun } from '../run/migration_run.ts'
import type { Progress, Report } from '../run/report.ts'
import type { Recorder } from '../trace/recorder.ts'
import type { Background } from './commands/background.ts'

export type RunOutcome = 'running' | 'done' | 'interrupted' | 'time-limit' | 'failed'

export interface NewestRun {
  readonly run: MigrationRun
  readonly recorder: Recorder
  /** The command line that makes this very run. */
  readonly command: string
  outcome: RunOutcome
}

/** What a terminal was told of the migrations to come; the words of a line go before it. */
export interface Settings {
  readonly capabilities: Partial<Capabilities>
  readonly parameters: Partial<MigrationParameters>
  /** The one parameter that has an option of its own; null: not set. */
  readonly downtimeLimitNs: number | null
}

export const NO_SETTINGS: Settings = { capabilities: {}, parameters: {}, downtimeLimitNs: null }

export interface ShellState {
  newest: NewestRun | null
  /** What goes on while the next line is taken. */
  background: Background | null
  settings: Settings
  /** Searches of litmus tests begun so far. */
  searches: number
}

/** How a search of a litmus test stands; the last word has a verdict. */
export interface RaceNews {
  /** Grows with each search of a session. */
  readonly id: number
  readonly litmus: string
  readonly without: readonly string[]
  readonly verdict: 'verified' | 'violation' | 'bounded' | null
  /** What can be said now, in one sentence. */
  readonly sentence: string
  readonly progress: SearchProgress
  /** Of the counterexample, or of the schedule that was replayed. */
  readonly story: Story | null
}

/** A migration on the real kernel, from when its guest begins to boot. */
export interface KernelRun {
  /** The command line that asks for the same. */
  readonly command: string
  readonly asked: KernelMigrateOptions
  /** Grows while it goes on. */
  readonly recorder: Recorder
  /** What the model had said before it began; null: nothing. */
  readonly predicted: PredictedRun | null
}

/** The model's run of the same options on the calibrated host. */
export interface PredictedRun {
  readonly report: Report
  readonly recorder: Recorder
}

/** Told of runs as they happen. Every call is made from inside the run and must be quick. */
export interface RunObserver {
  /** A run was made and is about to start. `quiet`: the user asked to see errors only. */
  onRun?(run: MigrationRun, recorder: Recorder, command: string, quiet: boolean): void
  onProgress?(progress: Progress): void
  /** The run has stopped, for whatever reason; called exactly once for each onRun. */
  onEnd?(outcome: RunOutcome): void
  /** A search began, went on or ended. */
  onRace?(news: RaceNews): void
  /** A migration on the real kernel has begun; told where its events are kept. */
  onKernelRun?(run: KernelRun): void
  /** It has stopped, for whatever reason; called exactly once for each onKernelRun. `report`: null where there is none, or it was interrupted. */
  onKernelEnd?(outcome: RunOutcome, report: KernelReport | null): void
}
