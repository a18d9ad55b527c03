/**
 * Small real runs whose events tests look at: a guest of 1 to 4 MiB, migrated in some milliseconds of host time.
 *
 * The same options give the same run; a test that needs another passes what differs.
 */

import { MigrationRun } from '../../core/run/migration_run.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from '../../core/run/options.ts'
import { Recorder } from '../../core/trace/recorder.ts'

export const SMALL_RUN: MigrateOptions = {
  ...DEFAULT_OPTIONS,
  guest: 'kv:rate=2M/s',
  memBytes: 3 * 2 ** 20,
  bandwidthBitsPerSec: 1e9,
  durationNs: 2_000_000,
}

export function sampleRun(
  options: Partial<MigrateOptions> = {},
  keep = true,
  turns = 1000,
): { run: MigrationRun; recorder: Recorder } {
  const recorder = new Recorder({ keep })
  const run = new MigrationRun({ ...SMALL_RUN, ...options }, recorder)
  for (;;) {
    const state = run.advance(turns)
    if (state === 'done') return { run, recorder }
    if (state === 'input') throw new Error('the sample run asks for a trace')
  }
}
