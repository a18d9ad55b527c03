/**
 * PAGEMAP_SCAN: which pages of a process are present, zero or were written, found and write-protected again in one walk.
 *
 * With write protection that the kernel takes away by itself (userfaultfd, WP_ASYNC), a scan with `protect` is one step of pre-copy's
 * dirty log: get and clear. Ranges of any size take as many calls as they need.
 *
 * Source: Documentation/admin-guide/mm/pagemap.rst; man 2 ioctl_pagemap_scan
 */
import { openSync } from 'node:fs'
import { Arena } from './arena.ts'
import { checked, libc } from './libc.ts'
import { PAGE_IS, PAGEMAP_SCAN, PageRegion, PM_SCAN, PmScanArg } from './uapi.ts'

const REGIONS_A_CALL = 2048

export interface PageRange {
  readonly start: number
  readonly end: number
  /** PAGE_IS bits that were asked for. */
  readonly categories: number
}

export interface ScanOptions {
  /** Pages in all of these categories (PAGE_IS). */
  readonly all?: number
  /** Pages in at least one of these. */
  readonly anyOf?: number
  /** Bits of `all` that must be absent instead. */
  readonly inverted?: number
  /** What is told of each range. */
  readonly tell: number
  /** Write-protect what matches; the range must be registered with WP_ASYNC. */
  readonly protect?: boolean
}

/**
 * Pages that hold something: not those where nothing is, nor the kernel's zero page. What was swapped out, or is being moved just now, is not
 * present and yet holds something; markers of write protection cannot be told from it, and are found as well.
 */
export const HOLDS_SOMETHING: ScanOptions = {
  all: PAGE_IS.pfnZero,
  inverted: PAGE_IS.pfnZero,
  anyOf: PAGE_IS.present | PAGE_IS.swapped,
  tell: PAGE_IS.present | PAGE_IS.swapped,
}

export class PagemapScanner {
  readonly #arena = new Arena(REGIONS_A_CALL * PageRegion.size + 8192)
  readonly #argument = this.#arena.place(PmScanArg)
  readonly #regions = this.#arena.array(PageRegion, REGIONS_A_CALL)
  readonly fd: number

  /** `pid`: whose memory; 'self' is this process. Throws a Node error where it may not be read. */
  constructor(pid: number | 'self' = 'self') {
    this.fd = openSync(`/proc/${pid}/pagemap`, 'r')
  }

  /** Ranges in [start, end) that match, in order. Throws KernelError. */
  *scan(start: number, end: number, options: ScanOptions): Generator<PageRange, void, void> {
    for (let from = start; from < end; ) {
      const found = this.#ask(from, end, options)
      const walkedTo = this.#argument.get('walk_end')
      for (const region of this.#regions.places.slice(0, found)) {
        yield { start: region.get('start'), end: region.get('end'), categories: region.get('categories') }
      }
      if (walkedTo <= from) return
      from = walkedTo
    }
  }

  /** The same without an object a range, for who looks often. */
  each(start: number, end: number, options: ScanOptions, visit: (start: number, end: number) => void): void {
    const { places } = this.#regions
    for (let from = start; from < end; ) {
      const found = this.#ask(from, end, options)
      const walkedTo = this.#argument.get('walk_end')
      for (let i = 0; i < found; i++) {
        const region = places[i]
        if (region !== undefined) visit(region.get('start'), region.get('end'))
      }
      if (walkedTo <= from) return
      from = walkedTo
    }
  }

  /** How many regions were found; up to where is in the argument. */
  #ask(start: number, end: number, options: ScanOptions): number {
    const argument = this.#argument
    argument.clear()
    argument.set('size', PmScanArg.size)
    argument.set('flags', options.protect === true ? PM_SCAN.wpMatching | PM_SCAN.checkWpAsync : 0)
    argument.set('start', start)
    argument.set('end', end)
    argument.set('vec', this.#regions.address)
    argument.set('vec_len', REGIONS_A_CALL)
    argument.set('category_inverted', options.inverted ?? 0)
    argument.set('category_mask', options.all ?? 0)
    argument.set('category_anyof_mask', options.anyOf ?? 0)
    argument.set('return_mask', options.tell)
    return checked(libc().ioctl(this.fd, PAGEMAP_SCAN, argument.address), 'PAGEMAP_SCAN')
  }

  close(): void {
    libc().close(this.fd)
    this.#arena.free()
  }
}

/** Whether this kernel has the call. */
export function hasPagemapScan(): boolean {
  try {
    const scanner = new PagemapScanner()
    try {
      for (const _ of scanner.scan(0, 4096, { anyOf: PAGE_IS.present, tell: PAGE_IS.present })) break
      return true
    } finally {
      scanner.close()
    }
  } catch {
    return false
  }
}
