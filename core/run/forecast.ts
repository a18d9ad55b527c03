/**
 * Will this pre-copy end, and when? Asked while it runs; the answer is a sentence with the two rates that decide it.
 *
 * The guest is taken for a writer that dirties clean pages at `rate` bytes a second at first, and never more than a set of W bytes:
 *
 *     in t seconds it dirties  D(t) = W (1 - exp(-rate t / W))                the next pass sends D(what was left / bandwidth)
 *
 * `rate` is measured while pages are clean (the highest of the last pass, by windows of 100 ms), W follows from what a whole pass
 * found dirty. Passes are then counted forward: they come down to the threshold, which takes so long; or they stop shrinking above
 * it, and never will, unless a throttle that still has steps left makes `rate` small enough. It watches and changes nothing; the migration does not know it.
 * Source: the geometric series of pre-copy (facts: pass n sends RAM * (dirtying/sending)^n), with a set that bounds it.
 */
import { formatSize, formatTime } from '../base/units.ts'
import { BUFFER_DELAY_NS } from '../migration/rate_window.ts'

export type Forecast =
  | { readonly kind: 'converges'; readonly inNs: number }
  | { readonly kind: 'never'; readonly dirtyingBytesPerSec: number; readonly sendingBytesPerSec: number }
  /** Not while the guest writes as it does now; of one that writes all of its set again and again, `rate` is the least that it can be. */
  | {
      readonly kind: 'once slowed'
      readonly to: string
      readonly dirtyingBytesPerSec: number
      readonly sendingBytesPerSec: number
    }

/** What a guest may still be slowed to. */
export interface Slowing {
  /** Of what it dirties now. */
  readonly share: number
  /** And no more than this. */
  readonly mostBytesPerSec: number
  readonly to: string
}

/** Passes that are counted forward; one that still shrinks then will not be done in anybody's time. */
const PASSES = 1000
/** A pass whose excess over the threshold is more than this share of the one before does not shrink. */
const STANDSTILL = 0.999
const WINDOW_NS = 100_000_000
const PAGE_BYTES = 4096

export interface Left {
  /** Known to be dirty and not sent, or sent and still in the sockets. */
  readonly remainingBytes: number
  /** As little can be sent while the guest stands. */
  readonly thresholdBytes: number
  readonly sendingBytesPerSec: number
  /** As `look` is told, up to now. */
  readonly dirtiedBytes: number
  /** From the next to the last. [none] */
  readonly slowings?: readonly Slowing[]
}

export class Forecaster {
  #windowNs = 0
  #windowBytes = 0
  #passNs = 0
  #passBytes = 0
  #lookedBytes = 0
  /** Highest rate of this pass, and of the last one that was whole. */
  #peak = 0
  #rate = 0
  #setBytes = Number.POSITIVE_INFINITY

  /** `dirtiedBytes`: of pages that were clean and were written, since the migration began. */
  look(nowNs: number, dirtiedBytes: number): void {
    this.#lookedBytes = dirtiedBytes
    const ns = nowNs - this.#windowNs
    if (ns < WINDOW_NS) return
    this.#peak = Math.max(this.#peak, ((dirtiedBytes - this.#windowBytes) * 1e9) / ns)
    this.#windowNs = nowNs
    this.#windowBytes = dirtiedBytes
  }

  /** A pass is over, which found so many bytes dirty. */
  passed(nowNs: number, foundBytes: number): void {
    if (this.#passNs > 0 && nowNs > this.#passNs) {
      const seconds = (nowNs - this.#passNs) / 1e9
      this.#rate = Math.max(this.#peak, foundBytes / seconds)
      this.#setBytes = setOf(foundBytes, this.#rate * seconds)
    }
    this.#passNs = nowNs
    this.#passBytes = this.#lookedBytes
    this.#peak = 0
  }

  /** Null until a whole pass was seen. */
  forecast(left: Left): Forecast | null {
    const { sendingBytesPerSec, slowings = [] } = left
    if (this.#rate === 0 || sendingBytesPerSec <= 0) return null
    const inNs = this.#endsIn(left, this.#rate)
    if (inNs !== null) return { kind: 'converges', inNs }
    const rates = { dirtyingBytesPerSec: this.#rate, sendingBytesPerSec }
    for (const { share, mostBytesPerSec, to } of slowings)
      if (this.#endsIn(left, Math.min(this.#rate * share, mostBytesPerSec)) !== null) return { kind: 'once slowed', to, ...rates }
    return { kind: 'never', ...rates }
  }

  /** Of a guest that dirties clean pages at `rate`; null: never. */
  #endsIn({ remainingBytes, thresholdBytes, sendingBytesPerSec, dirtiedBytes }: Left, rate: number): number | null {
    let left = remainingBytes
    // What the sync at the end of this pass will find was in part dirtied already.
    let found = Math.min(dirtiedBytes - this.#passBytes, this.#setBytes)
    let seconds = 0
    for (let pass = 0; pass < PASSES; pass++) {
      // A pass ends when what is left fits the threshold, not when nothing is left.
      const time = Math.max(0, left - thresholdBytes) / sendingBytesPerSec
      seconds += time
      const next = Math.min(left, thresholdBytes) + found + this.#dirtied(rate, time) * Math.max(0, 1 - found / this.#setBytes)
      if (next <= thresholdBytes + PAGE_BYTES) return seconds * 1e9
      if (pass > 0 && next - thresholdBytes > (left - thresholdBytes) * STANDSTILL) break
      left = next
      found = 0
    }
    return null
  }

  #dirtied(rate: number, seconds: number): number {
    const bytes = rate * seconds
    return Number.isFinite(this.#setBytes) ? this.#setBytes * -Math.expm1(-bytes / this.#setBytes) : bytes
  }
}

/** The W for which `bytes` written at once leave `found` dirty: found = W (1 - exp(-bytes / W)). Infinity if they hardly met. */
function setOf(found: number, bytes: number): number {
  if (found <= 0 || found >= bytes * STANDSTILL) return Number.POSITIVE_INFINITY
  let low = found
  let high = found
  const dirty = (w: number) => w * -Math.expm1(-bytes / w)
  while (dirty(high) < found) high *= 2
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (dirty(middle) < found) low = middle
    else high = middle
  }
  return high
}

/** For people. */
export function forecastText(forecast: Forecast): string {
  // The migration looks whether it may end about as often as that.
  if (forecast.kind === 'converges' && forecast.inNs < BUFFER_DELAY_NS) return 'will converge within 100 ms'
  if (forecast.kind === 'converges') return `will converge in ${formatTime(forecast.inNs)}`
  const rate = (bytes: number) => `${formatSize(bytes)}/s`
  const when = forecast.kind === 'never' ? 'will never converge' : `will converge at the earliest when ${forecast.to}`
  return `${when}: dirtying ${rate(forecast.dirtyingBytesPerSec)}, sending ${rate(forecast.sendingBytesPerSec)}`
}
