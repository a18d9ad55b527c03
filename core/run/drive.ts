/**
 * The host's loop around a run: advance in small slices, let the host breathe, feed the trace, stop when asked.
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

/** Drives `run` to its end; `path` is the guest's trace file, or null. */
export async function driveRun(
  run: MigrationRun,
  path: string | null,
  host: DriveHost,
  stop: { readonly aborted: boolean },
  onSlice: (progress: Progress) => void,
): Promise<DriveEnd> {
  let input: AsyncIterator<Uint8Array> | null = null
  let breathedAt = host.wallSeconds()
  try {
    for (;;) {
      const state = run.advance(SLICE_TURNS)
      if (state === 'done') break
      if (state === 'input') {
        input ??= host.open(path ?? '')[Symbol.asyncIterator]()
        const next = await input.next()
        if (next.done === true) input = null
        run.feed(next.done === true ? null : next.value)
      }
      const now = host.wallSeconds()
      if (now - breathedAt >= BREATH_SECONDS) {
        onSlice(run.progress())
        await host.breathe()
        breathedAt = host.wallSeconds()
        if (stop.aborted) return 'interrupted'
      }
    }
  } finally {
    await input?.return?.()
  }
  onSlice(run.progress())
  return run.timedOut ? 'time-limit' : 'done'
}
