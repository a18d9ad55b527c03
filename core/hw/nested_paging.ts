/**
 * Nested paging: what a walk of a vCPU costs beyond the host's tables, because the guest has page tables of its own.
 *
 * The guest's tables name guest-physical pages, so each of them has to be looked for in the host's tables before it can be read:
 * a walk in two dimensions, of 4 x 5 + 4 = 24 references at most. Of it, this file is the 4 x 5; the last 4 are the host's walk for
 * the page itself, which mmu.ts does as it always does.
 *
 *  1. Start at the lowest guest table that a walk cache knows. Those are combined: they name tables by where the host has them.
 *  2. A guest table that was not known so: the nested TLB knows where its page is, or the host's tables are walked for it,
 *     from the lowest level that the host's walk caches know.
 *  3. Read the guest's entry; go on at 2 one level below, until the guest's leaf: its PTE, PDE (2 MiB) or PDPTE (1 GiB).
 *
 * The guest maps all of its RAM one to one, in pages of one size, present, writable, accessed and dirty: its walks never fault.
 * Its tables lie behind RAM, in guest-physical pages of the host's page size that never move, have no content and are not migrated:
 * a post-copy asks for none of them, where a real one does. What is modelled is references, and caches of them, and time.
 *
 * A TLB entry covers the smaller of the guest's page and the host's: 4 KiB of the guest on 2 MiB of the host make entries of 4 KiB.
 *
 * Source: Intel SDM 3C 30.3 and 30.4.1 (combined mappings); Bhargava et al., Accelerating Two-Dimensional Page Walks (ASPLOS 2008).
 * Pairs with mmu.ts.
 */
import { ENTRIES, type PageTable } from './page_table.ts'
import type { CpuPreset } from './preset.ts'
import { ptePfn } from './pte.ts'
import { LINE_SHIFT, linesOfWindow, TableLines } from './table_lines.ts'
import { Level, WalkCache } from './walk_cache.ts'

export const GUEST_PAGE_SIZES = [4096, 2 ** 21, 2 ** 30] as const
/** Bytes of every page of the guest's own tables. */
export type GuestPageSize = (typeof GUEST_PAGE_SIZES)[number]

export interface NestedShape {
  /** Window page that is guest-physical page 0. */
  readonly ramPage: number
  /** Of the guest's RAM. */
  readonly pages: number
  readonly guestPageBytes: GuestPageSize
  /** The host maps the guest's tables 2 MiB at a time. */
  readonly hostIsHuge: boolean
}

/** Reads one line of a table: counts and takes its time. */
type ReadLine = (line: number) => void

/** Pages that one PDPT entry covers: tables behind RAM begin at such a boundary, so that no walk-cache key is RAM's, too. */
const GIB_PAGES = 1 << 18
/** Of a walk cache: the table is known. Where it is does not matter, since its entries are not looked at. */
const KNOWN = 1
/** Lines of the tables that only this file knows are numbered from here: no line of the host's pool is, and no cache has as many. */
const LINES = 2 ** 27
const LINES_A_TABLE = ENTRIES >>> LINE_SHIFT

export class NestedPaging {
  /** Of the host's tables: takes the place of the MMU's own. */
  readonly hostCache: WalkCache
  /** For both kinds of tables; in place of the MMU's own, too. */
  readonly lines: TableLines
  /** The guest's pages are of 4 KiB: what the host maps as 2 MiB fills entries of 4 KiB. */
  readonly isSmall: boolean
  /** There may be such entries: a flush of 2 MiB has to look for all of them. */
  hasFractured = false
  /** Combined: guest-virtual to where the host has the guest's table. */
  readonly #guestCache: WalkCache
  /** The nested TLB: which pages of guest tables it knows the place of. */
  readonly #tablePages: Level
  readonly #shape: NestedShape
  /** The lowest guest level: 0 PT, 1 PD, 2 PDPT. */
  readonly #leafLevel: number
  /** The first page of the guest's tables: PML4, PDPT, one PD a GiB, one PT each 2 MiB. */
  readonly #firstTable: number
  readonly #firstPd: number
  readonly #firstPt: number
  /** The first line of guest tables; behind them, those of host tables for these: PTEs, PDEs and PDPTEs. */
  readonly #guestLine: number
  readonly #hostLines: readonly [number, number, number]

