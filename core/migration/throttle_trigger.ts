/**
 * When is a guest slowed? When it writes too fast for the migration to end.
 *
 * At a sync of the dirty bitmap, at least a second after the last one that counted: if more bytes became dirty since than half of
 * those sent (throttle-trigger-threshold), for the second time, the guest is slowed: all of it (throttle.ts), or those of its
 * vCPUs that write (dirty_limit.ts).
 * @qemu migration_trigger_throttle
 */

/** Syncs closer than this are counted together. @qemu migration_bitmap_sync */
const PERIOD_NS = 1_000_000_000
/** Times that a guest must have been too fast before it is throttled, or throttled more. */
const TIMES = 2

export class ThrottleTrigger {
  readonly #thresholdPercent: number
  readonly #slowDown: (dirtiedBytes: number, markBytes: number) => void
  #periodStartNs = 0
  #sentBefore = 0
  #dirtiedBytes = 0
  #tooFast = 0

  /** `slowDown` is told how much became dirty in a period, and how much of that would have been little enough. */
  constructor(thresholdPercent: number, slowDown: (dirtiedBytes: number, markBytes: number) => void) {
    this.#thresholdPercent = thresholdPercent
    this.#slowDown = slowDown
  }

  /** A sync found `dirtiedBytes` more dirty; `sentBytes` were sent so far. */
  synced(nowNs: number, dirtiedBytes: number, sentBytes: number): void {
    this.#dirtiedBytes += dirtiedBytes
    if (nowNs - this.#periodStartNs <= PERIOD_NS) return
    const mark = ((sentBytes - this.#sentBefore) * this.#thresholdPercent) / 100
    const dirtied = this.#dirtiedBytes
    this.#periodStartNs = nowNs
    this.#sentBefore = sentBytes
    this.#dirtiedBytes = 0
    if (dirtied <= mark || ++this.#tooFast < TIMES) return
    this.#tooFast = 0
    this.#slowDown(dirtied, mark)
  }
}
