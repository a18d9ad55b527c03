/**
 * Dual: a bubble around the page that was requested last grows both ways (the paper's figure 2).
 *
 * pivot := X, bubble := 1 at a request for X; at the start pivot and bubble are 0. Then, again and again: left := pivot - bubble,
 * right := pivot + bubble; each is pushed if it is unsent, left first; bubble := bubble + 1. An edge that has reached the end of
 * memory stays there while the other goes on; pages that were sent are skipped.
 *
 * So the next page is the unsent one that is nearest to the pivot, and the left one of two: this is how it is found here,
 * without a step for each page that was sent. The printed loop ends one step early where the pivot lies in the upper half, and
 * would leave page 0; this one does not.
 */
import type { PrepagingPolicy, Unsent } from './policy.ts'

export class DualPolicy implements PrepagingPolicy {
  readonly name = 'dual'
  readonly waits = false
  readonly count = 1
  #pivot = 0
  /** Nothing unsent lies between these, but what a broken connection made unsent again. */
  #left = -1
  #right = 0

  requested(page: number): void {
    this.#pivot = page
    this.#left = page - 1
    this.#right = page + 1
  }

  next(unsent: Unsent): number {
    const left = unsent.prevSet(this.#left)
    const right = unsent.nextSet(this.#right)
    if (left < 0 && right < 0) {
      const page = unsent.nextSet(0)
      if (page >= 0) this.requested(page)
      return page
    }
    if (right < 0 || (left >= 0 && this.#pivot - left <= right - this.#pivot)) {
      this.#left = left - 1
      return left
    }
    this.#left = left
    this.#right = right + 1
    return right
  }
}
