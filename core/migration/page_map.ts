/**
 * The destination's map of guest pages: missing, requested, received; and removed, where the guest gave the page back.
 *
 *     missing --request--> requested --placed--> received          missing --placed--> received (background push)
 *     received --discard--> missing (what pre-copy sent is old)    any --removed--> removed: from now on the page is zeros
 *
 * A page is never both requested and received. The order at the destination is place, mark, wake: whoever sees
 * `received` may rely on the page being there. `lock` is for who watches removals: held for reading from the look at a page's
 * state to its mark, for writing from the reading of an event to its mark.
 * Source: Gilbert's post-copy for QEMU, 2014 (postcopy_pmi). @qemu receivedmap, page_requested
 */
import { Rwsem } from '../sync/rwsem.ts'

export const PageMapState = { missing: 0, requested: 1, received: 2, removed: 3 } as const
export type PageMapState = (typeof PageMapState)[keyof typeof PageMapState]

export class PageMap {
  readonly states: Uint8Array
  received = 0
  readonly lock = new Rwsem(0, 'page_map', 0)

  constructor(pages: number) {
    this.states = new Uint8Array(pages)
  }

  state(page: number): PageMapState {
    return this.states[page] as PageMapState
  }

  /** Missing to requested, for all pages of a host page; false if it was not missing: somebody else asked, or it is here. */
  request(page: number, pages = 1): boolean {
    if (this.states[page] !== PageMapState.missing) return false
    this.states.fill(PageMapState.requested, page, page + pages)
    return true
  }

  /** To received; answers the state before. */
  receive(page: number): PageMapState {
    const before = this.states[page] as PageMapState
    if (before !== PageMapState.received) this.received++
    this.states[page] = PageMapState.received
    return before
  }

  /** To missing: what came is not what the guest shall see. */
  discard(page: number): void {
    if (this.states[page] === PageMapState.received) this.received--
    this.states[page] = PageMapState.missing
  }

  remove(page: number): void {
    if (this.states[page] === PageMapState.received) this.received--
    this.states[page] = PageMapState.removed
  }

  /** Asked for, and not here. */
  isRequested(page: number): boolean {
    return this.states[page] === PageMapState.requested
  }
}
