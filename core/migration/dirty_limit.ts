/**
 * Capability dirty-limit: of a guest that writes faster than pages are sent, those vCPUs are slowed that write. Needs dirty rings.
 *
 *  limit, when throttle_trigger.ts finds the guest too fast: every vCPU has a quota, vcpu-dirty-limit. From then on
 *  the thread, each x-vcpu-dirty-limit-period: reaps all rings; so it knows what each vCPU dirtied since, in whole MB/s. A vCPU more
 *   than 25 MB/s off its quota sleeps longer, or shorter, each time that its ring is full: off by more than half, by as much as
 *   would bring it to its quota; else by a tenth of the time in which the ring fills. At most 99 times that.
 *  a vCPU whose ring is full reaps it, and sleeps (dirty_rings.ts, `handle`). One that only reads never fills its ring.
 *
 * The time in which a ring fills is that at the highest rate ever seen, as in QEMU. Unlike QEMU's usleep, the sleep ends when the
 * guest is stopped: see docs/decisions/0028-a-limited-vcpu-stops-at-once.md.
 * Source: QEMU, system/dirtylimit.c and dirtyrate.c.
 * @qemu dirtylimit_process, dirtylimit_set_throttle, dirtylimit_vcpu_execute, vcpu_dirty_rate_stat_thread, migration_dirty_limit_guest
 */
import { type Proc, SLEEP } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { DirtyRings } from './dirty_rings.ts'
import type { MigrationParameters } from './migration_parameters.ts'

/** MB/s. @qemu DIRTYLIMIT_TOLERANCE_RANGE */
const TOLERANCE = 25
/** @qemu DIRTYLIMIT_LINEAR_ADJUSTMENT_PCT */
const LINEAR_PERCENT = 50
/** @qemu DIRTYLIMIT_THROTTLE_PCT_MAX */
const MOST_RING_TIMES = 99
const PAGES_PER_MIB = 256

export class DirtyLimit {
  /** us that each vCPU sleeps when its ring is full. @qemu CPUState.throttle_us_per_full */
  readonly throttleUs: Float64Array
  /** MB/s of each vCPU in the last period. */
  readonly rates: Float64Array
  /** vCPUs are limited, or were. @qemu dirtylimit_in_service */
  inService = false
  readonly #rings: DirtyRings
  readonly #quota: number
  readonly #periodNs: number
  #isOver = false
  #highest = 0

  constructor(rings: DirtyRings, parameters: MigrationParameters) {
    this.#rings = rings
    this.#quota = parameters['vcpu-dirty-limit']
    this.#periodNs = parameters['x-vcpu-dirty-limit-period'] * 1e6
    this.throttleUs = new Float64Array(rings.dirtyPages.length)
    this.rates = new Float64Array(rings.dirtyPages.length)
  }

  /** The thread, from the moment that vCPUs are limited. */
  *limit(k: Thread): Proc<void> {
    const { throttleUs, rates } = this
    const { dirtyPages } = this.#rings
    const before = new Float64Array(rates.length)
    this.inService = true
    this.#rings.limit = (vcpu) => throttleUs[vcpu] * 1000
    this.#rings.adopt(k)
    for (;;) {
      yield* this.#rings.reap(k)
      before.set(dirtyPages)
      const startNs = k.nowNs
      k.wakeAtNs = startNs + this.#periodNs
      yield SLEEP
      if (this.#isOver) return
      yield* this.#rings.reap(k)
      const ms = Math.floor((k.nowNs - startNs) / 1e6)
      for (let vcpu = 0; vcpu < rates.length; vcpu++) {
        const mib = Math.floor((dirtyPages[vcpu] - before[vcpu]) / PAGES_PER_MIB)
        rates[vcpu] = Math.floor((mib * 1000) / ms)
        if (Math.abs(rates[vcpu] - this.#quota) > TOLERANCE) this.#adjust(vcpu, rates[vcpu])
      }
    }
  }

  /** The guest has stopped here, or may write as it likes again. @qemu qmp_cancel_vcpu_dirty_limit */
  cancel(): void {
    this.#isOver = true
    this.#rings.limit = null
  }

  /** @qemu dirtylimit_set_throttle */
  #adjust(vcpu: number, rate: number): void {
    const quota = this.#quota
    const { throttleUs } = this
    if (rate === 0) {
      throttleUs[vcpu] = 0
      return
    }
    const fullUs = this.#ringFullUs(rate)
    const percent = Math.floor((Math.abs(rate - quota) * 100) / Math.max(rate, quota))
    const stepUs = percent > LINEAR_PERCENT ? Math.floor((fullUs * percent) / (100 - percent)) : Math.floor(fullUs / 10)
    const us = throttleUs[vcpu] + (quota < rate ? stepUs : -stepUs)
    throttleUs[vcpu] = Math.max(0, Math.min(us, fullUs * MOST_RING_TIMES))
  }

  /** @qemu dirtylimit_dirty_ring_full_time */
  #ringFullUs(rate: number): number {
    this.#highest = Math.max(this.#highest, rate)
    return Math.floor((Math.floor(this.#rings.entries / PAGES_PER_MIB) * 1e6) / this.#highest)
  }

  /** us of the vCPU that sleeps longest. @qemu dirtylimit_throttle_time_per_round */
  get throttleTimePerRound(): number {
    return Math.max(...this.throttleUs)
  }

  /** us in which a ring fills, on the average; 0: nobody writes. @qemu dirtylimit_ring_full_time */
  get ringFullTime(): number {
    const mean = Math.floor(this.rates.reduce((sum, rate) => sum + rate, 0) / this.rates.length)
    return mean === 0 ? 0 : this.#ringFullUs(mean)
  }
}
