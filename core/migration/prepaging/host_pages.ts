/**
 * The pages that a policy speaks of: host pages, which are sent whole (host_page.ts in the folder above says why).
 *
 * Where they are 4 KiB the bitmap of target pages serves as it is; where they are larger, a host page is unsent as long as one
 * of its target pages is.
 */
import type { Bitmap } from '../../base/bitmap.ts'
import type { Unsent } from './policy.ts'

/** What is unsent of `bits`, by host pages of `hostPages` target pages. */
export function unsentHostPages(bits: Bitmap, hostPages: number): Unsent {
  return hostPages === 1 ? bits : new HostPages(bits, hostPages)
}

class HostPages implements Unsent {
  readonly length: number
  readonly #bits: Bitmap
  readonly #hostPages: number

  constructor(bits: Bitmap, hostPages: number) {
    this.#bits = bits
    this.#hostPages = hostPages
    this.length = Math.ceil(bits.length / hostPages)
  }

  has(page: number): boolean {
    return this.nextSet(page) === page
  }

  nextSet(from: number): number {
    const page = this.#bits.nextSet(from * this.#hostPages)
    return page < 0 ? -1 : Math.floor(page / this.#hostPages)
  }

  prevSet(from: number): number {
    const page = this.#bits.prevSet((from + 1) * this.#hostPages - 1)
    return page < 0 ? -1 : Math.floor(page / this.#hostPages)
  }

  run(from: number, most: number): number {
    let n = 0
    while (n < most && this.has(from + n)) n++
    return n
  }
}
