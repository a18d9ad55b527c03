/**
 * The source side of a migration: the migration thread and the return path thread.
 *
 * migration thread:
 *  1. setup: the connection; where a pre-copy comes first, the dirty log; then active.
 *  2. pre-copy, if there is one: iterations, while the guest runs (precopy.ts). They end with 3 or 4, or the migration ends here.
 *  3. completion: stop the vCPUs; pause, if so told (switchover.ts); send what is left and the device state.
 *  4. or post-copy. Switch over: stop the vCPUs; pause, if so told; save the device state, send it packaged; after a pre-copy, before that: end its
 *     channel, say what is old (discard.ts), say LISTEN. The packaged state is the hand-over, once and for ever: if the connection
 *     broke before, the guest goes on here; after it, never (R69).
 *  5. postcopy-active, until no page is left:
 *     a requested page goes first; else a page that the prepaging policy pushes (prepaging/policy.ts). A page's bit is cleared when it is
 *     sent, so nothing is sent twice (ram_save.ts). When max-postcopy-bandwidth is used up and the queue of requests is empty, nothing goes
 *     before the next delay, not even what is asked for then: qemu_savevm_state_iterate looks at the limit before ram_save_iterate
 *     looks at the queue, so that migration_rate_limit's wake-up by a request is in vain. The urgent channel knows no limit.
 *  6. end: tell the destination, wait for its word (SHUT): completed, or failed with its reason.
 *  7. The connection broke. In post-copy: paused, until there is a new one; then recover (recovery.ts), and on with 5. Before the hand-over:
 *     the guest goes on here, the log ends, and the migration has failed; or it was cancelled, which is to break it on purpose. In 3., and at
 *     the first break of 5., whether the destination has the guest is asked of it another way, as libvirt does when it finishes.
 *  A background snapshot does none of 2. to 5.: background_snapshot.ts.
 * return path thread: takes requests off the wire into a queue; with an urgent channel, sends the page itself (ram_save.ts); and hears
 *  what the destination says when post-copy is recovered.
 *
 * Source: QEMU, migration/ram.c (get_queued_page, ram_find_and_save_block, ram_save_queue_pages) and migration.c.
 */
import { assert } from '../base/assert.ts'
import type { Bitmap } from '../base/bitmap.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, type Proc, QUANTUM, read, SLEEP, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { LINK_BROKEN, type Link } from '../hw/link.ts'
import { EventKind } from '../trace/event.ts'
import { BackgroundSnapshot } from './background_snapshot.ts'
import type { DeviceState } from './device_state.ts'
import { postcopySendDiscardBitmap } from './discard.ts'
import { END_BYTES, SYNC_BYTES, setupNs } from './parameters.ts'
import { iterate } from './precopy.ts'
import { drivenPrecopy, type PrecopyDrive } from './precopy_drive.ts'
import { ForwardPolicy } from './prepaging/forward.ts'
import { unsentHostPages } from './prepaging/host_pages.ts'
import type { PrepagingPolicy, Unsent } from './prepaging/policy.ts'
import { type FreePages, type RamOptions, RamState } from './ram_save.ts'
import { ReturnMessage, StreamMessage } from './ram_stream.ts'
import { RateWindow } from './rate_window.ts'
import { SourceRecovery } from './recovery.ts'
import { Switchover } from './switchover.ts'

/** Pages that a policy is asked for at a time. Ours: as many as a word or two of the bitmap. */
const RUN_PAGES = 64

export interface SourceOptions extends RamOptions {
  readonly deviceState: DeviceState
  readonly returnPath: Link
  /** What the guest hints to be free, in pre-copy. @qemu free-page-hint */
  readonly freePages?: FreePages | null
  /** Says which pages are sent though nobody asked for them. [forward] */
  readonly policy?: PrepagingPolicy
  /** Of the stream's socket buffer, what such pages may take; a requested one waits behind them. [Infinity] */
  readonly pushQueueBytes?: number
  /** Most that is sent a second in post-copy; 0: no limit. [0] @qemu max-postcopy-bandwidth */
  readonly maxPostcopyBandwidth?: number
  /** A pre-copy comes first, and how it is driven; without: post-copy at once. */
  readonly precopy?: PrecopyDrive
  /** A pre-copy came first: the bitmap says what is left. */
  readonly precopied?: boolean
  /** Stops all vCPUs of this machine; answers when the last has stopped. @qemu vm_stop_force_state */
  readonly stopVcpus: (k: Thread) => Proc<void>
  /** Lets them go on, on this machine. @qemu vm_start */
  readonly startVcpus?: (k: Thread) => void
  /** The vCPUs stand: a pause comes first, and whether somebody will end it. @qemu pause-before-switchover */
  readonly pausesBeforeSwitchover?: () => boolean
  /** No migration: an image of the moment at which this is called goes out, and the guest stays. @qemu background-snapshot */
  readonly onSnapshot?: () => void
  /** What the destination has, asked of it when the connection broke. @libvirt virDomainMigrateFinish3 */
  readonly destinationHas?: () => 'no guest' | 'the guest' | 'everything'
}

