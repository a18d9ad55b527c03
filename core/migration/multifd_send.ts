/**
 * The channels of multifd at the source: pre-copy's pages go by several connections, each with a thread and so a CPU of its own.
 *
 *  migration thread:  1. queues pages, by number.   2. 128 of them are a packet: the next idle channel, all by turns, gets it; if none is
 *   idle, it waits.   3. end of a pass: what is queued goes, then a SYNC by every channel, and it waits until all have sent theirs.
 *  thread of a channel:  4. reads the pages of its packet, finds the zero ones, if that is its work.   5. compresses.   6. sends: a header with
 *   all page numbers, then the pages that are not zero.   7. sends a SYNC where one is owed.
 *
 * A page's dirty bit is cleared when it is queued, and it is read later (4): a store in between is in what is sent, and marks the page again.
 * In the next pass it may go by another channel; hence 3: a channel that is behind must not bring the older page last. The destination's
 * part is in ram_load.ts. The bytes of a packet are spread over the messages of its pages.
 *
 * Zero copy: the kernel sends out of the guest's memory, which is pinned for it; the copy into the socket is saved.
 * Source: QEMU, migration/multifd.c, multifd-nocomp.c, multifd-zero-page.c.
 * @qemu multifd_queue_page, multifd_send, multifd_send_thread, multifd_send_sync_main, multifd_send_zero_page_detect
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, type Proc, QUANTUM, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Link } from '../hw/link.ts'
import { type MemoryContent, PAGE_BYTES, pageBytes } from '../hw/page_bytes.ts'
import type { PageContent, Process } from '../machine/process.ts'
import { EventKind } from '../trace/event.ts'
import type { Recorder } from '../trace/recorder.ts'
import { type Compression, type Compressor, compressNs } from './compression.ts'
import type { MigrationState } from './migration_state.ts'
import { END_BYTES, MULTIFD_PACKET_HEADER_BYTES, PIN_PAGE_NS, QUEUE_PAGE_NS, SEND_PAGE_NS, ZERO_TEST_NS } from './parameters.ts'
import type { PageChannels } from './ram_save.ts'
import { StreamMessage } from './ram_stream.ts'

/** @qemu MULTIFD_PACKET_SIZE */
const PACKET_PAGES = 128
/** What the migration thread and the thread of a channel know of one another. */
const SENDER = 'multifd.sender'

export interface MultifdSendOptions {
  readonly process: Process
  readonly ramPage: number
  readonly channels: readonly Link[]
  readonly state: MigrationState
  readonly recorder: Recorder
  /** The threads of the channels look for zero pages. @qemu zero-page-detection multifd */
  readonly findsZeros: boolean
  readonly isZeroCopy: boolean
  readonly compression: Compression
  readonly level: number
  /** Makes a channel's compressor. [none] */
  readonly compressor: (() => Compressor) | null
  readonly content: MemoryContent
}

interface Sender {
  /** Its number. */
  readonly n: number
  readonly link: Link
  readonly compressor: Compressor | null
  /** Its packet: page numbers, then what was read. */
  pages: Int32Array
  count: number
  /** Of them, not in the socket yet. */
  left: number
  readonly words: Uint32Array
  readonly version: Uint32Array
  owesSync: boolean
  thread: Thread | null
}

export class MultifdSend implements PageChannels {
  readonly #o: MultifdSendOptions
  readonly #senders: readonly Sender[]
  /** The packet that is being filled. */
  #queue: Int32Array = new Int32Array(PACKET_PAGES)
  #queued = 0
  #next = 0
  #isOver = false
  #waiter: Thread | null = null
  /** Before compression, of one packet. */
  readonly #plain: Uint32Array

