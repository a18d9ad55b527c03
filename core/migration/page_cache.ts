/**
 * The page cache of XBZRLE: what was sent last of each page that it remembers, one place a page number modulo its size.
 *
 * A place that another page holds is taken over only when that page was not asked for in the last two generations
 * (a generation is a synchronisation of the dirty bitmap). A row is 20 bytes: a page's bytes are a function of its
 * words and version (hw/page_bytes.ts), so the bytes themselves need not be kept.
 * Source: QEMU, migration/page_cache.c. @qemu cache_is_cached, cache_insert
 */
import { assert } from '../base/assert.ts'
import type { PageContent } from '../machine/process.ts'

/** Generations for which a page keeps its place. @qemu CACHED_PAGE_LIFETIME */
const LIFETIME = 2
const NOBODY = -1

export class PageCache {
  readonly #mask: number
  readonly #page: Int32Array
  readonly #age: Uint32Array
  readonly #words: Uint32Array
  readonly #version: Uint32Array

  /** Room for `places` pages, a power of two. */
  constructor(places: number) {
    assert(places > 0 && (places & (places - 1)) === 0, `a page cache of ${places} pages, no power of two`)
    this.#mask = places - 1
    this.#page = new Int32Array(places).fill(NOBODY)
    this.#age = new Uint32Array(places)
    this.#words = new Uint32Array(places * 2)
    this.#version = new Uint32Array(places)
  }

  /** Whether it remembers `page`, which then stays for a while; if so, what was sent last is in `out`. */
  find(page: number, generation: number, out: PageContent): boolean {
    const at = page & this.#mask
    if (this.#page[at] !== page) return false
    this.#age[at] = generation
    out.word0 = this.#words[at * 2]
    out.word1 = this.#words[at * 2 + 1]
    out.version = this.#version[at]
    return true
  }

  /** Remembers `page`; false if its place is another page's, which was asked for not long ago. */
  insert(page: number, content: PageContent, generation: number): boolean {
    const at = page & this.#mask
    const holder = this.#page[at]
    if (holder !== NOBODY && holder !== page && this.#age[at] + LIFETIME > generation) return false
    this.#page[at] = page
    this.#age[at] = generation
    this.#words[at * 2] = content.word0
    this.#words[at * 2 + 1] = content.word1
    this.#version[at] = content.version
    return true
  }
}
