/**
 * The picture at any row: found by jumping about, it is the one folded from the start, and at the end it is what the machines hold.
 *
 * Over real runs of a small guest, and over planted rows for what must hold at each step.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Fold } from '../../core/api/fold.ts'
import { PAGE_STATE_NAME, PageState } from '../../core/api/protocol.ts'
import { EventKind, MIGRATION_STATUS } from '../../core/trace/event.ts'
import { Recorder } from '../../core/trace/recorder.ts'
import { sampleRun } from '../trace/sample_run.ts'

const { run, recorder } = sampleRun({ guest: 'uniform:rate=5M/s,set=2M', memBytes: 4 * 2 ** 20 })
// One that spans several key frames (16,384 rows).
const long = sampleRun({ guest: 'uniform:rate=5M/s', memBytes: 4 * 2 ** 20, durationNs: 1_000_000 })

function slowRowAt(r: Recorder, timeNs: number): number {
  let shownNs = 0
  for (let row = 0; row < r.rows; row++) {
    shownNs = Math.max(shownNs, r.time(row))
    if (shownNs > timeNs) return row
  }
  return r.rows
}

/** Many more events than a small run has: pages sent, received and placed over and over. */
function manyRows(rows: number, pages: number): Recorder {
  const r = new Recorder({ keep: true })
  r.addLane({ name: 'migration', machine: 'source' })
  r.addLane({ name: 'listen', machine: 'destination' })
  const cycle = [EventKind.Populate, EventKind.Dirty, EventKind.Send, EventKind.Request, EventKind.Receive, EventKind.Place]
  for (let i = 0; i < rows; i++) {
    const kind = cycle[i % cycle.length] ?? EventKind.Dirty
    const page = (Math.floor(i / cycle.length) * 7) % pages
    const lane = i % cycle.length < 3 ? 0 : 1
    // Times of the two lanes overlap.
    r.event(i * 10 + lane * 35, kind, lane, page, kind === EventKind.Send || kind === EventKind.Receive ? 4104 : 0)
  }
  return r
}

describe('a picture found by jumping', () => {
  it('equals the picture folded from the start, in a real run', () => {
    const jumping = new Fold(recorder, run.pages)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: recorder.rows }), { minLength: 1, maxLength: 4 }), (rows) => {
        for (const row of rows) expect(jumping.at(row)).toEqual(new Fold(recorder, run.pages).at(row))
      }),
      { numRuns: 60 },
    )
  })

  it('equals it over several key frames, at their edges too', () => {
    const many = manyRows(70_000, 256)
    const jumping = new Fold(many, 256)
    const edge = fc.constantFrom(16_383, 16_384, 16_385, 32_768, 49_151, 65_536, 70_000)
    fc.assert(
      fc.property(fc.array(fc.oneof(edge, fc.nat(70_000)), { minLength: 1, maxLength: 3 }), (rows) => {
        for (const row of rows) expect(jumping.at(row)).toEqual(new Fold(many, 256).at(row))
      }),
      { numRuns: 12 },
    )
  })

  it('equals it while the run still goes on', () => {
    const r = manyRows(20_000, 64)
    const fold = new Fold(r, 64)
    expect(fold.at(1e9).row).toBe(20_000)
    fold.at(5)
    r.event(1e9, EventKind.Violation, 1, 3, 0)
    expect(fold.at(1e9)).toEqual(new Fold(r, 64).at(20_001))
    expect(fold.at(1e9).destination[3]).toBe(PageState.error)
  })

  it('is a copy: what is done to it does not show in the next', () => {
    const fold = new Fold(recorder, run.pages)
    const frame = fold.at(100)
    frame.source.fill(9)
    frame.counters.dirtied = -5
    expect(fold.at(100)).toEqual(new Fold(recorder, run.pages).at(100))
  })

  it('is clamped: before the start nothing, behind the end everything', () => {
    const fold = new Fold(recorder, run.pages)
    expect([fold.at(-3).row, fold.at(0).narration, fold.at(0).page, fold.at(2.9).row]).toEqual([0, '', -1, 2])
    expect(fold.at(1e12)).toEqual(fold.at(recorder.rows))
  })
})

