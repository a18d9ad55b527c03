/**
 * A limit in bytes a second, kept a window at a time: what may go in one BUFFER_DELAY may go in a burst; the rest of it is slept.
 *
 * rates.ts has one for pre-copy (max-bandwidth), source.ts one for post-copy (max-postcopy-bandwidth). What goes beyond the
 * limit counts too, but in its own window alone: each begins with all that may go in it.
 * @qemu migration_rate_exceeded, migration_rate_set
 */
import { type Proc, SLEEP } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'

/** @qemu BUFFER_DELAY */
export const BUFFER_DELAY_NS = 100_000_000

export class RateWindow {
  startNs = Number.NEGATIVE_INFINITY
  /** Bytes that had been sent by then. */
  #startBytes = 0

  /** 0: no limit. */
  constructor(public bytesPerSec: number) {}

  get isLimited(): boolean {
    return this.bytesPerSec > 0
  }

  get endNs(): number {
    return this.startNs + BUFFER_DELAY_NS
  }

  /** `bytes`: sent so far, over all. */
  start(nowNs: number, bytes: number): void {
    this.startNs = nowNs
    this.#startBytes = bytes
  }

  /** Bytes that may still go in this window. */
  left(bytes: number): number {
    if (!this.isLimited) return Number.POSITIVE_INFINITY
    return Math.max(0, (this.bytesPerSec * BUFFER_DELAY_NS) / 1e9 - (bytes - this.#startBytes))
  }

  /**
   * Once all that may go in this window has gone, sleeps until the next; nothing but `isOver` ends that before. False: more may go now.
   * @qemu migration_rate_limit
   */
  *wait(k: Thread, bytes: number, isOver: () => boolean): Proc<boolean> {
    if (k.nowNs >= this.endNs) this.start(k.nowNs, bytes)
    if (this.left(bytes) > 0) return false
    while (k.nowNs < this.endNs && !isOver()) {
      k.park('the time to send more')
      k.wakeAtNs = this.endNs
      yield SLEEP
      k.unpark()
    }
    return true
  }
}
