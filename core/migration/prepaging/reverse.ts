/**
 * Reverse: the scan goes back from the page that was requested last, and from the last page down at the start of memory.
 *
 * The paper's bubble with the forward edge switched off, which it found worse than push only. Its bubble starts at page 0 and
 * has nothing to push until the first request; that this one starts at the last page instead is ours, so that it always pushes.
 */
import type { PrepagingPolicy, Unsent } from './policy.ts'

export class ReversePolicy implements PrepagingPolicy {
  readonly name = 'reverse'
  readonly waits = false
  readonly count = 1
  #at = -1

  requested(page: number): void {
    this.#at = page - 1
  }

  next(unsent: Unsent): number {
    const behind = unsent.prevSet(this.#at)
    const page = behind >= 0 ? behind : unsent.prevSet(unsent.length - 1)
    this.#at = page - 1
    return page
  }
}
