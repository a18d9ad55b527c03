/**
 * Pages that have arrived and follow one another, on their way to be placed by one call: the batch of one channel.
 *
 * destination.ts gathers them, resolver.ts places them (placeRun), one lock round for all. A batch is only made of what has
 * arrived already: nobody waits for one to fill. Where the kernel maps its zero page for zeros, these and pages with content do not mix.
 * Columns, so that a page costs no object.
 */
import type { Message } from '../hw/message_ring.ts'
import type { PageContent } from '../machine/process.ts'
import { StreamMessage } from './ram_stream.ts'

export class PageBatch {
  count = 0
  /** The first guest page. */
  first = -1
  /** All of them are zeros that go as the zero page. */
  zero = false
  readonly #word0: Uint32Array
  readonly #word1: Uint32Array
  readonly #version: Uint32Array
  readonly #content: PageContent = { word0: 0, word1: 0, version: 0 }

  constructor(
    readonly most: number,
    /** Zeros do not go with content. */
    readonly mapsZeroPage: boolean,
  ) {
    this.#word0 = new Uint32Array(most)
    this.#word1 = new Uint32Array(most)
    this.#version = new Uint32Array(most)
  }

  /** Whether the message is a page that joins those that are here. */
  takes({ type, page }: Message): boolean {
    if (page !== this.first + this.count || this.isFull) return false
    return type === StreamMessage.Page ? !this.zero : type === StreamMessage.Zero && (this.zero || !this.mapsZeroPage)
  }

  get isFull(): boolean {
    return this.count === this.most
  }

  add({ type, page, word0, word1, version }: Message): void {
    if (this.count === 0) {
      this.first = page
      this.zero = type === StreamMessage.Zero && this.mapsZeroPage
    }
    const i = this.count++
    this.#word0[i] = word0
    this.#word1[i] = word1
    this.#version[i] = type === StreamMessage.Zero ? 0 : version
  }

  /** What the i-th page holds, until the next question; null: zeros that go as the zero page. */
  content(i: number): PageContent | null {
    if (this.zero) return null
    const content = this.#content
    content.word0 = this.#word0[i]
    content.word1 = this.#word1[i]
    content.version = this.#version[i]
    return content
  }
}
