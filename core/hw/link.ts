/**
 * One direction of a network connection: a TCP stream between two machines, in order.
 *
 *     sender -> [socket buffer] -> wire (bandwidth) -> delay (half the round trip) -> [receive buffer] -> receiver
 *
 * 1. send: sleeps while the socket buffer is full, or while the receiver has not drained its window.
 * 2. A message leaves when all before it have left, takes bytes / bandwidth, and arrives half a round trip later. Links may share a wire (wire.ts).
 * 3. receive: sleeps until the head of the queue has arrived.
 *
 * A request for one page therefore waits behind whatever already sits in the socket buffer: head-of-line blocking, which
 * is most of a remote fault's latency when the link is busy. About 2 MiB explain QEMU's 16 ms at 1 Gb/s without an urgent channel.
 *
 * Messages are rows in ring columns, so a page costs no object. In the step gear a sent message has arrived, and each message
 * is an object of its own: sending the next one does not depend on receiving this one.
 *
 * Trouble: packets that are lost, doubled or reordered cost time (link_weather.ts). Rate and delay may change: what has not left yet follows.
 * A connection that breaks (`disconnect`) loses what was not received; both ends learn it at once, as from a reset, not after the quarter
 * of an hour that TCP would try for: so do QEMU's tests, which shut the socket down. Whoever sends is then answered at once, and whoever
 * receives gets LINK_BROKEN, until `reconnect`. @qemu qemu_file_get_error, migrate_pause
 */
import { assert } from '../base/assert.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type AccessOp, BLOCK, type Gate, NOTHING, type Proc, SLEEP } from '../engine/op.ts'
import type { Thread } from './cpu.ts'
import type { LinkWeather } from './link_weather.ts'
import { type Message, MessageRing, noMessage } from './message_ring.ts'
import { type Flow, payloadBytesPerNs, type Wire } from './wire.ts'

/** The type of what `receive` answers on a connection that is broken. */
export const LINK_BROKEN = 0

export interface LinkOptions {
  readonly name: string
  readonly bandwidthBitsPerSec: number
  readonly rttNs: number
  readonly sendBufferBytes: number
  readonly receiveBufferBytes: number
  /** Shared with other links, of the same bandwidth. [one of its own] */
  readonly wire?: Wire
  /** Messages that there is room for at the start, a power of two; the ring grows. [1024] */
  readonly rows?: number
}

export class Link {
  readonly #options: LinkOptions
  /** Payload that the wire carries, and that the sender may have it carry, which less than perfect weather makes less. */
  #wireBytesPerNs: number
  #bytesPerNs: number
  /** From one end to the other. */
  #flightNs: number
  /** Its messages on a wire that it shares. */
  readonly #flow: Flow | null
  /** Time at which everything sent so far has left the socket buffer. */
  #wireFreeNs = 0
  #unreadBytes = 0
  /** Sent and not yet received. */
  readonly #ring: MessageRing
  readonly #receivers: Thread[] = []
  readonly #senders: Thread[] = []
  readonly #disconnected: Thread[] = []
  /** Those that sleep until the next message has arrived, or until the socket buffer has room. */
  readonly #sleepers: Thread[] = []
  /** What happens to its packets on the way; null: nothing. */
  weather: LinkWeather | null = null
  /** Nothing passes, until `reconnect`. */
  broken = false
  /** The numbers of the next message to be sent and to be received; those that were lost do not count. */
  #sent = 0
  #received = 0
  readonly #label: string
  readonly #send: AccessOp
  readonly #connection: AccessOp
  readonly #arrival: Gate
  /** A column of one: a field that outgrows 31 bits becomes one of another kind, and all that was compiled for links is lost, at 2 GiB. */
  readonly #bytesSent = new Float64Array(1)
  /** What `receive` took off the queue. */
  readonly message = noMessage()

