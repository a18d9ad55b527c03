/**
 * The host's loop around a run: advance in small slices, let the host breathe, feed the traces, stop when asked.
 *
 * A slice is bounded by turns, not by time, because the core has no clock; the host's clock decides only how often the
 * host breathes. So the result is the same however fast the host is.
 */

import type { MigrationRun } from './migration_run.ts'
import type { Progress } from './report.ts'

/** What driving needs of a host (core/shell/host.ts has more). */
export interface DriveHost {
  open(path: string): AsyncIterable<Uint8Array>
  breathe(): Promise<void>
  wallSeconds(): number
}

export type DriveEnd = 'done' | 'interrupted' | 'time-limit'

const SLICE_TURNS = 256
/** Seconds of host time between two breaths. */
const BREATH_SECONDS = 0.01

/** Drives `run` to its end; `paths` are the guest's trace files, each opened when its vCPU first asks for it. */
export async function driveRun(
  run: MigrationRun,
  paths: readonly string[],
  host: DriveHost,
  stop: { readonly aborted: boolean },
  onSlice: (progress: Progress) => void,
): Promise<DriveEnd> {
  const inputs: (AsyncIterator<Uint8Array> | undefined)[] = paths.map(() => undefined)
  let breathedAt = host.wallSeconds()
  try {
    for (;;) {
      const { phase } = run
      const state = run.advance(SLICE_TURNS)
      if (state === 'done') break
      if (state === 'input') {
        const trace = run.dryTrace
        const input = inputs[trace] ?? host.open(paths[trace])[Symbol.asyncIterator]()
        const next = await input.next()
        inputs[trace] = next.done === true ? undefined : input
        run.feed(trace, next.done === true ? null : next.value)
      }
      const now = host.wallSeconds()
      if (state === 'waiting' || run.phase !== phase || now - breathedAt >= BREATH_SECONDS) {
        onSlice(run.progress())
        await host.breathe()
        breathedAt = host.wallSeconds()
        if (stop.aborted) return 'interrupted'
      }
    }
  } finally {
    for (const input of inputs) await input?.return?.()
  }
  onSlice(run.progress())
  return run.timedOut ? 'time-limit' : 'done'
}
