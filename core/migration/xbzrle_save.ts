/**
 * Sending pages as differences: the source's side of XBZRLE.
 *
 * Begins with the second pass: in the first, every page is new. Of a page that was sent before, and that the cache remembers:
 *  1. not remembered: a miss. It is remembered from now on, if there is room, and goes whole.
 *  2. nothing differs: nothing is sent.      3. the difference is not shorter than the page: overflow, it goes whole.
 *  4. else its encoding goes, as a difference: of words and version, from which the destination makes the page out of the one that
 *     it has (ram_load.ts). If that were not the one that was sent last, the page would be wrong, and the checks would say so.
 * The cache holds what was sent last: 1, 3 and 4 update it, and so does a page of zeros. In the last pass nothing is remembered any more.
 *
 * @qemu save_xbzrle_page, xbzrle_cache_zero_page, XBZRLECacheStats
 */
import type { Thread } from '../hw/cpu.ts'
import { type MemoryContent, PAGE_BYTES, pageBytes } from '../hw/page_bytes.ts'
import type { PageContent } from '../machine/process.ts'
import { PageCache } from './page_cache.ts'
import { XBZRLE_ENCODE_NS, XBZRLE_INSERT_NS } from './parameters.ts'
import { XBZRLE_OVERFLOW, xbzrleEncode } from './xbzrle.ts'

/** Behind the header of 8 bytes: ENCODING_FLAG_XBZRLE and the length. */
const RECORD_BYTES = 3
/** Rates are of a period of at least a second. @qemu migration_bitmap_sync */
const PERIOD_NS = 1_000_000_000

/** How a page goes. */
export const Encoded = { whole: -1, unchanged: 0 } as const

export class Xbzrle {
  /** What the cache remembered of the page that `encode` was asked about. */
  readonly old: PageContent = { word0: 0, word1: 0, version: 0 }
  cacheMiss = 0
  /** Pages that the cache remembered, however they went then; bytes of those that were not skipped, headers left out. */
  pages = 0
  bytes = 0
  overflow = 0
  /** Of the last period: misses a page that was looked at; size of pages that were remembered for the size that they took. */
  cacheMissRate = 0
  encodingRate = 0
  #isStarted = false
  readonly #cache: PageCache
  readonly #oldBytes = new Uint32Array(PAGE_BYTES / 4)
  readonly #newBytes = new Uint32Array(PAGE_BYTES / 4)
  readonly #encoding = new Uint8Array(PAGE_BYTES)
  #periodNs = 0
  #before = { handled: 0, cacheMiss: 0, pages: 0, bytes: 0 }

  constructor(
    readonly cacheBytes: number,
    readonly content: MemoryContent,
  ) {
    this.#cache = new PageCache(cacheBytes / PAGE_BYTES)
  }

  /** The first pass is over. */
  start(): void {
    this.#isStarted = true
  }

  /** Length of the record behind its header, or one of `Encoded`. */
  encode(k: Thread, page: number, content: PageContent, generation: number, isLastPass: boolean): number {
    if (!this.#isStarted) return Encoded.whole
    // 1.
    if (!this.#cache.find(page, generation, this.old)) {
      this.cacheMiss++
      if (!isLastPass) this.#remember(k, page, content, generation)
      return Encoded.whole
    }
    this.pages++
    k.cpu.nowNs += XBZRLE_ENCODE_NS
    const { old } = this
    pageBytes(this.#oldBytes, this.content, page, old.word0, old.word1, old.version)
    pageBytes(this.#newBytes, this.content, page, content.word0, content.word1, content.version)
    const bytes = (words: Uint32Array) => new Uint8Array(words.buffer)
    const length = xbzrleEncode(bytes(this.#oldBytes), bytes(this.#newBytes), this.#encoding)
    // 2.
    if (length === 0) return Encoded.unchanged
    if (!isLastPass) this.#cache.insert(page, content, generation)
    // 3.
    if (length === XBZRLE_OVERFLOW) {
      this.overflow++
      this.bytes += PAGE_BYTES
      return Encoded.whole
    }
    // 4.
    this.bytes += RECORD_BYTES + length
    return RECORD_BYTES + length
  }

  /** A page goes as zeros. */
  sentZeros(k: Thread, page: number, generation: number): void {
    if (this.#isStarted) this.#remember(k, page, { word0: 0, word1: 0, version: 0 }, generation)
  }

  /** A sync is over; `handled` pages were looked at so far. @qemu migration_update_rates */
  synced(nowNs: number, handled: number): void {
    if (nowNs < this.#periodNs + PERIOD_NS) return
    const { cacheMiss, pages, bytes } = this
    const before = this.#before
    if (handled > before.handled) this.cacheMissRate = (cacheMiss - before.cacheMiss) / (handled - before.handled)
    this.encodingRate = bytes === before.bytes ? 0 : ((pages - before.pages) * PAGE_BYTES) / (bytes - before.bytes)
    this.#periodNs = nowNs
    this.#before = { handled, cacheMiss, pages, bytes }
  }

  #remember(k: Thread, page: number, content: PageContent, generation: number): void {
    if (this.#cache.insert(page, content, generation)) k.cpu.nowNs += XBZRLE_INSERT_NS
  }
}
