/**
 * Prepaging: in which order the source of a post-copy pushes the pages that nobody has asked for.
 *
 * The source's loop (source.ts, pushAll):  1. a page was requested: tell the policy, send the page.   2. else ask the policy for
 * a run of pages and send them one by one; a request ends the run, and what is left of it is asked for anew.
 *
 * A policy sees which pages are unsent and hears of requests, nothing else: neither content nor time. So it is a function of
 * what it was told, and the same in every run. It answers pages that are unsent, each in the bitmap as it is at that moment.
 * Pages here are host pages (host_pages.ts): where those are 2 MiB, page 1 is the second 2 MiB.
 *
 * A policy is one small file of this folder; registry.ts names them. What is measured: docs/prepaging.md.
 * Source: Hines, Deshpande and Gopalan, "Post-copy live migration of virtual machines", OSR 43(3), 2009, section 3.2.
 */

/** Which pages are still to be sent. Bitmap has this shape. */
export interface Unsent {
  readonly length: number
  has(page: number): boolean
  /** The first unsent page at or behind `from`, or -1. */
  nextSet(from: number): number
  /** The last unsent page at or before `from`, or -1. */
  prevSet(from: number): number
  /** How many pages from `from` on are unsent without a gap; at most `most`. */
  run(from: number, most: number): number
}

export interface PrepagingPolicy {
  readonly name: string
  /** `next` answers -1 although pages are left: the source waits for a request. */
  readonly waits: boolean
  /** How many pages, from the one that `next` answered on, belong to that answer. */
  readonly count: number
  /** The guest has asked for `page`, which is unsent: it goes at once. */
  requested(page: number): void
  /** The first page of the next run of at most `most` pages to push; -1 if there is none. */
  next(unsent: Unsent, most: number): number
}

/** A policy answered what it may not; one sentence. */
export class PrepagingError extends Error {
  override readonly name = 'PrepagingError'
}
