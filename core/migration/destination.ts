/**
 * The destination side: the listen thread places pages, the fault thread asks for them, the main thread starts the guest.
 *
 * listen: receive a message; then for a page:
 *  1. place it (resolver.ts).   2. mark it received in the page map.   3. if it had been requested, wake who waits.
 *  Place before mark before wake: a fault thread that sees `received` may acknowledge at once, and a woken vCPU finds it.
 *
 *  Host pages of 2 MiB are gathered first (host_page.ts), and go through these steps when they are complete.
 *
 * fault: read the next missing page; look at the map:
 *  missing -> requested: send a request (only whoever changed it sends).   requested: somebody asked already.
 *  received: it came between the fault and the read: wake at once. Else that vCPU would sleep for ever.
 *
 * Source: QEMU, postcopy-ram.c (postcopy_ram_fault_thread, postcopy_ram_listen_thread) and its 2014 prototype.
 */
import type { Proc } from '../engine/op.ts'
import { BLOCK, QUANTUM } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Link } from '../hw/link.ts'
import { type PageContent, type Process, SignalError } from '../machine/process.ts'
import { EventKind } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import { HostPage, PlaceError } from './host_page.ts'
import { PageMap, PageMapState } from './page_map.ts'
import { DEVICE_LOAD_NS, LOAD_PAGE_NS, REQUEST_BYTES, SHUT_BYTES } from './parameters.ts'
import { ReturnMessage, StreamMessage } from './ram_stream.ts'
import type { Resolver } from './resolver.ts'

export interface DestinationOptions {
  readonly process: Process
  readonly ramPage: number
  readonly pages: number
  readonly stream: Link
  readonly returnPath: Link
  readonly resolver: Resolver
  readonly recorder: Recorder
  /** Starts the vCPUs on this machine; called by the main thread once the devices are loaded. */
  readonly startVcpus: (k: Thread) => void
}

export class Destination {
  readonly map: PageMap
  /** Pages that arrived although they were already here. */
  duplicates = 0
  requestsSent = 0
  error = ''
  readonly #o: DestinationOptions
  #mainThread: Thread | null = null
  #packaged = false
  #armed: Thread[] = []
  #isArmed = false

  constructor(options: DestinationOptions) {
    this.#o = options
    this.map = new PageMap(options.pages)
  }

  /** The main thread: arms the memory, waits for the device state, loads it, starts the guest. */
  *main(k: Thread): Proc<void> {
    const { resolver, process, ramPage, pages } = this.#o
    process.adopt(k)
    yield* resolver.arm(k, process, ramPage, pages)
    this.#isArmed = true
    for (const waiter of this.#armed) waiter.wake(k.nowNs)
    this.#mainThread = k
    while (!this.#packaged) {
      k.park('the device state')
      if (!this.#packaged) yield BLOCK
    }
    if (this.error !== '') return
    k.cpu.nowNs += DEVICE_LOAD_NS
    this.#o.startVcpus(k)
  }

  /** Sleeps until the memory is armed. */
  *#untilArmed(k: Thread): Proc<void> {
    this.#o.process.adopt(k)
    while (!this.#isArmed) {
      this.#armed.push(k)
      k.park('userfault memory to be armed')
      if (!this.#isArmed) yield BLOCK
    }
  }

  /** The listen thread. Ends after the last page, or when a page cannot be placed. */
  *listen(k: Thread): Proc<void> {
    yield* this.#untilArmed(k)
    const { stream, returnPath, resolver } = this.#o
    try {
      yield* this.#loadAll(k)
    } catch (e) {
      if (!(e instanceof PlaceError || e instanceof SignalError)) throw e
      this.error = e.message
    }
    if (this.error !== '') this.#wakeMain(k)
    else yield* resolver.disarm(k)
    yield* returnPath.send(k, ReturnMessage.Shut, this.error === '' ? 0 : 1, SHUT_BYTES)
    // Whatever the source still sends is read and dropped, so that it never waits for room.
    while (this.error !== '') yield* stream.receive(k)
  }

  *#loadAll(k: Thread): Proc<void> {
    const { stream, recorder, ramPage, resolver } = this.#o
    const content: PageContent = { word0: 0, word1: 0, version: 0 }
    const m = stream.message
    const { hostPages } = resolver
    const host = hostPages > 1 ? new HostPage(hostPages, (thread, at, page) => resolver.fill(thread, at, page)) : null
    for (;;) {
      yield* stream.receive(k)
      switch (m.type) {
        case StreamMessage.Packaged:
          this.#wakeMain(k)
          break
        case StreamMessage.End:
          return
        default: {
          const zero = m.type === StreamMessage.Zero
          const page = m.page
          content.word0 = m.word0
          content.word1 = m.word1
          content.version = m.version
          k.cpu.nowNs += LOAD_PAGE_NS
          recorder.event(k.nowNs, EventKind.Receive, k.lane, page, m.bytes)
          if (this.map.state(page) === PageMapState.received) {
            this.duplicates++
            break
          }
          if (host !== null) {
            const first = yield* host.add(k, page, zero ? null : content)
            if (first >= 0) yield* this.#placeHost(k, host, first)
            if (k.expired) yield QUANTUM
            break
          }
          // 1.
          yield* resolver.place(k, ramPage + page, zero ? null : content)
          recorder.event(k.nowNs, EventKind.Place, k.lane, page, zero && resolver.mapsZeroPage ? 1 : 0)
          // 2. and 3.
          if (this.map.receive(page) === PageMapState.requested) yield* resolver.wake(k, ramPage + page)
          if (k.expired) yield QUANTUM
        }
      }
    }
  }

  /** Steps 1 to 3 for a complete host page: its target pages become visible all at once. */
  *#placeHost(k: Thread, host: HostPage, first: number): Proc<void> {
    const { recorder, ramPage, resolver } = this.#o
    yield* resolver.placeHost(k, ramPage + first)
    const wasRequested = this.map.state(first) === PageMapState.requested
    for (let i = 0; i < host.pages; i++) {
      recorder.event(k.nowNs, EventKind.Place, k.lane, first + i, host.zero[i])
      this.map.receive(first + i)
    }
    if (wasRequested) yield* resolver.wake(k, ramPage + first)
  }

  #wakeMain(k: Thread): void {
    this.#packaged = true
    this.#mainThread?.wake(k.nowNs)
  }

  /** The fault thread. Ends when the userfault descriptor is closed. */
  *fault(k: Thread): Proc<void> {
    yield* this.#untilArmed(k)
    const { resolver, returnPath, recorder, ramPage, pages } = this.#o
    const { hostPages } = resolver
    for (;;) {
      const at = yield* resolver.nextFault(k)
      if (at === null) return
      const touched = at - ramPage
      if (touched < 0 || touched >= pages) continue
      // A request names the host page, and so does a wake-up.
      const page = touched - (touched % hostPages)
      if (this.map.request(page, hostPages)) {
        this.requestsSent++
        recorder.event(k.nowNs, EventKind.Request, k.lane, page, 0)
        yield* returnPath.send(k, ReturnMessage.RequestPages, page, REQUEST_BYTES)
      } else if (this.map.state(page) === PageMapState.received) {
        yield* resolver.wake(k, ramPage + page)
      }
    }
  }
}
