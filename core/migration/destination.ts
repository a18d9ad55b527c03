/**
 * The destination side: the listen thread places pages, the fault thread asks for them, the main thread starts the guest.
 *
 * main: 1. where there was a pre-copy: load what it brought, drop what the source says is old (ram_load.ts), until LISTEN; or until
 *  the device state: that was all, start the guest.
 *  2. arm the memory.   3. wait for the device state, load it, start the guest.
 *
 * listen, and a second thread where urgent pages have a channel of their own: receive a message; then for a page:
 *  place it, mark it received in the page map, wake who waits (placement.ts). Pages that have arrived already and follow one another
 *  are placed together (page_batch.ts). Host pages of 2 MiB are gathered first (host_page.ts), and placed when they are complete.
 *
 * fault: read the next missing page; look at the map:
 *  missing -> requested: send a request (only whoever changed it sends).   requested: somebody asked already.
 *  received: it came between the fault and the read: wake at once. Else that vCPU would sleep for ever.
 *  removed: it is zeros (removals.ts, which also says what placing and reading must not do at once).
 *
 * Source: QEMU, postcopy-ram.c (postcopy_ram_fault_thread, postcopy_ram_listen_thread) and its 2014 prototype.
 */
import { touch } from '../engine/footprint.ts'
import type { Proc } from '../engine/op.ts'
import { AccessMode, BLOCK, QUANTUM, read, SLEEP, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { LINK_BROKEN, type Link } from '../hw/link.ts'
import { type PageContent, type Process, SignalError } from '../machine/process.ts'
import { EventKind } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import type { DeviceState } from './device_state.ts'
import { HostPage, PlaceError } from './host_page.ts'
import { PageMap, PageMapState } from './page_map.ts'
import { loadPageNs, REQUEST_BYTES, SHUT_BYTES } from './parameters.ts'
import { Placement } from './placement.ts'
import { type MultifdReceiver, ramLoadPrecopy } from './ram_load.ts'
import { ReturnMessage, StreamMessage } from './ram_stream.ts'
import { resendRequests, sendReceivedBitmap } from './recovery.ts'
import { nextFaultOrRemoval, placeZeros } from './removals.ts'
import type { Resolver } from './resolver.ts'

export interface DestinationOptions {
  readonly process: Process
  readonly ramPage: number
  readonly pages: number
  readonly stream: Link
  readonly returnPath: Link
  /** Brings urgent pages only, where there is one. @qemu postcopy-preempt */
  readonly urgent?: Link
  /** A pre-copy came first. */
  readonly precopied?: boolean
  /** The pre-copy sent pages by a channel of their own. */
  readonly multifd?: MultifdReceiver
  /** What comes is an image of a guest that runs on at the source: nothing is started. @qemu background-snapshot */
  readonly keepsImage?: boolean
  readonly resolver: Resolver
  readonly recorder: Recorder
  readonly deviceState: DeviceState
  /** Starts the vCPUs on this machine; called by the main thread once the devices are loaded. */
  readonly startVcpus: (k: Thread) => void
}

export class Destination {
  readonly map: PageMap
  readonly placement: Placement
  requestsSent = 0
  error = ''
  /** What of the guest is here: whoever asks, when the connection broke, must know. */
  has: 'no guest' | 'the guest' | 'everything' = 'no guest'
  /** The listen thread waits for a new connection, or for the source to resume on it. */
  isPaused = false
  /** The fault thread does nothing before this time. */
  faultsStallUntilNs = 0
  readonly #o: DestinationOptions
  #mainThread: Thread | null = null
  #packaged = false
  /** The urgent channel has been read to its end, and who waits for that. */
  #urgentIsOver = false
  #listener: Thread | null = null
  #armed: Thread[] = []
  #isArmed = false

  constructor(options: DestinationOptions) {
    this.#o = options
    this.map = new PageMap(options.pages)
    this.placement = new Placement({ ...options, map: this.map })
  }

  /** Pages that arrived although they were already here. */
  get duplicates(): number {
    return this.placement.duplicates
  }

  /** The main thread. */
  *main(k: Thread): Proc<void> {
    const { process, precopied = false } = this.#o
    process.adopt(k)
    // 1.
    if (precopied) {
      const end = yield* this.loadPrecopy(k)
      if (end === 'broken') return
      if (end === 'devices') {
        if (this.#o.keepsImage !== true) {
          this.has = 'everything'
          this.#goOn(k)
        }
        yield* this.#o.returnPath.send(k, ReturnMessage.Shut, 0, SHUT_BYTES)
        return
      }
    }
    // 2.
    yield* this.arm(k)
    // 3.
    yield* this.waitForDevices(k)
  }

  /** 3. */
  *waitForDevices(k: Thread): Proc<void> {
    this.#mainThread = k
    for (;;) {
      k.park('the device state')
      if (k.stepping) yield read(0, 'incoming.packaged')
      if (this.#packaged) break
      yield* k.block()
    }
    k.unpark()
    if (this.error === '') this.#goOn(k)
  }

  /** Loads the devices and starts the guest. */
  #goOn(k: Thread): void {
    k.cpu.nowNs += this.#o.deviceState.loadNs
    this.#o.startVcpus(k)
  }

  /** What a pre-copy brought, until LISTEN, or the device state where there is no post-copy. */
  loadPrecopy(k: Thread): ReturnType<typeof ramLoadPrecopy> {
    return ramLoadPrecopy(k, { ...this.#o, map: this.map })
  }

  /** From here on a touch of a missing page is reported. @qemu postcopy_ram_incoming_setup */
  *arm(k: Thread): Proc<void> {
    const { resolver, process, ramPage, pages, precopied = false } = this.#o
    yield* resolver.arm(k, process, ramPage, pages, precopied)
    touch(0, 'incoming.armed', AccessMode.write)
    this.#isArmed = true
    for (const waiter of this.#armed) waiter.wake(k.nowNs)
  }

  /** Sleeps until the memory is armed. */
  *#untilArmed(k: Thread): Proc<void> {
    this.#o.process.adopt(k)
    if (k.stepping) yield read(0, 'incoming.armed')
    while (!this.#isArmed) {
      this.#armed.push(k)
      k.park('userfault memory to be armed')
      if (!this.#isArmed) yield BLOCK
    }
  }

  /** The listen thread. Ends after the last page, or when a page cannot be placed. */
  *listen(k: Thread): Proc<void> {
    yield* this.#untilArmed(k)
    const { stream, returnPath, resolver, urgent, process } = this.#o
    const waits = urgent !== undefined && process.machine.kernel.has('urgent-before-disarm')
    // A page may still be on its way by the urgent channel: memory stays armed until then. If it breaks meanwhile, on with the new stream.
    do yield* this.#tryLoad(k, stream)
    while (waits && !(yield* this.#untilUrgentIsOver(k)))
    if (this.error !== '') this.#wakeMain(k)
    else {
      this.has = 'everything'
      yield* resolver.disarm(k)
    }
    yield* returnPath.send(k, ReturnMessage.Shut, this.error === '' ? 0 : 1, SHUT_BYTES)
    // Whatever the source still sends is read and dropped, so that it never waits for room.
    while (this.error !== '' && !stream.broken) yield* stream.receive(k)
  }

  /** The thread of the urgent channel. @qemu postcopy_preempt_thread */
  *preempt(k: Thread, urgent: Link): Proc<void> {
    yield* this.#untilArmed(k)
    yield* this.#tryLoad(k, urgent)
    touch(0, 'incoming.urgent', AccessMode.write)
    this.#urgentIsOver = true
    this.#listener?.wake(k.nowNs)
    while (this.error !== '' && !urgent.broken) yield* urgent.receive(k)
  }

  /** False: it broke before. */
  *#untilUrgentIsOver(k: Thread): Proc<boolean> {
    const { stream } = this.#o
    this.#listener = k
    for (;;) {
      k.park('the end of the urgent channel')
      if (k.stepping) yield read(0, 'incoming.urgent')
      if (this.#urgentIsOver || this.error !== '' || stream.broken) break
      yield* k.block()
    }
    k.unpark()
    return this.#urgentIsOver || this.error !== ''
  }

  /** `load`; where a page cannot be placed, its reason is the error. */
  *#tryLoad(k: Thread, channel: Link): Proc<void> {
    try {
      yield* this.load(k, channel)
    } catch (e) {
      if (!(e instanceof PlaceError || e instanceof SignalError)) throw e
      this.error = e.message
    }
  }

  /** Takes what a channel brings, until it says that this was all. @qemu ram_load_postcopy */
  *load(k: Thread, channel: Link): Proc<void> {
    const { recorder, resolver } = this.#o
    const { placement } = this
    const m = channel.message
    const { hostPages } = resolver
    const buffer = channel === this.#o.urgent ? 1 : 0
    const batch = placement.makeBatch()
    const copies = resolver.name === 'copy'
    const loadNs = loadPageNs(k.cpu.preset, copies, false)
    const loadZeroNs = loadPageNs(k.cpu.preset, copies, true)
    const host = hostPages > 1 ? new HostPage(hostPages, (thread, at, page) => resolver.fill(thread, at, page, buffer)) : null
    for (;;) {
      if (batch.count > 0) {
        if (k.stepping) yield channel.look()
        if (!channel.hasNext(k)) yield* placement.placeBatch(k, batch, buffer)
      }
      if (!channel.receivesAtOnce(k)) yield* channel.receive(k)
      // Only pages that follow the others join them.
      if (batch.count > 0 && !batch.takes(m)) yield* placement.placeBatch(k, batch, buffer)
      switch (m.type) {
        case LINK_BROKEN:
          if (this.has === 'no guest') throw new PlaceError('the connection broke before the guest was handed over')
          // Of a host page that has come in part, all will come again.
          host?.startOver()
          yield* this.#pause(k, channel)
          break
        case StreamMessage.RecvBitmap:
          yield* sendReceivedBitmap(k, this.map, this.#o.returnPath)
          break
        case StreamMessage.Resume:
          yield* this.#resume(k)
          break
        case StreamMessage.Packaged:
          this.has = 'the guest'
          this.#wakeMain(k)
          break
        case StreamMessage.End:
          return
        case StreamMessage.Poison:
          yield* placement.poison(k, m.page)
          break
        default: {
          const { page } = m
          k.cpu.nowNs += m.type === StreamMessage.Zero ? loadZeroNs : loadNs
          recorder.event(k.nowNs, EventKind.Receive, k.lane, page, m.bytes)
          if (host === null) {
            batch.add(m)
            // Whoever waits for it waits no longer than for what came before it.
            if (k.stepping && !batch.isFull) yield read(page, 'page_map')
            if (batch.isFull || this.map.isRequested(page)) yield* placement.placeBatch(k, batch, buffer)
          } else if (placement.isSettled(page)) placement.duplicates++
          else {
            const content: PageContent = { word0: m.word0, word1: m.word1, version: m.version }
            const first = yield* host.add(k, page, m.type === StreamMessage.Zero ? null : content)
            if (first >= 0) yield* placement.placeHost(k, host, first, buffer)
          }
          if (k.expired) yield QUANTUM
        }
      }
    }
  }

  /** Until there is a new connection. @qemu postcopy_pause_incoming */
  *#pause(k: Thread, channel: Link): Proc<void> {
    if (channel === this.#o.stream) this.isPaused = true
    else this.#listener?.wake(k.nowNs)
    yield* channel.untilConnected(k)
  }

  /** @qemu loadvm_postcopy_handle_resume */
  *#resume(k: Thread): Proc<void> {
    const { process, returnPath } = this.#o
    this.isPaused = false
    yield* returnPath.send(k, ReturnMessage.ResumeAck, -1, SHUT_BYTES)
    yield* resendRequests(k, process, this.map, returnPath)
  }

  #wakeMain(k: Thread): void {
    touch(0, 'incoming.packaged', AccessMode.write)
    this.#packaged = true
    this.#mainThread?.wake(k.nowNs)
  }

  /** The fault thread. Ends when the userfault descriptor is closed. */
  *fault(k: Thread): Proc<void> {
    yield* this.#untilArmed(k)
    const { map } = this
    const { resolver, returnPath, recorder, ramPage, pages, process } = this.#o
    const { hostPages, removals } = resolver
    const acknowledges = process.machine.kernel.has('ack-received')
    const watched = removals === null ? null : { process, ramPage, map, resolver, removals, backlog: [] }
    for (;;) {
      const at = watched === null ? yield* resolver.nextFault(k) : yield* nextFaultOrRemoval(k, watched)
      if (at === null) return
      if (k.nowNs < this.faultsStallUntilNs) {
        k.wakeAtNs = this.faultsStallUntilNs
        yield SLEEP
      }
      const touched = at - ramPage
      if (touched < 0 || touched >= pages) continue
      // A request names the host page, and so does a wake-up.
      const page = touched - (touched % hostPages)
      if (k.stepping) yield write(page, 'page_map')
      if (map.request(page, hostPages)) {
        this.requestsSent++
        recorder.event(k.nowNs, EventKind.Request, k.lane, page, 0)
        yield* returnPath.send(k, ReturnMessage.RequestPages, page, REQUEST_BYTES)
        // It will be sent again, with the others. @qemu postcopy_pause_fault_thread
        if (returnPath.broken) yield* returnPath.untilConnected(k)
      } else if (map.state(page) === PageMapState.received) {
        if (acknowledges) yield* resolver.wake(k, ramPage + page)
      } else if (watched !== null && map.state(page) === PageMapState.removed) yield* placeZeros(k, watched, ramPage + page)
    }
  }
}
