/**
 * What the model had said of a real run, laid over what was measured: both migrations start at the same place of the axis.
 *
 * Pairs with core/api/protocol.ts (Prediction), and with whatever draws it: timeline/draw.ts, panels/charts.tsx.
 */
import type { Prediction, RunStatus } from '../core/api/protocol.ts'
import { crossingView, type TimelineView } from './timeline/scale.ts'

/** What is added to a time of the prediction; null: there is none, or nothing yet to lay it over. */
export function shiftOf(prediction: Prediction | null, { startedNs }: Pick<RunStatus, 'startedNs'>): number | null {
  return prediction === null || prediction.startedNs < 0 || startedNs < 0 ? null : startedNs - prediction.startedNs
}

/** How long the migration was to take; null: nobody said, or it was never to end. */
export function predictedNs(prediction: Prediction | null): number | null {
  return prediction === null || prediction.completedNs < 0 ? null : prediction.completedNs - prediction.startedNs
}

type Times = Pick<RunStatus, 'startedNs' | 'completedNs' | 'endNs'>

/** When it was to be completed, on the axis of what was measured; -1: not known, or never. */
function expectedNs(status: Times, prediction: Prediction | null): number {
  const totalNs = predictedNs(prediction)
  return totalNs === null || status.startedNs < 0 ? -1 : status.startedNs + totalNs
}

/** Where the time axis ends: at the end of the run, or where that was to be. */
export function axisEndNs(status: Times | null, prediction: Prediction | null): number {
  return status === null ? 0 : Math.max(status.endNs, expectedNs(status, prediction))
}

/** The crossing, measured and predicted, with a little of before and after. */
export function bothCrossings(status: Times, prediction: Prediction | null): TimelineView {
  const lastNs = status.completedNs < 0 ? -1 : Math.max(status.completedNs, expectedNs(status, prediction))
  return crossingView(status.startedNs, lastNs, axisEndNs(status, prediction))
}
