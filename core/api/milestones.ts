/**
 * The milestones of a run: the few events that a timeline names, picked from the many as they are recorded.
 *
 * 1. Each `read` goes on where the last one stopped, so that asking again while the run goes on costs only what is new.
 * 2. An interval stays open (to Infinity) until the event that ends it is there.
 * 3. Forecasts are no events: whoever drives the run hands them in as they are made; they are thinned out as the run grows.
 *
 * Pairs with core/trace/event.ts.
 */
import type { Forecast } from '../run/forecast.ts'
import { forecastText } from '../run/forecast.ts'
import { EventKind, INCIDENT_NAME, type IncidentName, MIGRATION_STATUS } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import type { Milestones } from './protocol.ts'

/** No two forecasts are nearer to each other than this share of the time gone. */
const FORECAST_SHARE = 1 / 500
/** These happen at once; the others last until they are over. */
const MOMENTARY: readonly IncidentName[] = ['source-crash', 'destination-crash', 'cancel', 'poison', 'pause']

type Changing<T> = { -readonly [K in keyof T]: T[K] }
type Of<Name extends keyof Milestones> = Changing<Milestones[Name][number]>[]

export class MilestoneCollector {
  readonly #states: Of<'states'> = []
  readonly #passes: Of<'passes'> = []
  readonly #incidents: Of<'incidents'> = []
  readonly #throttles: Of<'throttles'> = []
  readonly #running: Of<'running'> = []
  readonly #forecasts: Of<'forecasts'> = []
  #row = 0

  constructor(readonly recorder: Recorder) {}

  /** What is said at `nowNs` of a pre-copy under way; null: nothing. */
  foresee(nowNs: number, forecast: Forecast | null): void {
    const last = this.#forecasts.at(-1)
    const sentence = forecast === null ? '' : forecastText(forecast)
    if (sentence === (last?.sentence ?? '')) return
    if (last !== undefined && sentence !== '' && nowNs - last.timeNs < nowNs * FORECAST_SHARE) return
    this.#forecasts.push({ timeNs: nowNs, sentence, never: forecast?.kind === 'never' })
  }

  read(): Milestones {
    const { recorder } = this
    for (; this.#row < recorder.rows; this.#row++) this.#take(this.#row)
    return {
      states: this.#states,
      passes: this.#passes,
      incidents: this.#incidents,
      throttles: this.#throttles,
      running: this.#running,
      forecasts: this.#forecasts,
    }
  }

  #take(row: number): void {
    const { recorder } = this
    const timeNs = recorder.time(row)
    const arg = recorder.arg(row)
    switch (recorder.kind(row)) {
      case EventKind.State:
        this.#states.push({ timeNs, status: MIGRATION_STATUS[arg] })
        break
      case EventKind.Pass:
        this.#passes.push({ timeNs, dirtyPages: arg })
        break
      case EventKind.Throttle:
        this.#throttles.push({ timeNs, percent: arg })
        break
      case EventKind.Incident: {
        const name = INCIDENT_NAME[arg >= 0 ? arg : ~arg]
        if (arg >= 0) this.#incidents.push({ name, fromNs: timeNs, toNs: MOMENTARY.includes(name) ? timeNs : Infinity })
        else close(this.#incidents, (one) => one.name === name, timeNs)
        break
      }
      case EventKind.VcpuRun: {
        const { name: lane, machine } = recorder.lanes[recorder.lane(row)]
        if (arg === 1) this.#running.push({ lane, machine, fromNs: timeNs, toNs: Infinity })
        else close(this.#running, (one) => one.lane === lane && one.machine === machine, timeNs)
        break
      }
      default:
        break
    }
  }
}

/** Ends the newest open interval of its kind. */
function close<T extends { toNs: number }>(intervals: readonly T[], is: (one: T) => boolean, timeNs: number): void {
  const open = intervals.findLast((one) => one.toNs === Infinity && is(one))
  if (open !== undefined) open.toNs = timeNs
}
