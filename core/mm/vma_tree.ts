/**
 * The areas of one address space, by address.
 *
 * A sorted array with binary search: the contract of the kernel's tree (find_vma: the first area that ends above the
 * address) without its balancing. Guarded by mmap_lock.
 */
import { fail } from '../base/assert.ts'
import type { Mm } from './mm.ts'
import type { Vma } from './vma.ts'

export class VmaTree {
  readonly #areas: Vma[] = []
  #last: Vma | null = null

  constructor(readonly mm: Mm) {}

  get areas(): readonly Vma[] {
    return this.#areas
  }

  /** The first area with end > page; it need not contain the page. Null if there is none. @kernel find_vma */
  find(page: number): Vma | null {
    const last = this.#last
    if (last?.contains(page)) return last
    const i = this.#indexOf(page)
    if (i === this.#areas.length) return null
    this.#last = this.#areas[i]
    return this.#last
  }

  #indexOf(page: number): number {
    let low = 0
    let high = this.#areas.length
    while (low < high) {
      const mid = (low + high) >>> 1
      if (this.#areas[mid].end > page) high = mid
      else low = mid + 1
    }
    return low
  }

  insert(vma: Vma): void {
    const i = this.#indexOf(vma.start)
    const next = this.#areas[i]
    if (!(next === undefined || vma.end <= next.start))
      fail(`area [${vma.start},${vma.end}) overlaps [${next?.start},${next?.end})`)
    vma.mm = this.mm
    this.#areas.splice(i, 0, vma)
  }

  remove(vma: Vma): void {
    const i = this.#areas.indexOf(vma)
    if (i < 0) fail(`area [${vma.start},${vma.end}) is not in the tree`)
    this.#areas.splice(i, 1)
    this.#last = null
  }

  /** The areas that overlap [start, end), in order. */
  overlapping(start: number, end: number): Vma[] {
    const out: Vma[] = []
    for (let i = this.#indexOf(start); i < this.#areas.length && this.#areas[i].start < end; i++) out.push(this.#areas[i])
    return out
  }

  /** Lowest start of a gap of `pages` at or above `from`. */
  findGap(from: number, pages: number, limit: number): number {
    let at = from
    for (const vma of this.#areas) {
      if (vma.end <= at) continue
      if (vma.start - at >= pages) return at
      at = vma.end
    }
    return at + pages <= limit ? at : -1
  }

  before(vma: Vma): Vma | null {
    const i = this.#areas.indexOf(vma)
    return i > 0 ? this.#areas[i - 1] : null
  }

  after(vma: Vma): Vma | null {
    const i = this.#areas.indexOf(vma)
    return i >= 0 && i + 1 < this.#areas.length ? this.#areas[i + 1] : null
  }
}
