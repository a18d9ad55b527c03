/**
 * Forward: the scan goes on behind the page that was requested last, and from the start again at the end.
 *
 * This is what QEMU does: a request is remembered as the last page, and the search for the next dirty one goes on from there.
 * It is the paper's bubble with the backward edge switched off. (Peter Xu says so himself: qemu-devel, 25 April 2022,
 * "forward-direction-only bubbling".)
 * @qemu ram_find_and_save_block, get_queued_page
 */
import type { PrepagingPolicy, Unsent } from './policy.ts'

export class ForwardPolicy implements PrepagingPolicy {
  readonly waits = false
  count = 0
  #at = 0

  constructor(readonly name = 'forward') {}

  requested(page: number): void {
    this.#at = page + 1
  }

  next(unsent: Unsent, most: number): number {
    const ahead = unsent.nextSet(this.#at)
    const page = ahead >= 0 ? ahead : unsent.nextSet(0)
    if (page < 0) return -1
    this.#at = page
    this.count = unsent.run(page, most)
    return page
  }
}
