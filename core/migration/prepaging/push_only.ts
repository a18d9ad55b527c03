/**
 * Push only: from the first page to the last, whatever the guest asks for.
 *
 * What prepaging is compared with in the paper: "active push" without hints.
 */
import type { PrepagingPolicy, Unsent } from './policy.ts'

export class PushOnlyPolicy implements PrepagingPolicy {
  readonly name = 'push-only'
  readonly waits = false
  count = 0
  #at = 0

  requested(): void {}

  next(unsent: Unsent, most: number): number {
    const ahead = unsent.nextSet(this.#at)
    const page = ahead >= 0 ? ahead : unsent.nextSet(0)
    if (page < 0) return -1
    this.#at = page
    this.count = unsent.run(page, most)
    return page
  }
}