export class Source {
  readonly ram: RamState
  readonly recovery: SourceRecovery
  readonly snapshot: BackgroundSnapshot | null
  readonly switchover: Switchover
  readonly #o: SourceOptions
  readonly #policy: PrepagingPolicy
  readonly #unsent: Unsent
  readonly #window: RateWindow
  readonly #requests: number[] = []
  #requestHead = 0
  /** Host pages left of the policy's run. */
  #runLeft = 0
  #shut = -1
  /** Its end was said, and may have been read: if the connection breaks now, what is asked for after the recovery goes by the stream. */
  #urgentEnded = false
  #lost = false
  #thread: Thread | null = null

  constructor(options: SourceOptions) {
    this.#o = options
    this.ram = new RamState(options)
    this.recovery = new SourceRecovery(this.ram, options.stream)
    const { onSnapshot: onMoment, startVcpus = () => {}, pausesBeforeSwitchover = null } = options
    this.snapshot = onMoment === undefined ? null : new BackgroundSnapshot({ ...options, ram: this.ram, startVcpus, onMoment })
    this.switchover = new Switchover(options.state, startVcpus, pausesBeforeSwitchover)
    this.#policy = options.policy ?? new ForwardPolicy()
    this.#unsent = unsentHostPages(this.bitmap, options.hostPages)
    this.#window = new RateWindow(options.maxPostcopyBandwidth ?? 0)
  }

  /** Pages that were not sent. */
  get bitmap(): Bitmap {
    return this.ram.dirty.bits
  }

