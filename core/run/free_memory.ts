/**
 * The guest's free memory, and what keeps it from being sent. Guest RAM is, in this order:
 *
 *     working set | given back: written while booting, free since (the guest's key `freed`) | never touched: zeros
 *
 * - Balloon, before the migration: the guest gives pages of the second part, then of the third, to the hypervisor, which drops
 *   them. They are zeros from then on, and cost a few bytes each on the wire.
 * - Free-page hints, in pre-copy: the guest names its free pages when the first pass begins, and they are not sent at all, until
 *   it writes them again. What they hold is nobody's promise from then on, so nobody compares it. QEMU leaves hints out where
 *   post-copy is possible: a page that nobody sends is one that a fault waits for in vain.
 *
 * A trace does not say what its program's memory was before, so nothing of it counts as free.
 * @qemu virtio_balloon_handle_output, virtio_balloon_free_page_hint_notify
 */
import { spellSize } from '../base/units.ts'
import type { Proc } from '../engine/op.ts'
import type { Shadow } from '../guest/shadow.ts'
import type { Workload } from '../guest/workload.ts'
import type { Thread } from '../hw/cpu.ts'
import type { Process } from '../machine/process.ts'
import { addressOf, MADV_DONTNEED, sys } from '../machine/syscall.ts'
import { check } from '../migration/host_page.ts'
import type { FreePages } from '../migration/ram_save.ts'
import type { MigrateOptions } from './options.ts'

export class FreeMemory {
  /** Its first page; all behind it is free. */
  readonly first: number
  readonly #pages: number
  readonly #shadow: Shadow
  /** Of each free page, what had been written to it when it was hinted; null: no hints. */
  #hinted: Uint32Array | null = null

  constructor(workloads: readonly (Workload | null)[], pages: number, shadow: Shadow) {
    const used = Math.max(...workloads.map((w) => w?.bootPages ?? 0))
    this.first = used === 0 ? pages : used
    this.#pages = pages
    this.#shadow = shadow
  }

  /** Why these options cannot be had, or null. */
  refusal({ balloonBytes, freePageHints, mode }: MigrateOptions): string | null {
    const free = (this.#pages - this.first) * 4096
    if (balloonBytes > free)
      return `the guest has ${spellSize(free)} of free memory, and a balloon of ${spellSize(balloonBytes)} takes more; take that or less, or give the guest a smaller set`
    if (freePageHints && mode !== 'precopy')
      return `free-page hints are left out where post-copy is possible, and mode ${mode} is post-copy; take --mode precopy, or --balloon`
    return null
  }

  /** The balloon takes `bytes`; whole host pages of that are dropped. */
  *inflate(k: Thread, process: Process, ramPage: number, hostPages: number, bytes: number): Proc<void> {
    const first = Math.ceil(this.first / hostPages) * hostPages
    const end = Math.floor((this.first + bytes / 4096) / hostPages) * hostPages
    if (end <= first) return
    const dropped = yield* sys.madvise(k, process, addressOf(ramPage + first), (end - first) * 4096, MADV_DONTNEED)
    check(dropped, 0, 'madvise(MADV_DONTNEED)')
    for (let page = first; page < end; page++) this.#shadow.forget(page)
  }

  /** The guest names its free pages, which hold nothing from now on. */
  hint(): FreePages {
    this.#hinted = this.#shadow.version.slice(this.first)
    return { first: this.first, end: this.#pages }
  }

  /** Nobody promised what this page holds: it was hinted, and not written since. */
  isUndefined(page: number): boolean {
    return this.#hinted !== null && page >= this.first && this.#hinted[page - this.first] === this.#shadow.version[page]
  }
}
