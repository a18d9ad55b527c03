/**
 * A shared wire: busy links have equal shares, none is idle while another waits, and a short message passes a long queue.
 *
 * One byte takes a nanosecond. Drawn: who sends, a letter for each ns.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fail } from '../../core/base/assert.ts'
import { burstBytes, type Flow, payloadBytesPerNs, Wire } from '../../core/hw/wire.ts'

/** When each message of a flow is over, all that was put being sent. */
function ends(flow: Flow, messages: number): number[] {
  const out: number[] = []
  for (let n = 0; n < messages; n++) {
    const endNs = flow.nextNs(1e9)
    expect(flow.isNextOver).toBe(true)
    flow.take()
    out.push(endNs)
  }
  return out
}

function pair(burst = 0): [Flow, Flow] {
  const wire = new Wire(1, burst)
  return [wire.join(), wire.join()]
}

describe('a shared wire', () => {
  it('gives a link that is alone all of it:  AAAAAAAAAABBBBB', () => {
    const [a, b] = pair()
    a.put(0, 10)
    b.put(10, 5)
    expect([ends(a, 1), ends(b, 1)]).toEqual([[10], [15]])
  })

  it('gives two links half each, and the rest to who goes on:  ABABABABABAAAAA', () => {
    const [a, b] = pair()
    a.put(0, 10)
    b.put(0, 5)
    expect([ends(a, 1), ends(b, 1)]).toEqual([[15], [10]])
  })

  it('lets a short message pass a long queue', () => {
    const [stream, urgent] = pair()
    for (let n = 0; n < 500; n++) stream.put(0, 4096)
    urgent.put(100_000, 4096)
    expect(ends(urgent, 1)).toEqual([100_000 + 2 * 4096])
    expect(ends(stream, 500).at(-1)).toBe(501 * 4096)
  })

  it('says of a message that is still being sent when it will be over as things stand, and later when another comes between', () => {
    const [a, b] = pair()
    a.put(0, 100)
    expect([a.nextNs(50), a.isNextOver]).toEqual([100, false])
    b.put(50, 10)
    expect([a.nextNs(60), a.isNextOver]).toEqual([110, false])
    expect([a.nextNs(110), a.isNextOver]).toEqual([110, true])
  })

  it('says when a send buffer has room', () => {
    const [a, b] = pair()
    a.put(0, 100)
    b.put(0, 100)
    expect(a.roomNs(60)).toBe(80)
    expect(a.queued(90)).toBe(55)
    expect(a.roomNs(60)).toBe(0)
  })

  it('forgets what a broken connection had on it', () => {
    const [a, b] = pair()
    a.put(0, 100)
    b.put(0, 100)
    a.clear(20)
    expect(ends(b, 1)).toEqual([110])
    a.put(110, 5)
    expect(ends(a, 1)).toEqual([115])
  })

  it('sends slower from a change on', () => {
    const wire = new Wire(1)
    const a = wire.join()
    a.put(0, 100)
    wire.change(50, 0.5)
    expect(ends(a, 1)).toEqual([150])
  })

  it('is never idle while something waits, keeps each link in order, and gives nobody more than a fair share', () => {
    const put = fc.record({ link: fc.nat(3), bytes: fc.integer({ min: 1, max: 50 }), afterNs: fc.nat(40) })
    const property = fc.property(fc.array(put, { minLength: 1, maxLength: 60 }), fc.constantFrom(0, 7, 30), (puts, burst) => {
      const wire = new Wire(1, burst)
      const links = Array.from({ length: 4 }, () => ({ flow: wire.join(), messages: 0 }))
      let nowNs = 0
      let freeNs = 0
      for (const { link, bytes, afterNs } of puts) {
        nowNs += afterNs
        const to = links[link] ?? fail(`no link ${link}`)
        to.flow.put(nowNs, bytes)
        to.messages++
        // Whoever sends, all together are over when a single queue would be.
        freeNs = Math.max(freeNs, nowNs) + bytes
      }
      const over = links.map(({ flow, messages }) => ends(flow, messages))
      for (const times of over) expect(times).toEqual([...times].sort((x, y) => x - y))
      expect(Math.max(...over.flat())).toBeCloseTo(freeNs, 6)
    })
    fc.assert(property)
  })
})

describe('bursts', () => {
  it('are waited for by a link that begins:  AAAAAAAAAABABABAAA', () => {
    const [a, b] = pair(10)
    a.put(0, 15)
    b.put(3, 3)
    expect([ends(a, 1), ends(b, 1)]).toEqual([[18], [16]])
  })

  it('follow one another, and are as short as what there is to send', () => {
    const [a, b] = pair(10)
    a.put(0, 24)
    b.put(21, 5)
    expect([ends(a, 1), ends(b, 1)]).toEqual([[24], [29]])
  })

  it('are not waited for by a link that has something to send already', () => {
    const [a, b] = pair(10)
    a.put(0, 100)
    b.put(0, 50)
    b.put(30, 10)
    expect(ends(b, 2)).toEqual([110, 130])
  })

  it('are not waited for when their connection breaks', () => {
    const [a, b] = pair(1000)
    a.put(0, 500)
    b.put(30, 5)
    a.clear(40)
    expect(ends(b, 1)).toEqual([45])
  })

  it('are 64 KiB, or a millisecond of a slow link, or two frames', () => {
    const bursts = [10e9, 1e9, 100e6, 1e6].map((rate) => Math.round(burstBytes(payloadBytesPerNs(rate))))
    expect(bursts).toEqual([65_536, 65_536, 11_866, 2920])
  })
})
