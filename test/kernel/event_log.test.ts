/**
 * The log of one thread, and the feed that gathers those of all while they are written: portions are the whole, cut by time,
 * wherever a thread was stopped in the middle of its writing.
 *
 * The threads are played by one: a look of the coordinator's falls between any two of its acts, and also between a thread's look
 * at the clock and its row.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type KernelEvents, kernelLanes } from '../../core/run/kernel_events.ts'
import { EventKind } from '../../core/trace/event.ts'
import { CLOCKS_DIFFER_NS, EventLog, LogReader } from '../../main/kernel/migrate/event_log.ts'
import { EventFeed } from '../../main/kernel/migrate/events.ts'

const cells = (rows: number) => new Float64Array(EventLog.cells(rows))
/** A clock that stands until it is moved. */
const hands = () => {
  const clock = { atNs: CLOCKS_DIFFER_NS, now: () => clock.atNs }
  return clock
}
const LATER = Number.POSITIVE_INFINITY

function logged(rows: number) {
  const clock = hands()
  const room = cells(rows)
  const reader = new LogReader(0, room, clock.now)
  const all = () => {
    reader.look(true)
    return reader.take(LATER)
  }
  return { clock, log: new EventLog(room, clock.now), room, reader, all }
}

describe('the log of a thread', () => {
  it('joins pages that follow one another into one event, until the next stamp', () => {
    const { clock, log, all } = logged(8)
    for (const page of [3, 4, 5, 9]) log.note(EventKind.Send, page, 4104)
    clock.atNs = 10
    log.stamp()
    log.note(EventKind.Send, 10, 4104)
    clock.atNs = 20
    log.stamp()
    expect(all().map(({ atNs, page, count }) => [atNs, page, count])).toEqual([
      [10, 3, 3],
      [10, 9, 1],
      [20, 10, 1],
    ])
  })

  it('shows nothing that was not stamped, and says from when on it had no room', () => {
    const { clock, log, reader, all } = logged(2)
    for (const page of [1, 3, 5]) log.note(EventKind.Place, page, 0)
    expect([all().length, reader.missedNs]).toEqual([0, Number.POSITIVE_INFINITY])
    clock.atNs = 7
    log.stamp()
    expect([all().map(({ page }) => page), reader.missedNs]).toEqual([[1, 3], 7])
  })

  it('has room again for what was taken', () => {
    const { log, reader, all } = logged(3)
    const pages: number[] = []
    for (let page = 0; page < 20; page += 2) {
      log.note(EventKind.Place, page, 0)
      log.stamp()
      if (page % 4 === 0) pages.push(...all().map((event) => event.page))
    }
    pages.push(...all().map((event) => event.page))
    expect(pages).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18])
    expect(reader.missedNs).toBe(Number.POSITIVE_INFINITY)
  })

  it('tells of a sleep while it lasts, and once', () => {
    const { clock, log, reader } = logged(8)
    log.touches(5)
    clock.atNs += 2 * CLOCKS_DIFFER_NS
    const asleep = reader.take(reader.look(false))
    expect(asleep.map(({ kind, page }) => [kind, page])).toEqual([[EventKind.Fault, 5]])
    expect(log.touched()).toBe(2 * CLOCKS_DIFFER_NS)
    clock.atNs += 2 * CLOCKS_DIFFER_NS
    const awake = reader.take(reader.look(false))
    expect(awake.map(({ kind, page }) => [kind, page])).toEqual([[EventKind.Wake, 5]])
  })

  it('tells of no sleep that may still turn out to be none', () => {
    const { clock, log, room } = logged(8)
    const reader = new LogReader(0, room, () => clock.atNs + CLOCKS_DIFFER_NS)
    log.touches(5)
    clock.atNs += 500
    expect(reader.take(reader.look(false))).toEqual([])
    expect(log.touched()).toBe(0)
    clock.atNs += 5000
    expect(reader.take(reader.look(false))).toEqual([])
  })

  it('tells of no sleep where the touch took no time', () => {
    const { clock, log, all } = logged(8)
    log.touches(5)
    clock.atNs += 500
    expect(log.touched()).toBe(0)
    expect(all()).toEqual([])
  })

  it('keeps nothing where it has no room at all, and times a sleep all the same', () => {
    const clock = hands()
    const log = new EventLog(cells(0), clock.now)
    log.note(EventKind.Place, 1, 0)
    log.stamp()
    log.touches(1)
    clock.atNs += 5000
    expect([log.isKept, log.touched()]).toEqual([false, 5000])
  })
})

