/**
 * The arithmetic of the timeline: what part of the run is in view, how time becomes pixels, where ticks stand.
 * Pure functions on views in nanoseconds and widths in pixels; a view never leaves the run.
 */

export interface TimelineView {
  readonly fromNs: number
  readonly toNs: number
}

/** Nothing shorter than this can be looked at. */
const SHORTEST_NS = 200

export const timeToX = (view: TimelineView, width: number, ns: number): number =>
  ((ns - view.fromNs) / (view.toNs - view.fromNs)) * width

export const xToTime = (view: TimelineView, width: number, x: number): number =>
  view.fromNs + (x / width) * (view.toNs - view.fromNs)

export const wholeRun = (endNs: number): TimelineView => ({ fromNs: 0, toNs: Math.max(endNs, SHORTEST_NS) })

/** The crossing with a little of before and after; the whole run while there is no crossing yet. */
export function crossingView(startedNs: number, completedNs: number, endNs: number): TimelineView {
  if (startedNs < 0) return wholeRun(endNs)
  const last = completedNs > startedNs ? completedNs : Math.max(endNs, startedNs + SHORTEST_NS)
  const span = last - startedNs
  return keepInside({ fromNs: startedNs - 0.06 * span, toNs: last + 0.1 * span }, endNs)
}

/** Zooms about `aroundNs`, which stays where it is; factor below 1 looks closer. */
export function zoom(view: TimelineView, aroundNs: number, factor: number, endNs: number): TimelineView {
  const span = Math.max(SHORTEST_NS, (view.toNs - view.fromNs) * factor)
  const share = (aroundNs - view.fromNs) / (view.toNs - view.fromNs)
  const fromNs = aroundNs - share * span
  return keepInside({ fromNs, toNs: fromNs + span }, endNs)
}

/** Moves by a share of what is in view. */
export function pan(view: TimelineView, share: number, endNs: number): TimelineView {
  const by = share * (view.toNs - view.fromNs)
  return keepInside({ fromNs: view.fromNs + by, toNs: view.toNs + by }, endNs)
}

/** The view that shows the playhead: the same one while it is inside, else the next one of equal length. */
export function follow(view: TimelineView, playheadNs: number, endNs: number): TimelineView {
  if (playheadNs >= view.fromNs && playheadNs <= view.toNs) return view
  const span = view.toNs - view.fromNs
  return keepInside({ fromNs: playheadNs - 0.1 * span, toNs: playheadNs + 0.9 * span }, endNs)
}

function keepInside(view: TimelineView, endNs: number): TimelineView {
  const end = Math.max(endNs, SHORTEST_NS)
  const span = Math.min(view.toNs - view.fromNs, end)
  const fromNs = Math.min(Math.max(0, view.fromNs), end - span)
  return { fromNs, toNs: fromNs + span }
}

/** A step of 1, 2 or 5 times a power of ten that gives at most `most` ticks in the view. */
export function tickStep(spanNs: number, most: number): number {
  const rough = Math.max(1, spanNs / Math.max(1, most))
  const power = 10 ** Math.floor(Math.log10(rough))
  for (const factor of [1, 2, 5]) if (factor * power >= rough) return factor * power
  return 10 * power
}

export function ticks(view: TimelineView, most: number): { readonly stepNs: number; readonly atNs: readonly number[] } {
  const stepNs = tickStep(view.toNs - view.fromNs, most)
  const atNs: number[] = []
  for (let ns = Math.ceil(view.fromNs / stepNs) * stepNs; ns <= view.toNs; ns += stepNs) atNs.push(ns)
  return { stepNs, atNs }
}
