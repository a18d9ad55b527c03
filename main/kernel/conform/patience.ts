/**
 * How long one waits for puppets: so many milliseconds in which this program ran itself.
 *
 * A program that was stopped (Ctrl-Z, a debugger, a host that sleeps) finds its puppets where they were, and the clock far ahead: of the time
 * between two looks only a little counts.
 */

/** Whoever waits looks again within a few milliseconds. */
const MOST_BETWEEN_LOOKS_MS = 50
/** No load of the host keeps it from a look for so long. */
const STOPPED_MS = 1000

export class Patience {
  #spentMs = 0
  #lookedAt: number
  /** This program was stopped meanwhile, or whoever it waits for. */
  wasStopped = false

  constructor(
    readonly limitMs: number,
    readonly now: () => number = () => performance.now(),
  ) {
    this.#lookedAt = now()
  }

  /** Whoever is waited for is stopped: what has passed until now is no fault of theirs. */
  startOver(): void {
    this.#spentMs = 0
    this.wasStopped = true
  }

  /** To be asked at each look. */
  isOver(): boolean {
    const now = this.now()
    const passed = now - this.#lookedAt
    if (passed > STOPPED_MS) this.wasStopped = true
    this.#spentMs += Math.min(passed, MOST_BETWEEN_LOOKS_MS)
    this.#lookedAt = now
    return this.#spentMs > this.limitMs
  }
}
