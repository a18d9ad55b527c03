/**
 * A limit in bytes a second, kept a window at a time: what may go in one BUFFER_DELAY may go in a burst; the rest of it is slept.
 *
 * rates.ts has one for pre-copy (max-bandwidth), source.ts one for what is pushed in post-copy (max-postcopy-bandwidth). What goes
 * beyond the limit, as a requested page does, counts too: the next push waits the longer.
 * @qemu migration_rate_exceeded, migration_rate_set
 */

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

  /** From when on more may go; the window that is over is followed by the next. */
  openNs(nowNs: number, bytes: number): number {
    if (nowNs >= this.endNs) this.start(nowNs, bytes)
    return this.left(bytes) > 0 ? nowNs : this.endNs
  }
}
