/**
 * The cache line of a lock word, in the clock gear: what an atomic operation on it costs when another CPU had it last.
 *
 * An atomic needs the line for itself. It comes from whoever touched it last, one CPU after the other: transfers queue. That is
 * why even readers of one reader-writer lock slow each other down, and what locks of one area and lockless faults save.
 *
 * A CPU that ran ahead by a quantum may have left a time far in another's future. No real queue is longer than every other CPU
 * once, so a longer one is that artefact and is not waited for.
 *
 * Source: McKenney, "Is Parallel Programming Hard", 3.2 (cost of a contended atomic); core-to-core latency tables of Zen.
 */
import type { Clock } from '../engine/task.ts'

const QUEUE_MAX_CPUS = 32
const FEW: readonly unknown[] = []

export class CacheLine {
  #holder = -1
  #freeNs = 0

  /** `transferNs` from one CPU's cache to another's; 0: the line is free of charge. */
  constructor(
    readonly transferNs: number,
    /** All CPUs that there are; of 32 or fewer the number does not matter. */
    readonly cpus: { readonly length: number } = FEW,
  ) {}

  touch(clock: Clock): void {
    if (this.#holder === clock.id) {
      if (clock.nowNs > this.#freeNs) this.#freeNs = clock.nowNs
      return
    }
    this.#holder = clock.id
    const queueNs = this.#freeNs - clock.nowNs
    if (queueNs > 0 && queueNs <= Math.max(QUEUE_MAX_CPUS, this.cpus.length) * this.transferNs) clock.nowNs += queueNs
    clock.nowNs += this.transferNs
    this.#freeNs = clock.nowNs
  }
}
