/**
 * How many pages are in each state on both machines: the numbers beside the legend and the text twins of the maps.
 * Counted a few times a second at most, and once more when the picture comes to rest.
 */
import { countStates } from './heatmap/paint.ts'
import { Signal } from './signal.ts'
import { shownFrame } from './state.ts'

export interface Census {
  readonly source: readonly number[]
  readonly destination: readonly number[]
}

const EVERY_MS = 150

export const census = new Signal<Census | null>(null)

export function startCensus(): void {
  slowly(EVERY_MS, shownFrame.watch, () => {
    const frame = shownFrame.value
    census.set(frame && { source: countStates(frame.source), destination: countStates(frame.destination) })
  })
}

/** Calls `act` when `watch` tells of a change, at most every `ms`, and never forgets the last change. */
export function slowly(ms: number, watch: (watcher: () => void) => () => void, act: () => void): () => void {
  let waiting: ReturnType<typeof setTimeout> | undefined
  let last = Number.NEGATIVE_INFINITY
  const stop = watch(() => {
    if (waiting !== undefined) return
    waiting = setTimeout(
      () => {
        waiting = undefined
        last = performance.now()
        act()
      },
      Math.max(0, last + ms - performance.now()),
    )
  })
  return () => {
    stop()
    clearTimeout(waiting)
  }
}
