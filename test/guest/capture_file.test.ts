/**
 * A guest file comes back as it was written, however it is cut; and one that is cut short, changed or something else is refused in one
 * sentence that names it.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Capture } from '../../core/guest/capture.ts'
import { GuestFileError, readCapture } from '../../core/guest/capture_file.ts'
import { captures, fileOf, inBlocks, process } from './capture_of.ts'

const PATH = 'x/y.pfguest'

function read(file: Uint8Array, blockBytes = 1000): Promise<Capture> {
  return readCapture(inBlocks(file, blockBytes), PATH)
}

/** Bytes as text, which is compared sooner. */
function plain({ bytes, ...rest }: Capture) {
  return { ...rest, bytes: bytes?.map((one) => Buffer.from(one).toString('base64')) }
}

/** The sentence of its refusal. */
async function refusal(file: Uint8Array): Promise<string> {
  const error = await read(file).then(
    () => new Error('it was read'),
    (e: Error) => e,
  )
  expect(error).toBeInstanceOf(GuestFileError)
  return error.message
}

/** The file with another header, and so with another checksum. */
function withHeader(change: (header: Record<string, unknown>) => object): Uint8Array {
  const file = fileOf(process(8, [[1, 2]]))
  const end = file.indexOf(10)
  const header = JSON.parse(new TextDecoder().decode(file.subarray(0, end)))
  return Uint8Array.from([...new TextEncoder().encode(JSON.stringify(change(header))), ...file.subarray(end)])
}

describe('a guest file', () => {
  it('says after reading what was written, in blocks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(captures, fc.integer({ min: 1, max: 5000 }), async (capture, blockBytes) => {
        expect(plain(await read(fileOf(capture), blockBytes))).toEqual(plain(capture))
      }),
      { numRuns: 40 },
    )
  })

  it('holds no digest: two captures of the same pages in the same places are the same file', () => {
    expect(fileOf(process(50, [[1]]))).toEqual(fileOf(process(50, [[1]])))
  })

  it('of a page and a run that repeats takes a few bytes a sample', () => {
    const still = fileOf(process(4000, []))
    const busy = fileOf(
      process(
        4000,
        Array.from({ length: 100 }, () => Array.from({ length: 500 }, (_, i) => 1000 + i)),
      ),
    )
    expect(busy.length - still.length).toBeLessThan(100 * 8)
  })

  it('cut short anywhere is refused', async () => {
    const file = fileOf(process(20, [[1, 2], [7]]))
    for (let length = 0; length < file.length; length++) {
      expect(await refusal(file.subarray(0, length))).toMatch(/^x\/y\.pfguest is (no guest file|damaged)/)
    }
  })

  it('with one byte changed is refused', async () => {
    await fc.assert(
      fc.asyncProperty(captures, fc.nat(), fc.integer({ min: 1, max: 255 }), async (capture, where, flip) => {
        const file = fileOf(capture)
        const at = where % file.length
        file[at] = (file[at] ?? 0) ^ flip
        expect(await refusal(file)).toContain(PATH)
      }),
      { numRuns: 100 },
    )
  })

  it('of noise is refused, and never anything else happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (noise) => {
        expect(await refusal(noise)).toContain('is no guest file')
      }),
    )
  })
})

describe('the refusal', () => {
  it.each([
    [
      'text',
      (): Uint8Array => new TextEncoder().encode('hello\n'),
      'is no guest file; capture --pid N --output FILE.pfguest makes one',
    ],
    ['other JSON', () => new TextEncoder().encode('{"schema":"pageferry.cpu/1"}\n'), 'is no guest file'],
    [
      'a later form',
      () => withHeader((h) => ({ ...h, schema: 'pageferry.guest/2' })),
      'has the form pageferry.guest/2, and this version reads pageferry.guest/1',
    ],
    ['a field too much', () => withHeader((h) => ({ ...h, extra: 1 })), 'is damaged: its header: unrecognized key'],
    ['more pages than it may', () => withHeader((h) => ({ ...h, pages: 2 ** 30 })), 'is damaged: pages:'],
    ['more first pages than pages', () => withHeader((h) => ({ ...h, firstPages: 9 })), 'its header counts more than its pages'],
    [
      'a part that is too large',
      () => withHeader((h) => ({ ...h, bytes: { places: 2 ** 40, contents: 1, samples: 1 } })),
      'is damaged: bytes.places',
    ],
    ['an area that is too small', () => withHeader((h) => ({ ...h, areas: [[5, 7, 'rw-p', 'heap']] })), 'page 0 lies in no area'],
    ['more pages than are placed', () => withHeader((h) => ({ ...h, pages: 9 })), 'page 8 lies in no area'],
    ['another name of the process', () => withHeader((h) => ({ ...h, command: 'other' })), 'its checksum is wrong'],
    ['something behind its end', () => Uint8Array.from([...fileOf(process(4, [])), 0]), 'it goes on behind its end'],
    ['a header without an end', () => new Uint8Array(2 ** 24 + 2).fill(32), 'is no guest file'],
  ])('of %s says so', async (_, make, says) => expect(await refusal(make())).toContain(says))
})