  constructor(preset: CpuPreset, windowPages: number, shape: NestedShape) {
    this.#shape = shape
    this.#leafLevel = GUEST_PAGE_SIZES.indexOf(shape.guestPageBytes)
    this.isSmall = this.#leafLevel === 0
    this.#firstTable = Math.ceil(windowPages / GIB_PAGES) * GIB_PAGES
    this.#firstPd = this.#firstTable + 2
    this.#firstPt = this.#firstPd + Math.ceil(shape.pages / GIB_PAGES)
    const end = this.#firstPt + Math.ceil(shape.pages / ENTRIES)
    const [pml4, pdpt, pd] = preset.nestedPwcEntries
    this.hostCache = new WalkCache([pml4.value, pdpt.value, pd.value], end)
    const [guestPml4, guestPdpt, guestPd] = preset.pwcEntries
    this.#guestCache = new WalkCache([guestPml4.value, guestPdpt.value, guestPd.value], shape.pages)
    const tables = end - this.#firstTable
    this.#tablePages = new Level(preset.nestedTlbEntries.value, tables)
    // Behind the lines that map the window, so that neither takes the other's place while there is room for both.
    this.#guestLine = LINES + Math.ceil(linesOfWindow(windowPages))
    const ptes = this.#guestLine + tables * LINES_A_TABLE
    const pdes = ptes + (tables >>> LINE_SHIFT) + 1
    const pdptes = pdes + (tables >>> (9 + LINE_SHIFT)) + 1
    this.#hostLines = [ptes, pdes, pdptes]
    this.lines = new TableLines(preset, windowPages, pdptes + 1 - this.#guestLine)
  }

  /** The part of a walk for window page `page` that is the guest's; the host's tables of guest tables included. */
  walkGuest(space: PageTable, page: number, read: ReadLine): void {
    const gfn = page - this.#shape.ramPage
    // 1.
    const start = this.#lowestKnown(gfn)
    for (let level = start; level >= this.#leafLevel; level--) {
      const table = this.#table(level, gfn)
      // 2. The PML4 table is named by CR3, which is guest-physical, too.
      if (level < start || start === 3) {
        this.#findTable(space, table, read)
        this.#remember(level, gfn)
      }
      // 3.
      const index = (gfn >>> (9 * level)) & (ENTRIES - 1)
      read(this.#guestLine + (table - this.#firstTable) * LINES_A_TABLE + (index >>> LINE_SHIFT))
    }
  }

  /** The level of the lowest guest table whose place a walk cache knows; 3, the PML4 table, if none does. */
  #lowestKnown(gfn: number): number {
    const cache = this.#guestCache
    if (this.#leafLevel === 0 && cache.leaf(gfn) !== 0) return 0
    if (this.#leafLevel <= 1 && cache.pmd(gfn) !== 0) return 1
    return cache.pud() !== 0 ? 2 : 3
  }

  #remember(level: number, gfn: number): void {
    if (level === 2) this.#guestCache.fillPud(KNOWN)
    else if (level === 1) this.#guestCache.fillPmd(gfn, KNOWN)
    else if (level === 0) this.#guestCache.fillLeaf(gfn, KNOWN)
  }

  /** The page of the guest table of `level` that a walk for `gfn` reads. */
  #table(level: number, gfn: number): number {
    if (level === 0) return this.#firstPt + (gfn >>> 9)
    if (level === 1) return this.#firstPd + (gfn >>> 18)
    return this.#firstTable + 3 - level
  }

  /** Where the host has a page of the guest's tables. */
  #findTable(space: PageTable, page: number, read: ReadLine): void {
    const known = this.#tablePages
    if (known.nodes[page - this.#firstTable] !== 0) return
    const cache = this.hostCache
    const isLeafKnown = cache.leaf(page) !== 0
    if (!isLeafKnown) {
      if (cache.pmd(page) === 0) this.#findHostPd(space, page, read)
      read(this.#hostLine(1, page))
    }
    if (!this.#shape.hostIsHuge) {
      if (!isLeafKnown) cache.fillLeaf(page, KNOWN)
      read(this.#hostLine(0, page))
    }
    known.fill(page - this.#firstTable, KNOWN)
  }

  #findHostPd(space: PageTable, page: number, read: ReadLine): void {
    const cache = this.hostCache
    if (cache.pud() === 0) {
      const slot = space.pgd * ENTRIES
      read(slot >>> LINE_SHIFT)
      const pud = ptePfn(space.pool.entries[slot])
      // RAM's walks start there as well, and they look at its entries.
      if (pud !== 0) cache.fillPud(pud)
    }
    read(this.#hostLine(2, page))
    cache.fillPmd(page, KNOWN)
  }

  /** Of the host's entry, of level 0, 1 or 2, that a walk for a page of the guest's tables reads. */
  #hostLine(level: 0 | 1 | 2, page: number): number {
    return this.#hostLines[level] + ((page - this.#firstTable) >>> (9 * level + LINE_SHIFT))
  }

  /** Everything but the host's walk caches, which the MMU flushes as its own. */
  flushAll(): void {
    this.hasFractured = false
    this.#guestCache.flushAll()
    this.#tablePages.clear()
  }
}
