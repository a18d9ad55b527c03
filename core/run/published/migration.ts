/**
 * One migration as a step of measuring a table: driven to its end, or to what the table wants to know, with its passes told.
 *
 * A pass is from one sync of the dirty bitmap to the next, as QEMU counts them and as Xen and Cloud Hypervisor log them.
 */
import { Recorder } from '../../trace/recorder.ts'
import { MigrationRun } from '../migration_run.ts'
import { DEFAULT_OPTIONS, type MigrateOptions } from '../options.ts'

export interface Pass {
  /** Pages that are to be sent in it. */
  readonly pages: number
  readonly ns: number
}

export interface Measured {
  readonly run: MigrationRun
  readonly passes: readonly Pass[]
}

const TURNS_A_SLICE = 64

/** Runs until it is over, or until `enough` passes are. `watch` sees it after each slice, and may speak to it. */
export function migrate(
  label: string,
  options: Partial<MigrateOptions>,
  enough = Number.POSITIVE_INFINITY,
  watch: (run: MigrationRun) => void = () => {},
): Generator<string, Measured, void> {
  return driven(label, makeRun(options, new Recorder({ keep: false })), enough, watch)
}

export function makeRun(options: Partial<MigrateOptions>, recorder: Recorder): MigrationRun {
  return new MigrationRun({ ...DEFAULT_OPTIONS, durationNs: 0, ...options }, recorder)
}

export function* driven(
  label: string,
  run: MigrationRun,
  enough = Number.POSITIVE_INFINITY,
  watch: (run: MigrationRun) => void = () => {},
): Generator<string, Measured, void> {
  const { state } = run
  const passes: Pass[] = []
  let [count, pages, startNs, isOver] = [0, 0, 0, false]
  const look = () => {
    const synced = state.dirtySyncCount > count
    const stops = run.finished || state.downtimeStartNs > 0
    if (isOver || !(synced || stops)) return
    // The last pass is over when the guest is stopped, not when the bitmap is synced once more.
    const endNs = synced ? state.syncedNs : state.downtimeStartNs
    if (count > 0) passes.push({ pages, ns: endNs - startNs })
    count = state.dirtySyncCount
    pages = state.dirtyAtSync
    startNs = state.syncedNs
    isOver = stops
  }
  for (;;) {
    const result = run.advance(TURNS_A_SLICE)
    look()
    watch(run)
    if (result === 'done' || passes.length >= enough) return { run, passes }
    yield label
  }
}
