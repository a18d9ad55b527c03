/**
 * What a network that loses, doubles and reorders packets does to a TCP stream: it costs time. The stream itself stays whole, in order.
 *
 * A message goes as segments of at most 1,460 bytes. Of each:
 *  1. lost: it is sent again, and all that came behind it waits for it (in order). Three segments behind it tell the sender
 *     after a round trip (fast retransmit); so the hole is filled 1.5 round trips after the third of them left. If fewer follow, a probe
 *     after two round trips does it (tail loss probe), or, for a segment that is alone on its way, the timeout: 200 ms and a round trip.
 *     A retransmission that is lost, too, costs a round trip more.
 *  2. duplicated: it takes the wire a second time.       3. reordered: it comes up to a quarter of a round trip later, within what
 *     the sender takes for reordering, so nothing is sent again for it; what is behind it waits.
 *
 * Congestion window: the sender has no more than `window` bytes on their way, so no more than window / round trip pass. A loss
 * halves it, once a round trip at most; a timeout takes it to one segment; it grows by a segment a round trip, or doubles below the
 * threshold, while it is what limits the sender. It starts as what the path holds. In the mean that is Mathis' law: MSS / RTT * sqrt(1.5 / loss).
 * Linux's CUBIC has the same mean at the round trips of a data centre, where it behaves as Reno does.
 *
 * Sources: RFC 5681 (window, fast retransmit), RFC 6298 and Linux's TCP_RTO_MIN (timeout), RFC 8985 (probe, reordering window, lost
 * retransmissions), RFC 7661 (a window that does not limit does not grow), RFC 9438 4.3 (CUBIC as Reno); Mathis et al., CCR 27(3), 1997.
 */
import type { Prng } from '../base/prng.ts'

export const SEGMENT_BYTES = 1460
/** Segments behind a hole that tell the sender of it. @kernel TCP_FASTRETRANS_THRESH */
const DUPLICATE_ACKS = 3
/** @kernel TCP_RTO_MIN */
const TIMEOUT_MIN_NS = 200_000_000
/** What a tail loss probe waits besides two round trips: 2 jiffies of 1 ms. @kernel TCP_TIMEOUT_MIN, tcp_schedule_loss_probe */
const PROBE_MIN_NS = 2_000_000
/** RFC 6928. */
const INITIAL_WINDOW_BYTES = 10 * SEGMENT_BYTES

/** Shares of all packets, 0 to 1. */
export interface Weather {
  readonly loss: number
  readonly duplicate: number
  readonly reorder: number
}

/** Packets of one direction, since the weather began. */
export interface PacketCounts {
  sent: number
  lost: number
  retransmitted: number
  duplicated: number
  reordered: number
}

export class LinkWeather {
  readonly counts: PacketCounts = { sent: 0, lost: 0, retransmitted: 0, duplicated: 0, reordered: 0 }
  /** Of the message that `carry` was last asked about: when it has left, and when it arrives. */
  leftNs = Number.NEGATIVE_INFINITY
  arrivalNs = 0
  /** The message from which on arrivals are to be set to `arrivalNs`, since its hole is filled earlier than was feared; or -1. */
  filledFrom = -1
  readonly #weather: Weather
  readonly #chance: Pick<Prng, 'fraction'>
  #window = 0
  #threshold = Number.POSITIVE_INFINITY
  #reducedNs = Number.NEGATIVE_INFINITY
  /** Nothing arrives before this: what is behind a hole waits for it. */
  #inOrderNs = 0
  /** The first message with a hole that nobody has told the sender of; -1: none. */
  #hole = -1
  #behind = 0
  #lostAgainNs = 0
  #holeTimesOut = false

  constructor(weather: Weather, chance: Pick<Prng, 'fraction'>) {
    this.#weather = weather
    this.#chance = chance
  }

  /** A new connection: nothing is on its way, and it has to find out again what the path holds. */
  reset(): void {
    this.leftNs = Number.NEGATIVE_INFINITY
    this.#window = INITIAL_WINDOW_BYTES
    this.#threshold = Number.POSITIVE_INFINITY
    this.#reducedNs = Number.NEGATIVE_INFINITY
    this.#inOrderNs = 0
    this.#hole = -1
  }

