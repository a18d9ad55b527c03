/**
 * What a guest does: a stream of accesses, made in blocks.
 *
 * An access is one integer: page * 4 + word * 2 + store, with word 0 or 1 (first or last of the page). `fill` writes as
 * many as it likes and returns how many; 0 means that it needs input from the host (traces). A workload is the guest's
 * state: it moves with the vCPU.
 */

export const BLOCK_ACCESSES = 2048

export interface Workload {
  /** Accesses that make one operation, for `ops` in reports. */
  readonly accessesPerOp: number
  /** Computing time between two accesses, in ns: what keeps the guest to its rate. */
  readonly thinkNs: number
  /** Pages [0, n) of guest RAM that are written once while the guest boots. */
  readonly bootPages: number
  fill(out: Int32Array): number
}

export function access(page: number, word: number, store: boolean): number {
  return page * 4 + word * 2 + (store ? 1 : 0)
}

/** The stages of a guest's life that a report tells apart. */
export type GuestPhase = 'boot' | 'before' | 'during' | 'after'