describe('the row of a time', () => {
  it('is the one a search from the start finds', () => {
    const fold = new Fold(long.recorder, long.run.pages)
    const exact = fc.nat(long.recorder.rows - 1).map((row) => long.recorder.time(row))
    fc.assert(
      fc.property(fc.oneof(fc.double({ min: -10, max: long.recorder.endNs * 1.1, noNaN: true }), exact), (timeNs) => {
        expect(fold.rowAt(timeNs)).toBe(slowRowAt(long.recorder, timeNs))
      }),
      { numRuns: 150 },
    )
  })

  it('is never behind it: the frame there is not later than asked for, the next one is', () => {
    const fold = new Fold(recorder, run.pages)
    fc.assert(
      fc.property(fc.double({ min: 0, max: recorder.endNs, noNaN: true }), (timeNs) => {
        const row = fold.rowAt(timeNs)
        expect(fold.at(row).timeNs).toBeLessThanOrEqual(timeNs)
        if (row < recorder.rows) expect(fold.at(row + 1).timeNs).toBeGreaterThan(timeNs)
      }),
      { numRuns: 60 },
    )
  })

  it('follows rows that were recorded after the first question', () => {
    const r = new Recorder({ keep: true })
    r.addLane({ name: 'migration', machine: 'source' })
    const fold = new Fold(r, 8)
    for (let i = 0; i < 5000; i++) {
      r.event(i, EventKind.Dirty, 0, i % 8, 0)
      if (i % 500 === 0) expect(fold.rowAt(1e9)).toBe(i + 1)
    }
    expect([fold.rowAt(-1), fold.rowAt(0), fold.rowAt(2500), fold.rowAt(4999)]).toEqual([0, 1, 2501, 5000])
  })
})

describe('the picture of a run', () => {
  const fold = new Fold(recorder, run.pages)

  it('goes on in time and never forgets: totals only grow, shown time never goes back', () => {
    let before = fold.at(0)
    for (let row = 0; row <= recorder.rows; row += 97) {
      const frame = fold.at(row)
      expect(frame.timeNs).toBeGreaterThanOrEqual(before.timeNs)
      for (const name of [
        'pagesSent',
        'zeroPagesSent',
        'bytesSent',
        'pagesPlaced',
        'requests',
        'faults',
        'dirtied',
        'guestOps',
      ] as const) {
        expect(frame.counters[name], `${name} at row ${row}`).toBeGreaterThanOrEqual(before.counters[name])
      }
      before = frame
    }
  })

  it('never has less than nothing in flight, asleep or pending, and no more asleep than there are vCPUs', () => {
    const wrong: string[] = []
    for (let row = 0; row <= recorder.rows; row++) {
      const { pagesInFlight, bytesInFlight, vcpusBlocked, requestsPending } = fold.at(row).counters
      if (Math.min(pagesInFlight, bytesInFlight, vcpusBlocked, requestsPending) < 0) wrong.push(`row ${row}: below 0`)
      if (vcpusBlocked > run.options.vcpus) wrong.push(`row ${row}: ${vcpusBlocked} vCPUs asleep`)
    }
    expect(wrong).toEqual([])
  })

  it('at its end has nothing in flight, nobody asleep, every page placed, and the state of the run', () => {
    const { counters, status, source } = fold.at(recorder.rows)
    expect(status).toBe('completed')
    expect(MIGRATION_STATUS).toContain(status)
    expect(counters).toMatchObject({ pagesInFlight: 0, bytesInFlight: 0, vcpusBlocked: 0, requestsPending: 0, violations: 0 })
    expect(counters.pagesSent + counters.zeroPagesSent).toBe(run.pages)
    expect(counters.pagesPlaced).toBe(run.pages)
    expect([...source].filter((s) => s === PageState.dirty || s === PageState.inflight)).toEqual([])
  })

  it.each([
    ['remap_anon_pages', 'uniform:rate=5M/s', 'remap'],
    ['UFFDIO_COPY', 'kv:rate=5M/s,set=1M', 'copy'],
    ['UFFDIO_MOVE', 'sweep:set=2M', 'move'],
  ] as const)('by %s, of %s, at its end is what the page tables of the destination hold', (_name, guest, resolver) => {
    const { run: of, recorder: events } = sampleRun({ guest, resolver })
    const held = { source: new Uint8Array(of.pages), destination: new Uint8Array(of.pages) }
    of.pageStates(held.source, held.destination)
    expect(new Fold(events, of.pages).at(events.rows).destination).toEqual(held.destination)
  })

  it('shows a page that remap_anon_pages placed as zeros as the page tables have it', () => {
    const { run: of, recorder: events } = sampleRun({ guest: 'kv:set=1M', resolver: 'remap' })
    const held = { source: new Uint8Array(of.pages), destination: new Uint8Array(of.pages) }
    of.pageStates(held.source, held.destination)
    expect(new Fold(events, of.pages).at(events.rows).destination).toEqual(held.destination)
  })

  it('reports what the report does', () => {
    const { counters } = fold.at(recorder.rows)
    const { migration, guest } = run.report()
    expect(counters.pagesSent).toBe(migration.ram.normal)
    expect(counters.zeroPagesSent).toBe(migration.ram.duplicate)
    expect(counters.requests).toBe(migration.ram['postcopy-requests'])
    // The report rounds down a vCPU and a phase.
    const short = counters.guestOps - (guest.opsBefore + guest.opsDuring + guest.opsAfter)
    expect(short).toBeGreaterThanOrEqual(0)
    expect(short).toBeLessThanOrEqual(3 * run.options.vcpus)
  })
})

