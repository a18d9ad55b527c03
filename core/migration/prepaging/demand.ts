/**
 * Demand: pages on request only. The simplest post-copy, and the slowest: it ends when the guest has touched all of its memory.
 *
 * The paper's "post-copy via demand paging": the dependency on the source lasts as long as one page is left there.
 */
import type { PrepagingPolicy } from './policy.ts'

export class DemandPolicy implements PrepagingPolicy {
  readonly name = 'demand'
  readonly waits = true
  readonly count = 0

  requested(): void {}

  next(): number {
    return -1
  }
}
