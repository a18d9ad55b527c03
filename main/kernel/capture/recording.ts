/**
 * What is known of a process's memory after each look at it: its pages in the order in which they were first seen, and their digests.
 *
 * 1. The areas of the moment, and in each the pages that are populated.
 * 2. Their contents, in blocks of a MiB: new pages get the next number, and one whose digest is another than before has changed.
 * 3. A look that is over becomes a sample; the first becomes the start.
 *
 * What a look that was given up had found is not told.
 */
import { readSync } from 'node:fs'
import { type Capture, type CapturedArea, runsOf, type Sample, ZERO_CONTENT } from '../../../core/guest/capture.ts'
import { MOST_CONTENT_PAGES, MOST_PAGES } from '../../../core/guest/capture_file.ts'
import { looksLike, PAGE_WORDS, PageDigest } from '../../../core/guest/page_digest.ts'
import type { ContentKind } from '../../../core/hw/page_bytes.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import type { PageRun, PopulatedPages } from './populated_pages.ts'
import { processAreas } from './process_maps.ts'

const PAGES_A_READ = 256

/** How a look ended: whole, or because the process did or runs another program now, or because somebody asked. */
export type LookEnd = 'whole' | 'gone' | 'replaced' | 'stopped'

/** More memory than a guest file holds; one sentence. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge'
}

export class Recording {
  readonly samples: Sample[] = []
  firstPages = 0
  readonly #areas: CapturedArea[] = []
  /** Number of the area that begins at a page. */
  readonly #areaAt = new Map<number, number>()
  /** Number of a page by its address. */
  readonly #pageAt = new Map<number, number>()
  readonly #areaOf = new Column()
  readonly #placeOf: number[] = []
  readonly #low = new Column()
  readonly #high = new Column()
  readonly #contentOf = new Column()
  readonly #kindOf: ContentKind[] = []
  readonly #contentBy = new Map<number, number>()
  readonly #contents: Buffer[] = []
  readonly #digest: PageDigest
  readonly #zero: PageDigest
  readonly #bytes = Buffer.allocUnsafeSlow(PAGES_A_READ * PAGE_BYTES)
  readonly #words = new Int32Array(this.#bytes.buffer)
  /** Of this look. */
  readonly #changed = new Column()
  #whole = { pages: 0, contents: 0 }

  constructor(
    readonly pid: number,
    /** Open for reading: /proc/PID/mem. */
    readonly memory: number,
    readonly populated: PopulatedPages,
    seed: readonly [number, number],
    readonly withContents: boolean,
  ) {
    this.#digest = new PageDigest(seed)
    this.#zero = new PageDigest(seed)
    this.#zero.take(new Int32Array(PAGE_WORDS), 0)
  }

  /** Looks once. `timeUs`: behind the first look. `breathe` lets the host's events in; it answers whether to go on. */
  async look(timeUs: number, breathe: () => Promise<boolean>): Promise<LookEnd> {
    const isFirst = this.firstPages === 0
    this.#changed.length = 0
    let got = 0
    let sinceBreath = 0
    // 1.
    for (const area of this.#readAreas()) {
      const number = isFirst ? this.#areaNumber(area) : -1
      if (area.kind === 'other') continue
      for (const run of this.populated.runs(area.start, area.pages)) {
        for (let done = 0; done < run.pages; ) {
          // 2.
          const part = { first: run.first + done, pages: Math.min(run.pages - done, PAGES_A_READ), isZero: run.isZero }
          const read = run.isZero ? part.pages : this.#read(part)
          this.#takeBlock(part, read, area, number)
          got += read
          // A page that went away in between ends what can be read; the next look sees those behind it.
          done += read === 0 ? part.pages : read
          sinceBreath += part.pages
          if (sinceBreath < PAGES_A_READ) continue
          sinceBreath = 0
          if (!(await breathe())) return 'stopped'
        }
      }
    }
    // A process that has ended has no areas; one that runs another program now has none of the pages that this reads.
    if (this.#readAreas().length === 0) return 'gone'
    if (got === 0) return 'replaced'
    // 3.
    this.#whole = { pages: this.#low.length, contents: this.#kindOf.length }
    if (isFirst) this.firstPages = this.#low.length
    else this.samples.push({ timeUs, runs: runsOf(this.#changed.values().sort()) })
    return 'whole'
  }

  #readAreas(): CapturedArea[] {
    try {
      return processAreas(this.pid)
    } catch {
      return []
    }
  }

  /** Pages of the block that could be read, from its first on; a page that went away in between ends it. */
  #read({ first, pages }: PageRun): number {
    try {
      return Math.floor(readSync(this.memory, this.#bytes, 0, pages * PAGE_BYTES, first * PAGE_BYTES) / PAGE_BYTES)
    } catch {
      return 0
    }
  }

  #takeBlock({ first, isZero }: PageRun, pages: number, area: CapturedArea, number: number): void {
    for (let i = 0; i < pages; i++) {
      if (!isZero) this.#digest.take(this.#words, i * PAGE_WORDS)
      const digest = isZero ? this.#zero : this.#digest
      const page = this.#pageAt.get(first + i)
      if (page === undefined) this.#add(first + i, digest, i * PAGE_BYTES, area, number)
      else if (this.#low.at(page) !== digest.low || this.#high.at(page) !== digest.high) {
        this.#low.set(page, digest.low)
        this.#high.set(page, digest.high)
        this.#changed.push(page)
      }
    }
  }

  #add(address: number, digest: PageDigest, at: number, area: CapturedArea, number: number): void {
    const page = this.#low.length
    if (page === MOST_PAGES)
      throw new TooLarge('has more than 16 GiB of memory of its own, the most that a guest file holds; capture a smaller process')
    this.#pageAt.set(address, page)
    this.#low.push(digest.low)
    this.#high.push(digest.high)
    this.#areaOf.push(number < 0 ? this.#areaNumber(area) : number)
    this.#placeOf.push(address - area.start)
    this.#contentOf.push(digest.isZero ? ZERO_CONTENT : this.#content(digest, at))
    if (this.firstPages > 0) this.#changed.push(page)
  }

  /** The number of a content that is not zero; 53 of its bits tell it from others. */
  #content({ low, high }: PageDigest, at: number): number {
    const key = (low >>> 0) * 2 ** 21 + (high >>> 11)
    const known = this.#contentBy.get(key)
    if (known !== undefined) return known
    const content = this.#kindOf.length
    this.#contentBy.set(key, content)
    this.#kindOf.push(looksLike(this.#bytes, at))
    if (this.withContents) {
      if (content === MOST_CONTENT_PAGES)
        throw new TooLarge(
          'has more than 1 GiB of different contents, the most that a guest file holds; leave out --with-contents',
        )
      this.#contents.push(Buffer.from(this.#bytes.subarray(at, at + PAGE_BYTES)))
    }
    return content
  }

  /** An area that has grown since keeps its number. */
  #areaNumber(area: CapturedArea): number {
    const known = this.#areaAt.get(area.start)
    if (known === undefined) {
      this.#areaAt.set(area.start, this.#areas.length)
      return this.#areas.push(area) - 1
    }
    if (area.pages > (this.#areas[known]?.pages ?? 0)) this.#areas[known] = area
    return known
  }

  /** Of the looks that were whole. */
  get pages(): number {
    return this.#whole.pages
  }

  capture(about: Pick<Capture, 'command' | 'kernel' | 'intervalUs'>): Capture {
    const { pages, contents } = this.#whole
    return {
      ...about,
      areas: this.#areas,
      firstPages: this.firstPages,
      areaOf: this.#areaOf.values(pages),
      placeOf: Float64Array.from(this.#placeOf.slice(0, pages)),
      contentOf: this.#contentOf.values(pages),
      kindOf: this.#kindOf.slice(0, contents),
      samples: this.samples,
      bytes: this.withContents ? this.#contents.slice(0, contents) : null,
    }
  }
}

/** 32-bit numbers that grow in number. */
class Column {
  #list = new Int32Array(1024)
  length = 0

  push(value: number): void {
    if (this.length === this.#list.length) {
      const list = new Int32Array(this.length * 2)
      list.set(this.#list)
      this.#list = list
    }
    this.#list[this.length++] = value
  }

  at(index: number): number {
    return this.#list[index] ?? 0
  }

  set(index: number, value: number): void {
    this.#list[index] = value
  }

  values(length = this.length): Int32Array {
    return this.#list.subarray(0, length)
  }
}
