/**
 * What the migration knows of its own speed, and what follows from it: how much may be left when the guest stops.
 *
 * Every BUFFER_DELAY:
 *  bandwidth = bytes that left since / time since.
 *  threshold = bandwidth * (downtime-limit - fixed costs): as little is left, the rest can be sent while the guest stands.
 *  expected-downtime = what was dirty at the last sync / bandwidth + fixed costs.
 *
 * Two things are ours, and make the downtime keep its limit (docs/decisions/0021-downtime-is-a-promise.md): fixed costs come off
 * the budget first, and bytes that still wait in the socket count as not sent. And a first estimate is made as soon as one is
 * needed, when nothing is left to send: a small guest is sent in less than one delay.
 *
 * max-bandwidth: what may be sent in one delay; once that is used up, the rest of the delay is slept (rate_window.ts).
 * @qemu migration_update_counters, migration_rate_limit, migration_rate_exceeded
 */
import { type Proc, SLEEP } from '../engine/op.ts'
import type { Sleeper } from '../engine/task.ts'
import { PAGE_RECORD_BYTES } from './parameters.ts'
import { BUFFER_DELAY_NS, RateWindow } from './rate_window.ts'

/** Shorter sleeps are not worth it. Ours. */
const DRAIN_LEAST_NS = 100_000

export interface RateOptions {
  /** Bytes given to the sockets so far, and how many of them wait there. */
  readonly put: () => number
  readonly queued: (nowNs: number) => number
  /** Bytes that the threads of multifd have yet to give to their sockets. [0] */
  readonly held?: () => number
  readonly downtimeLimitNs: number
  /** What a switch costs besides sending pages. */
  readonly fixedNs: () => number
  /** Bytes a second; 0: estimate. @qemu avail-switchover-bandwidth */
  readonly availSwitchoverBandwidth: number
  /** Bytes a second; 0: as many as the link carries. @qemu max-bandwidth */
  readonly maxBandwidth: number
}

export class Rates {
  /** Bytes that may be left when the guest stops. @qemu threshold_size */
  thresholdBytes = 0
  /** Bytes a second, of the last delay. */
  bandwidth = 0
  expectedDowntimeNs = 0
  readonly #o: RateOptions
  /** Of bytes given to the sockets. */
  readonly #window: RateWindow
  /** Bytes that had left when it began. */
  #windowStartBytes = 0

  constructor(options: RateOptions) {
    this.#o = options
    this.#window = new RateWindow(options.maxBandwidth)
  }

  start(nowNs: number): void {
    const put = this.#o.put()
    this.#window.start(nowNs, put)
    this.#windowStartBytes = put - this.#o.queued(nowNs)
  }

  /** Another limit from now on. @qemu migration_rate_set */
  set maxBandwidth(bytesPerSec: number) {
    this.#window.bytesPerSec = bytesPerSec
  }

  /**
   * At the end of a delay; or, if nothing is known yet, as soon as nothing is left to send: not before, since the first bytes go
   * into empty buffers and look faster than the link is. `dirtyBytes`: at the last sync.
   */
  update(nowNs: number, dirtyBytes: number, isNothingLeft: boolean): void {
    const ns = nowNs - this.#window.startNs
    if (ns < BUFFER_DELAY_NS && (this.bandwidth > 0 || ns <= 0 || !isNothingLeft)) return
    const bytes = this.#o.put() - this.#o.queued(nowNs)
    const measured = ((bytes - this.#windowStartBytes) * 1e9) / ns
    // What may be sent in a delay may have gone in a burst: as a rate it is no more than the limit.
    this.bandwidth = this.#window.isLimited ? Math.min(measured, this.#window.bytesPerSec) : measured
    const { downtimeLimitNs, availSwitchoverBandwidth } = this.#o
    const switchover = availSwitchoverBandwidth > 0 ? availSwitchoverBandwidth : this.bandwidth
    const fixedNs = this.#o.fixedNs()
    this.thresholdBytes = (switchover * Math.max(0, downtimeLimitNs - fixedNs)) / 1e9
    if (switchover > 0) this.expectedDowntimeNs = (dirtyBytes * 1e9) / switchover + fixedNs
    if (ns >= BUFFER_DELAY_NS) this.start(nowNs)
  }

  /** Bytes that are no longer dirty, and have not left. */
  underWay(nowNs: number): number {
    return this.#o.queued(nowNs) + (this.#o.held?.() ?? 0)
  }

  /** Pages that may be left when the guest stops, behind what is under way; below 0: even that is too much. */
  threshold(nowNs: number): number {
    return Math.floor((this.thresholdBytes - this.underWay(nowNs)) / PAGE_RECORD_BYTES)
  }

  /** Pages that may be sent before the delay is over. @qemu migration_rate_exceeded */
  get allowance(): number {
    return this.#window.isLimited ? Math.ceil(this.#window.left(this.#o.put()) / PAGE_RECORD_BYTES) : Number.POSITIVE_INFINITY
  }

  /** Sleeps until the delay is over, if all that may be sent in it was sent. @qemu migration_rate_limit */
  *limit(k: Sleeper): Proc<void> {
    const untilNs = this.#window.endNs
    if (this.allowance > 0 || untilNs <= k.nowNs) return
    k.wakeAtNs = untilNs
    yield SLEEP
  }

  /**
   * Nothing is left to be sent now: sleeps until what waits in the sockets is half of what may be left. The other half is for what the
   * next sync finds: if it had to find nothing, a guest that writes at all would be asked pass after pass. No longer than a delay at a
   * time, since the bandwidth may be known better by then.
   */
  *drain(k: Sleeper): Proc<void> {
    const excess = this.underWay(k.nowNs) - this.thresholdBytes / 2
    if (excess <= 0) return
    const ns = this.bandwidth > 0 ? (excess * 1e9) / this.bandwidth : 0
    k.wakeAtNs = k.nowNs + Math.min(BUFFER_DELAY_NS, Math.max(DRAIN_LEAST_NS, ns))
    yield SLEEP
  }
}
