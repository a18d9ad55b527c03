/**
 * Small runs for the tests of core/run: a migration of 1 MiB by default, driven to its end at once.
 * The link is slow for its size, so that a guest has time to fault.
 */
import { MigrationRun } from '../../core/run/migration_run.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from '../../core/run/options.ts'
import { Recorder } from '../../core/trace/recorder.ts'

export const MIB = 2 ** 20

export function small(options: Partial<MigrateOptions> = {}): MigrateOptions {
  return { ...DEFAULT_OPTIONS, memBytes: MIB, bandwidthBitsPerSec: 1e9, durationNs: 2_000_000, ...options }
}

/** Runs to the end in slices of `turns`. */
export function finish(options: Partial<MigrateOptions> = {}, turns = 10_000, keep = false): MigrationRun {
  const run = new MigrationRun(small(options), new Recorder({ keep }))
  while (run.advance(turns) !== 'done');
  return run
}
