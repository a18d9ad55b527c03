/**
 * What the milestones say of one moment: whether the pre-copy will end, what was injected and lasts, how long a pause goes on.
 * Pure functions over a run's few named events. Pairs with core/api/milestones.ts, which picks them.
 */
import type { Milestones } from '../core/api/protocol.ts'

type Forecast = Milestones['forecasts'][number]
type Incident = Milestones['incidents'][number]

/** The last of `moments` at or before `timeNs`. */
export function lastAt<T extends { readonly timeNs: number }>(moments: readonly T[], timeNs: number): T | null {
  let low = 0
  let high = moments.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((moments[middle]?.timeNs ?? 0) <= timeNs) low = middle + 1
    else high = middle
  }
  return moments[low - 1] ?? null
}

/** What was said of the pre-copy's end; null while nothing is, or where there is no pre-copy any longer. */
export function forecastAt(milestones: Milestones | null, timeNs: number): Forecast | null {
  if (milestones === null || lastAt(milestones.states, timeNs)?.status !== 'active') return null
  const forecast = lastAt(milestones.forecasts, timeNs)
  return forecast === null || forecast.sentence === '' ? null : forecast
}

/** Injected things that are under way. */
export function incidentsAt(milestones: Milestones | null, timeNs: number): readonly Incident[] {
  return milestones?.incidents.filter(({ fromNs, toNs }) => fromNs <= timeNs && timeNs < toNs) ?? []
}

/** When the pause that holds at `timeNs` ends; Infinity: not as far as is known, null: there is none. */
export function pauseEndsAt(milestones: Milestones | null, timeNs: number): number | null {
  const states = milestones?.states ?? []
  const now = lastAt(states, timeNs)
  if (now?.status !== 'postcopy-paused') return null
  return states.find((state) => state.timeNs > timeNs)?.timeNs ?? Number.POSITIVE_INFINITY
}
