/**
 * Physical memory: frames with content.
 *
 * A frame's content is two words, the first and the last of its page, and a version. Two words are the fewest that can
 * tell a torn page (one half new, one half old) from a whole one; the version counts the stores made to the page since
 * it was zero and travels with the content. The guest's word value is a stamp of page and version (guest/shadow.ts), so
 * that a page that landed in the wrong place is seen at its first load.
 *
 * Columns, 12 bytes a frame. Frame 0 is the kernel's zero page and stays zero.
 */
import { assert } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode } from '../engine/op.ts'

/** A physical frame number. */
export type Pfn = number

/** Words of content a page: index 0 is its first, 1 its last. */
export const WORDS_PER_PAGE = 2
export const PAGE_SHIFT = 12
export const PAGE_SIZE = 4096
export const ZERO_PFN: Pfn = 0
/** A TLB entry holds a frame number in 29 bits beside its permissions, and a sign. */
const FRAMES_MAX = 2 ** 29

export class PhysMem {
  readonly frames: number
  readonly words: Uint32Array
  readonly version: Uint32Array

  constructor(frames: number) {
    assert(frames > 1 && frames <= FRAMES_MAX, `${frames} frames: 2 to ${FRAMES_MAX}`)
    this.frames = frames
    this.words = new Uint32Array(frames * WORDS_PER_PAGE)
    this.version = new Uint32Array(frames)
  }

  /** @kernel clear_page */
  clear(pfn: Pfn): void {
    touch(pfn, 'page.content', AccessMode.write)
    this.words[pfn * 2] = 0
    this.words[pfn * 2 + 1] = 0
    this.version[pfn] = 0
  }

  /** @kernel copy_page */
  copy(to: Pfn, from: Pfn): void {
    touch(from, 'page.content', AccessMode.read)
    touch(to, 'page.content', AccessMode.write)
    this.words[to * 2] = this.words[from * 2]
    this.words[to * 2 + 1] = this.words[from * 2 + 1]
    this.version[to] = this.version[from]
  }

  isZero(pfn: Pfn): boolean {
    return this.words[pfn * 2] === 0 && this.words[pfn * 2 + 1] === 0
  }
}
