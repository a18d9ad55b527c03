/**
 * The destination's three-state map of guest pages: missing, requested, received.
 *
 *     missing --request--> requested --placed--> received          missing --placed--> received (background push)
 *
 * A page is never both requested and received. The order at the destination is place, mark, wake: whoever sees
 * `received` may rely on the page being there. Source: Gilbert's post-copy for QEMU, 2014 (postcopy_pmi).
 */

export const PageMapState = { missing: 0, requested: 1, received: 2 } as const
export type PageMapState = (typeof PageMapState)[keyof typeof PageMapState]

export class PageMap {
  readonly states: Uint8Array
  received = 0

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
}
