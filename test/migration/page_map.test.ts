/**
 * The destination's page map: of all sequences of requests and receipts, only missing to requested to received, and missing
 * to received; one requester wins; the count is that of received pages.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PageMap, PageMapState } from '../../core/migration/page_map.ts'

it('every sequence of up to 4 calls on one page walks the states as drawn (2 + 4 + 8 + 16 = 30 sequences)', () => {
  let sequences = 0
  for (let length = 1; length <= 4; length++) {
    for (let bits = 0; bits < 2 ** length; bits++) {
      sequences++
      const map = new PageMap(1)
      let state: PageMapState = PageMapState.missing
      for (let i = 0; i < length; i++) {
        if (((bits >> i) & 1) === 0) {
          expect(map.request(0)).toBe(state === PageMapState.missing)
          if (state === PageMapState.missing) state = PageMapState.requested
        } else {
          expect(map.receive(0)).toBe(state)
          state = PageMapState.received
        }
        expect(map.state(0)).toBe(state)
        expect(map.received).toBe(state === PageMapState.received ? 1 : 0)
      }
    }
  }
  expect(sequences).toBe(30)
})

it('pages do not touch one another, and received counts them', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), fc.boolean())), (calls) => {
      const map = new PageMap(10)
      const received = new Set<number>()
      const asked = new Set<number>()
      for (const [page, receive] of calls) {
        if (receive) {
          map.receive(page)
          received.add(page)
        } else if (map.request(page)) {
          expect(asked.has(page) || received.has(page)).toBe(false)
          asked.add(page)
        }
      }
      expect(map.received).toBe(received.size)
      for (let p = 0; p < 10; p++) {
        expect(map.state(p)).toBe(
          received.has(p) ? PageMapState.received : asked.has(p) ? PageMapState.requested : PageMapState.missing,
        )
      }
    }),
  )
})
