/**
 * Where the playhead goes: pure functions over simulated time, so that playing can be tested without a clock.
 *
 * The engine runs ahead and the end of the run grows; the playhead moves `speedNsPerSec` of simulated time for each
 * second of real time and never passes the end. A run plays from shortly before its migration starts.
 */

/** Slowest and fastest speed of the control: 1 µs to 1 s of simulated time for each second. */
export const SPEED_MIN = 1e3
export const SPEED_MAX = 1e9

/** A crossing should take about this long to watch. */
const CROSSING_SEC = 20
/** Share of the crossing shown before it starts, so that one sees the guest at work first. */
const LEAD_SHARE = 0.05
/** After a hidden tab or a long pause the playhead goes on, it does not jump. */
const LONGEST_TICK_MS = 100

export interface Step {
  readonly playheadNs: number
  /** The run is over and so is the play. */
  readonly ended: boolean
}

export function advance(playheadNs: number, elapsedMs: number, speedNsPerSec: number, endNs: number, growing: boolean): Step {
  const next = playheadNs + (Math.min(Math.max(elapsedMs, 0), LONGEST_TICK_MS) / 1e3) * speedNsPerSec
  if (next < endNs) return { playheadNs: next, ended: false }
  return { playheadNs: Math.max(endNs, 0), ended: !growing }
}

/** Where nothing set a rate: only for how fast to play until the length is known. */
const SUPPOSED_BITS_PER_SEC = 10e9

export interface Crossing {
  readonly pages: number
  /** null: not known, of a run on the real kernel, which is over when it is seen. */
  readonly bandwidthBitsPerSec: number | null
  readonly rttNs: number | null
  /** -1 while unknown. */
  readonly startedNs: number
  readonly completedNs: number
}

/** How long the crossing takes, or will take if the wire is the only limit. */
export function crossingNs({ pages, bandwidthBitsPerSec, rttNs, startedNs, completedNs }: Crossing): number {
  if (startedNs >= 0 && completedNs > startedNs) return completedNs - startedNs
  return ((pages * 4096 * 8) / (bandwidthBitsPerSec ?? SUPPOSED_BITS_PER_SEC)) * 1e9 + 10 * (rttNs ?? 0)
}

export function fittingSpeed(crossing: Crossing): number {
  return clampSpeed(crossingNs(crossing) / CROSSING_SEC)
}

/** Where to begin playing once the start of the migration is known. */
export function leadIn(crossing: Crossing): number {
  return Math.max(0, crossing.startedNs - LEAD_SHARE * crossingNs(crossing))
}

export const clampSpeed = (speed: number): number => Math.min(SPEED_MAX, Math.max(SPEED_MIN, speed))

/** The control is logarithmic: equal ways on the slider are equal factors of speed. */
export const speedToSlider = (speed: number): number => Math.log(speed / SPEED_MIN) / Math.log(SPEED_MAX / SPEED_MIN)
export const sliderToSpeed = (slider: number): number => SPEED_MIN * (SPEED_MAX / SPEED_MIN) ** slider
