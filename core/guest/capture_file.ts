/**
 * A captured process as a file: `pageferry.guest/1`, gzip around these parts, one behind the other.
 *
 *  1. One line of JSON, the header: schema, what was captured, its areas, and the number of bytes of parts 2 to 4.
 *  2. Places: runs of pages as (area, first page in it, count).
 *  3. Contents: a number a page: 0 is a zero page, 1 to 4 a content not seen before, of that kind (CONTENT_KINDS), and 5 + n the
 *     content number n again.
 *  4. Samples: time since the one before in us, runs, and runs of changed pages as (pages between, count - 1).
 *  5. With contents: 4096 bytes of each content.
 *  6. CRC-32 of all before, four bytes, the lowest first.
 *
 * Numbers are varints (base/varint.ts). There are no hashes in it: what pages held the same is told by numbers that mean nothing
 * outside of the file, so nothing can be guessed from them. A reader takes blocks as they come, believes nothing, runs nothing,
 * and says in one sentence what is wrong (GuestFileError).
 */
import { z } from 'zod'
import { asciiBytes, asciiJson, asciiText } from '../base/ascii.ts'
import { Crc32 } from '../base/crc32.ts'
import { VarintReader, VarintWriter } from '../base/varint.ts'
import { CONTENT_KINDS, type ContentKind, PAGE_BYTES } from '../hw/page_bytes.ts'
import { AREA_KINDS, type Capture, type CapturedArea, type Sample, ZERO_CONTENT } from './capture.ts'

export const GUEST_FILE_SCHEMA = 'pageferry.guest/1'
/** How names of such files end. */
export const GUEST_FILE_ENDING = '.pfguest'

/** Most that a file holds: 16 GiB of memory, 1 GiB of contents. */
export const MOST_PAGES = 2 ** 22
export const MOST_CONTENT_PAGES = 2 ** 18
export const MOST_SAMPLES = 2 ** 16
const MOST_AREAS = 2 ** 17
const MOST_HEADER_BYTES = 2 ** 24
const MOST_PART_BYTES = 2 ** 28
const LAST_PAGE = 2 ** 52
const NEWLINE = 10
const CRC_BYTES = 4
/** Numbers of part 3 from here on name a content that was there before. */
const AGAIN = 1 + CONTENT_KINDS.length

/** The file is not what it should be: one sentence with its path and the remedy. */
export class GuestFileError extends Error {
  override readonly name = 'GuestFileError'
}

const count = (most: number) => z.number().int().min(0).max(most)
const partBytes = count(MOST_PART_BYTES)

const header = z.strictObject({
  schema: z.literal(GUEST_FILE_SCHEMA),
  command: z.string().max(256),
  kernel: z.string().max(256),
  pageSize: z.literal(PAGE_BYTES),
  pages: count(MOST_PAGES).min(1),
  firstPages: count(MOST_PAGES).min(1),
  contents: count(MOST_PAGES),
  samples: count(MOST_SAMPLES),
  intervalUs: count(3600e6),
  withContents: z.boolean(),
  areas: z
    .array(z.tuple([count(LAST_PAGE), count(LAST_PAGE), z.string().max(4), z.enum(AREA_KINDS)]))
    .min(1)
    .max(MOST_AREAS),
  bytes: z.strictObject({ places: partBytes, contents: partBytes, samples: partBytes }),
})
type Header = z.infer<typeof header>

/** The file's bytes, to be packed with gzip. */
export function* writeCapture(capture: Capture): Generator<Uint8Array, void, void> {
  const crc = new Crc32()
  const places = placesPart(capture)
  const contents = contentsPart(capture)
  const samples = samplesPart(capture)
  const head: Header = {
    schema: GUEST_FILE_SCHEMA,
    command: capture.command,
    kernel: capture.kernel,
    pageSize: PAGE_BYTES,
    pages: capture.contentOf.length,
    firstPages: capture.firstPages,
    contents: capture.kindOf.length,
    samples: capture.samples.length,
    intervalUs: capture.intervalUs,
    withContents: capture.bytes !== null,
    areas: capture.areas.map(({ start, pages, perms, kind }) => [start, pages, perms, kind]),
    bytes: { places: places.length, contents: contents.length, samples: samples.length },
  }
  const line = asciiBytes(`${asciiJson(head)}\n`)
  for (const part of [line, places, contents, samples, ...(capture.bytes ?? [])]) {
    crc.add(part)
    yield part
  }
  const end = new Uint8Array(CRC_BYTES)
  new DataView(end.buffer).setUint32(0, crc.value, true)
  yield end
}

