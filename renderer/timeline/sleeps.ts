/**
 * Which vCPU slept when: the intervals drawn on the timeline's lanes.
 *
 * The engine's series give the length of every fault in the order of waking, but no lane; the event rows give the lane.
 * So the collector walks the Wake rows in order: the nth of them belongs to the nth fault of the series. It goes on where
 * it stopped when the run has grown, and gives up above a bound, where single intervals would not be visible anyway.
 */
import type { EngineApi, Series } from '../../core/api/protocol.ts'

export interface Sleep {
  readonly fromNs: number
  readonly toNs: number
  readonly lane: string
  readonly page: number
}

const MOST_SLEEPS = 4000
/** Rows asked for at once; small enough that the engine answers other questions in between. */
const ROWS_AT_ONCE = 16

export class SleepCollector {
  readonly sleeps: Sleep[] = []
  #lastRow = -1

  /** Collects what is new; stops early when `stale` says that another run is on the screen. */
  async collect(api: Pick<EngineApi, 'findRow' | 'events'>, series: Series, stale: () => boolean): Promise<readonly Sleep[]> {
    const wanted = Math.min(series.faultTimeNs.length, MOST_SLEEPS)
    while (this.sleeps.length < wanted && !stale()) {
      const rows = await this.#wakeRows(api, Math.min(ROWS_AT_ONCE, wanted - this.sleeps.length))
      const found = await Promise.all(rows.map((row) => api.events(row, row + 1)))
      for (const event of found.flat()) {
        const slept = series.faultLatencyNs[this.sleeps.length] ?? 0
        this.sleeps.push({ fromNs: event.timeNs - slept, toNs: event.timeNs, lane: event.lane, page: event.page })
      }
      if (found.length === 0) break
    }
    return [...this.sleeps]
  }

  async #wakeRows(api: Pick<EngineApi, 'findRow'>, most: number): Promise<readonly number[]> {
    const rows: number[] = []
    while (rows.length < most) {
      const row = await api.findRow(this.#lastRow, 1, 'Wake', -1)
      if (row < 0) break
      rows.push(row)
      this.#lastRow = row
    }
    return rows
  }
}