const VCPUS = 2
const LANES = kernelLanes(VCPUS)

/** What the one that plays all threads does next; `wait`: so long the clock moves before. */
const act = fc.record({
  lane: fc.constantFrom(0, 2, LANES.length - 1),
  what: fc.constantFrom('note', 'note', 'stamp', 'touch', 'wake', 'look', 'incident'),
  page: fc.nat(30),
  wait: fc.constantFrom(0, 1, 300, 700, 1500, 400_000, 2_000_000),
  /** After so many looks at the clock it is stopped in the middle: others go on, and the coordinator looks. */
  cut: fc.option(fc.record({ after: fc.nat(2), later: fc.constantFrom(0, 900, 3_000_000) })),
})

describe('the feed of all threads', () => {
  it('hands on portions that are, one after the other, the whole by time', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 120 }), fc.constantFrom(-999_900, 0, 999_900), (acts, skewNs) => {
        const rooms = LANES.map(() => cells(512))
        let atNs = 10 * CLOCKS_DIFFER_NS
        let cut: (() => void) | null = null
        let looks = 0
        const feed = new EventFeed({ rooms, vcpus: VCPUS, bootNs: 0, clock: () => atNs + skewNs })
        const told: KernelEvents[] = []
        const look = (isGone: boolean) => told.push(feed.portion(() => isGone))
        const clock = () => {
          const before = atNs
          if (looks-- === 0) cut?.()
          return before
        }
        const logs = rooms.map((room) => new EventLog(room, clock))
        const asleep = new Map<number, { page: number; sinceNs: number }>()
        /** What is expected, by hand. */
        const noted = rooms.map((): { kind: number; page: number }[] => [])
        const whole: { atNs: number; kind: number; lane: number; page: number }[] = []
        for (const { lane, what, page, wait, cut: at } of acts) {
          atNs += wait
          looks = at?.after ?? -1
          cut = () => {
            atNs += (at?.later ?? 0) / 2
            const other = (lane + 1) % LANES.length
            if (!asleep.has(other) && noted[other]?.length === 0) {
              logs[other]?.note(EventKind.Place, page, 1)
              whole.push({ atNs, kind: EventKind.Place, lane: other, page })
              logs[other]?.stamp()
            }
            atNs += (at?.later ?? 0) / 2
            look(false)
          }
          const log = logs[lane] as EventLog
          const own = noted[lane] as { kind: number; page: number }[]
          const startNs = atNs
          const stamped = () => {
            for (const one of own.splice(0)) whole.push({ atNs: startNs, lane, ...one })
          }
          if (what === 'look') look(false)
          else if (what === 'incident') {
            feed.incident('cancel', atNs, false)
            whole.push({ atNs, kind: EventKind.Incident, lane: 0, page: -1 })
          } else if (asleep.has(lane) !== (what === 'wake')) continue
          else if (what === 'note') {
            // No two that would be joined.
            log.note(EventKind.Send, 2 * page, own.length)
            own.push({ kind: EventKind.Send, page: 2 * page })
          } else if (what === 'stamp') {
            log.stamp()
            stamped()
          } else if (what === 'touch') {
            stamped()
            asleep.set(lane, { page, sinceNs: log.touches(page) })
          } else {
            const sleep = asleep.get(lane)
            asleep.delete(lane)
            const sleptNs = log.touched()
            if (sleep === undefined || sleptNs === 0) continue
            whole.push({ atNs: sleep.sinceNs, kind: EventKind.Fault, lane, page: sleep.page })
            whole.push({ atNs: sleep.sinceNs + sleptNs, kind: EventKind.Wake, lane, page: sleep.page })
          }
        }
        looks = -1
        look(true)
        for (const [lane, { page, sinceNs }] of asleep) whole.push({ atNs: sinceNs, kind: EventKind.Fault, lane, page })
        const times = told.flatMap(({ timeNs }) => timeNs)
        expect(times).toEqual(times.toSorted((a, b) => a - b))
        const rows = (events: KernelEvents) =>
          events.timeNs.map((timeNs, row) => [timeNs, events.kind[row], events.lane[row], events.page[row]].join())
        const expected = whole.map((one) => [one.atNs, one.kind, one.lane, one.page].join())
        expect(told.flatMap(rows).toSorted()).toEqual(expected.toSorted())
      }),
      { numRuns: 300 },
    )
  })
})
