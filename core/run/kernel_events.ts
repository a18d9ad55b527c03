/**
 * What happened in a migration on the host's real kernel, as events of the model's own vocabulary: so that whatever shows a
 * simulated run shows a real one.
 *
 * Plain columns of numbers, which a socket carries as JSON. A row is about `count` pages from `page` on. Times are ns since the guest
 * began to boot. There is nothing in it that nobody saw: no TLB shootdown, and of a store only that it was made before a look at the
 * dirty log.
 */
import type { EventKind, Lane } from '../trace/event.ts'
import { Recorder } from '../trace/recorder.ts'

export interface KernelEvents {
  readonly lanes: readonly Lane[]
  /** Columns, all of one length, by time. */
  readonly timeNs: readonly number[]
  readonly kind: readonly number[]
  readonly lane: readonly number[]
  readonly page: readonly number[]
  readonly count: readonly number[]
  readonly arg: readonly number[]
  /** From then on there was no room to write them down, and none is here; null: there was. */
  readonly missedFromNs: number | null
}

/** One row a page, as a simulated run records it. */
export function recordedEvents(events: KernelEvents): Recorder {
  const recorder = new Recorder({ keep: true })
  for (const lane of events.lanes) recorder.addLane(lane)
  for (let row = 0; row < events.timeNs.length; row++) {
    const first = events.page[row]
    for (let n = 0; n < events.count[row]; n++) {
      recorder.event(
        events.timeNs[row],
        events.kind[row] as EventKind,
        events.lane[row],
        first < 0 ? first : first + n,
        events.arg[row],
      )
    }
  }
  return recorder
}