  /** The migration thread. */
  *migrate(k: Thread): Proc<void> {
    const { state, process, stream, hostPages, precopy, precopied = false, freePages = null } = this.#o
    process.adopt(k)
    this.#thread = k
    // 1.
    state.startNs = k.nowNs
    state.set(k, 'setup')
    k.cpu.nowNs += setupNs(k.cpu.preset)
    if (precopy !== undefined) {
      yield* this.ram.setup(k)
      if (freePages !== null) yield* this.ram.hint(k, freePages)
    } else if (!precopied) {
      this.bitmap.fill()
      state.passed(k, k.nowNs, 0, this.#o.pages)
    }
    if (this.snapshot !== null) yield* this.snapshot.prepare(k)
    state.setupNs = k.nowNs - state.startNs
    if (stream.broken) {
      yield* this.#abandon(k)
      return
    }
    state.set(k, 'active')
    if (this.snapshot !== null) {
      yield* this.snapshot.take(k)
      if (!(yield* this.#finish(k))) yield* this.#abandon(k)
      return
    }
    // 2.
    const beforeBytes = this.ram.bytesSent
    const driven = { ram: this.ram, state, hostPages, isBroken: () => stream.broken }
    const end = precopy === undefined ? 'postcopy' : yield* iterate(k, drivenPrecopy(k, precopy, driven))
    state.precopyBytes = this.ram.bytesSent - beforeBytes
    if (end === 'completion') {
      // 3.
      yield* this.#complete(k)
      return
    }
    // 4.
    if (end === 'broken' || !(yield* this.switchOver(k))) {
      yield* this.#abandon(k)
      return
    }
    const switchedBytes = this.ram.bytesSent
    do {
      // 5.
      yield* this.pushAll(k)
      state.postcopyBytes = this.ram.bytesSent - switchedBytes
      // 6. and 7.
    } while (!(yield* this.#finish(k)) && (yield* this.#postcopyPause(k)))
  }

  /** 3. @qemu migration_completion_precopy */
  *#complete(k: Thread): Proc<void> {
    const { state, stream, deviceState } = this.#o
    state.downtimeStartNs = k.nowNs
    yield* this.#o.stopVcpus(k)
    if (!(yield* this.switchover.prepare(k))) return yield* this.#abandon(k)
    const before = this.ram.bytesSent
    yield* this.ram.complete(k)
    yield* this.ram.leaveChannel(k)
    k.cpu.nowNs += deviceState.saveNs
    yield* stream.send(k, StreamMessage.Devices, -1, deviceState.bytes)
    state.downtimeBytes = this.ram.bytesSent - before
    if (yield* this.#finish(k)) return
    // 7. A cancel that came too late does not make the guest run here, too, as it would in QEMU (R69).
    if (this.#o.destinationHas?.() === 'everything') this.#end(k, state.status === 'cancelling' ? 'cancelled' : 'completed')
    else {
      this.#o.startVcpus?.(k)
      yield* this.#abandon(k)
    }
  }

  /** 6.; false: the connection broke. */
  *#finish(k: Thread): Proc<boolean> {
    const { stream, urgent } = this.#o
    // What a channel is told to be its end must come behind all pages.
    if (this.ram.kernel.has('urgent-before-end')) yield* this.ram.urgentSent(k)
    touch(0, 'source.requests', AccessMode.write)
    this.#urgentEnded = true
    for (const channel of urgent === undefined ? [stream] : [stream, urgent])
      if (!this.#isShut) yield* channel.send(k, StreamMessage.End, -1, END_BYTES)
    while (!this.#isShut) {
      if (stream.broken) return false
      k.park('the destination to shut the return path')
      if (!this.#isShut) yield BLOCK
    }
    this.#end(k, this.#shut === 0 ? 'completed' : 'failed')
    return true
  }

  #end(k: Thread, status: 'completed' | 'failed' | 'cancelled'): void {
    const { state } = this.#o
    state.endNs = k.nowNs
    state.set(k, status)
  }

  /** 7., before the hand-over: the guest runs here, and goes on. @qemu migrate_fd_cleanup */
  *#abandon(k: Thread): Proc<void> {
    const { state, precopy } = this.#o
    if (precopy !== undefined) yield* this.ram.cleanUp(k)
    const cancelled = state.status === 'cancelling'
    if (!cancelled) state.error = 'the connection broke before the guest was handed over: it goes on at the source'
    this.#end(k, cancelled ? 'cancelled' : 'failed')
  }

  /** 7., after the hand-over; false: the migration is over. @qemu postcopy_pause */
  *#postcopyPause(k: Thread): Proc<boolean> {
    const { state, stream, startVcpus, destinationHas, releases } = this.#o
    const has = destinationHas?.() ?? 'the guest'
    if (has === 'everything') {
      this.#end(k, 'completed')
      return false
    }
    // Unless it has given up pages, and nobody has them.
    if (has === 'no guest' && releases !== 'when sent') {
      startVcpus?.(k)
      yield* this.#abandon(k)
      return false
    }
    do {
      state.set(k, 'postcopy-paused')
      yield* stream.untilConnected(k)
      state.set(k, 'postcopy-recover')
    } while (!(yield* this.recovery.resume(k)))
    state.set(k, 'postcopy-active')
    return true
  }

  /** 4.; false if the guest goes on here, since the connection broke in time, or a cancel came. @qemu postcopy_start */
  *switchOver(k: Thread): Proc<boolean> {
    const { state, stream, deviceState, precopy, precopied = precopy !== undefined } = this.#o
    const { kernel } = this.ram
    state.downtimeStartNs = k.nowNs
    if (kernel.has('stop-before-postcopy')) yield* this.#o.stopVcpus(k)
    if (!(yield* this.switchover.prepare(k))) return false
    k.cpu.nowNs += deviceState.saveNs
    const before = this.ram.bytesSent
    if (precopied) {
      yield* this.ram.leaveChannel(k)
      yield* postcopySendDiscardBitmap(k, this.ram, stream)
      yield* stream.send(k, StreamMessage.Listen, -1, SYNC_BYTES)
    }
    if (yield* this.#isLost(k)) {
      this.#o.startVcpus?.(k)
      return false
    }
    // The hand-over. It may have arrived whatever happens next: from here on the source only serves pages.
    yield* stream.send(k, StreamMessage.Packaged, -1, deviceState.bytes)
    // It broke while the message waited for room: that was no hand-over.
    if (stream.broken || (!kernel.has('one-handover') && (yield* this.#isLost(k)))) {
      this.#o.startVcpus?.(k)
      return false
    }
    state.downtimeBytes = this.ram.bytesSent - before
    state.set(k, 'postcopy-active')
    return true
  }

  /** Somebody finds that the connection broke. Before the hand-over the migration has failed; after it, it waits. */
  *connectionLost(k: Thread): Proc<void> {
    if (k.stepping) yield write(0, 'source.lost')
    this.#lost = true
  }

  /** Nothing that is sent now would arrive. */
  readonly #isOver = (): boolean => this.#isShut || this.#o.stream.broken

  /** The destination has said how it ended. */
  get #isShut(): boolean {
    touch(0, 'source.shut', AccessMode.read)
    return this.#shut >= 0
  }

  *#isLost(k: Thread): Proc<boolean> {
    if (k.stepping) yield read(0, 'source.lost')
    return this.#lost || this.#o.stream.broken
  }

  /** Until no page is left. @qemu ram_save_iterate, in post-copy */
  *pushAll(k: Thread): Proc<void> {
    const { hostPages, stream, pushQueueBytes = Number.POSITIVE_INFINITY } = this.#o
    const policy = this.#policy
    this.#thread = k
    this.#runLeft = 0
    let first = -1
    while (this.ram.pending > 0 && !this.#isOver()) {
      if (policy.waits) k.park('a request')
      if (k.stepping) yield write(0, 'source.requests')
      const requested = this.#nextRequest()
      if (requested >= 0) {
        k.unpark()
        this.#runLeft = 0
        policy.requested(requested / hostPages)
        yield* this.ram.saveHostPage(k, requested)
        continue
      }
      if (this.#window.isLimited && (yield* this.#window.wait(k, this.ram.bytesSent, this.#isOver))) continue
      if (this.#runLeft === 0) {
        // The last may just have gone by the urgent channel.
        if (this.ram.pending === 0) break
        first = policy.next(this.#unsent, RUN_PAGES)
        if (first < 0) {
          assert(policy.waits, `prepaging ${policy.name} pushes none of ${this.ram.pending} unsent pages`)
          if (!this.#isOver()) yield* k.block()
          continue
        }
        this.#runLeft = policy.count
      }
      k.unpark()
      if (!k.stepping && stream.drainedNs(pushQueueBytes) > k.nowNs) {
        // A request that comes meanwhile waits no longer than it would behind a page more.
        k.wakeAtNs = stream.drainedNs(pushQueueBytes)
        yield SLEEP
        continue
      }
      // Where nothing but the buffers slows the push, what of the run finds room goes at once.
      const isSlowed = pushQueueBytes < Number.POSITIVE_INFINITY || this.#window.isLimited
      const sent = isSlowed ? 0 : this.ram.saveRun(k, first, this.#runLeft)
      this.#runLeft -= sent || 1
      if (sent === 0) yield* this.ram.saveHostPage(k, first * hostPages)
      else if (k.expired) yield QUANTUM
      first += sent || 1
    }
  }

  /** The next requested page that was not sent yet, or -1. */
  #nextRequest(): number {
    const queue = this.#requests
    while (this.#requestHead < queue.length) {
      const page = queue[this.#requestHead++]
      if (this.#requestHead === queue.length) {
        queue.length = 0
        this.#requestHead = 0
      }
      if (this.bitmap.has(page)) return page
    }
    return -1
  }

  /** Sends a page that was asked for at once, unless it is on its way. The push goes on as the policy says of it. */
  *#sendUrgent(k: Thread, page: number, urgent: Link): Proc<void> {
    const policy = this.#policy
    if (this.bitmap.has(page)) {
      policy.requested(page / this.#o.hostPages)
      this.#runLeft = 0
    }
    yield* this.ram.saveUrgent(k, page, urgent)
    if (policy.waits) this.#thread?.wake(k.nowNs)
  }

  /** The return path thread. Ends with the destination's SHUT. */
  *returnPath(k: Thread): Proc<void> {
    const { process, returnPath, recorder, state, urgent } = this.#o
    // It reads pages itself then.
    if (urgent !== undefined) process.adopt(k)
    for (;;) {
      yield* returnPath.receive(k)
      const m = returnPath.message
      if (m.type === LINK_BROKEN) {
        this.#thread?.wake(k.nowNs)
        yield* returnPath.untilConnected(k)
        continue
      }
      if (m.type === ReturnMessage.Shut) {
        touch(0, 'source.shut', AccessMode.write)
        this.#shut = m.page
        this.#thread?.wake(k.nowNs)
        return
      }
      if (m.type !== ReturnMessage.RequestPages) {
        yield* this.recovery.heard(k, m)
        continue
      }
      state.requests++
      recorder.event(k.nowNs, EventKind.RequestReceived, k.lane, m.page, 0)
      if (urgent !== undefined) touch(0, 'source.requests', AccessMode.write)
      if (urgent !== undefined && !this.#urgentEnded) {
        yield* this.#sendUrgent(k, m.page, urgent)
        continue
      }
      if (k.stepping) yield write(0, 'source.requests')
      this.#requests.push(m.page)
      if (this.#policy.waits) this.#thread?.wake(k.nowNs)
    }
  }
}
