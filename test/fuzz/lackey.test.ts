/**
 * Fuzz: no bytes make the trace reader do anything but read, or refuse with a TraceError of one sentence.
 *
 * Bytes come as noise, as noise of the characters that traces have, and as a good trace with one byte changed.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LackeyWorkload, TraceError } from '../../core/guest/lackey.ts'
import { feedAll, linesOf, textOf } from '../guest/lackey_feed.ts'

const RAM_PAGES = 32

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (c) => c.charCodeAt(0))
}

const lackeyLike = fc.string({ unit: fc.constantFrom(...'ILSM 0123456789abcdef,=-\r\n\n'), maxLength: 300 }).map(bytes)
const changed = fc.tuple(linesOf(RAM_PAGES), fc.nat(), fc.nat(255)).map(([lines, where, byte]) => {
  const good = bytes(textOf(lines))
  good[where % good.length] = byte
  return good
})
const cut = fc.tuple(linesOf(RAM_PAGES), fc.nat()).map(([lines, where]) => {
  const good = bytes(textOf(lines))
  return good.subarray(0, where % (good.length + 1))
})
const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 1500 }), lackeyLike, changed, cut)

/** The accesses, or the refusal. */
function outcome(blocks: readonly Uint8Array[]): number[] | string {
  try {
    return feedAll(new LackeyWorkload('dir/t.gz', 1, RAM_PAGES), blocks)
  } catch (error) {
    expect(error).toBeInstanceOf(TraceError)
    return (error as TraceError).message
  }
}

it('any bytes are read, or refused with one sentence that names the file', () => {
  fc.assert(
    fc.property(anyBytes, (trace) => {
      const found = outcome([trace])
      if (typeof found === 'string') {
        expect(found).toMatch(/^dir\/t\.gz(?::\d+)?: [ -~]+$/)
      } else {
        expect(found.length).toBeGreaterThan(0)
        for (const a of found) expect(a >= 0 && a >>> 2 < RAM_PAGES).toBe(true)
      }
    }),
    { numRuns: 3000 },
  )
})

it('any bytes come to the same end in blocks of any size', () => {
  fc.assert(
    fc.property(anyBytes, fc.integer({ min: 1, max: 40 }), (trace, size) => {
      const blocks: Uint8Array[] = []
      for (let at = 0; at < trace.length; at += size) blocks.push(trace.subarray(at, at + size))
      expect(outcome(blocks)).toEqual(outcome([trace]))
    }),
    { numRuns: 1000 },
  )
})

it('a line refused is the first that is wrong: all lines before it are good by themselves', () => {
  fc.assert(
    fc.property(fc.oneof(lackeyLike, changed), (trace) => {
      const found = outcome([trace])
      const line = typeof found === 'string' ? /^dir\/t\.gz:(\d+):/.exec(found) : null
      if (line === null) return
      const text = String.fromCharCode(...trace)
      const before = text.split('\n').slice(0, Number(line[1]) - 1)
      const alone = outcome([bytes(before.map((l) => `${l}\n`).join(''))])
      if (typeof alone === 'string') expect(alone).toContain('holds no memory access')
      else expect(alone.length).toBeGreaterThan(0)
    }),
    { numRuns: 1000 },
  )
})
