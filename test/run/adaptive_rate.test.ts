/**
 * Xen's rule: the rate follows what the guest writes, from 100 to 500 Mb/s, and the passes end for one of four reasons.
 */
import { describe, expect, it } from 'vitest'
import { AdaptiveRate } from '../../core/run/published/adaptive_rate.ts'

/** Pages that are written in a second at so many Mb/s. */
const pages = (mbit: number) => Math.ceil((mbit * 125_000) / 4096)
const SECOND = 1e9

describe('the rate', () => {
  it('stays at its lowest while the guest writes less', () => {
    const rule = new AdaptiveRate(100_000)
    rule.passed(10_000, pages(90), SECOND)
    expect(rule.mbit).toBe(100)
  })

  it('is what was written and 50 more, 500 at most, and never falls', () => {
    const rule = new AdaptiveRate(100_000)
    const rates = [120, 60, 300, 900, 10].map((written) => {
      rule.passed(10_000, pages(written), SECOND)
      return rule.mbit
    })
    expect(rates).toEqual([170, 170, 350, 500, 500])
  })
})

describe('the last pass', () => {
  it('is one that sent few pages', () => {
    const rule = new AdaptiveRate(100_000)
    expect(rule.passed(1000, 40, SECOND)).toBe(false)
    expect(rule.passed(40, 30, SECOND)).toBe(true)
  })

  it('is one at the highest rate that sent more than the one before', () => {
    const rule = new AdaptiveRate(100_000)
    expect(rule.passed(1000, pages(900), SECOND)).toBe(false)
    expect(rule.passed(2000, pages(900), SECOND)).toBe(true)
  })

  it('is not one that sent more at a rate that can still grow', () => {
    const rule = new AdaptiveRate(100_000)
    expect(rule.passed(1000, 1000, SECOND)).toBe(false)
    expect(rule.passed(2000, 1000, SECOND)).toBe(false)
  })

  it('is the 29th, or the one with which three times the memory has gone', () => {
    const patient = new AdaptiveRate(100_000)
    const ends = Array.from({ length: 29 }, () => patient.passed(100, 100, SECOND))
    expect(ends.indexOf(true)).toBe(28)
    const small = new AdaptiveRate(1000)
    expect([1, 2, 3, 4].map(() => small.passed(900, 900, SECOND))).toEqual([false, false, false, true])
  })
})
