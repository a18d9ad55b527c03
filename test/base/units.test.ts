/**
 * Units: what people write is read, what is doubtful is refused with an example, and what we write can be read back.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatCount,
  formatRate,
  formatSize,
  formatTime,
  parseCount,
  parseOpsRate,
  parseRate,
  parseShare,
  parseSize,
  parseTime,
  spellRate,
  spellSize,
  spellTime,
} from '../../core/base/units.ts'

const parsers = { parseSize, parseRate, parseOpsRate, parseTime, parseShare, parseCount }

function value(parsed: ReturnType<typeof parseSize>): number {
  if (!parsed.ok) throw new Error(parsed.message)
  return parsed.value
}

describe('sizes', () => {
  it.each([
    ['4k', 4096],
    ['64M', 64 * 2 ** 20],
    ['1G', 2 ** 30],
    ['1.5G', 1.5 * 2 ** 30],
    ['64MiB', 64 * 2 ** 20],
    ['4KiB', 4096],
    ['2 GiB', 2 ** 31],
    ['512B', 512],
    ['1t', 2 ** 40],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toEqual({ ok: true, value: bytes })
  })

  it('a bare number is refused with an example', () => {
    expect(parseSize('64')).toEqual({ ok: false, message: 'needs a unit, for example 64M' })
  })

  it.each(['', '-64M', 'NaN', 'Infinity', '1e300G', '64X', '0.3k', '99999999P', 'M', '1i', '0x10k', '1,5G', '--4k'])(
    '%j is refused',
    (text) => {
      expect(parseSize(text).ok).toBe(false)
    },
  )
})

describe('rates', () => {
  it.each([
    ['100Mbps', 100e6],
    ['10Gbps', 10e9],
    ['10gbps', 10e9],
    ['1bps', 1],
    ['200MiB/s', 200 * 2 ** 20 * 8],
    ['1.2GB/s', 9.6e9],
    ['1MBps', 8e6],
    ['5kbit/s', 5000],
  ])('%s is %d bits a second', (text, bits) => {
    expect(parseRate(text)).toEqual({ ok: true, value: bits })
  })

  it('bits and bytes are told apart by the letter', () => {
    expect(value(parseRate('1MB/s'))).toBe(8 * value(parseRate('1Mb/s')))
  })

  it('a negative rate says that it must not be negative', () => {
    expect(parseRate('-1Gbps')).toEqual({ ok: false, message: 'must not be negative, for example 10Gbps or 200MiB/s' })
  })

  it.each(['10', '10G', '10Gb', '1ibps', 'NaNGbps', '9999999Tbps', '0.1bps'])('%j is refused', (text) => {
    expect(parseRate(text).ok).toBe(false)
  })

  it('operations a second count in thousands', () => {
    expect(parseOpsRate('200k/s')).toEqual({ ok: true, value: 200_000 })
    expect(parseOpsRate('1M/s')).toEqual({ ok: true, value: 1_000_000 })
    expect(parseOpsRate('500/s')).toEqual({ ok: true, value: 500 })
    expect(parseOpsRate('200k').ok).toBe(false)
  })
})

describe('times, shares and counts', () => {
  it.each([
    ['150us', 150_000],
    ['300ms', 3e8],
    ['2s', 2e9],
    ['1.5s', 1.5e9],
    ['7ns', 7],
    ['1min', 60e9],
  ])('%s is %d ns', (text, ns) => {
    expect(parseTime(text)).toEqual({ ok: true, value: ns })
  })

  it.each(['2', '2m', '0.1ns', '1e9s', '300 000ms', 'constructors', '5constructor', '200days'])('%j is no time', (text) => {
    expect(parseTime(text).ok).toBe(false)
  })

  it('a share is a percentage or a fraction, and at most the whole', () => {
    expect(parseShare('5%')).toEqual({ ok: true, value: 0.05 })
    expect(parseShare('0.05')).toEqual({ ok: true, value: 0.05 })
    expect(parseShare('100%')).toEqual({ ok: true, value: 1 })
    expect(parseShare('101%').ok).toBe(false)
    expect(parseShare('-5%').ok).toBe(false)
  })

  it('a count keeps its bounds', () => {
    expect(parseCount('2', 1, 64)).toEqual({ ok: true, value: 2 })
    expect(parseCount('0', 1, 64)).toEqual({ ok: false, message: 'must be at least 1' })
    expect(parseCount('65', 1, 64)).toEqual({ ok: false, message: 'must be at most 64' })
    expect(parseCount('99999999999999999999').ok).toBe(false)
    expect(parseCount('2.5').ok).toBe(false)
    expect(parseCount('1e3').ok).toBe(false)
  })
})

describe('what we write can be read back', () => {
  const safe = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
  const mixed = fc.oneof(
    safe,
    fc.integer({ min: 0, max: 5000 }),
    fc.integer({ min: 0, max: 50 }).map((n) => 2 ** n),
  )

  it('spelled sizes, rates and times are exact', () => {
    fc.assert(
      fc.property(mixed, (n) => {
        expect(value(parseSize(spellSize(n)))).toBe(n)
        expect(value(parseTime(spellTime(n)))).toBe(n)
        expect(value(parseRate(spellRate(Math.min(n, 1e15))))).toBe(Math.min(n, 1e15))
      }),
    )
  })

  it('formatted ones lie within half a percent', () => {
    const near = (got: number, want: number) => Math.abs(got - want) <= Math.max(0.006 * want, 0.5)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e15 }), (n) => {
        // A rounded size need not be whole bytes, so it is read by the unit alone.
        const [number = '', unit = ''] = formatSize(n).split(' ')
        expect(near(Number(number) * value(parseSize(`1${unit}`)), n)).toBe(true)
        expect(near(value(parseTime(formatTime(n))), n)).toBe(true)
        const rate = formatRate(n)
        expect(rate.endsWith('Pbps') || near(value(parseRate(rate)), n)).toBe(true)
      }),
    )
  })

  it('counts are exact, however they are grouped', () => {
    fc.assert(
      fc.property(safe, (n) => {
        expect(value(parseCount(formatCount(n)))).toBe(n)
      }),
    )
  })

  it('defaults are spelled as the contract writes them', () => {
    expect([spellSize(256 * 2 ** 20), spellRate(10e9), spellTime(150_000), spellTime(300e6)]).toEqual([
      '256M',
      '10Gbps',
      '150us',
      '300ms',
    ])
  })
})

it('no text makes a parser throw, and a refusal is half a sentence', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(...'0123456789.-+eEkMGiBbps/%u ') })), (text) => {
      for (const parse of Object.values(parsers)) {
        const parsed = parse(text)
        if (parsed.ok) expect(Number.isFinite(parsed.value) && parsed.value >= 0).toBe(true)
        else expect(parsed.message).toMatch(/^(needs|is|has|must) .*[^.]$/)
      }
    }),
  )
})
