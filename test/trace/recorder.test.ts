/**
 * The recorder: rows come back as they were written, and the hash is over the events, whether they are kept or not.
 *
 * 65,536 rows make a chunk; rows on both sides of that edge are looked at.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventKind } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { sampleRun } from './sample_run.ts'

interface Row {
  readonly timeNs: number
  readonly kind: EventKind
  readonly lane: number
  readonly page: number
  readonly arg: number
}

const row: fc.Arbitrary<Row> = fc.record({
  timeNs: fc.oneof(fc.nat(1e9), fc.double({ min: 0, max: 1e12, noNaN: true })),
  kind: fc.nat(14) as fc.Arbitrary<EventKind>,
  lane: fc.nat(20),
  page: fc.integer({ min: -1, max: 2 ** 24 }),
  arg: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
})

function record(rows: readonly Row[], keep = true): Recorder {
  const r = new Recorder({ keep })
  for (const { timeNs, kind, lane, page, arg } of rows) r.event(timeNs, kind, lane, page, arg)
  return r
}

function readBack(r: Recorder): Row[] {
  return Array.from({ length: r.rows }, (_, i) => ({
    timeNs: r.time(i),
    kind: r.kind(i),
    lane: r.lane(i),
    page: r.page(i),
    arg: r.arg(i),
  }))
}

describe('rows', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(fc.array(row), (rows) => {
        const r = record(rows)
        expect(readBack(r)).toEqual(rows)
        expect([r.rows, r.events, r.endNs]).toEqual([rows.length, rows.length, Math.max(0, ...rows.map((x) => x.timeNs))])
      }),
    )
  })

  it('come back over the edge of a chunk', () => {
    const r = new Recorder({ keep: true })
    for (let i = 0; i < 2 * 65_536 + 3; i++) r.event(i, (i % 15) as EventKind, i & 7, i, 9 - i)
    for (const i of [0, 65_535, 65_536, 131_071, 131_072, 131_074]) {
      expect([r.time(i), r.kind(i), r.lane(i), r.page(i), r.arg(i)]).toEqual([i, i % 15, i & 7, i, 9 - i])
    }
    expect(r.rows).toBe(131_075)
  })

  it('are not kept by a recorder that keeps none, but counted', () => {
    const r = record([{ timeNs: 5, kind: 1, lane: 0, page: 1, arg: 0 }], false)
    expect([r.rows, r.events]).toEqual([0, 1])
  })
})

describe('the hash', () => {
  it('is the same whether rows are kept or not', () => {
    fc.assert(
      fc.property(fc.array(row), (rows) => {
        expect(record(rows, true).hash()).toBe(record(rows, false).hash())
      }),
    )
  })

  it('of a real run is the same whether rows are kept or not, and the same twice', () => {
    const kept = sampleRun()
    const not = sampleRun({}, false)
    expect(not.recorder.hash()).toBe(kept.recorder.hash())
    expect(not.recorder.events).toBe(kept.recorder.rows)
    expect(sampleRun().recorder.hash()).toBe(kept.recorder.hash())
    expect(sampleRun({ seed: 2 }).recorder.hash()).not.toBe(kept.recorder.hash())
  })

  it('of a real run is the same however the host cuts it into slices', () => {
    const { recorder, run } = sampleRun()
    const cut = sampleRun({}, false, 1)
    expect(cut.recorder.hash()).toBe(recorder.hash())
    expect(cut.run.report()).toEqual(run.report())
  })

  const base: Row = { timeNs: 1000, kind: 3, lane: 2, page: 77, arg: 5 }

  it.each<[string, Partial<Row>]>([
    ['an eighth of a nanosecond', { timeNs: 1000.125 }],
    ['kind', { kind: 4 }],
    ['lane', { lane: 3 }],
    ['page', { page: 78 }],
    ['no page', { page: -1 }],
    ['arg', { arg: 6 }],
  ])('sees a change of %s', (_what, change) => {
    expect(record([{ ...base, ...change }]).hash()).not.toBe(record([base]).hash())
  })

  it.each<[string, Partial<Row>]>([
    // Exactly 2^22 ns: what is left of the time in 1/1024 ns is the same in the low 32 bits.
    ['4.194304 ms', { timeNs: 1000 + 2 ** 22 }],
    ['an hour', { timeNs: 1000 + 2 ** 22 * 858_307 }],
  ])('sees a change of %s, which is a multiple of 2^22 ns', (_what, change) => {
    expect(record([{ ...base, ...change }]).hash()).not.toBe(record([base]).hash())
  })

  it('sees an event more, a changed order, and the names of lanes', () => {
    const other = { ...base, page: 1 }
    const hashes = [record([base]), record([base, base]), record([base, other]), record([other, base])].map((r) => r.hash())
    const lane = new Recorder({ keep: true })
    lane.addLane({ name: 'vCPU 0', machine: 'source' })
    const twin = new Recorder({ keep: true })
    twin.addLane({ name: 'vCPU 0', machine: 'destination' })
    expect(new Set([...hashes, lane.hash(), twin.hash(), record([]).hash()]).size).toBe(7)
  })
})

it('lanes are numbered in the order in which they are added', () => {
  const r = new Recorder({ keep: true })
  expect([r.addLane({ name: 'a', machine: 'source' }), r.addLane({ name: 'b', machine: 'destination' })]).toEqual([0, 1])
  expect(r.lanes.map((l) => l.name)).toEqual(['a', 'b'])
})
