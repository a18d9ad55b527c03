/**
 * Which pages of private memory a process has of its own: anonymous ones and written copies of a file's, in memory or swapped out.
 *
 * By PAGEMAP_SCAN where the kernel has it (6.7), which passes over holes at once; else by reading /proc/PID/pagemap, eight bytes a page.
 * Pages that map the kernel's one zero page are told, so that nobody need read them; without privilege, pagemap alone does not say.
 *
 * Source: Documentation/admin-guide/mm/pagemap.rst
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { KernelError } from '../sys/errors.ts'
import { PAGE_BYTES } from '../sys/mapping.ts'
import { hasPagemapScan, PagemapScanner } from '../sys/pagemap_scan.ts'
import { PAGE_IS } from '../sys/uapi.ts'

const ENTRY_BYTES = 8
const ENTRIES_A_READ = 2 ** 16
/** Of the upper half of an entry: swapped out, above which is only present; and of a file or shared. */
const SWAPPED = 2 ** 30
const OF_FILE = 2 ** 29

export interface PageRun {
  readonly first: number
  readonly pages: number
  /** They are the zero page. */
  readonly isZero: boolean
}

export interface PopulatedPages {
  /** Runs in [first, first + pages), in order; none where the process has ended. */
  runs(first: number, pages: number): Iterable<PageRun>
  close(): void
}

/** Throws a Node error where the process may not be read. */
export function populatedPages(pid: number): PopulatedPages {
  return hasPagemapScan() ? new ByScan(pid) : new ByPagemap(pid)
}

class ByScan implements PopulatedPages {
  readonly #scanner: PagemapScanner

  constructor(pid: number) {
    this.#scanner = new PagemapScanner(pid)
  }

  *runs(first: number, pages: number): Generator<PageRun, void, void> {
    const { present, swapped, file, pfnZero } = PAGE_IS
    // Of `all`, `inverted` must be absent: no page of a file.
    const wanted = { anyOf: present | swapped, all: file, inverted: file, tell: pfnZero }
    try {
      for (const { start, end, categories } of this.#scanner.scan(first * PAGE_BYTES, (first + pages) * PAGE_BYTES, wanted))
        yield { first: start / PAGE_BYTES, pages: (end - start) / PAGE_BYTES, isZero: (categories & pfnZero) !== 0 }
    } catch (error) {
      if (!(error instanceof KernelError && error.code === 'ESRCH')) throw error
    }
  }

  close(): void {
    this.#scanner.close()
  }
}

export class ByPagemap implements PopulatedPages {
  readonly #fd: number
  readonly #entries = new Uint32Array((ENTRIES_A_READ * ENTRY_BYTES) / 4)

  constructor(pid: number) {
    this.#fd = openSync(`/proc/${pid}/pagemap`, 'r')
  }

  *runs(first: number, pages: number): Generator<PageRun, void, void> {
    const end = first + pages
    let start = -1
    for (let page = first; page < end; ) {
      const bytes = Math.min(end - page, ENTRIES_A_READ) * ENTRY_BYTES
      const n = readSync(this.#fd, this.#entries, 0, bytes, page * ENTRY_BYTES) / ENTRY_BYTES
      for (let i = 0; i < n; i++, page++) {
        const flags = this.#entries[i * 2 + 1] ?? 0
        const isOwn = flags >= SWAPPED && (flags & OF_FILE) === 0
        if (isOwn && start < 0) start = page
        if (isOwn || start < 0) continue
        yield { first: start, pages: page - start, isZero: false }
        start = -1
      }
      if (n === 0) break
    }
    if (start >= 0) yield { first: start, pages: end - start, isZero: false }
  }

  close(): void {
    closeSync(this.#fd)
  }
}
