/**
 * A physical wire that several links share: those that have something to send get equal shares of it.
 *
 *     link A  #### \                             three busy links: each sends at a third of the rate; as soon as one has nothing
 *     link B  ##    }-- wire -->                  left, the others share what it had. Nothing is lost, nobody waits for a queue
 *     link C  ##### /                             that is not its own: so one urgent page passes two megabytes of others.
 *
 * This is generalised processor sharing, the limit of fair queueing by small packets (deficit round robin, and TCP streams of one
 * machine through fq or fq_codel). It is exact, and costs no step of its own: virtual time V counts the bytes that each busy link has sent since; a
 * message of b bytes is over when V reaches its tag, max(V, tag before it) + b. V grows by rate / busy links, so a message that is put
 * later can only delay the tags of others: whoever waits for a tag wakes at the time it has as things stand, and looks again.
 *
 * But TCP hands over what it has to send in bursts, of which a network card sends each in one piece: up to 64 KiB, no more than a millisecond
 * of the rate. A link that begins to send waits until the burst that is just going is over (`startTag`), in the mean half of one.
 * From then on it has its share: who has something to send all the time is not in the way of anybody else who has.
 *
 * Pairs with link.ts. Sources: Parekh and Gallager, "A generalized processor sharing approach to flow control", 1993; net/ipv4/tcp_output.c,
 * tcp_tso_autosize; GSO_MAX_SIZE.
 */
import { assert } from '../base/assert.ts'

const PAYLOAD_PER_FRAME = 1460
const BYTES_PER_FRAME = 1460 + 78

/** What is left for payload: Ethernet, IP and TCP headers take 78 bytes for each 1,460. */
export function payloadBytesPerNs(bandwidthBitsPerSec: number): number {
  return ((bandwidthBitsPerSec / 8e9) * PAYLOAD_PER_FRAME) / BYTES_PER_FRAME
}

/** The rate of a link that carries so much payload. */
export function bitsForPayload(bytesPerSec: number): number {
  return (bytesPerSec * 8 * BYTES_PER_FRAME) / PAYLOAD_PER_FRAME
}

const BURST_MAX_BYTES = 65_536
const BURST_MAX_NS = 1e6
const BURST_LEAST_BYTES = 2 * PAYLOAD_PER_FRAME

/** What TCP hands to the network card at once. @kernel tcp_tso_autosize */
export function burstBytes(bytesPerNs: number): number {
  return Math.max(BURST_LEAST_BYTES, Math.min(BURST_MAX_BYTES, bytesPerNs * BURST_MAX_NS))
}

export class Wire {
  /** Payload. */
  bytesPerNs: number
  readonly #burstBytes: number
  readonly #flows: Flow[] = []
  #nowNs = 0
  #virtual = 0
  /** Bytes sent since it was idle: bursts follow one another without a gap. */
  #sentBytes = 0

  /** `burst`: bytes that are sent in one piece; 0: a wire that is shared byte by byte. */
  constructor(bytesPerNs: number, burst = 0) {
    this.bytesPerNs = bytesPerNs
    this.#burstBytes = burst
  }

  join(): Flow {
    const flow = new Flow(this)
    this.#flows.push(flow)
    return flow
  }

  /** From `nowNs` on it carries so much. */
  change(nowNs: number, bytesPerNs: number): void {
    this.advance(nowNs)
    this.bytesPerNs = bytesPerNs
  }

