/**
 * Sending guest RAM: what pre-copy and post-copy have in common, page by page.
 *
 * One page:  1. its bit goes, and with it the kernel's mark (dirty_bitmap.ts); no bit: nothing to send.   2. its
 *  content is read, or it is known to hold nothing (save_run.ts).   3. it is sent.   1 before 2: a store that 2 does not see leaves a mark, so the page is sent once more (R63).
 *
 * Host pages of 2 MiB go as one: all their target pages in order, without a break.
 *
 * Where requested pages have a channel of their own, two threads send: the migration thread by the stream, the return path thread by
 * the urgent channel. A host page goes by one of the two, whole: the return path thread leaves the one that is just going by the
 * stream to it. While it sends one, the migration thread sends nothing, and so is interrupted within a huge page (QEMU's bitmap_mutex). So a requested page waits neither
 * behind what the socket of the stream holds, nor for the rest of a huge page.
 * @qemu RAMState, ram_save_host_page, ram_save_host_page_urgent, ram_save_page, ram_save_setup, ram_save_iterate, ram_save_complete
 */
import { atOnce } from '../engine/at_once.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, NOTHING, type Proc, QUANTUM, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Link } from '../hw/link.ts'
import type { PageContent, Process } from '../machine/process.ts'
import { addressOf, MADV_DONTNEED, sys } from '../machine/syscall.ts'
import type { Kernel } from '../mm/kernel.ts'
import { EventKind } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import { DirtyBitmap } from './dirty_bitmap.ts'
import { BitmapTracker, type DirtyTracker } from './dirty_tracker.ts'
import { check } from './host_page.ts'
import type { MigrationState } from './migration_state.ts'
import { HEADER_BYTES, PAGE_RECORD_BYTES, SYNC_BYTES, savePageNs, ZERO_RECORD_BYTES, ZERO_TEST_NS } from './parameters.ts'
import { StreamMessage } from './ram_stream.ts'
import { SaveRun } from './save_run.ts'
import { Encoded, type Xbzrle } from './xbzrle_save.ts'

/** What takes pre-copy's pages instead of the stream. @qemu multifd */
export interface PageChannels {
  readonly bytesSent: number
  /** Takes a page whose bit was cleared; its content is read and sent later. */
  queue(k: Thread, page: number): Proc<void>
  /** All that was queued is on its way. */
  flush(k: Thread): Proc<void>
  /** All that was queued is sent, and behind it a SYNC by each channel. */
  sync(k: Thread): Proc<void>
  /** Nothing follows. */
  end(k: Thread): void
}

export interface RamOptions {
  readonly process: Process
  readonly ramPage: number
  readonly pages: number
  /** Target pages in a host page: they are sent together, in order. */
  readonly hostPages: number
  /** Says in pre-copy what was written. [the log by write protection] */
  readonly tracker?: DirtyTracker
  readonly stream: Link
  /** What pre-copy sends its pages by, where that is not the stream. @qemu multifd */
  readonly multifd?: PageChannels
  /** The migration thread looks for zero pages before it queues them; they go by the stream. @qemu zero-page-detection legacy */
  readonly findsZerosFirst?: boolean
  /** Sends pages as differences in pre-copy. @qemu xbzrle */
  readonly xbzrle?: Xbzrle
  /** Asks which pages of a run hold anything, and reads no others (save_run.ts). */
  readonly looksFirst?: boolean
  /** Nobody looks whether a page is zeros: all go with their content. @qemu zero-page-detection none */
  readonly sendsZeroPages?: boolean
  /** Takes requested pages, which the return path thread then sends at once. @qemu postcopy-preempt */
  readonly urgent?: Link
  /**
   * In post-copy, pages leave this machine's memory: when they were sent (QEMU's release-ram, which rules out a recovery), or when
   * the destination said on a new connection that it has them.
   */
  readonly releases?: 'when sent' | 'when received'
  readonly state: MigrationState
  readonly recorder: Recorder
  /** A sync is over, which found so many pages more to be dirty. */
  readonly onSync?: (k: Thread, dirtied: number) => void
}

/** Guest pages [first, end). */
export interface FreePages {
  readonly first: number
  readonly end: number
}

function* turn(): Proc<void> {
  yield QUANTUM
}

