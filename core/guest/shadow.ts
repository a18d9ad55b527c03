/**
 * The shadow: a memory that never migrates. Every store of the guest goes to both; every load is compared.
 *
 * A page's words hold stamps, a mix of page number and version, so a word tells which store wrote it: the newest one
 * (consistent), an older one (stale), another page's (misplaced), none (lost). Never written is zero in both.
 */
import { mix32 } from '../base/hash.ts'

/** What the guest writes at the `version`-th store to `page`; never 0. */
export function stamp(page: number, version: number): number {
  return mix32(Math.imul(page + 1, 0x9e3779b1) ^ Math.imul(version, 0x85ebca77)) || 1
}

export class Shadow {
  readonly pages: number
  readonly words: Uint32Array
  readonly version: Uint32Array

  constructor(pages: number) {
    this.pages = pages
    this.words = new Uint32Array(pages * 2)
    this.version = new Uint32Array(pages)
  }

  /** The guest stores to word 0 or 1 of a page; returns the value to store. */
  store(page: number, word: number): number {
    const version = ++this.version[page]
    const value = stamp(page, version)
    this.words[page * 2 + word] = value
    return value
  }

  /** The guest gave the page away: if it comes back, it is as if never written. */
  forget(page: number): void {
    this.version[page] = 0
    this.words[page * 2] = 0
    this.words[page * 2 + 1] = 0
  }

  /** As it is now. */
  copy(): Shadow {
    const copy = new Shadow(this.pages)
    copy.words.set(this.words)
    copy.version.set(this.version)
    return copy
  }

  /** Pages ever written. */
  get written(): number {
    let n = 0
    for (let i = 0; i < this.pages; i++) if (this.version[i] > 0) n++
    return n
  }
}