  /** The tag of a message that is put now on `flow`, behind those that it has. */
  tagAfter(nowNs: number, flow: Flow, bytes: number): number {
    this.advance(nowNs)
    const isIdle = this.#busy() === 0
    // Idle until now. A sender whose clock is behind has the wire from where it is.
    if (isIdle && nowNs > this.#nowNs) this.#nowNs = nowNs
    if (isIdle) this.#sentBytes = 0
    if (flow.lastTag <= this.#virtual) flow.startTag = this.#virtual + (isIdle ? 0 : this.#burstLeft())
    return Math.max(flow.startTag, flow.lastTag) + bytes
  }

  /** What V grows by until the burst that is going is over; or until there is nothing left that a burst could be made of. */
  #burstLeft(): number {
    if (this.#burstBytes === 0) return 0
    const left = (this.#burstBytes - (this.#sentBytes % this.#burstBytes)) / this.#busy()
    let most = 0
    for (const flow of this.#flows) most = Math.max(most, this.behind(flow.lastTag))
    return Math.min(left, most)
  }

  /** All that was sent up to `nowNs` is known then: each message that is over learns when. */
  advance(nowNs: number): void {
    while (this.#nowNs < nowNs) {
      const busy = this.#busy()
      if (busy === 0) {
        // Nothing; or a link waited for a burst of one whose connection broke.
        const next = this.#nextChange(this.#virtual)
        if (next === Number.POSITIVE_INFINITY) return
        this.#virtual = next
        continue
      }
      // Until the first of them has nothing left, or another begins, all have the same share.
      const nsPerByte = busy / this.bytesPerNs
      const change = this.#nextChange(this.#virtual)
      const end = Math.min(change, this.#virtual + (nowNs - this.#nowNs) / nsPerByte)
      for (const flow of this.#flows) flow.settle(this.#virtual, this.#nowNs, end, nsPerByte)
      this.#sentBytes += (end - this.#virtual) * busy
      this.#nowNs = end === change ? this.#nowNs + (change - this.#virtual) * nsPerByte : nowNs
      this.#virtual = end
    }
  }

  /** When V reaches `tag`, if nothing more is put; the present if it has. */
  timeOf(tag: number): number {
    let timeNs = this.#nowNs
    let virtual = this.#virtual
    while (virtual < tag) {
      const end = Math.min(tag, this.#nextChange(virtual))
      timeNs += ((end - virtual) * this.#busy(virtual)) / this.bytesPerNs
      virtual = end
    }
    return timeNs
  }

  /** Bytes between V and a tag. */
  behind(tag: number): number {
    return Math.max(0, tag - this.#virtual)
  }

  /** Links that are sending at V. */
  #busy(virtual = this.#virtual): number {
    let n = 0
    for (const flow of this.#flows) if (flow.lastTag > virtual && flow.startTag <= virtual) n++
    return n
  }

  /** The next V at which a link has nothing left to send, or begins. */
  #nextChange(virtual: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const { startTag, lastTag } of this.#flows) {
      const change = startTag > virtual ? startTag : lastTag
      if (change > virtual && change < next) next = change
    }
    return next
  }
}

/** What one link has on the wire: its messages in order, of each the tag, or when it was over. */
export class Flow {
  lastTag = 0
  /** V from which on it sends. */
  startTag = 0
  /** Messages whose end is not known yet, at the end of the ring; before them those that are over and were not asked for. */
  #unsettled = 0
  #head = 0
  #count = 0
  #ring = new Float64Array(64)
  readonly #wire: Wire

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** Answers when it would have begun to leave, had it the wire for itself then, so as to be over when it will be as things stand. */
  put(nowNs: number, bytes: number): number {
    this.lastTag = this.#wire.tagAfter(nowNs, this, bytes)
    if (this.#count === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#count++) & (this.#ring.length - 1)] = this.lastTag
    this.#unsettled++
    return this.#wire.timeOf(this.lastTag) - bytes / this.#wire.bytesPerNs
  }

  /** When the next message is over; if that is not known at `nowNs`, the time that it has as things stand, which is later. */
  nextNs(nowNs: number): number {
    assert(this.#count > 0, 'no message on the wire')
    this.#wire.advance(nowNs)
    const at = this.#ring[this.#head]
    return this.isNextOver ? at : this.#wire.timeOf(at)
  }

  get isNextOver(): boolean {
    return this.#count > this.#unsettled
  }

  /** The next message was taken. In the step gear, and in weather, it may be so before it is over here. */
  take(): void {
    if (!this.isNextOver) this.#unsettled--
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    this.#count--
  }

  /** When all but `bytes` of what was put have been sent, as things stand; 0: they have been. */
  roomNs(bytes: number): number {
    const tag = this.lastTag - bytes
    return this.#wire.behind(tag) > 0 ? this.#wire.timeOf(tag) : 0
  }

  /** Bytes that were put and have not left. */
  queued(nowNs: number): number {
    this.#wire.advance(nowNs)
    return this.#wire.behind(this.lastTag)
  }

  /** The connection broke: nothing of it is on the wire any longer. */
  clear(nowNs: number): void {
    this.#wire.advance(nowNs)
    this.#head = 0
    this.#count = 0
    this.#unsettled = 0
    this.lastTag = 0
    this.startTag = 0
  }

  /** Messages with tags up to `end` are over; V was `virtual` at `timeNs`. */
  settle(virtual: number, timeNs: number, end: number, nsPerByte: number): void {
    while (this.#unsettled > 0) {
      const i = (this.#head + this.#count - this.#unsettled) & (this.#ring.length - 1)
      const tag = this.#ring[i]
      if (tag > end) return
      this.#ring[i] = timeNs + (tag - virtual) * nsPerByte
      this.#unsettled--
    }
  }

  #grow(): void {
    const n = this.#ring.length
    const ring = new Float64Array(n * 2)
    for (let i = 0; i < n; i++) ring[i] = this.#ring[(this.#head + i) & (n - 1)]
    this.#ring = ring
    this.#head = 0
  }
}
