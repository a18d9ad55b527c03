/**
 * Multi-pivot: bubbles around the k pages that were requested last, all growing at the same time (the paper's figure 3).
 *
 *  1. A request for X: the oldest bubble is given up, and one around X begins.
 *  2. Each turn one bubble takes one step: its page on the left, its page on the right. The newest begins, older ones follow.
 *  3. An edge that meets a page that was sent, or the end of memory, stops for ever.
 *
 * The paper leaves the order of turns open; 2 is ours. k = 7 did best there.
 *
 * Growing one way only, all edges may have stopped while pages are left. The paper's remedy: the first pivot, at page 0, is
 * sticky. It is never given up, and its edge skips pages that were sent.
 * Growing both ways, this is said not to happen; it does, where a bubble was given up and the edges beside it have stopped
 * (a test draws it). Then, and only then, the sticky one pushes here too.
 */
import type { PrepagingPolicy, Unsent } from './policy.ts'

/** What did best in the paper's section 3.2. */
export const PIVOTS = 7

const STOPPED = -1

export type Direction = 'dual' | 'forward'

export class MultiPivotPolicy implements PrepagingPolicy {
  readonly waits = false
  readonly count = 1
  /** The page that each edge stands before, or STOPPED; bubbles by slot. */
  readonly #left: Int32Array
  readonly #right: Int32Array
  readonly #grows: Direction
  #newest = 0
  /** Whose turn it is: two edges of each bubble, the newest bubble's first; then the sticky one, growing forward. */
  #turn = 0
  #sticky = 0

  constructor(
    readonly name: string,
    grows: Direction,
    readonly pivots = PIVOTS,
  ) {
    this.#grows = grows
    this.#left = new Int32Array(pivots).fill(STOPPED)
    this.#right = new Int32Array(pivots).fill(STOPPED)
    // Growing both ways, the start is a pivot like any other.
    if (grows === 'dual') this.#right[0] = 0
  }

  requested(page: number): void {
    // 1.
    this.#newest = (this.#newest + 1) % this.pivots
    this.#left[this.#newest] = this.#grows === 'dual' ? page - 1 : STOPPED
    this.#right[this.#newest] = page + 1
    this.#turn = 0
  }

  next(unsent: Unsent): number {
    const { pivots } = this
    const turns = this.#grows === 'dual' ? 2 * pivots : 2 * pivots + 1
    // 2.
    for (let n = 0; n < turns; n++) {
      const turn = this.#turn
      this.#turn = (turn + 1) % turns
      if (turn === 2 * pivots) {
        const page = this.#pushSticky(unsent)
        if (page >= 0) return page
        continue
      }
      const slot = (this.#newest - (turn >>> 1) + pivots) % pivots
      const edges = (turn & 1) === 0 ? this.#left : this.#right
      const page = edges[slot]
      if (page === STOPPED) continue
      // 3.
      if (page >= unsent.length || !unsent.has(page)) {
        edges[slot] = STOPPED
        continue
      }
      edges[slot] = (turn & 1) === 0 ? page - 1 : page + 1
      return page
    }
    return this.#pushSticky(unsent)
  }

  #pushSticky(unsent: Unsent): number {
    const ahead = unsent.nextSet(this.#sticky)
    const page = ahead >= 0 ? ahead : unsent.nextSet(0)
    this.#sticky = page + 1
    return page
  }
}
