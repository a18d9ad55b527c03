/**
 * A link in bad weather, over a changing wire, and broken: the stream stays whole and in order, and what trouble costs is time.
 *
 * A byte takes a nanosecond and a round trip 1,000; segments have 1,460 bytes. RTO is 200 ms and a round trip.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { NOTHING, SLEEP } from '../../core/engine/op.ts'
import { random } from '../../core/explore/schedulers.ts'
import { LINK_BROKEN, Link } from '../../core/hw/link.ts'
import { LinkWeather, SEGMENT_BYTES, type Weather } from '../../core/hw/link_weather.ts'
import { runToIdle } from '../engine/tasks.ts'
import { clockThreads, stepThreads, type ThreadBody } from './threads.ts'

const BITS_PER_SEC = (8e9 * 1538) / 1460
const FAIR: Weather = { loss: 0, duplicate: 0, reorder: 0 }

function makeLink(rttNs = 1000): Link {
  return new Link({
    name: 'the stream',
    bandwidthBitsPerSec: BITS_PER_SEC,
    rttNs,
    sendBufferBytes: 2 ** 21,
    receiveBufferBytes: 2 ** 21,
  })
}

/** Says what happens to each packet in turn: true, it does; then nothing more. */
const happens = (...script: boolean[]) => ({ fraction: () => ((script.shift() ?? false) ? 0 : 1) })

const at = (ns: number, body: ThreadBody): ThreadBody =>
  function* (k) {
    k.wakeAtNs = ns
    yield SLEEP
    yield* body(k)
  }

const sends = (link: Link, ...sizes: number[]): ThreadBody =>
  function* (k) {
    for (const [page, bytes] of sizes.entries()) yield* link.send(k, 1, page, bytes)
  }

/** Receives `n` messages: when each came, by its page; LINK_BROKEN as -1. */
const receives = (link: Link, n: number, into: [number, number][]): ThreadBody =>
  function* (k) {
    for (let i = 0; i < n; i++) {
      yield* link.receive(k)
      into.push([link.message.type === LINK_BROKEN ? -1 : link.message.page, k.nowNs])
    }
  }

function arrivals(link: Link, n: number, ...senders: ThreadBody[]): [number, number][] {
  const into: [number, number][] = []
  const { timeline, threads } = clockThreads(10, [...senders, receives(link, n, into)])
  runToIdle(timeline)
  expect(threads.map((t) => t.state)).toEqual(threads.map(() => 'done'))
  return into
}

function carry(weather: Weather, script: boolean[], ...sizes: number[]) {
  const link = makeLink()
  link.weather = new LinkWeather(weather, happens(...script))
  return { came: arrivals(link, sizes.length, sends(link, ...sizes)), counts: link.weather?.counts }
}

const percent = fc.integer({ min: 0, max: 30 }).map((n) => n / 100)
const weathers = fc.record({ loss: percent, duplicate: percent, reorder: percent })

describe('in any weather', () => {
  it('every message arrives once, in order, and none before it would in fair weather', () => {
    fc.assert(
      fc.property(
        weathers,
        fc.nat(),
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 50 }),
        (weather, seed, sizes) => {
          const link = makeLink()
          link.weather = new LinkWeather(weather, new Prng(seed))
          const foul = arrivals(link, sizes.length, sends(link, ...sizes))
          const fairLink = makeLink()
          const fair = arrivals(fairLink, sizes.length, sends(fairLink, ...sizes))
          expect(foul.map(([page]) => page)).toEqual(fair.map(([page]) => page))
          for (const [i, [, ns]] of foul.entries()) expect(ns).toBeGreaterThanOrEqual((fair[i]?.[1] ?? 0) - 1e-6)
          expect(link.weather?.counts.sent).toBe(sizes.reduce((n, bytes) => n + Math.ceil(bytes / SEGMENT_BYTES), 0))
        },
      ),
    )
  })

  it('that is fair nothing takes longer', () => {
    const link = makeLink()
    expect(carry(FAIR, [], 4104, 16, 4104).came).toEqual(arrivals(link, 3, sends(link, 4104, 16, 4104)))
  })
})

describe('a lost packet', () => {
  const loss: Weather = { ...FAIR, loss: 0.5 }

  it('is sent again when three more have left, and those behind it wait for it', () => {
    // The first of 5 is lost, and sent again without trouble.
    const { came, counts } = carry(loss, [true], 1000, 1000, 1000, 1000, 1000)
    // 2,000 bytes for the lost one, then 1,000 each; the fourth has left at 5,000: 1.5 round trips later the hole is filled.
    expect(came.map(([, ns]) => ns)).toEqual([6500, 6500, 6500, 6500, 6500])
    expect(counts).toEqual({ sent: 5, lost: 1, retransmitted: 1, duplicated: 0, reordered: 0 })
  })

  it('that is lost again costs a round trip more', () => {
    const { came, counts } = carry(loss, [true, true], 1000, 1000, 1000, 1000)
    expect(came.map(([, ns]) => ns)).toEqual([8500, 8500, 8500, 8500])
    expect(counts).toMatchObject({ lost: 2, retransmitted: 2 })
  })

  it('that is alone on its way waits for the timeout: 200 ms and a round trip', () => {
    expect(carry(loss, [true], 16).came).toEqual([[0, 32 + 200_000_000 + 1000 + 500]])
  })

  it('that is the last of several waits for a probe: 2 ms and two round trips', () => {
    expect(carry(loss, [false, true], 16, 16).came).toEqual([
      [0, 516],
      [1, 48 + 2_000_000 + 2000 + 500],
    ])
  })

  it('halves the window: at 1 % a long path carries what Mathis says, within a fifth', () => {
    const rttNs = 1_000_000
    const link = makeLink(rttNs)
    link.weather = new LinkWeather({ ...FAIR, loss: 0.01 }, new Prng(1))
    const pages = 20_000
    const came = arrivals(link, pages, sends(link, ...new Array<number>(pages).fill(4104)))
    const seconds = (came.at(-1)?.[1] ?? 0) / 1e9
    const mathis = (SEGMENT_BYTES / (rttNs / 1e9)) * Math.sqrt(1.5 / 0.01)
    expect((pages * 4104) / seconds / mathis).toBeGreaterThan(0.8)
    expect((pages * 4104) / seconds / mathis).toBeLessThan(1.2)
  })
})

