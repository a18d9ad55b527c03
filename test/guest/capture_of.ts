/**
 * Captures for tests: any small one, by chance, and one that is written out.
 *
 * Pairs with core/guest/capture.ts.
 */
import fc from 'fast-check'
import { AREA_KINDS, type Capture, runsOf, ZERO_CONTENT } from '../../core/guest/capture.ts'
import { writeCapture } from '../../core/guest/capture_file.ts'
import { CONTENT_KINDS } from '../../core/hw/page_bytes.ts'

const AREA_PAGES = 40

/** Sorted, each once. */
const pagesBelow = (pages: number) =>
  fc.uniqueArray(fc.nat(pages - 1), { maxLength: pages }).map((list) => Int32Array.from(list.sort((a, b) => a - b)))

/** Captures as a look at a process makes them: contents are numbered as they come. */
export const captures: fc.Arbitrary<Capture> = fc
  .record({ areas: fc.integer({ min: 1, max: 4 }), pages: fc.integer({ min: 1, max: 100 }), withContents: fc.boolean() })
  .chain(({ areas, pages, withContents }) =>
    fc
      .record({
        command: fc.string({ maxLength: 15, unit: fc.constantFrom('a', 'Z', ' ', '"', '\\', 'é') }),
        areas: fc.array(
          fc.record({
            start: fc.nat(2 ** 31).map((n) => n * 2 ** 20),
            perms: fc.constantFrom('rw-p', 'r--p', 'rwxp'),
            kind: fc.constantFrom(...AREA_KINDS),
          }),
          { minLength: areas, maxLength: areas },
        ),
        firstPages: fc.integer({ min: 1, max: pages }),
        areaOf: fc.array(fc.nat(areas - 1), { minLength: pages, maxLength: pages }),
        placeOf: fc.array(fc.nat(AREA_PAGES - 1), { minLength: pages, maxLength: pages }),
        drawn: fc.array(fc.integer({ min: ZERO_CONTENT, max: 3 }), { minLength: pages, maxLength: pages }),
        kinds: fc.array(fc.constantFrom(...CONTENT_KINDS), { minLength: 4, maxLength: 4 }),
        samples: fc.array(fc.tuple(fc.integer({ min: 1, max: 50_000 }), pagesBelow(pages)), { maxLength: 6 }),
        byte: fc.nat(255),
      })
      .map(({ command, areas: drawnAreas, firstPages, areaOf, placeOf, drawn, kinds, samples, byte }) => {
        const numbers = new Map<number, number>()
        const contentOf = drawn.map((n) => {
          if (n === ZERO_CONTENT) return n
          const number = numbers.get(n) ?? numbers.size
          numbers.set(n, number)
          return number
        })
        let timeUs = 0
        return {
          command,
          kernel: '6.18.44',
          intervalUs: 20_000,
          areas: drawnAreas.map((area) => ({ ...area, pages: AREA_PAGES })),
          firstPages,
          areaOf: Int32Array.from(areaOf),
          placeOf: Float64Array.from(placeOf),
          contentOf: Int32Array.from(contentOf),
          kindOf: kinds.slice(0, numbers.size),
          samples: samples.map(([us, changed]) => {
            timeUs += us
            return { timeUs, runs: runsOf(changed) }
          }),
          bytes: withContents ? Array.from({ length: numbers.size }, (_, n) => new Uint8Array(4096).fill(byte + n)) : null,
        }
      }),
  )

/** A process of so many pages, of which every fourth is zero, and that changes these pages, a millisecond a sample. */
export function process(pages: number, changes: readonly (readonly number[])[]): Capture {
  const contentOf = Int32Array.from({ length: pages }, (_, page) => (page % 4 === 3 ? ZERO_CONTENT : 0))
  return {
    command: 'test',
    kernel: '6.18.44',
    intervalUs: 1000,
    areas: [{ start: 0x7f0000, pages, perms: 'rw-p', kind: 'anonymous' }],
    firstPages: pages,
    areaOf: new Int32Array(pages),
    placeOf: Float64Array.from({ length: pages }, (_, page) => page),
    contentOf,
    kindOf: ['text'],
    samples: changes.map((changed, i) => ({ timeUs: (i + 1) * 1000, runs: runsOf(Int32Array.from(changed)) })),
    bytes: null,
  }
}

/** The unpacked file. */
export function fileOf(capture: Capture): Uint8Array {
  return Uint8Array.from([...writeCapture(capture)].flatMap((part) => [...part]))
}

/** The file in blocks of `bytes`. */
export async function* inBlocks(file: Uint8Array, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += bytes) yield file.subarray(at, at + bytes)
}
