/**
 * Placing what has come: a page, pages that follow one another, or a host page.
 *
 *  1. place it (resolver.ts).   2. mark it received in the page map.   3. if it had been requested, wake who waits.
 *  Place before mark before wake: a fault thread that sees `received` may acknowledge at once, and a woken vCPU finds it.
 *  A page that came by the other channel meanwhile stays as it is, the guest may have written it: wake, and go on.
 *
 *  A batch (page_batch.ts) goes through the same steps in one call: all are placed, each is marked, then all who wait are woken. What
 *  the call did not place, because somebody was faster at one page or the layout is changing, goes alone.
 *
 * Source: QEMU, ram_load_postcopy, postcopy_place_page; which places one host page a call (docs/decisions/0029-batches.md).
 */
import { atOnce } from '../engine/at_once.ts'
import { NOTHING, type Proc, read, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { PageContent, Process } from '../machine/process.ts'
import { EventKind } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import { type HostPage, PlaceError } from './host_page.ts'
import { PageBatch } from './page_batch.ts'
import { type PageMap, PageMapState } from './page_map.ts'
import { loadRunNs } from './parameters.ts'
import type { Placing, Resolver } from './resolver.ts'

export interface PlacementOptions {
  readonly process: Process
  readonly ramPage: number
  readonly map: PageMap
  readonly resolver: Resolver
  readonly recorder: Recorder
}

export class Placement {
  /** Pages that arrived although they were already here. */
  duplicates = 0
  readonly #o: PlacementOptions

  constructor(options: PlacementOptions) {
    this.#o = options
  }

  /** Clock gear, the usual case: placing a page will find nobody in its way. */
  isQuiet(k: Thread): boolean {
    const { resolver, process } = this.#o
    return resolver.removals === null && resolver.isQuietAt(k.nowNs) && process.isCalm(k)
  }

  /** Nothing that comes can change it any more. */
  isSettled(page: number): boolean {
    const state = this.#o.map.state(page)
    return state === PageMapState.received || state === PageMapState.removed
  }

  /** Steps 1 to 3 for a page. */
  *placePage(k: Thread, page: number, content: PageContent | null, buffer: number): Proc<void> {
    const { map, recorder, ramPage, resolver, process } = this.#o
    const { kernel } = process.machine
    const { removals } = resolver
    const locks = removals !== null && kernel.has('remove-under-map-lock')
    const marksFirst = !kernel.has('place-before-mark')
    let before: PageMapState = PageMapState.missing
    let placing: Placing
    for (;;) {
      if (locks) yield* map.lock.downRead(k)
      if (k.stepping) yield read(page, 'page_map')
      if (this.isSettled(page)) {
        if (locks) map.lock.upRead(k)
        this.duplicates++
        return
      }
      if (marksFirst) {
        if (k.stepping) yield write(page, 'page_map')
        before = map.receive(page)
      }
      // 1.
      placing = yield* resolver.place(k, ramPage + page, content, buffer)
      // 2.
      if (placing !== 'again' && !marksFirst) {
        if (k.stepping) yield write(page, 'page_map')
        before = map.receive(page)
      }
      if (locks) map.lock.upRead(k)
      if (placing !== 'again') break
      if (removals === null) throw new PlaceError(`placing page ${page} answered EAGAIN`)
      yield* removals.settle(k)
    }
    // 3.
    if (placing === 'exists') {
      this.duplicates++
      if (kernel.has('wake-on-eexist')) yield* resolver.wakeExisting(k, ramPage + page)
      return
    }
    recorder.event(k.nowNs, EventKind.Place, k.lane, page, content === null && resolver.mapsZeroPage ? 1 : 0)
    if (before === PageMapState.requested) yield* resolver.wake(k, ramPage + page)
  }

  /** For what a channel brings: as many pages as one call may place. */
  makeBatch(): PageBatch {
    const { resolver, process } = this.#o
    // Whoever watches removals looks at the map, places and marks under one lock, page by page.
    const alone = resolver.hostPages > 1 || resolver.removals !== null || !process.machine.kernel.has('place-before-mark')
    return new PageBatch(alone ? 1 : resolver.batchPages, resolver.mapsZeroPage)
  }

  /** Steps 1 to 3 for pages that came one behind the other; the batch is empty then. */
  placeBatch(k: Thread, batch: PageBatch, buffer: number): Proc<void> {
    k.cpu.nowNs += loadRunNs(k.cpu.preset)
    if (batch.count === 1) {
      batch.count = 0
      return this.#placeAlone(k, batch.first, batch.content(0), buffer)
    }
    if (!this.isQuiet(k)) return this.#placeRun(k, batch, buffer)
    atOnce(this.#placeRun(k, batch, buffer))
    return NOTHING
  }

  #placeAlone(k: Thread, page: number, content: PageContent | null, buffer: number): Proc<void> {
    if (!this.isQuiet(k)) return this.placePage(k, page, content, buffer)
    // The temporary page is this thread's own, and a new one for each page that is placed: nobody else has locked it.
    atOnce(this.placePage(k, page, content, buffer))
    return NOTHING
  }

  *#placeRun(k: Thread, batch: PageBatch, buffer: number): Proc<void> {
    const { map, recorder, ramPage, resolver } = this.#o
    const { first, count } = batch
    let run = 0
    for (; run < count; run++) {
      if (k.stepping) yield read(first + run, 'page_map')
      if (this.isSettled(first + run)) break
    }
    let placed = 0
    if (run > 1) {
      // 1.
      placed = yield* resolver.placeRun(k, ramPage + first, batch, run, buffer)
      // 2.
      let wasRequested = false
      for (let i = 0; i < placed; i++) {
        if (k.stepping) yield write(first + i, 'page_map')
        if (map.receive(first + i) === PageMapState.requested) wasRequested = true
        recorder.event(k.nowNs, EventKind.Place, k.lane, first + i, batch.zero ? 1 : 0)
      }
      // 3.
      if (wasRequested) yield* resolver.wake(k, ramPage + first, placed)
    }
    for (let i = placed; i < count; i++) yield* this.#placeAlone(k, first + i, batch.content(i), buffer)
    batch.count = 0
  }

  /** Steps 1 to 3 for a complete host page: its target pages become visible all at once. */
  *placeHost(k: Thread, host: HostPage, first: number, buffer: number): Proc<void> {
    const { map, recorder, ramPage, resolver } = this.#o
    yield* resolver.placeHost(k, ramPage + first, buffer)
    if (k.stepping) yield write(first, 'page_map')
    const wasRequested = map.state(first) === PageMapState.requested
    for (let i = 0; i < host.pages; i++) {
      recorder.event(k.nowNs, EventKind.Place, k.lane, first + i, host.zero[i])
      map.receive(first + i)
    }
    if (wasRequested) yield* resolver.wake(k, ramPage + first)
  }

  /** Steps 1 to 3 for a page that the source could not read: who touches it gets a signal, for which KVM gives the guest a machine check. */
  *poison(k: Thread, page: number): Proc<void> {
    const { map, ramPage, resolver } = this.#o
    if (this.isSettled(page)) return
    yield* resolver.poison(k, ramPage + page)
    if (k.stepping) yield write(page, 'page_map')
    const before = map.receive(page)
    if (before === PageMapState.requested) yield* resolver.wake(k, ramPage + page)
  }
}
