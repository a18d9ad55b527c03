/**
 * Pages that the guest gives back during post-copy (a balloon, MADV_DONTNEED): from then on they are zeros, whatever the source
 * still sends.
 *
 * The fault thread, which alone reads the descriptor:
 *  1. poll.   2. lock the map for writing.   3. read one message.   4. a removal: mark its pages.   5. unlock.
 *  6. a fault on a removed page: place zeros. An event is not the removal itself: the pages may still be there when it is read, so
 *     only a fault says that they are gone.
 * Whoever places (destination.ts) holds the lock for reading from its look at the page's state until it has marked it. So no page
 * is placed by a decision from before 3 after 4: the guest goes on once 3 is done, and would read what it had given back (R73).
 *
 * While a removal was not read, placing answers EAGAIN; then whoever places lets go of the lock and waits until it was.
 * QEMU keeps the balloon from working instead. Modelled after e2b's manager: shared among those who place, exclusive for removals.
 * Source: github.com/e2b-dev/infra/pull/2520. @qemu ram_block_discard_disable
 */
import type { Proc } from '../engine/op.ts'
import { write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Process } from '../machine/process.ts'
import type { PageMap } from './page_map.ts'
import type { RemovalWatcher, Resolver } from './resolver.ts'

export interface RemovalOptions {
  readonly process: Process
  readonly ramPage: number
  readonly map: PageMap
  readonly resolver: Resolver
  readonly removals: RemovalWatcher
  /** Faults that were read while something else was waited for. */
  readonly backlog: number[]
}

/** 1. to 5., until there is a fault: its page; null when closed. */
export function* nextFaultOrRemoval(k: Thread, o: RemovalOptions): Proc<number | null> {
  for (;;) {
    const waiting = o.backlog.shift()
    if (waiting !== undefined) return waiting
    // 1.
    if (!(yield* o.removals.poll(k))) return null
    yield* readOne(k, o)
  }
}

/** 2. to 5. */
function* readOne(k: Thread, { process, ramPage, map, removals, backlog }: RemovalOptions): Proc<void> {
  const locks = process.machine.kernel.has('remove-under-map-lock')
  // 2.
  if (locks) yield* map.lock.downWrite(k)
  // 3.
  const message = yield* removals.readMessage(k)
  // 4.
  for (let i = 0; i < (message?.removed ?? 0); i++) {
    const page = (message?.page ?? 0) + i - ramPage
    if (k.stepping) yield write(page, 'page_map')
    map.remove(page)
  }
  // 5.
  if (locks) map.lock.upWrite(k)
  if (message?.removed === 0) backlog.push(message.page)
}

/** 6. `page` is a page of the process. */
export function* placeZeros(k: Thread, o: RemovalOptions, page: number): Proc<void> {
  for (;;) {
    const placing = yield* o.resolver.place(k, page, null)
    if (placing === 'exists') yield* o.resolver.wakeExisting(k, page)
    if (placing !== 'again') return
    // The next removal waits to be read, and nobody else will.
    yield* o.removals.settle(k, 'or a message')
    yield* readOne(k, o)
  }
}