describe('a packet', () => {
  it('that comes twice takes the wire twice', () => {
    const { came, counts } = carry({ ...FAIR, duplicate: 0.5 }, [true], 1000, 1000)
    expect(came.map(([, ns]) => ns)).toEqual([2500, 3500])
    expect(counts).toMatchObject({ sent: 2, duplicated: 1 })
  })

  it('that is overtaken comes up to a quarter of a round trip later, and those behind it not before it', () => {
    const link = makeLink(10_000)
    const numbers = [0, 0.5, 1, 1]
    link.weather = new LinkWeather({ ...FAIR, reorder: 0.5 }, { fraction: () => numbers.shift() ?? 1 })
    expect(arrivals(link, 2, sends(link, 100, 100))).toEqual([
      [0, 100 + 5000 + 1250],
      [1, 100 + 5000 + 1250],
    ])
  })
})

describe('a wire that changes', () => {
  const changes = (link: Link, ns: number, bitsPerSec: number) =>
    at(ns, (k) => {
      link.change(k, bitsPerSec, 0)
      return NOTHING
    })

  it('carries what has not left yet at its new rate', () => {
    const link = makeLink()
    const slower = changes(link, 1500, BITS_PER_SEC / 10)
    // Of the second message half has left at 1,500; the other half takes ten times as long.
    expect(arrivals(link, 3, sends(link, 1000, 1000, 1000), slower).map(([, ns]) => ns)).toEqual([1500, 7000, 17_000])
  })

  it('wakes a receiver for what comes earlier', () => {
    const link = makeLink()
    const faster = changes(link, 2000, BITS_PER_SEC * 10)
    expect(arrivals(link, 1, sends(link, 12_000), faster)).toEqual([[0, 2000 + 1000 + 500]])
  })

  it('that became longer delays what has not left, and shorter again keeps the order', () => {
    const link = makeLink()
    const longer = at(1500, function* (k) {
      link.change(k, BITS_PER_SEC, 50_000)
      k.wakeAtNs = 2500
      yield SLEEP
      link.change(k, BITS_PER_SEC, 0)
    })
    expect(arrivals(link, 3, sends(link, 1000, 1000, 1000), longer).map(([, ns]) => ns)).toEqual([1500, 52_500, 52_500])
  })
})

describe('a connection that broke', () => {
  const breaks = (link: Link, ns: number) => at(ns, (k) => link.disconnect(k))

  it('tells the receiver at once, whether or not something was on its way', () => {
    for (const sizes of [[], [5000]]) {
      const link = makeLink()
      expect(arrivals(link, 1, sends(link, ...sizes), breaks(link, 2000))).toEqual([[-1, 2000]])
      expect(link.depth).toBe(0)
    }
  })

  it('takes what is sent and lets nobody wait', () => {
    const link = makeLink()
    const { timeline, threads } = clockThreads(10, [sends(link, 2 ** 22, 2 ** 22, 2 ** 22), breaks(link, 2000)])
    runToIdle(timeline)
    expect(threads.map((t) => [t.state, t.nowNs])).toEqual([
      ['done', 2000],
      ['done', 2000],
    ])
    expect([link.broken, link.depth]).toEqual([true, 0])
  })

  it('carries messages again once it is made anew', () => {
    const link = makeLink()
    const again = at(2000, function* (k) {
      yield* link.disconnect(k)
      k.wakeAtNs = 3000
      yield SLEEP
      yield* link.reconnect(k)
      yield* link.send(k, 1, 9, 1000)
    })
    const came: [number, number][] = []
    const { timeline } = clockThreads(10, [
      sends(link, 100_000),
      again,
      at(0, function* (k) {
        yield* receives(link, 1, came)(k)
        k.wakeAtNs = 3000
        yield SLEEP
        yield* receives(link, 1, came)(k)
      }),
    ])
    runToIdle(timeline)
    expect(came).toEqual([
      [-1, 2000],
      [9, 3000 + 1000 + 500],
    ])
  })

  it('answers both ends under any schedule', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const link = makeLink()
        const came: [number, number][] = []
        const { execution } = stepThreads(random(new Prng(seed)), [
          sends(link, 2 ** 22, 2 ** 22, 16),
          receives(link, 4, came),
          (k) => link.disconnect(k),
        ])
        expect(execution.run(1000)).toBe('done')
        const pages = came.map(([page]) => page)
        // What came is a beginning of what was sent, and then the break.
        expect(pages).toEqual([0, 1, 2, -1, -1, -1, -1].filter((p) => p < 0 || pages.includes(p)).slice(0, 4))
      }),
    )
  })
})
