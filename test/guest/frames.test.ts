/**
 * Frames are handed out each once, in runs of 31 that follow one another in no order.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { handedOut, RUN_PAGES } from '../../core/guest/frames.ts'

it('each page comes once, and no other', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.integer({ min: 1, max: 500 }), fc.nat(), (first, pages, seed) => {
      const all = handedOut(first, first + pages, new Prng(seed))
      expect([...all].sort((a, b) => a - b)).toEqual(Array.from({ length: pages }, (_, i) => first + i))
    }),
  )
})

it('some are the first of all', () => {
  expect(handedOut(0, 10_000, new Prng(7), 100)).toEqual(handedOut(0, 10_000, new Prng(7)).slice(0, 100))
})

it('one in 31 has its neighbour elsewhere', () => {
  const pages = handedOut(0, 310_000, new Prng(1))
  const breaks = pages.filter((page, i) => i > 0 && page !== (pages[i - 1] ?? 0) + 1).length
  expect(breaks).toBeGreaterThan(0.99 * (310_000 / RUN_PAGES - 1))
  expect(breaks).toBeLessThan(310_000 / RUN_PAGES)
})
