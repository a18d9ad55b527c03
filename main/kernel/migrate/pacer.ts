/**
 * --bandwidth: the stream of a link of that rate, which it occupies for as long as its bytes take; what frames take of a link is off
 * it, as in the model (core/hw/wire.ts).
 *
 * Before a write the thread sleeps until the link is free again. What the host's timer oversleeps is made up for, a little at a time. The
 * source's two sending threads share one link. Without a rate nothing waits here.
 */
import { nowNs, sleepUntil } from './clock.ts'
import type { Control } from './control.ts'

/** As late may a write come, and still count from when it was due. */
const CREDIT_NS = 1_000_000
/** Of one write. */
const WRITE_NS = 250_000

export class Pacer {
  readonly #freeNs: Float64Array
  readonly #control: Control

  /** `shared`: of all threads that send by this link. */
  constructor(
    readonly bytesPerSec: number,
    control: Control,
    shared: SharedArrayBuffer,
  ) {
    this.#control = control
    this.#freeNs = new Float64Array(shared)
  }

  /** Records of `bytes` each that should go in one write, at most `most`. */
  recordsAWrite(bytes: number, most: number): number {
    if (this.bytesPerSec === 0) return most
    return Math.max(1, Math.min(most, Math.floor((this.bytesPerSec * WRITE_NS) / 1e9 / bytes)))
  }

  /** Waits until so many bytes may go. */
  wait(bytes: number): void {
    if (this.bytesPerSec === 0) return
    const startNs = this.#control.exclusively('pacing', () => {
      const start = Math.max(nowNs() - CREDIT_NS, this.#freeNs[0] as number)
      this.#freeNs[0] = start + (bytes * 1e9) / this.bytesPerSec
      return start
    })
    sleepUntil(startNs)
  }
}
