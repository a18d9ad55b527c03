/**
 * What the destination does with the pages of a pre-copy: it writes them where they belong, over what came before.
 *
 * main channel: pages, until LISTEN. DISCARD: a page goes again (discard.ts). FLUSH: wait until the other channel has said SYNC.
 * other channels (multifd): pages and SYNCs, each with a thread of its own.
 *
 * The two channels are two streams: what left first may arrive last. A page that pre-copy gave to the other channel would come
 * after the post-copy page that replaced it, and take its place (R82). Hence the barrier before LISTEN: the source says SYNC on the
 * channel and FLUSH on the stream, and the stream goes on only when the channel has been read up to there. Several channels, and several
 * passes: the same after each pass, and each channel waits at its SYNC for the others and for the stream.
 * @qemu ram_load_precopy, multifd_recv_thread, multifd_recv_sync_main
 */
import { atOnce } from '../engine/at_once.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, type Proc, QUANTUM, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { LINK_BROKEN, type Link } from '../hw/link.ts'
import type { Message } from '../hw/message_ring.ts'
import type { PageContent, Process } from '../machine/process.ts'
import { EventKind } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import { ramDiscardRange } from './discard.ts'
import { PlaceError } from './host_page.ts'
import type { PageMap } from './page_map.ts'
import { loadPrecopyPageNs, XBZRLE_DECODE_NS } from './parameters.ts'
import { StreamMessage } from './ram_stream.ts'

export interface RamLoadOptions {
  readonly process: Process
  readonly ramPage: number
  readonly map: PageMap
  readonly stream: Link
  /** Pages besides those of the stream. @qemu multifd-channels */
  readonly multifd?: MultifdReceiver
  /** Where each page's arrival is written down. */
  readonly recorder?: Recorder
}

/** The main channel, until LISTEN or the device state: post-copy, or the guest goes on at once; or until the connection breaks. */
export function* ramLoadPrecopy(k: Thread, o: RamLoadOptions): Proc<'listen' | 'devices' | 'broken'> {
  const m = o.stream.message
  for (;;) {
    yield* o.stream.receive(k)
    switch (m.type) {
      case LINK_BROKEN:
        return 'broken'
      case StreamMessage.Listen:
        return 'listen'
      case StreamMessage.Devices:
        return 'devices'
      case StreamMessage.Discard:
        yield* ramDiscardRange(k, o.process, o.ramPage, o.map, m.page, m.word0)
        break
      case StreamMessage.MultifdFlush:
        if (o.multifd !== undefined && o.process.machine.kernel.has('multifd-sync')) yield* o.multifd.waitForSync(k)
        break
      default:
        if (o.process.isCalm(k)) atOnce(loadPage(k, o, m))
        else yield* loadPage(k, o, m)
    }
  }
}

/** Writes the page, unless it is zeros and already is, and marks it received. @qemu ram_handle_zero */
function* loadPage(k: Thread, { process, ramPage, map, recorder }: RamLoadOptions, m: Message): Proc<void> {
  const { type, page, word0, word1, version } = m
  const content: PageContent = { word0, word1, version }
  k.cpu.nowNs += loadPrecopyPageNs(k.cpu.preset, type === StreamMessage.Zero)
  recorder?.event(k.nowNs, EventKind.Receive, k.lane, page, m.bytes)
  let isThere = false
  if (type === StreamMessage.Zero || type === StreamMessage.Xbzrle) {
    const found: PageContent = { word0: 0, word1: 0, version: 0 }
    yield* process.readPage(k, ramPage + page, found)
    if (type === StreamMessage.Xbzrle) addDifference(k, found, content)
    else isThere = found.word0 === 0 && found.word1 === 0
  }
  if (!isThere) yield* process.writePage(k, ramPage + page, content)
  if (k.stepping) yield write(page, 'page_map')
  map.receive(page)
  recorder?.event(k.nowNs, EventKind.Place, k.lane, page, isThere ? 1 : 0)
}

/** Makes of a difference the page that it comes from. @qemu load_xbzrle */
function addDifference(k: Thread, old: PageContent, difference: PageContent): void {
  k.cpu.nowNs += XBZRLE_DECODE_NS
  difference.word0 = (old.word0 ^ difference.word0) >>> 0
  difference.word1 = (old.word1 ^ difference.word1) >>> 0
  difference.version += old.version
}

/** The threads of the other channels, and how far each has come. */
export class MultifdReceiver {
  readonly #channels: readonly Link[]
  /** SYNCs read, by channel, and FLUSHes that waited for one. */
  readonly #synced: number[]
  #flushed = 0
  #waiter: Thread | null = null
  /** Who waits at a SYNC, by channel. */
  readonly #held: (Thread | null)[]

  constructor(
    channels: readonly Link[],
    /** Pages are sent more than once: a channel waits at its SYNC until all of them and the stream have come as far. */
    readonly holds = true,
    /** What it costs to unpack a page. */
    readonly unpackNs = 0,
  ) {
    this.#channels = channels
    this.#synced = channels.map(() => 0)
    this.#held = channels.map(() => null)
  }

  /** The thread of channel `n`, until that ends. @qemu multifd_recv_thread */
  *receive(k: Thread, o: RamLoadOptions, n: number): Proc<void> {
    const channel = this.#channels[n]
    const m = channel.message
    for (;;) {
      yield* channel.receive(k)
      if (m.type === StreamMessage.End || m.type === LINK_BROKEN) return
      if (m.type === StreamMessage.MultifdSync) {
        touch(0, 'multifd.synced', AccessMode.write)
        this.#synced[n]++
        this.#waiter?.wake(k.nowNs)
        if (this.holds && o.process.machine.kernel.has('multifd-hold')) yield* this.#hold(k, n)
      } else if (m.type === StreamMessage.Page || m.type === StreamMessage.Zero) {
        if (m.type === StreamMessage.Page) k.cpu.nowNs += this.unpackNs
        if (o.process.isCalm(k)) atOnce(loadPage(k, o, m))
        else yield* loadPage(k, o, m)
        if (k.expired) yield QUANTUM
      } else throw new PlaceError(`message ${m.type} on a channel of pages`)
    }
  }

  *#hold(k: Thread, n: number): Proc<void> {
    if (k.stepping) yield read(0, 'multifd.flushed')
    while (this.#flushed < this.#synced[n]) {
      this.#held[n] = k
      k.park('the stream to be read up to the FLUSH')
      if (this.#flushed < this.#synced[n]) yield BLOCK
    }
  }

  /** Until the channels were read up to the SYNC that belongs to this FLUSH; then they go on. @qemu multifd_recv_sync_main */
  *waitForSync(k: Thread): Proc<void> {
    const flush = this.#flushed + 1
    touch(0, 'multifd.synced', AccessMode.read)
    this.#waiter = k
    for (;;) {
      k.park('the other channels to be read')
      if (k.stepping) yield read(0, 'multifd.synced')
      if (this.#synced.every((synced) => synced >= flush)) break
      yield BLOCK
    }
    k.unpark()
    touch(0, 'multifd.flushed', AccessMode.write)
    this.#flushed = flush
    for (const held of this.#held) held?.wake(k.nowNs)
    this.#held.fill(null)
  }
}
