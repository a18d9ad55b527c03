/**
 * The link: when a message arrives, in which order, and when its sender has to wait.
 *
 * Frames carry 1,460 of every 1,538 bytes as payload, so a link of B bits a second takes `bytes / (B / 8) * 1538 / 1460`.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { QUANTUM, SLEEP } from '../../core/engine/op.ts'
import { random } from '../../core/explore/schedulers.ts'
import { Link, type LinkOptions } from '../../core/hw/link.ts'
import { LinkWeather } from '../../core/hw/link_weather.ts'
import { payloadBytesPerNs, Wire } from '../../core/hw/wire.ts'
import { runToIdle } from '../engine/tasks.ts'
import { clockThreads, stepThreads, type ThreadBody } from './threads.ts'

const OPTIONS: LinkOptions = {
  name: 'the stream',
  // A byte a nanosecond of payload.
  bandwidthBitsPerSec: (8e9 * 1538) / 1460,
  rttNs: 1000,
  sendBufferBytes: 10_000,
  receiveBufferBytes: 5_000,
}

interface Received {
  readonly page: number
  readonly bytes: number
  readonly atNs: number
}

function sender(link: Link, sizes: readonly number[], leftNs: number[] = []): ThreadBody {
  return function* (k) {
    for (const [page, bytes] of sizes.entries()) {
      yield* link.send(k, 1, page, bytes, page * 3, page * 5, page * 7)
      leftNs.push(k.nowNs)
    }
  }
}

/** Takes `n` messages, and works for `workNs` on each. */
function receiver(link: Link, n: number, into: Received[], workNs = 0): ThreadBody {
  return function* (k) {
    for (let i = 0; i < n; i++) {
      yield* link.receive(k)
      const { type, page, bytes, word0, word1, version } = link.message
      expect([type, word0, word1, version]).toEqual([1, page * 3, page * 5, page * 7])
      into.push({ page, bytes, atNs: k.nowNs })
      k.cpu.charge(workNs)
      if (k.expired) yield QUANTUM
    }
  }
}

function carry(sizes: readonly number[], options: Partial<LinkOptions> = {}, workNs = 0) {
  const link = new Link({ ...OPTIONS, ...options })
  const received: Received[] = []
  const leftNs: number[] = []
  const { timeline, threads } = clockThreads(100, [sender(link, sizes, leftNs), receiver(link, sizes.length, received, workNs)])
  runToIdle(timeline)
  expect(threads.map((t) => t.state)).toEqual(['done', 'done'])
  return { link, received, leftNs }
}

const sizes = fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1, maxLength: 60 })

describe('a message', () => {
  it('arrives after its bytes and half a round trip', () => {
    expect(carry([4104]).received).toEqual([{ page: 0, bytes: 4104, atNs: 4104 + 500 }])
  })

  it('waits for those before it: the n-th arrives after all their bytes', () => {
    expect(carry([1000, 2000, 16]).received.map((m) => m.atNs)).toEqual([1500, 3500, 3516])
  })

  it('sent when the wire is idle does not wait for those that left long ago', () => {
    const link = new Link(OPTIONS)
    const received: Received[] = []
    const { timeline } = clockThreads(100, [
      function* (k) {
        yield* link.send(k, 1, 0, 1000)
        k.wakeAtNs = 50_000
        yield SLEEP
        yield* link.send(k, 1, 0, 1000)
      },
      receiver(link, 2, received),
    ])
    runToIdle(timeline)
    expect(received.map((m) => m.atNs)).toEqual([1500, 51_500])
  })
})

