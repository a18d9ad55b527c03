/**
 * What a run does against a guest that writes faster than its pages are sent: auto-converge, dirty-limit, or nothing.
 *
 * Asked at each sync; ends where the guest stops, or where the migration does. Pairs with migration/throttle_trigger.ts.
 */
import type { Thread } from '../hw/cpu.ts'
import { DirtyLimit } from '../migration/dirty_limit.ts'
import type { DirtyRings } from '../migration/dirty_rings.ts'
import { ThrottleTrigger } from '../migration/throttle_trigger.ts'
import { EventKind } from '../trace/event.ts'
import type { Slowing } from './forecast.ts'
import type { MigrationRun } from './migration_run.ts'

/** While auto-converge watches, a pass is not longer than this without a look at the bitmap. @qemu CPU_THROTTLE_DIRTY_SYNC_TIMER */
const SYNC_EVERY_NS = 5_000_000_000

export class Throttling {
  /** The vCPUs' quotas, with dirty-limit. */
  readonly limit: DirtyLimit | null
  /** Longest pass without a sync. */
  readonly syncEveryNs: number
  readonly #run: MigrationRun
  readonly #trigger: ThrottleTrigger | null
  /** Who has triggered it: the migration thread. */
  #thread: Thread | null = null

  constructor(run: MigrationRun, rings: DirtyRings | null) {
    const { capabilities, parameters } = run.options
    const converges = capabilities['auto-converge']
    this.#run = run
    this.limit = capabilities['dirty-limit'] && rings !== null ? new DirtyLimit(rings, parameters) : null
    this.syncEveryNs = converges ? SYNC_EVERY_NS : Number.POSITIVE_INFINITY
    const threshold = parameters['throttle-trigger-threshold']
    if (converges) this.#trigger = new ThrottleTrigger(threshold, (...bytes) => run.throttle.slowDown(parameters, ...bytes))
    else this.#trigger = this.limit === null ? null : new ThrottleTrigger(threshold, () => this.#limitGuest())
  }

  /** A sync found so many pages more to be dirty. */
  synced(k: Thread, dirtied: number): void {
    this.#thread = k
    const { throttle, recorder, channels } = this.#run
    const before = throttle.percentage
    this.#trigger?.synced(k.nowNs, dirtied * 4096, channels.bytesSent)
    if (throttle.percentage !== before) recorder.event(k.nowNs, EventKind.Throttle, k.lane, -1, throttle.percentage)
  }

  /** What the guest may yet be slowed to. */
  get slowings(): readonly Slowing[] {
    const { options, throttle } = this.#run
    const { parameters } = options
    if (this.limit !== null) {
      const quota = parameters['vcpu-dirty-limit']
      const most = quota * options.vcpus * 2 ** 20
      return [{ share: 1, mostBytesPerSec: most, to: `dirty-limit holds each vCPU to ${quota} MiB/s` }]
    }
    const steps: Slowing[] = []
    const most = parameters['max-cpu-throttle']
    for (let now = throttle.percentage; this.#trigger !== null && now < most; ) {
      now = Math.min(most, now === 0 ? parameters['cpu-throttle-initial'] : now + parameters['cpu-throttle-increment'])
      const share = (100 - now) / (100 - throttle.percentage)
      steps.push({ share, mostBytesPerSec: Number.POSITIVE_INFINITY, to: `auto-converge takes ${now} % of the CPUs` })
    }
    return steps
  }

  /** @qemu migration_dirty_limit_guest */
  #limitGuest(): void {
    const { limit } = this
    if (limit === null || limit.inService || this.#thread === null) return
    const { source } = this.#run
    const k = source.makeThread('dirtyrate-stat')
    source.start(k, limit.limit(k), this.#thread.nowNs)
  }

  /** The guest has left, or stays: nobody is slowed any longer. */
  end(): void {
    this.#run.throttle.percentage = 0
    this.limit?.cancel()
  }
}
