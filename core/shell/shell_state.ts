/**
 * What a shell remembers between two lines: the newest run. `info migrate` reads it.
 *
 * A RunObserver is how a screen or a live view is told of a run while it happens; migrate.ts calls it.
 */
import type { MigrationRun } from '../run/migration_run.ts'
import type { Progress } from '../run/report.ts'
import type { Recorder } from '../trace/recorder.ts'

export type RunOutcome = 'running' | 'done' | 'interrupted' | 'time-limit' | 'failed'

export interface NewestRun {
  readonly run: MigrationRun
  readonly recorder: Recorder
  /** The command line that makes this very run. */
  readonly command: string
  outcome: RunOutcome
}

export interface ShellState {
  newest: NewestRun | null
}

/** Told of runs as they happen. Every call is made from inside the run and must be quick. */
export interface RunObserver {
  /** A run was made and is about to start. `quiet`: the user asked to see errors only. */
  onRun?(run: MigrationRun, recorder: Recorder, command: string, quiet: boolean): void
  onProgress?(progress: Progress): void
  /** The run has stopped, for whatever reason; called exactly once for each onRun. */
  onEnd?(outcome: RunOutcome): void
}