it('of any small run, the picture at its end is whole and the guest saw nothing wrong', () => {
  const options = fc.record({
    guest: fc.constantFrom(
      'kv:rate=20M/s',
      'kv:set=4k',
      'uniform:rate=50M/s,writes=90%',
      'sweep:rate=10GB/s',
      'sweep:set=8k',
      'idle',
    ),
    memBytes: fc.constantFrom(2 ** 20, 2 ** 21),
    vcpus: fc.constantFrom(1, 2, 3, 8),
    resolver: fc.constantFrom('remap' as const, 'move' as const, 'copy' as const),
    bandwidthBitsPerSec: fc.constantFrom(1e8, 1e9, 1e10, 4e11),
    rttNs: fc.constantFrom(0, 1000, 150_000, 50e6),
    durationNs: fc.constantFrom(0, 100_000),
    seed: fc.nat(),
  })
  fc.assert(
    fc.property(options, (o) => {
      const { run: of, recorder: events } = sampleRun(o)
      const { consistency, migration } = of.report()
      expect([consistency.verdict, migration.status]).toEqual(['consistent', 'completed'])
      const { counters, source, destination } = new Fold(events, of.pages).at(events.rows)
      expect(counters).toMatchObject({ pagesPlaced: of.pages, pagesInFlight: 0, requestsPending: 0, vcpusBlocked: 0 })
      const settled: readonly number[] = [PageState.zero, PageState.resident]
      expect(destination.every((s) => settled.includes(s))).toBe(true)
      expect(source.every((s) => s === PageState.missing || settled.includes(s))).toBe(true)
    }),
    { numRuns: 25 },
  )
})

it('the numbers of page states are the same for the live map and the screen', () => {
  expect(PageState).toEqual({ missing: 0, zero: 1, resident: 2, inflight: 3, dirty: 4, fault: 5, stale: 6, error: 7 })
})

describe('a page of a pre-copy', () => {
  const planted = (steps: readonly (readonly [keyof typeof EventKind, number, number])[]): Fold => {
    const r = new Recorder({ keep: true })
    r.addLane({ name: 'vCPU 0', machine: 'source' })
    r.addLane({ name: 'main', machine: 'destination' })
    r.event(0, EventKind.State, 0, -1, MIGRATION_STATUS.indexOf('active'))
    steps.forEach(([kind, lane, arg], at) => {
      r.event(at + 1, EventKind[kind], lane, kind === 'State' ? -1 : 0, arg)
    })
    return new Fold(r, 1)
  }
  const seen = (fold: Fold) =>
    Array.from({ length: fold.recorder.rows }, (_, row) => PAGE_STATE_NAME[fold.at(row + 1).destination[0] ?? 0])

  it('is stale once it was written again, in flight when it goes again, and dropped at the switch', () => {
    const fold = planted([
      ['Populate', 0, 0],
      ['Send', 0, 4104],
      ['Receive', 1, 4104],
      ['Place', 1, 0],
      ['Dirty', 0, 0],
      ['Send', 0, 4104],
      ['Place', 1, 0],
      ['Dirty', 0, 0],
      ['State', 0, MIGRATION_STATUS.indexOf('postcopy-active')],
    ])
    expect(seen(fold).slice(4)).toEqual(['resident', 'stale', 'inflight', 'resident', 'stale', 'missing'])
  })

  it('that was written while it was on its way is stale when it arrives', () => {
    const fold = planted([
      ['Populate', 0, 0],
      ['Send', 0, 4104],
      ['Dirty', 0, 0],
      ['Place', 1, 0],
    ])
    expect(seen(fold).slice(2)).toEqual(['inflight', 'inflight', 'stale'])
  })
})

it('a real pre-copy leaves nothing on the wire: all that was sent has been received', () => {
  const done = sampleRun({ guest: 'sweep:rate=50MB/s', memBytes: 4 * 2 ** 20, mode: 'precopy' })
  const { counters, destination } = new Fold(done.recorder, done.run.pages).at(done.recorder.rows)
  expect(counters.pagesSent + counters.zeroPagesSent).toBeGreaterThanOrEqual(done.run.pages)
  expect([counters.pagesInFlight, counters.bytesInFlight]).toEqual([0, 0])
  expect(counters.passes).toBe(done.run.state.dirtySyncCount)
  expect(destination.includes(PageState.inflight)).toBe(false)
  expect(destination.includes(PageState.stale)).toBe(false)
})