function placesPart({ areaOf, placeOf }: Capture): Uint8Array {
  const out = new VarintWriter()
  for (let page = 0; page < areaOf.length; ) {
    let end = page + 1
    while (end < areaOf.length && areaOf[end] === areaOf[page] && placeOf[end] === placeOf[end - 1] + 1) end++
    out.put(areaOf[page])
    out.put(placeOf[page])
    out.put(end - page)
    page = end
  }
  return out.bytes
}

function contentsPart({ contentOf, kindOf }: Capture): Uint8Array {
  const out = new VarintWriter()
  let seen = 0
  for (const content of contentOf) {
    if (content === ZERO_CONTENT) out.put(0)
    else if (content < seen) out.put(AGAIN + content)
    else out.put(1 + CONTENT_KINDS.indexOf(kindOf[seen++]))
  }
  return out.bytes
}

function samplesPart({ samples }: Capture): Uint8Array {
  const out = new VarintWriter()
  let before = 0
  for (const { timeUs, runs } of samples) {
    out.put(timeUs - before)
    before = timeUs
    out.put(runs.length / 2)
    for (let i = 0, at = 0; i < runs.length; i += 2) {
      out.put(runs[i] - at)
      out.put(runs[i + 1] - 1)
      at = runs[i] + runs[i + 1]
    }
  }
  return out.bytes
}

/** Reads the unpacked file; `path` is for errors. */
export async function readCapture(blocks: AsyncIterable<Uint8Array>, path: string): Promise<Capture> {
  const input = new Input(blocks, path)
  try {
    // 1.
    const head = parseHeader(await input.line(), path)
    // 2. to 4.
    const places = readPlaces(new VarintReader(await input.bytes(head.bytes.places)), head, path)
    const contents = readContents(new VarintReader(await input.bytes(head.bytes.contents)), head, path)
    const samples = readSamples(new VarintReader(await input.bytes(head.bytes.samples)), head, path)
    // 5.
    const bytes = head.withContents ? await readBytes(input, head.contents) : null
    // 6.
    const expected = input.crc
    const end = await input.bytes(CRC_BYTES)
    if (new DataView(end.buffer, end.byteOffset).getUint32(0, true) !== expected) throw damaged(path, 'its checksum is wrong')
    if (!(await input.isAtEnd())) throw damaged(path, 'it goes on behind its end')
    const areas: CapturedArea[] = head.areas.map(([start, pages, perms, kind]) => ({ start, pages, perms, kind }))
    const { command, kernel, intervalUs, firstPages } = head
    return { command, kernel, intervalUs, firstPages, areas, ...places, ...contents, samples, bytes }
  } finally {
    await input.close()
  }
}

async function readBytes(input: Input, contents: number): Promise<Uint8Array[]> {
  const bytes: Uint8Array[] = []
  while (bytes.length < contents) bytes.push(await input.bytes(PAGE_BYTES))
  return bytes
}

function damaged(path: string, what: string): GuestFileError {
  return new GuestFileError(`${path} is damaged: ${what}; copy it again, or capture again`)
}

function parseHeader(line: string | null, path: string): Header {
  const notOne = `${path} is no guest file; capture --pid N --output FILE${GUEST_FILE_ENDING} makes one`
  if (line === null) throw new GuestFileError(notOne)
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch {
    throw new GuestFileError(notOne)
  }
  const schema = typeof json === 'object' && json !== null && 'schema' in json ? String(json.schema).slice(0, 40) : ''
  if (!schema.startsWith('pageferry.guest/')) throw new GuestFileError(notOne)
  if (schema !== GUEST_FILE_SCHEMA)
    throw new GuestFileError(
      `${path} has the form ${schema}, and this version reads ${GUEST_FILE_SCHEMA}; take the version that wrote it, or capture again`,
    )
  const read = header.safeParse(json)
  if (!read.success) {
    const [{ path: at, message }] = read.error.issues
    throw damaged(path, `${at.join('.') || 'its header'}: ${message.charAt(0).toLowerCase()}${message.slice(1)}`)
  }
  const { pages, firstPages, contents, withContents } = read.data
  if (firstPages > pages || contents > pages) throw damaged(path, 'its header counts more than its pages')
  if (withContents && contents > MOST_CONTENT_PAGES) throw damaged(path, 'it says it has more contents than a file holds')
  return read.data
}

