/**
 * Post-copy goes on after its connection broke. Both sides are paused until there is a new one; then:
 *
 *  1. source: which pages have come? (RECV_BITMAP)
 *  2. destination: a bitmap, one bit a page. A page that is just being placed counts as one that has not come: it comes twice.
 *  3. source: what has not come is dirty again, for which it must have kept it (R70); then it says RESUME.
 *  4. destination: its answer; and every page that is requested and has not come is requested again. The fault thread will not do it: to
 *     it, a requested page is a page that somebody has asked for already; whether the request, or the page, was on its way when the
 *     connection broke, nobody knows (R80). To ask twice is harmless, the source sends what it has not sent.
 *  5. source: postcopy-active again.
 *
 * The guest runs on meanwhile, on the pages that it has; a vCPU that needs another one waits. Who makes the new connection is no part of
 * this (QEMU: a person, by migrate_recover at the destination and migrate -r at the source).
 *
 * Source: QEMU, migration/migration.c and savevm.c.
 * @qemu postcopy_pause, postcopy_do_resume, postcopy_pause_incoming, loadvm_postcopy_handle_resume
 */
import { touch } from '../engine/footprint.ts'
import { AccessMode, BLOCK, type Proc, read } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Link } from '../hw/link.ts'
import type { Message } from '../hw/message_ring.ts'
import type { Process } from '../machine/process.ts'
import { type PageMap, PageMapState } from './page_map.ts'
import { HEADER_BYTES, REQUEST_BYTES, SYNC_BYTES } from './parameters.ts'
import type { RamState } from './ram_save.ts'
import { ReturnMessage, StreamMessage } from './ram_stream.ts'

/** Pages that one message of the bitmap speaks of: its two words. */
const PAGES_PER_BITS = 64
/** Length and end mark of the bitmap. @qemu ramblock_recv_bitmap_send */
const BITMAP_END_BYTES = 2 * HEADER_BYTES

/** 4., once the return path is there again. @qemu migrate_send_rp_req_pages_pending */
export function* resendRequests(k: Thread, process: Process, map: PageMap, returnPath: Link): Proc<void> {
  if (!process.machine.kernel.has('resend-requests')) return
  for (let page = 0; page < map.states.length; page++) {
    if (k.stepping) yield read(page, 'page_map')
    if (map.isRequested(page)) yield* returnPath.send(k, ReturnMessage.RequestPages, page, REQUEST_BYTES)
  }
}

/** 2. @qemu migrate_send_rp_recv_bitmap */
export function* sendReceivedBitmap(k: Thread, map: PageMap, returnPath: Link): Proc<void> {
  const { length } = map.states
  for (let first = 0; first < length; first += PAGES_PER_BITS) {
    const end = Math.min(length, first + PAGES_PER_BITS)
    const words: [number, number] = [0, 0]
    for (let page = first; page < end; page++) {
      if (k.stepping) yield read(page, 'page_map')
      const state = map.state(page)
      const n = page - first
      if (state === PageMapState.received || state === PageMapState.removed) words[n >>> 5] |= 1 << (n & 31)
    }
    yield* returnPath.send(k, ReturnMessage.ReceivedBits, first, PAGES_PER_BITS / 8, words[0], words[1])
  }
  yield* returnPath.send(k, ReturnMessage.ReceivedEnd, -1, BITMAP_END_BYTES)
}

/** The source's part: the migration thread asks and waits, the return path thread hands in what the destination says. */
export class SourceRecovery {
  readonly #ram: RamState
  readonly #stream: Link
  #reloaded = false
  #resumed = false
  #waiter: Thread | null = null

  constructor(ram: RamState, stream: Link) {
    this.#ram = ram
    this.#stream = stream
  }

  /** 1. to 5., by the migration thread on a new connection; false: it broke, too. @qemu postcopy_do_resume */
  *resume(k: Thread): Proc<boolean> {
    const stream = this.#stream
    this.#reloaded = false
    this.#resumed = false
    // 1.
    yield* stream.send(k, StreamMessage.RecvBitmap, -1, SYNC_BYTES)
    yield* this.bitmapReloaded(k)
    // 3.
    yield* stream.send(k, StreamMessage.Resume, -1, SYNC_BYTES)
    // 5.
    while (!this.#resumed && !stream.broken) {
      k.park('the destination to resume')
      if (!this.#resumed && !stream.broken) yield BLOCK
    }
    return !stream.broken
  }

  /** Sleeps until the destination has said what it has received, or the connection broke. @qemu ram_dirty_bitmap_sync_all */
  *bitmapReloaded(k: Thread): Proc<void> {
    touch(0, 'source.reloaded', AccessMode.read)
    this.#waiter = k
    for (;;) {
      k.park('the bitmap of received pages')
      if (k.stepping) yield read(0, 'source.reloaded')
      if (this.#reloaded || this.#stream.broken) break
      yield* k.block()
    }
    k.unpark()
  }

  /** Takes what the destination says on the return path. */
  *heard(k: Thread, { type, page: first, word0, word1 }: Message): Proc<void> {
    switch (type) {
      case ReturnMessage.ReceivedBits: {
        // 3. @qemu ram_dirty_bitmap_reload
        const end = Math.min(this.#ram.dirty.bits.length, first + PAGES_PER_BITS)
        for (let page = first; page < end; page++) yield* this.#ram.reload(k, page, isReceived(page - first, word0, word1))
        return
      }
      case ReturnMessage.ReceivedEnd:
        touch(0, 'source.reloaded', AccessMode.write)
        this.#reloaded = true
        break
      case ReturnMessage.ResumeAck:
        this.#resumed = true
    }
    this.#waiter?.wake(k.nowNs)
  }
}

/** The n-th bit of the two words. */
function isReceived(n: number, word0: number, word1: number): boolean {
  return (((n < 32 ? word0 : word1) >>> (n & 31)) & 1) !== 0
}