  /** Bytes a ns that pass, on a wire of `wire` bytes a ns. */
  rate(wire: number, rttNs: number): number {
    return rttNs > 0 ? Math.min(wire, this.#window / rttNs) : wire
  }

  /** Message `number` of so many bytes begins to leave at `startNs`: sets leftNs, arrivalNs and filledFrom. */
  carry(number: number, startNs: number, bytes: number, wire: number, rttNs: number): void {
    if (this.#window === 0) this.#window = Math.max(INITIAL_WINDOW_BYTES, wire * rttNs)
    const segments = Math.ceil(bytes / SEGMENT_BYTES)
    const alone = segments === 1 && startNs > this.leftNs + rttNs
    this.counts.sent += segments
    let extraBytes = 0
    let lateNs = 0
    let lastLost = -1
    let lostAgainNs = 0
    for (let i = 0; i < segments; i++) {
      const size = i < segments - 1 ? SEGMENT_BYTES : bytes - i * SEGMENT_BYTES
      // 1.
      if (this.#happens(this.#weather.loss)) {
        lastLost = i
        do {
          this.counts.lost++
          this.counts.retransmitted++
          extraBytes += size
          lostAgainNs += rttNs
        } while (this.#happens(this.#weather.loss))
        lostAgainNs -= rttNs
      }
      // 2.
      if (this.#happens(this.#weather.duplicate)) {
        this.counts.duplicated++
        extraBytes += size
      }
      // 3.
      if (this.#happens(this.#weather.reorder)) {
        this.counts.reordered++
        lateNs = Math.max(lateNs, (this.#chance.fraction() * rttNs) / 4)
      }
    }
    this.leftNs = startNs + (bytes + extraBytes) / this.rate(wire, rttNs)
    this.#grow(bytes, wire, rttNs)
    this.filledFrom = -1
    if (this.#hole >= 0) this.#tell(segments, rttNs)
    if (lastLost >= 0) this.#makeHole(number, segments - 1 - lastLost, lostAgainNs, startNs, alone, rttNs)
    this.#inOrderNs = Math.max(this.#inOrderNs, this.leftNs + rttNs / 2 + lateNs)
    this.arrivalNs = this.#inOrderNs
  }

  #happens(share: number): boolean {
    return share > 0 && this.#chance.fraction() < share
  }

  /** Only while the window limits the sender. */
  #grow(bytes: number, wire: number, rttNs: number): void {
    if (this.#window >= wire * rttNs) return
    this.#window += this.#window < this.#threshold ? bytes : (SEGMENT_BYTES * bytes) / this.#window
  }

  /** So many segments more left behind the hole: the third lets the sender fill it, unless its timer has done that before. */
  #tell(segments: number, rttNs: number): void {
    this.#behind += segments
    const filledNs = this.leftNs + 1.5 * rttNs + this.#lostAgainNs
    if (filledNs >= this.#inOrderNs) {
      if (this.#holeTimesOut) this.#window = SEGMENT_BYTES
      this.#hole = -1
    } else if (this.#behind >= DUPLICATE_ACKS) {
      this.filledFrom = this.#hole
      this.#inOrderNs = filledNs
      this.#hole = -1
    }
  }

  #makeHole(number: number, behind: number, lostAgainNs: number, startNs: number, alone: boolean, rttNs: number): void {
    if (startNs >= this.#reducedNs + rttNs) {
      this.#reducedNs = startNs
      this.#window = Math.max(2 * SEGMENT_BYTES, this.#window / 2)
      this.#threshold = this.#window
    }
    if (this.#hole < 0) this.#hole = number
    this.#behind = behind
    this.#lostAgainNs = lostAgainNs
    this.#holeTimesOut = alone
    const timerNs = alone ? TIMEOUT_MIN_NS + rttNs : 2 * rttNs + PROBE_MIN_NS
    this.#inOrderNs = Math.max(this.#inOrderNs, this.leftNs + timerNs + rttNs / 2 + lostAgainNs)
  }
}