export class RamState {
  readonly dirty: DirtyBitmap
  readonly #o: RamOptions
  /** What the migration thread sends, and the return path thread. */
  readonly #run = new SaveRun()
  readonly #urgentRun = new SaveRun()
  /** The huge host page that goes by the stream just now; -1: none. @qemu host_page_sending */
  #sending = -1
  /** One goes by the urgent channel just now, and who waits until it has. @qemu bitmap_mutex */
  #sendsUrgent = false
  #waiter: Thread | null = null
  /** Take the pages of pre-copy; null: the stream does. */
  #channels: PageChannels | null
  /** The search has gone over the end since the last barrier. */
  #isNewPass = false
  #isLastPass = false
  /** Where the search for the next dirty page goes on. */
  #cursor = 0
  /** Pages whose memory has failed: nobody may read them, and the destination is told so. @qemu hwpoison_page_list */
  readonly poisoned = new Set<number>()

  constructor(options: RamOptions) {
    this.#o = options
    this.#channels = options.multifd ?? null
    const { process, ramPage, pages, tracker = new BitmapTracker(process, ramPage, pages) } = options
    this.dirty = new DirtyBitmap(pages, tracker)
  }

  get kernel(): Kernel {
    return this.#o.process.machine.kernel
  }

  /** By all channels. */
  get bytesSent(): number {
    const { stream, multifd, urgent } = this.#o
    return stream.bytesSent + (multifd?.bytesSent ?? 0) + (urgent?.bytesSent ?? 0)
  }

  /** Pages that are known to be dirty. @qemu ram_state_pending_estimate */
  get pending(): number {
    return this.dirty.count
  }

  /** Pre-copy: from here on stores are logged. @qemu ram_save_setup */
  *setup(k: Thread): Proc<void> {
    yield* this.dirty.start(k)
    yield* this.sync(k)
  }

  /** The guest says that these pages hold nothing: they are not sent, unless they are written from here on. @qemu qemu_guest_free_page_hint */
  *hint(k: Thread, { first, end }: FreePages): Proc<void> {
    for (let page = first; page < end; page++) if (!this.dirty.clearUnowed(k, page)) yield* this.dirty.clear(k, page)
    this.#o.state.remaining = this.pending
  }

  /** What was written since: the end of a pass, and the beginning of the next. @qemu migration_bitmap_sync_precopy */
  *sync(k: Thread): Proc<void> {
    const { state } = this.#o
    const startNs = k.nowNs
    this.#run.end()
    const dirtied = yield* this.dirty.sync(k)
    state.passed(k, startNs, dirtied, this.pending)
    this.#o.onSync?.(k, dirtied)
  }

  /** A host page that is dirty in part becomes dirty as a whole. @qemu postcopy_chunk_hostpages */
  chunkHostPages(): void {
    const { hostPages, state } = this.#o
    const { bits } = this.dirty
    for (let page = hostPages === 1 ? -1 : bits.nextSet(0); page >= 0; ) {
      const first = page - (page % hostPages)
      for (let i = 0; i < hostPages; i++) this.dirty.mark(first + i)
      page = bits.nextSet(first + hostPages)
    }
    state.remaining = this.pending
  }

  /** Sends up to `most` host pages of those known to be dirty, or until `untilNs`. @qemu ram_save_iterate */
  *iterate(k: Thread, most: number, untilNs = Number.POSITIVE_INFINITY): Proc<void> {
    for (let n = 0; n < most && this.#goesOn && k.nowNs < untilNs; n++) {
      const first = this.nextDirty()
      if (this.#isNewPass) yield* this.#syncChannels(k)
      yield* this.saveHostPage(k, first)
    }
  }

  get #goesOn(): boolean {
    return this.pending > 0 && !this.#o.stream.broken
  }

  /** What is sent from here on must not be overtaken by what was sent before, by whatever channel. @qemu multifd_ram_flush_and_sync */
  *#syncChannels(k: Thread): Proc<void> {
    this.#isNewPass = false
    if (this.#channels === null) return
    yield* this.#channels.sync(k)
    yield* this.#o.stream.send(k, StreamMessage.MultifdFlush, -1, SYNC_BYTES)
  }

  /** Nothing is kept back for a packet that is not full. */
  sendQueued(k: Thread): Proc<void> {
    return this.#channels?.flush(k) ?? NOTHING
  }

  /** Pre-copy, the vCPUs stopped: all that is left, and nothing can follow. @qemu ram_save_complete */
  *complete(k: Thread): Proc<void> {
    if (this.kernel.has('final-bitmap-sync')) yield* this.sync(k)
    this.#isLastPass = true
    yield* this.iterate(k, Number.POSITIVE_INFINITY)
  }