  constructor(options: LinkOptions) {
    assert(
      options.bandwidthBitsPerSec > 0 && options.rttNs >= 0,
      `link ${options.name}: bandwidth ${options.bandwidthBitsPerSec}, rtt ${options.rttNs}`,
    )
    this.#options = options
    this.#label = `link.${options.name}`
    const gate = (opens: () => boolean, what: string): Gate => ({
      opens,
      describe: () => `${what} ${options.name}`,
      holder: () => null,
    })
    const room = gate(() => this.#windowOpen(), 'room in the window of')
    this.#send = { kind: 'access', mode: AccessMode.write, object: 0, label: `${this.#label}.tail`, gate: room }
    const connected = gate(() => !this.broken, 'a new connection for')
    this.#connection = { kind: 'access', mode: AccessMode.read, object: 0, label: `${this.#label}.tail`, gate: connected }
    this.#arrival = gate(() => this.#ring.count > 0 || this.broken, 'a message on')
    this.#ring = new MessageRing(options.rows ?? 1024)
    this.#wireBytesPerNs = payloadBytesPerNs(options.bandwidthBitsPerSec)
    this.#bytesPerNs = this.#wireBytesPerNs
    this.#flightNs = options.rttNs / 2
    this.#flow = options.wire?.join() ?? null
  }

  /** Messages sent and not yet received. */
  get depth(): number {
    return this.#ring.count
  }

  /** The messages sent and not yet received, oldest first: for whoever checks what is on its way. */
  inFlight(): Message[] {
    const ring = this.#ring
    return Array.from({ length: ring.count }, (_, n) => ring.read(ring.at(n), noMessage()))
  }

  /** Payload bytes ever sent. */
  get bytesSent(): number {
    return this.#bytesSent[0]
  }

  /** Payload bytes that still wait in the socket buffer. @kernel SIOCOUTQ */
  bytesQueued(nowNs: number): number {
    if (this.#flow !== null) return this.#flow.queued(nowNs)
    // In weather the rate may have grown since: no more than what is not received.
    return Math.min(this.#unreadBytes, Math.max(0, this.#wireFreeNs - nowNs) * this.#bytesPerNs)
  }

  /** Half a round trip. */
  get delayNs(): number {
    return this.#options.rttNs / 2
  }

  /** Payload bytes a second that the wire can carry. */
  get goodputBytesPerSec(): number {
    return this.#wireBytesPerNs * 1e9
  }

  /** From now on the wire carries so much, and takes so much longer from one end to the other than at the start. */
  change(k: Thread, bandwidthBitsPerSec: number, extraFlightNs: number): void {
    const { nowNs } = k
    const slower = this.#wireBytesPerNs
    this.#wireBytesPerNs = payloadBytesPerNs(bandwidthBitsPerSec)
    this.#bytesPerNs = this.#wireBytesPerNs
    const stretch = slower / this.#wireBytesPerNs
    const leftBeforeNs = nowNs + this.#flightNs
    this.#flightNs = this.#options.rttNs / 2 + extraFlightNs
    let lastNs = 0
    const ring = this.#ring
    for (let n = 0; n < ring.count; n++) {
      const i = ring.at(n)
      const behindNs = ring.arrivalNs[i] - leftBeforeNs
      // In order: one that left before the change may still come late.
      if (behindNs > 0) ring.arrivalNs[i] = Math.max(lastNs, nowNs + behindNs * stretch + this.#flightNs)
      lastNs = ring.arrivalNs[i]
    }
    if (this.#wireFreeNs > nowNs) this.#wireFreeNs = nowNs + (this.#wireFreeNs - nowNs) * stretch
    this.#options.wire?.change(nowNs, this.#wireBytesPerNs)
    this.#wakeSleepers(nowNs)
  }

  /** Sends one message of `bytes` payload; sleeps first while the buffers are full. */
  send(k: Thread, type: number, page: number, bytes: number, word0 = 0, word1 = 0, version = 0): Proc<void> {
    if (!k.stepping && this.takesAtOnce(k.nowNs)) {
      this.#put(k.nowNs, type, page, bytes, word0, word1, version)
      return NOTHING
    }
    return this.#sendSlow(k, type, page, bytes, word0, word1, version)
  }

  *#sendSlow(k: Thread, type: number, page: number, bytes: number, word0: number, word1: number, version: number): Proc<void> {
    if (k.stepping) yield this.#send
    for (;;) {
      if (!this.#windowOpen()) {
        this.#senders.push(k)
        k.park(`room in the window of ${this.#options.name}`)
        if (!this.#windowOpen()) yield BLOCK
        continue
      }
      const delayNs = k.stepping ? 0 : this.#delayNs(k.nowNs)
      if (delayNs <= 0) break
      // At least a nanosecond: a shorter sleep could vanish in rounding.
      k.wakeAtNs = k.nowNs + Math.max(1, delayNs)
      this.#sleepers.push(k)
      yield SLEEP
      this.#isAwake(k)
    }
    this.#put(k.nowNs, type, page, bytes, word0, word1, version)
  }

  /** When no more than `bytes` of what was sent so far will be left in the socket buffer. */
  drainedNs(bytes: number): number {
    if (this.#flow !== null && this.weather === null) return this.#flow.roomNs(bytes)
    return this.#wireFreeNs - bytes / this.#bytesPerNs
  }

  /** How long until the socket buffer takes another message. */
  #delayNs(nowNs: number): number {
    return this.drainedNs(this.#options.sendBufferBytes) - nowNs
  }

  #windowOpen(): boolean {
    return this.#unreadBytes < this.#options.sendBufferBytes + this.#options.receiveBufferBytes
  }

  /** Clock gear: `send` would not wait. */
  takesAtOnce(nowNs: number): boolean {
    return this.#delayNs(nowNs) <= 0 && this.#windowOpen()
  }

  #put(nowNs: number, type: number, page: number, bytes: number, word0: number, word1: number, version: number): void {
    if (this.broken) return
    const number = this.#sent++
    touch(number, this.#label, AccessMode.write)
    let start = nowNs > this.#wireFreeNs ? nowNs : this.#wireFreeNs
    if (this.#flow !== null) start = Math.max(start, this.#flow.put(nowNs, bytes))
    this.#wireFreeNs = start + bytes / this.#bytesPerNs
    let arrivalNs = this.#wireFreeNs + this.#flightNs
    if (this.weather !== null) arrivalNs = this.#underWeather(this.weather, number, start, bytes)
    this.#ring.push(type, page, word0, word1, version, bytes, arrivalNs)
    this.#unreadBytes += bytes
    this.#bytesSent[0] += bytes
    this.#receivers.shift()?.wake(arrivalNs)
  }

  /** When a message arrives that begins to leave at `start`; one before it may arrive earlier than was feared. */
  #underWeather(weather: LinkWeather, number: number, start: number, bytes: number): number {
    const rttNs = 2 * this.#flightNs
    weather.carry(number, start, bytes, this.#wireBytesPerNs, rttNs)
    this.#wireFreeNs = weather.leftNs
    this.#bytesPerNs = weather.rate(this.#wireBytesPerNs, rttNs)
    if (weather.filledFrom >= 0) {
      const ring = this.#ring
      for (let n = Math.max(0, ring.count - (number - weather.filledFrom)); n < ring.count; n++)
        ring.arrivalNs[ring.at(n)] = weather.arrivalNs
      this.#wakeSleepers(weather.arrivalNs)
    }
    return weather.arrivalNs
  }

  /** Whoever sleeps until something has arrived or left looks again: it may be earlier than was said. */
  #wakeSleepers(atNs: number): void {
    for (const k of this.#sleepers) {
      k.park(`a message on ${this.#options.name}`)
      k.wake(atNs)
    }
  }

  #isAwake(k: Thread): void {
    if (this.#sleepers.at(-1) === k) this.#sleepers.pop()
    else this.#sleepers.splice(this.#sleepers.indexOf(k), 1)
  }

  /** The connection breaks: what was sent and not received is lost, and both ends learn that it broke. */
  *disconnect(k: Thread): Proc<void> {
    yield* this.breakOff(k)
    touch(this.#received, this.#label, AccessMode.write)
    this.broken = true
    this.#wireFreeNs = k.nowNs
    this.#wakeSleepers(k.nowNs)
    for (const receiver of this.#receivers.splice(0)) receiver.wake(k.nowNs)
  }

  /** A new connection. Both ends have learned that the old one broke. */
  *reconnect(k: Thread): Proc<void> {
    if (k.stepping) yield this.#send
    touch(this.#received, this.#label, AccessMode.write)
    this.broken = false
    this.weather?.reset()
    for (const waiter of this.#disconnected.splice(0)) waiter.wake(k.nowNs)
  }

  /** Sleeps while the connection is broken. */
  *untilConnected(k: Thread): Proc<void> {
    if (k.stepping) yield this.#connection
    while (this.broken) {
      this.#disconnected.push(k)
      k.park(`${this.#options.name} to be connected again`)
      if (this.broken) yield BLOCK
    }
  }

  /** The connection breaks, and is made again: what was sent and not received is lost, and nobody is told which. */
  *breakOff(k: Thread): Proc<void> {
    if (k.stepping) {
      yield this.#send
      // Those that were received, too: earlier, they would have been lost.
      for (let n = 0; n < this.#sent; n++) touch(n, this.#label, AccessMode.write)
    }
    // The next message is the one that the receiver waits for.
    this.#sent = this.#received
    this.#ring.clear()
    this.#unreadBytes = 0
    this.#flow?.clear(k.nowNs)
    for (const sender of this.#senders.splice(0)) sender.wake(k.nowNs)
  }

  /** Takes the next message into `this.message`; sleeps until it has arrived. */
  receive(k: Thread): Proc<void> {
    return this.receivesAtOnce(k) ? NOTHING : this.#receiveSlow(k)
  }

  /** Clock gear: takes the next message if it has arrived; false: `receive` would sleep. */
  receivesAtOnce(k: Thread): boolean {
    if (k.stepping || !this.hasNext(k)) return false
    this.#take(k)
    return true
  }

  *#receiveSlow(k: Thread): Proc<void> {
    for (;;) {
      if (k.stepping)
        yield { kind: 'access', mode: AccessMode.write, object: this.#received, label: this.#label, gate: this.#arrival }
      if (this.broken) {
        this.message.type = LINK_BROKEN
        return
      }
      if (this.#ring.count === 0) {
        this.#receivers.push(k)
        k.park(`a message on ${this.#options.name}`)
        yield BLOCK
        continue
      }
      const arrivalNs = this.#arrives(k.nowNs)
      if (k.stepping || arrivalNs <= k.nowNs) break
      k.wakeAtNs = arrivalNs
      this.#sleepers.push(k)
      yield SLEEP
      this.#isAwake(k)
    }
    this.#take(k)
  }

  /** Step gear: announces that somebody is about to ask `hasNext`. */
  look(): AccessOp {
    return { kind: 'access', mode: AccessMode.read, object: this.#received, label: this.#label }
  }

  /** The next message is here already: `receive` will not wait for it. */
  hasNext(k: Thread): boolean {
    return this.#ring.count > 0 && (k.stepping || this.#arrives(k.nowNs) <= k.nowNs)
  }

  /** When the next message arrives. On a shared wire: as things stand, and later if others send meanwhile; in weather that is left out. */
  #arrives(nowNs: number): number {
    const { arrivalNs } = this.#ring
    const i = this.#ring.at(0)
    if (this.#flow !== null && this.weather === null) arrivalNs[i] = this.#flow.nextNs(nowNs) + this.#flightNs
    return arrivalNs[i]
  }

  #take(k: Thread): void {
    this.#flow?.take()
    // Whoever waits for room can send from here on.
    if (!this.#windowOpen()) touch(0, `${this.#label}.tail`, AccessMode.write)
    touch(this.#received++, this.#label, AccessMode.write)
    const m = this.#ring.read(this.#ring.at(0), this.message)
    this.#ring.shift()
    this.#unreadBytes -= m.bytes
    if (this.#senders.length > 0 && this.#windowOpen()) {
      // All of them look again: one message may have made room for several.
      for (const sender of this.#senders.splice(0)) sender.wake(k.nowNs + this.#flightNs)
    }
  }
}
