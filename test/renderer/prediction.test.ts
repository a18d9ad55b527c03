/** A prediction laid over what was measured: both start at the same place, and the axis has room for the longer of the two. */
import { describe, expect, test } from 'vitest'
import type { Prediction } from '../../core/api/protocol.ts'
import { axisEndNs, bothCrossings, predictedNs, shiftOf } from '../../renderer/prediction.ts'

const predicted = (startedNs: number, completedNs: number) => ({ startedNs, completedNs }) as Prediction
const times = (startedNs: number, completedNs: number, endNs: number) => ({ startedNs, completedNs, endNs })

describe('a prediction', () => {
  test('is moved so that both migrations start together', () => {
    expect(shiftOf(predicted(300, 900), times(1000, -1, 1200))).toBe(700)
    expect(shiftOf(predicted(300, 900), times(-1, -1, 1200))).toBeNull()
    expect(shiftOf(null, times(1000, -1, 1200))).toBeNull()
  })

  test('says how long it takes, unless it was never to end', () => {
    expect([predictedNs(predicted(300, 900)), predictedNs(predicted(300, -1)), predictedNs(null)]).toEqual([600, null, null])
  })

  test('keeps the whole of it in view while the run has only begun, and when the run was quicker', () => {
    expect(axisEndNs(times(1000, -1, 1100), predicted(300, 900))).toBe(1600)
    for (const status of [times(1000, -1, 1100), times(1000, 1300, 1350)]) {
      const { fromNs, toNs } = bothCrossings(status, predicted(300, 900))
      expect([fromNs < 1000, toNs]).toEqual([true, 1600])
    }
  })

  test('changes nothing where there is none', () => {
    expect(axisEndNs(times(1000, -1, 1100), null)).toBe(1100)
    expect(bothCrossings(times(-1, -1, 500), null)).toEqual({ fromNs: 0, toNs: 500 })
  })
})