  constructor(options: MultifdSendOptions) {
    this.#o = options
    this.#plain = new Uint32Array(options.compressor === null ? 0 : (PACKET_PAGES * PAGE_BYTES) / 4)
    this.#senders = options.channels.map((link, n) => ({
      n,
      link,
      compressor: options.compressor?.() ?? null,
      pages: new Int32Array(PACKET_PAGES),
      count: 0,
      left: 0,
      words: new Uint32Array(PACKET_PAGES * 2),
      version: new Uint32Array(PACKET_PAGES),
      owesSync: false,
      thread: null,
    }))
  }

  get bytesSent(): number {
    return this.#o.channels.reduce((n, link) => n + link.bytesSent, 0)
  }

  /** Pages that were queued, and are in no socket yet. */
  get held(): number {
    return this.#senders.reduce((n, sender) => n + sender.left, this.#queued)
  }

  /** 1. */
  *queue(k: Thread, page: number): Proc<void> {
    k.cpu.nowNs += QUEUE_PAGE_NS
    if (this.#queued === PACKET_PAGES) yield* this.#dispatch(k)
    this.#queue[this.#queued++] = page
  }

  /** 2. */
  *#dispatch(k: Thread): Proc<void> {
    let sender = this.#idle()
    while (sender === null) {
      this.#waiter = k
      k.park('an idle channel of multifd')
      sender = this.#idle()
      if (sender === null) yield BLOCK
    }
    k.unpark()
    if (k.stepping) yield write(sender.n, SENDER)
    ;[sender.pages, this.#queue] = [this.#queue, sender.pages]
    sender.count = this.#queued
    sender.left = this.#queued
    this.#queued = 0
    sender.thread?.wake(k.nowNs)
  }

  #idle(): Sender | null {
    const senders = this.#senders
    for (let n = 0; n < senders.length; n++) {
      const sender = senders[(this.#next + n) % senders.length]
      touch(sender.n, SENDER, AccessMode.read)
      if (sender.count > 0) continue
      this.#next = (this.#next + n + 1) % senders.length
      return sender
    }
    return null
  }

  /** What is queued goes, though it is no whole packet. */
  *flush(k: Thread): Proc<void> {
    if (this.#queued > 0) yield* this.#dispatch(k)
  }

  /** 3. */
  *sync(k: Thread): Proc<void> {
    yield* this.flush(k)
    for (const sender of this.#senders) {
      if (k.stepping) yield write(sender.n, SENDER)
      sender.owesSync = true
      sender.thread?.wake(k.nowNs)
    }
    while (this.#oweSyncs) {
      this.#waiter = k
      k.park('the channels of multifd to be synced')
      if (this.#oweSyncs) yield BLOCK
    }
    k.unpark()
  }

  get #oweSyncs(): boolean {
    for (const { n } of this.#senders) touch(n, SENDER, AccessMode.read)
    return this.#senders.some((sender) => sender.owesSync)
  }

  /** Nothing follows by the channels. */
  end(k: Thread): void {
    this.#isOver = true
    for (const sender of this.#senders) {
      touch(sender.n, SENDER, AccessMode.write)
      sender.thread?.wake(k.nowNs)
    }
  }

  /** The thread of channel `n`. */
  *send(k: Thread, n: number): Proc<void> {
    this.#o.process.adopt(k)
    const sender = this.#senders[n]
    sender.thread = k
    for (;;) {
      if (k.stepping) yield write(n, SENDER)
      if (sender.count > 0) {
        yield* this.#sendPacket(k, sender)
        touch(n, SENDER, AccessMode.write)
        sender.count = 0
      } else if (sender.owesSync) {
        // 7.
        yield* sender.link.send(k, StreamMessage.MultifdSync, -1, MULTIFD_PACKET_HEADER_BYTES)
        touch(n, SENDER, AccessMode.write)
        sender.owesSync = false
      } else if (this.#isOver) break
      else {
        k.park('pages for its channel')
        if (sender.count === 0 && !sender.owesSync && !this.#isOver) yield BLOCK
        continue
      }
      this.#waiter?.wake(k.nowNs)
    }
    yield* sender.link.send(k, StreamMessage.End, -1, END_BYTES)
  }

  *#sendPacket(k: Thread, sender: Sender): Proc<void> {
    const { process, ramPage, state, recorder, findsZeros, isZeroCopy } = this.#o
    const content: PageContent = { word0: 0, word1: 0, version: 0 }
    const { pages, words, version, link, count } = sender
    // 4.
    let normal = 0
    for (let i = 0; i < count; i++) {
      yield* process.readPage(k, ramPage + pages[i], content)
      words[i * 2] = content.word0
      words[i * 2 + 1] = content.word1
      version[i] = content.version
      if (findsZeros) k.cpu.nowNs += ZERO_TEST_NS
      if (!this.#goesAsZeros(sender, i)) normal++
      if (k.expired) yield QUANTUM
    }
    // 5.
    const bytes = normal * PAGE_BYTES
    const sent = normal > 0 ? this.#compress(k, sender, bytes) : 0
    // 6.
    let left = sent
    let headerBytes = MULTIFD_PACKET_HEADER_BYTES
    for (let i = 0; i < count; i++) {
      const zeros = this.#goesAsZeros(sender, i)
      const share = zeros ? 0 : normal === 1 ? left : Math.floor(sent / (bytes / PAGE_BYTES))
      if (zeros) state.duplicate++
      else {
        state.normal++
        normal--
        left -= share
        k.cpu.nowNs += isZeroCopy ? PIN_PAGE_NS : (SEND_PAGE_NS * share) / PAGE_BYTES
      }
      const type = zeros ? StreamMessage.Zero : StreamMessage.Page
      yield* link.send(k, type, pages[i], headerBytes + share, words[i * 2], words[i * 2 + 1], version[i])
      recorder.event(k.nowNs, EventKind.Send, k.lane, pages[i], headerBytes + share)
      headerBytes = 0
      sender.left--
      if (k.expired) yield QUANTUM
    }
  }

  #goesAsZeros({ words }: Sender, i: number): boolean {
    return this.#o.findsZeros && words[i * 2] === 0 && words[i * 2 + 1] === 0
  }

  /** Bytes that the pages of the packet take, which are not sent as zeros. */
  #compress(k: Thread, sender: Sender, bytes: number): number {
    const { compression, level, content } = this.#o
    const { compressor, pages, words, version, count } = sender
    if (compressor === null || compression === 'none') return bytes
    let at = 0
    for (let i = 0; i < count; i++) {
      if (this.#goesAsZeros(sender, i)) continue
      pageBytes(this.#plain.subarray(at, at + PAGE_BYTES / 4), content, pages[i], words[i * 2], words[i * 2 + 1], version[i])
      at += PAGE_BYTES / 4
    }
    k.cpu.nowNs += compressNs(compression, level, bytes)
    return compressor(new Uint8Array(this.#plain.buffer, 0, bytes)).length
  }
}