describe('the stream', () => {
  it('is first in, first out and loses, makes and changes nothing', () => {
    fc.assert(
      fc.property(sizes, fc.nat(5000), (all, workNs) => {
        const { link, received } = carry(all, {}, workNs)
        expect(received.map((m) => m.bytes)).toEqual(all)
        expect(received.map((m) => m.page)).toEqual(all.map((_, i) => i))
        expect([link.bytesSent, link.depth]).toEqual([all.reduce((a, b) => a + b), 0])
      }),
    )
  })

  it('carries no more than its bandwidth, and all of it when kept busy', () => {
    fc.assert(
      fc.property(sizes, (all) => {
        const { received, link } = carry(all)
        const bytes = all.reduce((a, b) => a + b)
        // The receiver does nothing but receive, so the window opens half a round trip after each arrival.
        expect(received.at(-1)?.atNs).toBeGreaterThanOrEqual(bytes + 500 - 1e-6)
        expect(link.goodputBytesPerSec).toBeCloseTo(1e9)
        const whole = carry(all, { sendBufferBytes: 1e9 })
        expect(whole.received.at(-1)?.atNs).toBeCloseTo(bytes + 500)
      }),
    )
  })

  it('grows: 5,000 messages can be on their way at once, in order', () => {
    const all = new Array<number>(5000).fill(16)
    const { received } = carry(all, { rttNs: 1e9, sendBufferBytes: 1e9 })
    expect(received.map((m) => m.page)).toEqual(all.map((_, i) => i))
  })

  it('grows also when its ring has turned', () => {
    const link = new Link({ ...OPTIONS, sendBufferBytes: 1e9 })
    const received: Received[] = []
    const n = 4000
    const { timeline } = clockThreads(100, [
      function* (k) {
        for (let page = 0; page < n; page++) {
          // The first thousand go out, 700 are read, then the rest goes out at once.
          if (page === 1000) {
            k.wakeAtNs = 100_000
            yield SLEEP
          }
          yield* link.send(k, 1, page, 16, page * 3, page * 5, page * 7)
        }
      },
      function* (k) {
        yield* receiver(link, 700, received)(k)
        expect(k.nowNs).toBeLessThan(100_000)
        k.wakeAtNs = 1e6
        yield SLEEP
        expect(link.depth).toBe(n - 700)
        yield* receiver(link, n - 700, received)(k)
      },
    ])
    runToIdle(timeline)
    expect(received.map((m) => m.page)).toEqual(Array.from({ length: n }, (_, i) => i))
  })
})

describe('the socket buffer', () => {
  it('takes messages at once until it is full, then the sender goes at the speed of the wire', () => {
    // 10,000 bytes fit; one more message is taken while the last byte's room is free.
    const { leftNs } = carry(new Array<number>(8).fill(4000), { receiveBufferBytes: 1e9 })
    // Wire free at 4000 n; a message is taken once no more than 10,000 bytes are ahead: n 4000 - 10,000.
    expect(leftNs).toEqual([0, 0, 0, 2000, 6000, 10_000, 14_000, 18_000])
  })

  it('makes a small message wait behind what lies in it: head-of-line blocking', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 0, max: 20_000 }), (bulk, askedNs) => {
        const link = new Link(OPTIONS)
        const received: Received[] = []
        const { timeline } = clockThreads(100, [
          function* (k) {
            yield* link.send(k, 1, 0, bulk)
            k.wakeAtNs = askedNs
            yield SLEEP
            yield* link.send(k, 1, 0, 16)
          },
          receiver(link, 2, received),
        ])
        runToIdle(timeline)
        // What is left of the bulk goes first.
        expect(received[1]?.atNs).toBeCloseTo(askedNs + Math.max(0, bulk - askedNs) + 16 + 500)
      }),
    )
  })
})

describe('the window', () => {
  /** Sends 1,000 bytes at a time; the receiver sleeps for 100 us first. */
  function slowStart(n: number) {
    const link = new Link(OPTIONS)
    const leftNs: number[] = []
    const received: Received[] = []
    const { timeline } = clockThreads(100, [
      sender(link, new Array<number>(n).fill(1000), leftNs),
      function* (k) {
        k.wakeAtNs = 100_000
        yield SLEEP
        expect(link.depth).toBe(Math.min(n, 15))
        yield* receiver(link, n, received)(k)
      },
    ])
    runToIdle(timeline)
    return { leftNs, received }
  }

  it('blocks a sender whose receiver does not read: both buffers, not more', () => {
    // 10,000 + 5,000 bytes of buffers take 15 messages.
    const { leftNs } = slowStart(20)
    expect(leftNs.filter((ns) => ns < 100_000)).toHaveLength(15)
  })

  it('opens again half a round trip after the receiver read', () => {
    const { leftNs, received } = slowStart(16)
    expect(leftNs[15]).toBe(100_500)
    expect(received[15]?.atNs).toBe(100_500 + 1000 + 500)
  })

  it('is the same for all that the sender does: no message is lost on a slow receiver', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 20_000 }), (all, workNs) => {
        const { received } = carry(all, { sendBufferBytes: 3000, receiveBufferBytes: 1000 }, workNs)
        expect(received).toHaveLength(all.length)
        received.forEach((m, i) => {
          const before = received[i - 1]
          if (before !== undefined) expect(m.atNs).toBeGreaterThanOrEqual(before.atNs + workNs)
        })
      }),
    )
  })

  it('wakes every sender that waits for it', () => {
    const link = new Link(OPTIONS)
    const received: Received[] = []
    const two = new Array<number>(2).fill(16_000)
    const { timeline, threads } = clockThreads(100, [
      sender(link, two),
      sender(link, two),
      function* (k) {
        k.wakeAtNs = 100_000
        yield SLEEP
        yield* receiver(link, 4, received)(k)
      },
    ])
    runToIdle(timeline)
    expect(threads.map((t) => `${t.name} ${t.state}`)).toEqual(['A done', 'B done', 'C done'])
  })
})

