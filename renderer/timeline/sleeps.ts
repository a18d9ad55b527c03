/**
 * Which vCPU slept when: the intervals drawn on the timeline's lanes.
 *
 * The engine's series give time, page and length of every remote fault, but no lane; the event rows give the lane. So
 * the collector walks the Wake rows once, in order, and looks each one's length up in the series. It goes on where it
 * stopped when the run has grown, and gives up above a bound, where single intervals would not be visible anyway.
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
    const lengthNs = new Map<string, number>()
    series.faultTimeNs.forEach((timeNs, index) => {
      lengthNs.set(`${timeNs} ${series.faultPage[index]}`, series.faultLatencyNs[index] ?? 0)
    })
    while (this.sleeps.length < MOST_SLEEPS && !stale()) {
      const rows = await this.#wakeRows(api)
      const found = await Promise.all(rows.map((row) => api.events(row, row + 1)))
      for (const event of found.flat()) {
        const slept = lengthNs.get(`${event.timeNs} ${event.page}`)
        if (slept === undefined) continue
        this.sleeps.push({ fromNs: event.timeNs - slept, toNs: event.timeNs, lane: event.lane, page: event.page })
      }
      if (rows.length < ROWS_AT_ONCE) break
    }
    return [...this.sleeps]
  }

  async #wakeRows(api: Pick<EngineApi, 'findRow'>): Promise<readonly number[]> {
    const rows: number[] = []
    while (rows.length < ROWS_AT_ONCE) {
      const row = await api.findRow(this.#lastRow, 1, 'Wake', -1)
      if (row < 0) break
      rows.push(row)
      this.#lastRow = row
    }
    return rows
  }
}
