/**
 * A limit in bytes a second, kept a window at a time: what may go in one BUFFER_DELAY may go in a burst; the rest of it is slept.
 *
 * rates.ts has one for pre-copy (max-bandwidth), source.ts one for what is pushed in post-copy (max-postcopy-bandwidth). What goes
 * beyond the limit, as a requested page does, counts too: the next push waits the longer.
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
   * Sleeps until more may go, unless woken before, by something for which there is no limit; false: more may go now. The window
   * that is over is followed by the next. @qemu migration_rate_limit
   */
  *wait(k: Thread, bytes: number): Proc<boolean> {
    if (k.nowNs >= this.endNs) this.start(k.nowNs, bytes)
    if (this.left(bytes) > 0) return false
    k.park('the time to send more')
    k.wakeAtNs = this.endNs
    yield SLEEP
    k.unpark()
    return true
  }
}
