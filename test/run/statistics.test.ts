/**
 * Medians and their bounds: order statistics that hold the true median with 95 % or as much as so few values can.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { summary } from '../../core/run/statistics.ts'

it.each([
  [[5], { median: 5, low: 5, high: 5 }],
  [[3, 1, 2], { median: 2, low: 1, high: 3 }],
  [[4, 1, 3, 2], { median: 2.5, low: 1, high: 4 }],
  // Binomial(6, 1/2): less than one below the median has 1/64 < 2.5 %, less than two 7/64.
  [[6, 5, 4, 3, 2, 1], { median: 3.5, low: 1, high: 6 }],
  // Binomial(9, 1/2): less than two below the median has 10/512 = 1.95 %: the second and the eighth.
  [[1, 2, 3, 4, 5, 6, 7, 8, 9], { median: 5, low: 2, high: 8 }],
])('of %j', (values, expected) => expect(summary(values)).toEqual(expected))

it('lies between its bounds, which are values', () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 60 }), (values) => {
      const { median, low, high } = summary(values)
      expect(low <= median && median <= high).toBe(true)
      expect(values.includes(low) && values.includes(high)).toBe(true)
    }),
  )
})