  /**
   * The end of pre-copy's channel: pages go by the stream from here on, and the destination will not read what follows in the
   * stream before it has read all of the channel.
   */
  *leaveChannel(k: Thread): Proc<void> {
    yield* this.#syncChannels(k)
    this.#channels?.end(k)
    this.#channels = null
  }

  /** The first page of the next dirty host page behind the last one, starting over at the end; one must be dirty. */
  nextDirty(): number {
    const { bits } = this.dirty
    const page = bits.nextSet(this.#cursor)
    if (page < 0) {
      this.#isNewPass = true
      this.#o.xbzrle?.start()
    }
    const found = page >= 0 ? page : bits.nextSet(0)
    return found - (found % this.#o.hostPages)
  }

  /** All target pages of the host page that begins at `first`, by the migration thread. */
  saveHostPage(k: Thread, first: number): Proc<void> {
    const end = first + this.#o.hostPages
    this.#cursor = end
    touch(0, 'ram.urgent', AccessMode.read)
    if (this.#sendsUrgent) return this.#saveBehindUrgent(k, first)
    return end === first + 1 ? this.#saveOne(k, first) : this.#savePages(k, first, end)
  }

  /** Clock gear: sends those of `most` host pages from `first` on that can go at once, up to the end of the quantum; how many. */
  saveRun(k: Thread, first: number, most: number): number {
    const { hostPages, stream } = this.#o
    if (hostPages > 1 || this.#sendsUrgent || this.#channels !== null || !this.#isQuiet(k, first)) return 0
    let n = 0
    // What was quiet stays so: nobody else runs meanwhile.
    do atOnce(this.#savePage(k, first + n++, stream, this.#run))
    while (n < most && !k.expired && stream.takesAtOnce(k.nowNs) && !this.dirty.owes(first + n))
    this.#cursor = first + n
    return n
  }

  *#savePages(k: Thread, first: number, end: number): Proc<void> {
    this.#sending = first
    for (let page = first; page < end; page++) {
      if (this.#sendsUrgent) yield* this.urgentSent(k)
      yield* this.#saveOne(k, page)
    }
    this.#sending = -1
  }

  #saveOne(k: Thread, page: number): Proc<void> {
    const { stream } = this.#o
    if (this.#channels !== null) return this.#queuePage(k, page, this.#channels)
    if (!this.#isQuiet(k, page)) return this.#savePage(k, page, stream, this.#run)
    atOnce(this.#savePage(k, page, stream, this.#run))
    return k.expired ? turn() : NOTHING
  }

  /** Clock gear, the usual case: saving a page will find room in the stream, and nobody in its way. */
  #isQuiet(k: Thread, page: number): boolean {
    const { stream, process, releases } = this.#o
    if (k.stepping || releases !== undefined || this.dirty.owes(page)) return false
    return stream.takesAtOnce(k.nowNs) && process.isCalm(k)
  }

  /** @qemu ram_save_multifd_page */
  *#queuePage(k: Thread, page: number, channels: PageChannels): Proc<void> {
    if (this.#o.findsZerosFirst === true) {
      const { process, ramPage } = this.#o
      const { content } = this.#run
      yield* process.readPage(k, ramPage + page, content)
      k.cpu.nowNs += ZERO_TEST_NS
      if (content.word0 === 0 && content.word1 === 0) {
        yield* this.#savePage(k, page, this.#o.stream, this.#run)
        return
      }
    }
    if (!this.dirty.clearUnowed(k, page) && !(yield* this.dirty.clear(k, page))) return
    this.#o.state.remaining = this.pending
    yield* channels.queue(k, page)
    if (k.expired) yield QUANTUM
  }

  *#saveBehindUrgent(k: Thread, first: number): Proc<void> {
    yield* this.urgentSent(k)
    yield* this.saveHostPage(k, first)
  }

  /** The same by the return path thread, for a page that was asked for. */
  *saveUrgent(k: Thread, first: number, urgent: Link): Proc<void> {
    if (k.stepping) yield write(0, 'ram.urgent')
    if (this.#sending === first) return
    this.#sendsUrgent = true
    for (let n = 0; n < this.#o.hostPages; n++) yield* this.#savePage(k, first + n, urgent, this.#urgentRun)
    touch(0, 'ram.urgent', AccessMode.write)
    this.#sendsUrgent = false
    this.#waiter?.wake(k.nowNs)
  }

  /** Until the page that goes by the urgent channel has gone. */
  *urgentSent(k: Thread): Proc<void> {
    if (k.stepping) yield write(0, 'ram.urgent')
    while (this.#sendsUrgent) {
      this.#waiter = k
      k.park('a requested page to be sent')
      if (this.#sendsUrgent) yield BLOCK
    }
    this.#waiter = null
  }

  *#savePage(k: Thread, page: number, channel: Link, run: SaveRun): Proc<void> {
    const { process, ramPage, state, recorder, xbzrle, looksFirst = false } = this.#o
    const { content } = run
    const clearsFirst = this.kernel.has('dirty-clear-before-copy')
    // 1.
    if (clearsFirst && !this.dirty.clearUnowed(k, page) && !(yield* this.dirty.clear(k, page))) return
    if (this.poisoned.size > 0 && this.poisoned.has(page)) {
      state.remaining = this.pending
      yield* channel.send(k, StreamMessage.Poison, page, HEADER_BYTES)
      return
    }
    // 2.
    if (looksFirst) yield* run.join(k, page, this.dirty, process, ramPage)
    const isRead = !looksFirst || run.holds(page)
    if (isRead) yield* process.readPage(k, ramPage + page, content)
    else content.word0 = content.word1 = content.version = 0
    if (!clearsFirst && !(yield* this.dirty.clear(k, page))) return
    k.cpu.nowNs += savePageNs(k.cpu.preset, isRead)
    const zero = content.word0 === 0 && content.word1 === 0 && this.#o.sendsZeroPages !== true
    state.remaining = this.pending
    // 3.
    if (xbzrle !== undefined && (yield* this.#saveDifference(k, page, content, zero, xbzrle))) return
    const bytes = zero ? ZERO_RECORD_BYTES : PAGE_RECORD_BYTES
    if (zero) state.duplicate++
    else state.normal++
    const type = zero ? StreamMessage.Zero : StreamMessage.Page
    yield* channel.send(k, type, page, bytes, content.word0, content.word1, content.version)
    recorder.event(k.nowNs, EventKind.Send, k.lane, page, bytes)
    // A host page goes whole and in order: this was the last of it.
    if (this.#releasesSent && (page + 1) % this.#o.hostPages === 0) yield* this.release(k, page)
    if (k.expired) yield QUANTUM
  }

  /** In pre-copy: sends a page as what differs from what was sent before, or not at all; false: it has to go whole. */
  *#saveDifference(k: Thread, page: number, content: PageContent, zero: boolean, xbzrle: Xbzrle): Proc<boolean> {
    const { state, stream, recorder } = this.#o
    if (state.status === 'postcopy-active') return false
    if (zero) {
      xbzrle.sentZeros(k, page, state.dirtySyncCount)
      return false
    }
    const length = xbzrle.encode(k, page, content, state.dirtySyncCount, this.#isLastPass)
    if (length === Encoded.whole) return false
    if (length !== Encoded.unchanged) {
      const { old } = xbzrle
      const [word0, word1] = [(content.word0 ^ old.word0) >>> 0, (content.word1 ^ old.word1) >>> 0]
      const bytes = HEADER_BYTES + length
      yield* stream.send(k, StreamMessage.Xbzrle, page, bytes, word0, word1, content.version - old.version)
      recorder.event(k.nowNs, EventKind.Send, k.lane, page, bytes)
    }
    if (k.expired) yield QUANTUM
    return true
  }

  get #releasesSent(): boolean {
    const { releases, state } = this.#o
    return releases === 'when sent' ? state.status === 'postcopy-active' : !this.kernel.has('release-after-ack')
  }

  /**
   * The host page of `page` may go, where that was asked for: of the hugetlb pool nothing less can. QEMU names each target page, which
   * ram_block_discard_range refuses there, so that nothing is freed. @qemu ram_release_page
   */
  *release(k: Thread, page: number): Proc<void> {
    const { process, ramPage, releases, hostPages } = this.#o
    if (releases === undefined) return
    const first = ramPage + page - (page % hostPages)
    const released = yield* sys.madvise(k, process, addressOf(first), hostPages * 4096, MADV_DONTNEED)
    check(released, 0, 'madvise(MADV_DONTNEED)')
  }

  /** Pre-copy has come to nothing: stores are logged no longer. @qemu ram_save_cleanup */
  cleanUp(k: Thread): Proc<void> {
    return this.dirty.stop(k)
  }

  /** After a break: what the destination does not have is sent again; what it has may go. @qemu ram_dirty_bitmap_reload */
  *reload(k: Thread, page: number, received: boolean): Proc<void> {
    if (received) {
      yield* this.release(k, page)
      return
    }
    if (k.stepping) yield write(page, 'ram.bmap')
    this.dirty.mark(page)
  }
}
