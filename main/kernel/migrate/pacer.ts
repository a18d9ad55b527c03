/**
 * --bandwidth: the stream of a link of that rate, which it occupies for as long as its bytes take; what frames take of a link is off
 * it, as in the model (core/hw/wire.ts).
 *
 * Before a write the thread sleeps until the link is free again. What the host's timer oversleeps is made up for, as far as a link would
 * have gone on sending from its socket's buffer meanwhile. The source's two sending threads share one link. Without a rate nothing waits here.
 */
import { nowNs, sleepUntil } from './clock.ts'
import type { Control } from './control.ts'

/** A write may come as late as it takes to send so many bytes, and still count from when it was due: as many as the model's socket has. */
const BUFFER_BYTES = 2 * 2 ** 20
/** But no later than that: who is kept from running for longer has no socket that would hide it. */
const MOST_LATE_NS = 100_000_000
/** Of one write. */
const WRITE_NS = 250_000

export class Pacer {
  readonly #freeNs: Float64Array
  readonly #creditNs: number
  readonly #control: Control

  /** `shared`: of all threads that send by this link. */
  constructor(
    readonly bytesPerSec: number,
    control: Control,
    shared: SharedArrayBuffer,
  ) {
    this.#control = control
    this.#freeNs = new Float64Array(shared)
    this.#creditNs = bytesPerSec === 0 ? 0 : Math.min(MOST_LATE_NS, (BUFFER_BYTES * 1e9) / bytesPerSec)
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
      const start = Math.max(nowNs() - this.#creditNs, this.#freeNs[0] as number)
      this.#freeNs[0] = start + (bytes * 1e9) / this.bytesPerSec
      return start
    })
    sleepUntil(startNs)
  }
}
