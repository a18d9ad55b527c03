/**
 * Block time against a slow computation over intervals: each vCPU's sum, the time in which all slept, the quantiles, and
 * the buckets by powers of two.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Blocktime, LATENCY_BUCKETS } from '../../core/migration/blocktime.ts'

interface Sleep {
  vcpu: number
  from: number
  to: number
}

/** Sleeps of `vcpus` vCPUs, not overlapping within one. */
function sleeps(vcpus: number): fc.Arbitrary<Sleep[]> {
  const one = fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 50 })), { maxLength: 8 })
  return fc.array(one, { minLength: vcpus, maxLength: vcpus }).map((lists) =>
    lists.flatMap((list, vcpu) => {
      let at = 0
      return list.map(([gap, length]) => {
        const from = at + gap
        at = from + length
        return { vcpu, from, to: at }
      })
    }),
  )
}

/** The begins and ends in the order of their times. */
function play(block: Blocktime, list: readonly Sleep[]): void {
  const events = list.flatMap((s) => [
    { at: s.from, s, begin: true },
    { at: s.to, s, begin: false },
  ])
  events.sort((a, b) => a.at - b.at || Number(a.begin) - Number(b.begin))
  for (const { at, s, begin } of events) {
    if (begin) block.begin(s.vcpu, at)
    else expect(block.end(s.vcpu, at)).toBe(s.to - s.from)
  }
}

describe('block time', () => {
  it.each([1, 2, 3])('of %i vCPUs is that of a count tick by tick', (vcpus) => {
    fc.assert(
      fc.property(sleeps(vcpus), (list) => {
        const block = new Blocktime(vcpus)
        play(block, list)
        const end = Math.max(0, ...list.map((s) => s.to))
        const each = new Array<number>(vcpus).fill(0)
        let all = 0
        for (let t = 0; t < end; t++) {
          const asleep = new Set(list.filter((s) => s.from <= t && t < s.to).map((s) => s.vcpu))
          for (const v of asleep) each[v] = (each[v] ?? 0) + 1
          if (asleep.size === vcpus) all++
        }
        expect([...block.perVcpuNs]).toEqual(each)
        const slept = (vcpu: number) => list.filter((s) => s.vcpu === vcpu).length
        expect(block.perVcpuMeanNs).toEqual(each.map((ns, vcpu) => ns / Math.max(1, slept(vcpu))))
        expect(block.overlappedNs).toBe(all)
        expect(block.blocked).toBe(0)
        expect(block.count).toBe(list.length)
        const lengths = list.map((s) => s.to - s.from).sort((a, b) => a - b)
        expect(block.meanNs).toBeCloseTo(lengths.length === 0 ? 0 : lengths.reduce((a, b) => a + b, 0) / lengths.length)
        for (const q of [0.01, 0.5, 0.99, 1]) {
          expect(block.quantiles(q)).toEqual([lengths.length === 0 ? 0 : lengths[Math.max(0, Math.ceil(q * lengths.length) - 1)]])
        }
      }),
    )
  })

  it('overlap starts when the last vCPU fell asleep, also when a CPU that is behind reports later', () => {
    const block = new Blocktime(2)
    block.begin(0, 100)
    block.begin(1, 95)
    block.end(0, 200)
    expect(block.overlappedNs).toBe(100)
  })

  it('a second begin of one sleep changes nothing', () => {
    const block = new Blocktime(1)
    block.begin(0, 5)
    block.begin(0, 9)
    expect(block.isBlocked(0)).toBe(true)
    expect(block.end(0, 15)).toBe(10)
  })

  it('more sleeps than the first buffer holds are all counted', () => {
    const block = new Blocktime(1)
    for (let i = 1; i <= 5000; i++) {
      block.begin(0, i * 10_000)
      block.end(0, i * 10_000 + i)
    }
    expect(block.quantiles(0.5, 1)).toEqual([2500, 5000])
  })
})

describe('buckets', () => {
  it('bucket n holds sleeps from 2^n to 2^(n+1) microseconds, the first all below 2, the last all from 8 s', () => {
    const bucketOf = (ns: number) => {
      const block = new Blocktime(1)
      block.begin(0, 0)
      block.end(0, ns)
      return block.distribution.indexOf(1)
    }
    for (let n = 1; n < LATENCY_BUCKETS; n++) {
      expect(bucketOf(2 ** n * 1000)).toBe(n)
      expect(bucketOf(2 ** n * 1000 - 1)).toBe(n - 1)
    }
    expect(bucketOf(0)).toBe(0)
    expect(bucketOf(3600e9)).toBe(LATENCY_BUCKETS - 1)
    expect(LATENCY_BUCKETS).toBe(24)
  })
})
