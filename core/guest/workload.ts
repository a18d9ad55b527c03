/**
 * What a guest does: a stream of accesses, made in blocks.
 *
 * An access is one integer: page * 4 + word * 2 + store, with word 0 or 1 (first or last of the page). It stands for a run of
 * accesses to that page. `fill` writes as many as it likes and returns how many; 0 means that it needs input from the host
 * (traces). A workload is the guest's state: it moves with the vCPU.
 */

export const BLOCK_ACCESSES = 2048
/** On a real kernel a vCPU makes the accesses of so much time in one go, sleeps until more are due, and is as hard to stop. */
export const VCPU_SLICE_NS = 100_000
/** There it makes up for what it is late, up to this: more, and the host did not run it. */
export const MOST_LATE_NS = 5_000_000

export interface Workload {
  /** Accesses that make one operation, on the average of a cycle, for `ops` in reports. */
  readonly accessesPerOp: number
  /** Computing time behind each access of the block last filled, in ns: what keeps the guest to its rate. May change from block to block. */
  readonly thinkNs: number
  /** Pages [0, n) of guest RAM that are written once while the guest boots. */
  readonly bootPages: number
  /** Of these pages 1 for each that is zero: booting reads it only. Absent: none is. */
  readonly zeros?: Uint8Array
  fill(out: Int32Array): number
}

export function access(page: number, word: number, store: boolean): number {
  return page * 4 + word * 2 + (store ? 1 : 0)
}

/** The time behind each access that makes `opsPerSec` operations of `accessesPerOp` a second. */
export function thinkNs(opsPerSec: number, accessesPerOp: number): number {
  return 1e9 / (opsPerSec * accessesPerOp)
}

/** True for a share of `share` of all 32-bit numbers; uses the upper 24 bits. */
export function chance(bits: number, share: number): boolean {
  return (bits >>> 8) / 16_777_216 < share
}

/** The stages of a guest's life that a report tells apart. */
export type GuestPhase = 'boot' | 'before' | 'during' | 'after'
