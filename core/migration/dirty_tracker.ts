/**
 * How user code learns from the kernel which pages of guest RAM were written: what the dirty bitmap asks (dirty_bitmap.ts).
 *
 * BitmapTracker: the kernel's log by write protection. Marks stay in it until they are cleared, chunk by chunk, before pages are read.
 * Pairs with dirty_rings.ts, the other way. @qemu kvm_log_sync, kvm_log_clear
 */
import type { Bitmap } from '../base/bitmap.ts'
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Process } from '../machine/process.ts'
import { addressOf, sys } from '../machine/syscall.ts'
import { check } from './host_page.ts'

export interface DirtyTracker {
  /** What a sync names stays writable until it is cleared; else it is protected when the sync is over. */
  readonly owesClears: boolean
  start(k: Thread): Proc<void>
  /** Sets the bits of the pages written, of those that it was not yet asked for or that are not cleared. @qemu memory_global_dirty_log_sync */
  sync(k: Thread, out: Bitmap): Proc<void>
  /** Of `pages` pages from `first` on, those whose bit is set: written pages are named again from here on. */
  clear(k: Thread, first: number, pages: number, which: Bitmap): Proc<void>
  /** Stores are logged no longer. @qemu memory_global_dirty_log_stop */
  stop(k: Thread): Proc<void>
}

export class BitmapTracker implements DirtyTracker {
  readonly owesClears = true
  readonly #process: Process
  readonly #address: number
  readonly #length: number

  constructor(process: Process, ramPage: number, pages: number) {
    this.#process = process
    this.#address = addressOf(ramPage)
    this.#length = pages * 4096
  }

  /** Every page is marked, and stays writable until it is cleared. */
  *start(k: Thread): Proc<void> {
    check(yield* sys.dirtyLogStart(k, this.#process, this.#address, this.#length, true), 0, 'starting the dirty log')
  }

  *sync(k: Thread, out: Bitmap): Proc<void> {
    check(yield* sys.dirtyLogGet(k, this.#process, this.#address, this.#length, out), 0, 'reading the dirty log')
  }

  *clear(k: Thread, first: number, pages: number, which: Bitmap): Proc<void> {
    const start = this.#address + first * 4096
    check(yield* sys.dirtyLogClear(k, this.#process, start, pages * 4096, which, this.#address), 0, 'clearing the dirty log')
  }

  stop(k: Thread): Proc<void> {
    return sys.dirtyLogStop(k, this.#process)
  }
}
