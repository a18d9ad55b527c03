/**
 * Auto-converge: a guest that writes faster than pages are sent gets less and less of its CPUs.
 *
 *  trigger, at a sync of the dirty bitmap, at least a second after the last one that counted:  more bytes became dirty since than
 *  half of those sent (throttle-trigger-threshold), for the second time: throttle.   First cpu-throttle-initial percent, then
 *  cpu-throttle-increment more each time, up to max-cpu-throttle. tailslow: no more than it takes to bring dirtying down to the mark.
 *
 *  the throttle: every vCPU runs for a time slice, and sleeps as long as makes its share of the time what is left to it.
 * @qemu migration_trigger_throttle, mig_throttle_guest_down, cpu_throttle_thread
 */
import type { MigrationParameters } from './migration_parameters.ts'

/** Syncs closer than this are counted together. @qemu migration_bitmap_sync */
const PERIOD_NS = 1_000_000_000
/** @qemu CPU_THROTTLE_TIMESLICE_NS */
const TIMESLICE_NS = 10_000_000
/** Times that a guest must have been too fast before it is throttled, or throttled more. */
const TIMES = 2

/** The throttle on all vCPUs: what share of their time they sleep. */
export class CpuThrottle {
  /** 0: they run freely. */
  percentage = 0

  /** How long a vCPU runs between two sleeps. */
  get sliceNs(): number {
    return this.percentage === 0 ? Number.POSITIVE_INFINITY : TIMESLICE_NS
  }

  /** How long it sleeps then. */
  get sleepNs(): number {
    const share = this.percentage / 100
    return (TIMESLICE_NS * share) / (1 - share)
  }
}

export class AutoConverge {
  readonly #throttle: CpuThrottle
  readonly #parameters: MigrationParameters
  #periodStartNs = 0
  #sentBefore = 0
  #dirtiedBytes = 0
  #tooFast = 0

  constructor(throttle: CpuThrottle, parameters: MigrationParameters) {
    this.#throttle = throttle
    this.#parameters = parameters
  }

  start(nowNs: number, sentBytes: number): void {
    this.#periodStartNs = nowNs
    this.#sentBefore = sentBytes
  }

  /** A sync found `dirtiedBytes` more dirty; `sentBytes` were sent so far. True if the guest runs slower from now on. */
  synced(nowNs: number, dirtiedBytes: number, sentBytes: number): boolean {
    this.#dirtiedBytes += dirtiedBytes
    if (nowNs - this.#periodStartNs <= PERIOD_NS) return false
    const mark = ((sentBytes - this.#sentBefore) * this.#parameters['throttle-trigger-threshold']) / 100
    const dirtied = this.#dirtiedBytes
    this.start(nowNs, sentBytes)
    this.#dirtiedBytes = 0
    if (dirtied <= mark || ++this.#tooFast < TIMES) return false
    this.#tooFast = 0
    return this.#throttleDown(dirtied, mark)
  }

  #throttleDown(dirtied: number, mark: number): boolean {
    const p = this.#parameters
    const now = this.#throttle.percentage
    let next = p['cpu-throttle-initial']
    if (now > 0) {
      const running = 100 - now
      const ideal = Math.floor(running * (mark / dirtied))
      const most = p['cpu-throttle-increment']
      next = now + (p['cpu-throttle-tailslow'] ? Math.min(running - ideal, most) : most)
    }
    this.#throttle.percentage = Math.min(next, p['max-cpu-throttle'])
    return this.#throttle.percentage > now
  }
}
