/**
 * The processors that all CPUs of a simulation share, where the host it stands for has fewer than there are threads.
 *
 * Each thread of the model has a CPU of its own: a clock, an MMU. Where processors are shared, a CPU whose turn has come waits until a processor is
 * free. Whoever is ready first goes first, for a quantum at most, so those that have work take turns; a thread that sleeps needs
 * no processor. A CPU goes on where it was if it can. It counts as idle from when another takes its processor: no interrupt reaches it
 * there.
 *
 * A kernel lets a thread run for a millisecond or so unless one that slept wants to run; turns of a quantum come to the same for those that
 * sleep often. What a switch takes is in the costs that a host was measured by. A busy wait takes no processor here.
 *
 * @kernel pick_next_task_fair, context_switch
 */
import { fail } from '../base/assert.ts'
import type { Clock } from './task.ts'

export class Processors {
  readonly #freeNs: number[]
  readonly #occupants: (Clock | null)[]

  constructor(count: number) {
    if (count < 1) fail(`${count} processors`)
    this.#freeNs = Array.from({ length: count }, () => 0)
    this.#occupants = Array.from({ length: count }, () => null)
  }

  /** None are, where nobody says how many. */
  static shared(count: number | undefined): Processors | null {
    return count === undefined ? null : new Processors(count)
  }

  /** A CPU that is ready at `readyNs` takes a processor; answers which. */
  take(clock: Clock, readyNs: number): number {
    const freeNs = this.#freeNs
    let best = this.#occupants.indexOf(clock)
    if (best < 0 || freeNs[best] > readyNs) {
      best = 0
      for (let i = 1; i < freeNs.length; i++) if (freeNs[i] < freeNs[best]) best = i
    }
    const before = this.#occupants[best]
    if (before !== clock) {
      const was = this.#occupants.indexOf(clock)
      if (was >= 0) this.#occupants[was] = null
      if (before !== null && !before.isIdle) before.idle()
      this.#occupants[best] = clock
    }
    return best
  }

  /** When it can begin. */
  freeNs(processor: number): number {
    return this.#freeNs[processor]
  }

  /** Its turn is over. */
  release(processor: number, atNs: number): void {
    this.#freeNs[processor] = atNs
  }
}
