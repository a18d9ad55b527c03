/**
 * The charts' columns: whatever the bin, sums are those of the events, and nothing falls between two bins.
 *
 * Over a real run, and over planted sleeps whose shares of a bin can be worked out by hand.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chartSeries } from '../../core/api/chart_series.ts'
import { Fold } from '../../core/api/fold.ts'
import { EventKind } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { sampleRun } from '../trace/sample_run.ts'

const { run, recorder } = sampleRun()

function sum(xs: Float64Array): number {
  return xs.reduce((a, b) => a + b, 0)
}

function rowsOf(kind: EventKind): number[] {
  return Array.from({ length: recorder.rows }, (_, row) => row).filter((row) => recorder.kind(row) === kind)
}

describe('the series of a run', () => {
  const totals = new Fold(recorder, run.pages).at(recorder.rows).counters

  it('add up to the totals of the picture, for any bin', () => {
    const sleptNs = rowsOf(EventKind.Wake).reduce((ns, row) => ns + recorder.arg(row), 0)
    fc.assert(
      fc.property(fc.double({ min: 1, max: recorder.endNs * 2, noNaN: true }), (binNs) => {
        const series = chartSeries(recorder, binNs)
        expect(sum(series.sentBytes)).toBe(totals.bytesSent)
        expect(sum(series.dirtiedPages)).toBe(totals.dirtied)
        expect(sum(series.guestOps)).toBe(totals.guestOps)
        expect(sum(series.blockedVcpus) * series.binNs).toBeCloseTo(sleptNs, 0)
      }),
      { numRuns: 30 },
    )
  })

  it('reach from 0 to the end of the run, one length for all', () => {
    fc.assert(
      fc.property(fc.double({ min: 1, max: 1e9, noNaN: true }), (wanted) => {
        const { binNs, sentBytes, dirtiedPages, guestOps, blockedVcpus } = chartSeries(recorder, wanted)
        expect(binNs).toBeGreaterThanOrEqual(wanted)
        expect(sentBytes.length * binNs).toBeGreaterThan(recorder.endNs)
        // The last bin begins at the end at the latest, but for the rounding of a product.
        expect((sentBytes.length - 1) * binNs).toBeLessThanOrEqual(recorder.endNs * (1 + Number.EPSILON))
        expect([dirtiedPages.length, guestOps.length, blockedVcpus.length]).toEqual(new Array(3).fill(sentBytes.length))
        expect(sentBytes.length).toBeLessThanOrEqual(20_001)
      }),
      { numRuns: 30 },
    )
  })

  it('never have more vCPUs asleep than there are', () => {
    const { blockedVcpus } = chartSeries(recorder, 10_000)
    expect(Math.max(...blockedVcpus)).toBeLessThanOrEqual(run.options.vcpus + 1e-9)
    expect(Math.max(...blockedVcpus)).toBeGreaterThan(0)
  })

  it('have a row for each fault that was slept on, in the order of waking', () => {
    const { faultTimeNs, faultLatencyNs, faultPage } = chartSeries(recorder, 1e6)
    const wakes = rowsOf(EventKind.Wake)
    expect([...faultTimeNs]).toEqual(wakes.map((row) => recorder.time(row)))
    expect([...faultLatencyNs]).toEqual(wakes.map((row) => recorder.arg(row)))
    expect([...faultPage]).toEqual(wakes.map((row) => recorder.page(row)))
    expect(wakes.length).toBeGreaterThan(5)
  })
})

describe('planted events', () => {
  it('fall into the bin of their time, a sleep over those it covers', () => {
    const r = new Recorder({ keep: true })
    for (const name of ['vCPU 0', 'vCPU 1']) r.addLane({ name, machine: 'destination' })
    //        0         100       200       300
    // vCPU 0      50-----------------250
    // vCPU 1                 180-------------320
    r.event(99, EventKind.Send, 0, 1, 4104)
    r.event(100, EventKind.Send, 0, 2, 9)
    r.event(250, EventKind.Wake, 0, 1, 200)
    r.event(320, EventKind.Wake, 1, 2, 140)
    const series = chartSeries(r, 100)
    expect([...series.sentBytes]).toEqual([4104, 9, 0, 0])
    ;[0.5, 1.2, 1.5, 0.2].forEach((share, bin) => {
      expect(series.blockedVcpus[bin]).toBeCloseTo(share)
    })
  })

  it('of none there is one empty bin', () => {
    const series = chartSeries(new Recorder({ keep: true }), 1000)
    expect([[...series.sentBytes], [...series.faultPage], series.binNs]).toEqual([[0], [], 1000])
  })
})
