/**
 * Host pages: the pages that back guest RAM, 4 KiB or 2 MiB, and what a migration does by whole host pages.
 *
 * The stream carries target pages of 4 KiB. Where host pages are larger:
 *  - the source sends all target pages of a host page in order, without a break; a request names the host page;
 *  - the destination gathers them in a temporary host page (HostPage), and places it when it is complete, never a part.
 *
 * mapHostPages maps RAM or a temporary page so that it can be huge, as QEMU does: more than is needed, then the aligned part.
 *  - thp: anonymous memory with MADV_HUGEPAGE, for remap_anon_pages and UFFDIO_MOVE, which move anonymous pages only.
 *  - hugetlb: memory of the hugetlb pool, for UFFDIO_COPY, which places 2 MiB at once only there. A source that logs stores has thp
 *    in its place: KVM logs by tables of its own, small ones, whatever backs the memory; here there is one table, which must be split.
 *
 * @qemu qemu_ram_mmap, ram_save_host_page, ram_load_postcopy, postcopy_place_page
 */
import type { Proc } from '../engine/op.ts'
import type { Thread } from '../hw/cpu.ts'
import { HUGE_PAGES } from '../hw/pte.ts'
import type { PageContent, Process } from '../machine/process.ts'
import {
  addressOf,
  errnoName,
  MADV_HUGEPAGE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_HUGETLB,
  MAP_PRIVATE,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
  pageOfAddress,
  sys,
} from '../machine/syscall.ts'

/** The kernel refused to map or to place a page, or the stream is wrong: the migration cannot go on. */
export class PlaceError extends Error {
  override readonly name = 'PlaceError'
}

export function check(result: number, expected: number, what: string): void {
  if (result !== expected) throw new PlaceError(`${what} answered ${errnoName(result)} instead of ${expected}`)
}

/** What guest RAM is made of. */
export type Backing = 'small' | 'thp' | 'hugetlb'

/** Target pages in a host page. */
export function targetPages(backing: Backing): number {
  return backing === 'small' ? 1 : HUGE_PAGES
}

/** Maps `pages` target pages of that kind, at a multiple of the host page; the first page. */
export function* mapHostPages(k: Thread, process: Process, pages: number, backing: Backing): Proc<number> {
  const anonymous = MAP_PRIVATE | MAP_ANONYMOUS
  const rw = PROT_READ | PROT_WRITE
  const length = pages * 4096
  if (backing !== 'thp') {
    const flags = backing === 'hugetlb' ? anonymous | MAP_HUGETLB : anonymous
    return mapped(yield* sys.mmap(k, process, length, rw, flags))
  }
  const reserved = mapped(yield* sys.mmap(k, process, length + (HUGE_PAGES - 1) * 4096, PROT_NONE))
  const first = Math.ceil(reserved / HUGE_PAGES) * HUGE_PAGES
  mapped(yield* sys.mmap(k, process, length, rw, anonymous | MAP_FIXED, addressOf(first)))
  const before = first - reserved
  const behind = HUGE_PAGES - 1 - before
  if (before > 0) check(yield* sys.munmap(k, process, addressOf(reserved), before * 4096), 0, 'munmap')
  if (behind > 0) check(yield* sys.munmap(k, process, addressOf(first + pages), behind * 4096), 0, 'munmap')
  check(yield* sys.madvise(k, process, addressOf(first), length, MADV_HUGEPAGE), 0, 'madvise(MADV_HUGEPAGE)')
  return first
}

function mapped(address: number): number {
  if (address < 0) throw new PlaceError(`mmap answered ${errnoName(address)}`)
  return pageOfAddress(address)
}

/** The host page that is being received. Numbers are guest pages, of which the first of each host page is a multiple. */
export class HostPage {
  /** Which target pages of the complete host page came as zeros. */
  readonly zero: Uint8Array
  #received = 0
  #first = -1

  constructor(
    readonly pages: number,
    /** Writes a target page's content, or zeros, into the temporary host page. */
    readonly fill: (k: Thread, offset: number, content: PageContent | null) => Proc<void>,
  ) {
    this.zero = new Uint8Array(pages)
  }

  /** What has come of a host page is forgotten. */
  startOver(): void {
    this.#received = 0
  }

  /** Takes the next target page; answers the first page of the host page if that is complete, else -1. */
  *add(k: Thread, page: number, content: PageContent | null): Proc<number> {
    if (this.#received === 0) this.#first = page - (page % this.pages)
    const expected = this.#first + this.#received
    if (page !== expected)
      throw new PlaceError(`target page ${page} came where page ${expected} of the same host page was expected`)
    this.zero[this.#received++] = content === null ? 1 : 0
    yield* this.fill(k, page - this.#first, content)
    if (this.#received < this.pages) return -1
    this.#received = 0
    return this.#first
  }
}