describe('in the step gear', () => {
  it('every message arrives, in order, under any schedule and through a small window', () => {
    fc.assert(
      fc.property(fc.nat(), fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 12 }), (seed, all) => {
        const link = new Link({ ...OPTIONS, sendBufferBytes: 2000, receiveBufferBytes: 2000 })
        const received: Received[] = []
        const { execution } = stepThreads(random(new Prng(seed)), [sender(link, all), receiver(link, all.length, received)])
        expect(execution.run(10_000)).toBe('done')
        expect(received.map((m) => m.bytes)).toEqual(all)
      }),
    )
  })
})

it('a link without bandwidth is a bug', () => {
  expect(() => new Link({ ...OPTIONS, bandwidthBitsPerSec: 0 })).toThrow('link the stream: bandwidth 0')
})

describe('two links that share a wire', () => {
  it('fill no more than the send buffer of one that loses packets', () => {
    const wire = new Wire(payloadBytesPerNs(OPTIONS.bandwidthBitsPerSec))
    const link = new Link({ ...OPTIONS, rttNs: 100_000, receiveBufferBytes: 10_000_000, wire })
    link.weather = new LinkWeather({ loss: 0.2, duplicate: 0, reorder: 0 }, new Prng(5))
    const received: Received[] = []
    const leftNs: number[] = []
    const sizes = new Array<number>(100).fill(4096)
    const { timeline } = clockThreads(100, [sender(link, sizes, leftNs), receiver(link, sizes.length, received)])
    runToIdle(timeline)
    expect(received.map(({ page }) => page)).toEqual(sizes.map((_, page) => page))
    // The last message was taken when all but the buffer had left: that is long after what the wire alone would need.
    expect(leftNs.at(-1)).toBeGreaterThan(10 * 100 * 4096)
  })

  /** A stream that is busy from 0 on, and one message on the other link at `atNs`: when they arrive. */
  function share(streamSizes: readonly number[], urgentBytes: number, atNs: number, isShared: boolean) {
    const wire = isShared ? new Wire(payloadBytesPerNs(OPTIONS.bandwidthBitsPerSec)) : undefined
    const options = { ...OPTIONS, ...(wire === undefined ? {} : { wire }) }
    const [stream, urgent] = [new Link(options), new Link({ ...options, name: 'the urgent channel' })]
    const received: [Received[], Received[]] = [[], []]
    const later: ThreadBody = function* (k) {
      k.wakeAtNs = atNs
      yield SLEEP
      yield* urgent.send(k, 1, 0, urgentBytes)
    }
    const { timeline } = clockThreads(100, [
      sender(stream, streamSizes),
      receiver(stream, streamSizes.length, received[0]),
      later,
      receiver(urgent, 1, received[1]),
    ])
    runToIdle(timeline)
    return received.map((all) => all.map(({ atNs }) => Math.round(atNs)))
  }

  it('are each as fast as one alone while the other is idle', () => {
    const alone = share([4000, 4000], 1000, 20_000, false)
    expect(share([4000, 4000], 1000, 20_000, true)).toEqual(alone)
    expect(alone).toEqual([[4500, 8500], [21_500]])
  })

  it('have half each while both are busy: what is in the middle of the other queue is delayed, and does not delay', () => {
    // 8000 bytes are queued at 0. At 2000 1000 more come on the other link: they take 2000 ns, and the queue is 1000 ns late.
    expect(share([4000, 4000], 1000, 2000, true)).toEqual([[5500, 9500], [4500]])
  })

  it('fill the send buffer as far as they have sent, not as far as they would alone', () => {
    const [stream, urgent] = share([8000, 8000, 8000], 6000, 0, true)
    expect(urgent).toEqual([12_500])
    expect(stream).toEqual([14_500, 22_500, 30_500])
  })
})
