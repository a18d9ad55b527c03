/**
 * Which pages of guest RAM the destination does not have in their newest version: the source's bitmap.
 *
 *  sync: the kernel's dirty log is read; each page it names gets its bit, and is owed a clear in the log.
 *  clear, before a page is sent:  1. if a clear is owed: the marks of all pages of its chunk that are owed one go, they are
 *  write-protected, all TLBs are flushed (mm/dirty_log.ts).  2. test and clear the bit.  3. only then the caller may read the page.
 *
 * A store after 1 faults and is marked again; one before 1 is in what is read in 3. Clearing the log earlier is no problem,
 * clearing it after the page was read is: a store in between is in neither (R63). After the vCPUs have stopped and a last
 * sync, the bitmap names every page that differs.
 *
 * Chunks are large, since a clear costs a system call and a shootdown. A mark that came after the last sync is not owed, and stays.
 * With dirty rings a sync protects what it names, and no clear is owed (dirty_rings.ts). Memory that is not logged (a pure post-copy:
 * its vCPUs are stopped) has bits and owes nothing.
 * @qemu RAMBlock.bmap, RAMBlock.clear_bmap, CLEAR_BITMAP_SHIFT_DEFAULT, migration_bitmap_sync, migration_bitmap_clear_dirty
 */
import { Bitmap } from '../base/bitmap.ts'
import { touch } from '../engine/footprint.ts'
import { AccessMode, type Proc, write } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { DirtyTracker } from './dirty_tracker.ts'

/** The bitmap as a whole: how many bits are set, and which is next. */
const PENDING = 'ram.bmap.pending'
/** 1 GiB. @qemu CLEAR_BITMAP_SHIFT_DEFAULT */
const CHUNK_PAGES = 2 ** 18
/** To look at 64 bits of a sync. Ours. */
const SYNC_WORD_NS = 2

export class DirtyBitmap {
  readonly bits: Bitmap
  /** Pages whose mark in the kernel's log was read and not yet cleared. @qemu clear_bmap */
  readonly #owed: Bitmap
  /** Which chunks have such pages. */
  readonly #owing: Bitmap
  /** What the last sync read. */
  readonly #logged: Bitmap
  readonly #tracker: DirtyTracker

  constructor(pages: number, tracker: DirtyTracker) {
    this.bits = new Bitmap(pages)
    this.#owed = new Bitmap(pages)
    this.#owing = new Bitmap(Math.ceil(pages / CHUNK_PAGES))
    this.#logged = new Bitmap(pages)
    this.#tracker = tracker
  }

  /** Starts the log; every page is dirty, since none was sent. @qemu ram_init_bitmaps */
  *start(k: Thread): Proc<void> {
    this.bits.fill()
    if (this.#tracker.owesClears) {
      this.#owed.fill()
      this.#owing.fill()
    }
    yield* this.#tracker.start(k)
  }

  /** Ends it. */
  stop(k: Thread): Proc<void> {
    return this.#tracker.stop(k)
  }

  /** Adds what was written since; how many pages became dirty. @qemu migration_bitmap_sync */
  *sync(k: Thread): Proc<number> {
    const logged = this.#logged
    const { owesClears } = this.#tracker
    logged.empty()
    yield* this.#tracker.sync(k, logged)
    k.cpu.nowNs += (this.bits.length / 64) * SYNC_WORD_NS
    let added = 0
    for (let page = logged.nextSet(0); page >= 0; page = logged.nextSet(page + 1)) {
      if (k.stepping) yield write(page, 'ram.bmap')
      if (owesClears) {
        this.#owed.set(page)
        this.#owing.set(Math.floor(page / CHUNK_PAGES))
      }
      if (this.mark(page)) added++
    }
    return added
  }

  /** Clearing the page's bit has to clear marks in the kernel's log first. */
  owes(page: number): boolean {
    return this.#owing.has(Math.floor(page / CHUNK_PAGES))
  }

  /** How many pages behind `page` are dirty without a gap and in its chunk, so that they owe nothing once it has been cleared; at most `most`. */
  runBehind(page: number, most: number): number {
    touch(0, PENDING, AccessMode.read)
    return this.bits.run(page + 1, Math.min(most, CHUNK_PAGES - 1 - (page % CHUNK_PAGES)))
  }

  /** Clock gear: 2. at once, where 1. has nothing to do; false: ask `clear`. */
  clearUnowed(k: Thread, page: number): boolean {
    return !k.stepping && !this.owes(page) && this.bits.clear(page)
  }

  /** 1. and 2.: true if the page was dirty and is the caller's to send. @qemu migration_bitmap_clear_dirty */
  *clear(k: Thread, page: number): Proc<boolean> {
    if (k.stepping) yield write(page, 'ram.bmap')
    const chunk = Math.floor(page / CHUNK_PAGES)
    if (this.#owing.clear(chunk)) {
      yield* this.#clearLog(k, chunk * CHUNK_PAGES)
      if (k.stepping) yield write(page, 'ram.bmap')
    }
    touch(0, PENDING, AccessMode.write)
    return this.bits.clear(page)
  }

  /** 1. of the chunk that begins at `first`. @qemu migration_clear_memory_region_dirty_bitmap */
  *#clearLog(k: Thread, first: number): Proc<void> {
    const pages = Math.min(CHUNK_PAGES, this.bits.length - first)
    yield* this.#tracker.clear(k, first, pages, this.#owed)
    this.#owed.clearRange(first, first + pages)
  }

  /** The page is dirty, and the caller has announced it; true if it was not. */
  mark(page: number): boolean {
    touch(0, PENDING, AccessMode.write)
    return this.bits.set(page)
  }

  /** Dirty pages. */
  get count(): number {
    touch(0, PENDING, AccessMode.read)
    return this.bits.count
  }
}
