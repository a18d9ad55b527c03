/**
 * What one cell of a page map shows, on the screen and in characters. Order and meaning follow the table of page states.
 *
 * Both pictures use it: the fold over recorded events (core/api/fold.ts) and the live map read off the machines
 * (core/run/page_states.ts). The numbers cross to the screen as bytes, so they are part of its protocol.
 */

export const PageState = {
  missing: 0,
  zero: 1,
  resident: 2,
  inflight: 3,
  dirty: 4,
  fault: 5,
  /** At the destination: it came, and was written at the source since. */
  stale: 6,
  error: 7,
} as const
export type PageState = (typeof PageState)[keyof typeof PageState]
export const PAGE_STATE_NAME = Object.keys(PageState) as readonly (keyof typeof PageState)[]