function readPlaces(from: VarintReader, { pages, areas }: Header, path: string): Pick<Capture, 'areaOf' | 'placeOf'> {
  const areaOf = new Int32Array(pages)
  const placeOf = new Float64Array(pages)
  for (let page = 0; page < pages; ) {
    const area = from.take()
    const first = from.take()
    const n = from.take()
    const isThere = area >= 0 && area < areas.length && first >= 0 && n > 0 && n <= pages - page
    if (!isThere || first + n > areas[area][1]) throw damaged(path, `page ${page} lies in no area`)
    for (let i = 0; i < n; i++) placeOf[page + i] = first + i
    areaOf.fill(area, page, page + n)
    page += n
  }
  if (!from.isAtEnd) throw damaged(path, 'it places more pages than it has')
  return { areaOf, placeOf }
}

function readContents(from: VarintReader, head: Header, path: string): Pick<Capture, 'contentOf' | 'kindOf'> {
  const contentOf = new Int32Array(head.pages)
  const kindOf: ContentKind[] = []
  for (let page = 0; page < head.pages; page++) {
    const n = from.take()
    if (n < 0 || n - AGAIN >= kindOf.length) throw damaged(path, `the content of page ${page} is not known`)
    contentOf[page] = n === 0 ? ZERO_CONTENT : n < AGAIN ? kindOf.push(CONTENT_KINDS[n - 1]) - 1 : n - AGAIN
  }
  if (!from.isAtEnd || kindOf.length !== head.contents) throw damaged(path, 'its contents are not as many as it says')
  return { contentOf, kindOf }
}

function readSamples(from: VarintReader, head: Header, path: string): Sample[] {
  const samples: Sample[] = []
  let timeUs = 0
  while (samples.length < head.samples) {
    const since = from.take()
    const n = from.take()
    // Two runs are a page apart at least.
    if (since < 0 || n < 0 || n > head.pages) throw damaged(path, `sample ${samples.length} is cut off`)
    timeUs += since
    const runs = new Int32Array(n * 2)
    for (let i = 0, at = 0; i < runs.length; i += 2) {
      const gap = from.take()
      const more = from.take()
      if (gap < 0 || more < 0 || at + gap + more >= head.pages)
        throw damaged(path, `sample ${samples.length} changes a page that is not there`)
      runs[i] = at + gap
      runs[i + 1] = more + 1
      at = runs[i] + runs[i + 1]
    }
    samples.push({ timeUs, runs })
  }
  if (!from.isAtEnd) throw damaged(path, 'it has more samples than it says')
  return samples
}

/** Blocks of any size as a line and parts of known sizes; counts the checksum on the way. */
class Input {
  readonly #blocks: AsyncIterator<Uint8Array>
  readonly #crc = new Crc32()
  #block: Uint8Array = new Uint8Array(0)

  constructor(
    blocks: AsyncIterable<Uint8Array>,
    readonly path: string,
  ) {
    this.#blocks = blocks[Symbol.asyncIterator]()
  }

  /** Of everything handed out so far. */
  get crc(): number {
    return this.#crc.value
  }

  async isAtEnd(): Promise<boolean> {
    while (this.#block.length === 0) {
      const next = await this.#blocks.next()
      if (next.done === true) return true
      this.#block = next.value
    }
    return false
  }

  /** The first line; null where there is none that is short enough. */
  async line(): Promise<string | null> {
    const parts: Uint8Array[] = []
    let length = 0
    while (!(await this.isAtEnd())) {
      const end = this.#block.indexOf(NEWLINE)
      const part = this.#take(end < 0 ? this.#block.length : end + 1)
      parts.push(part)
      length += part.length
      if (length > MOST_HEADER_BYTES) return null
      if (end < 0) continue
      const line = new Uint8Array(length)
      for (let i = 0, at = 0; i < parts.length; at += parts[i++].length) line.set(parts[i], at)
      return asciiText(line)
    }
    return null
  }

  /** The next `length` bytes. They grow as they come: a length is what a file says, until they are there. */
  async bytes(length: number): Promise<Uint8Array> {
    let bytes = new Uint8Array(Math.min(length, 2 ** 16))
    for (let at = 0; at < length; ) {
      if (await this.isAtEnd()) throw damaged(this.path, 'its end is missing')
      const part = this.#take(Math.min(length - at, this.#block.length))
      if (at + part.length > bytes.length) {
        const larger = new Uint8Array(Math.min(length, Math.max(bytes.length * 2, at + part.length)))
        larger.set(bytes.subarray(0, at))
        bytes = larger
      }
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  }

  #take(length: number): Uint8Array {
    const part = this.#block.subarray(0, length)
    this.#block = this.#block.subarray(length)
    this.#crc.add(part)
    return part
  }

  async close(): Promise<void> {
    await this.#blocks.return?.()
  }
}
