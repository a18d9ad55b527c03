/**
 * Both TLB levels against slow models that are obviously right: a list in order of use, and a set's ways with a bit each.
 *
 * The models are told the same calls and must cache the same pages with the same frames and permissions after each.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryPfn, TLB_D, TLB_STORE, TLB_W, Tlb, type TlbEntry, type TlbGeometry, tlbEntry } from '../../core/hw/tlb.ts'

/** A set with true LRU: a Map keeps the order of insertion, so the first key is the least recently used. */
class SlowLru {
  readonly cached = new Map<number, TlbEntry>()
  constructor(readonly ways: number) {}

  touch(page: number): void {
    const entry = this.cached.get(page)
    if (entry !== undefined) this.fill(page, entry)
  }

  fill(page: number, entry: TlbEntry): void {
    if (!this.cached.delete(page) && this.cached.size === this.ways) {
      for (const [oldest] of this.cached) {
        this.cached.delete(oldest)
        break
      }
    }
    this.cached.set(page, entry)
  }
}

interface Way {
  page: number
  entry: TlbEntry
  used: boolean
}

/** A set with bit-PLRU: the victim is the first way whose bit is clear; when all are set, all others are cleared. */
class SlowPlru {
  readonly ways: Way[]
  constructor(ways: number) {
    this.ways = Array.from({ length: ways }, () => ({ page: -1, entry: 0, used: false }))
  }

  find(page: number): Way | undefined {
    return this.ways.find((w) => w.page === page)
  }

  use(way: Way): void {
    way.used = true
    if (this.ways.every((w) => w.used)) for (const w of this.ways) w.used = w === way
  }

  fill(page: number, entry: TlbEntry): void {
    const way = this.find(page) ?? this.ways.find((w) => w.page < 0) ?? this.ways.find((w) => !w.used)
    if (way === undefined) throw new Error('all ways used')
    way.page = page
    way.entry = entry
    this.use(way)
  }

  drop(page: number): void {
    const way = this.find(page)
    if (way === undefined) return
    way.page = -1
    way.used = false
  }
}

/** Both levels. A hit in L2 copies its entry into L1; a fill is of both. */
class SlowTlb {
  readonly l1: SlowLru[]
  readonly l2: SlowPlru[]
  constructor(g: TlbGeometry) {
    this.l1 = Array.from({ length: g.l1Entries / g.l1Ways }, () => new SlowLru(g.l1Ways))
    this.l2 = Array.from({ length: g.l2Entries / g.l2Ways }, () => new SlowPlru(g.l2Ways))
  }

  #l1Of(page: number): SlowLru {
    return this.l1[page % this.l1.length] ?? new SlowLru(0)
  }

  #l2Of(page: number): SlowPlru {
    return this.l2[page % this.l2.length] ?? new SlowPlru(0)
  }

  /** Which level answers an access that needs these permissions; 0: neither. */
  access(page: number, needed: number): 0 | 1 | 2 {
    const l1 = this.#l1Of(page)
    const first = l1.cached.get(page)
    if (first !== undefined && (first & needed) === needed) {
      l1.touch(page)
      return 1
    }
    const l2 = this.#l2Of(page)
    const way = l2.find(page)
    if (way === undefined || (way.entry & needed) !== needed) return 0
    l2.use(way)
    l1.fill(page, way.entry)
    return 2
  }

  fill(page: number, entry: TlbEntry): void {
    this.#l1Of(page).fill(page, entry)
    this.#l2Of(page).fill(page, entry)
  }

  flush(page: number): void {
    this.#l1Of(page).cached.delete(page)
    this.#l2Of(page).drop(page)
  }

  contents(): string[] {
    const l1 = this.l1.flatMap((set) => [...set.cached].map(([page, entry]) => `1 ${page} ${entry}`))
    const l2 = this.l2.flatMap(({ ways }) => ways.filter((w) => w.page >= 0).map((w) => `2 ${w.page} ${w.entry}`))
    return [...l1, ...l2].sort()
  }
}

const WINDOW = 64
const SMALL: TlbGeometry = { l1Entries: 4, l1Ways: 4, l1HugeEntries: 0, l1HugeWays: 0, l2Entries: 16, l2Ways: 4 }

interface Call {
  readonly what: 'access' | 'refill' | 'flush' | 'flushAll'
  readonly page: number
  readonly entry: TlbEntry
}

const calls = (pages: number) =>
  fc.array(
    fc.record({
      what: fc.oneof(
        { weight: 20, arbitrary: fc.constant<Call['what']>('access') },
        { weight: 3, arbitrary: fc.constantFrom<Call['what']>('refill', 'flush') },
        { weight: 1, arbitrary: fc.constant<Call['what']>('flushAll') },
      ),
      page: fc.nat(pages - 1),
      entry: fc.tuple(fc.nat(1000), fc.constantFrom(0, TLB_W, TLB_STORE)).map(([pfn, perm]) => tlbEntry(pfn, perm)),
    }),
    { maxLength: 120 },
  )

function contents(tlb: Tlb): string[] {
  const seen: string[] = []
  tlb.entries((unit, entry, level) => seen.push(`${level} ${unit} ${entry}`))
  for (let unit = 0; unit < WINDOW; unit++) {
    const isCached = seen.some((row) => row.split(' ')[1] === String(unit))
    expect((tlb.where[unit] ?? 0) !== 0, `the index of page ${unit}`).toBe(isCached)
  }
  return seen.sort()
}

/** Which level has the page, with the permissions; as the MMU asks. */
function access(tlb: Tlb, page: number, needed: number): 0 | 1 | 2 {
  const slots = tlb.where[page] ?? 0
  if (tlb.hitL1(page, slots, needed) >= 0) return 1
  return tlb.hitL2(page, slots, needed) >= 0 ? 2 : 0
}

/** What the MMU does: an access, and a fill where no level had what was needed; `refill` is a fill of what may be there. */
function agree(fast: Tlb, slow: SlowTlb, told: readonly Call[]): void {
  for (const { what, page, entry } of told) {
    const needed = entry & TLB_STORE
    if (what === 'flushAll') {
      fast.flushAll()
      for (let p = 0; p < WINDOW; p++) slow.flush(p)
    } else if (what === 'flush') {
      fast.flush(page)
      slow.flush(page)
    } else {
      const level = what === 'access' ? access(fast, page, needed) : 0
      if (what === 'access') expect(level).toBe(slow.access(page, needed))
      if (level === 0) {
        fast.fill(page, fast.where[page] ?? 0, entry)
        slow.fill(page, entry)
      }
    }
    expect(contents(fast)).toEqual(slow.contents())
  }
}

/** Pages in L1. */
function inL1(tlb: Tlb): number[] {
  const pages: number[] = []
  tlb.entries((unit, _entry, level) => {
    if (level === 1) pages.push(unit)
  })
  return pages.sort((a, b) => a - b)
}

/** Accesses a page for reading; true if L1 had it. */
function load(tlb: Tlb, page: number): boolean {
  const level = access(tlb, page, 0)
  if (level === 0) tlb.fill(page, tlb.where[page] ?? 0, tlbEntry(page, 0))
  return level === 1
}

describe('the TLB', () => {
  it.each([
    { ...SMALL },
    { ...SMALL, l1Ways: 2 },
    { ...SMALL, l1Ways: 1, l2Entries: 8, l2Ways: 2 },
    { ...SMALL, l1Entries: 6, l1Ways: 3, l2Ways: 16 },
    { ...SMALL, l1Entries: 1, l1Ways: 1, l2Entries: 4, l2Ways: 4 },
  ])('caches what slow sets do: L1 $l1Entries entries of $l1Ways ways, L2 $l2Entries of $l2Ways', (geometry) => {
    fc.assert(
      fc.property(calls(20), (told) => agree(new Tlb(geometry, WINDOW), new SlowTlb(geometry), told)),
      { numRuns: 60 },
    )
  })

  it('a fully associative L1 of 96 entries holds 96 pages, and a cyclic walk of 97 never hits', () => {
    const tlb = new Tlb({ ...SMALL, l1Entries: 96, l1Ways: 96, l2Entries: 256 }, 128)
    const misses = (pages: number) => {
      let n = 0
      for (let page = 0; page < pages; page++) if (!load(tlb, page)) n++
      return n
    }
    expect([misses(96), misses(96), misses(97), misses(97), misses(97)]).toEqual([96, 0, 1, 97, 97])
  })

  it('pages of one L1 set compete for its ways, pages of another do not', () => {
    const tlb = new Tlb({ ...SMALL, l1Entries: 8, l1Ways: 4 }, WINDOW)
    load(tlb, 1)
    for (let page = 0; page < 20; page += 2) load(tlb, page)
    expect(inL1(tlb)).toEqual([1, 12, 14, 16, 18])
  })

  it('entries of their own for 2 MiB are not taken by pages', () => {
    const tlb = new Tlb({ ...SMALL, l1HugeEntries: 2, l1HugeWays: 2, l2Entries: 64 }, WINDOW)
    load(tlb, tlb.hugeBase)
    for (let page = 0; page < 30; page++) load(tlb, page)
    expect(inL1(tlb)).toEqual([26, 27, 28, 29, tlb.hugeBase])
    expect([tlb.firstPage(tlb.hugeBase), tlb.isHuge(tlb.hugeBase), tlb.isHuge(29)]).toEqual([0, true, false])
  })

  it('uses the place of a flushed entry before it evicts another', () => {
    const tlb = new Tlb(SMALL, WINDOW)
    for (const page of [1, 2, 3, 4]) load(tlb, page)
    // most recent  4 3 2 1  least; flush 3, fill 5: 4 5 2 1 stay
    expect([tlb.flush(3), tlb.flush(3)]).toEqual([true, false])
    load(tlb, 5)
    expect(inL1(tlb)).toEqual([1, 2, 4, 5])
  })

  it('keeps pages of different L2 sets apart', () => {
    const tlb = new Tlb(SMALL, WINDOW)
    // 4 sets: pages 0, 4, 8, ... compete, page 1 does not.
    tlb.fill(1, 0, tlbEntry(77, TLB_D))
    for (let page = 0; page < 60; page += 4) load(tlb, page)
    const l2: string[] = contents(tlb).filter((row) => row.startsWith('2 '))
    expect(l2).toContain(`2 1 ${tlbEntry(77, TLB_D)}`)
    expect(l2).toHaveLength(5)
    expect(entryPfn(tlbEntry(77, TLB_D))).toBe(77)
  })

  it('refuses a size that its index cannot hold, and sets that are no power of two', () => {
    expect(() => new Tlb({ ...SMALL, l1Entries: 256, l1Ways: 256 }, 1)).toThrow('256 entries: 1 to 255')
    expect(() => new Tlb({ ...SMALL, l1Entries: 0, l1Ways: 4 }, 1)).toThrow('L1 TLB of 0 entries')
    expect(() => new Tlb({ ...SMALL, l2Entries: 12 }, 1)).toThrow('L2 TLB of 12 entries, 4 ways')
    expect(() => new Tlb({ ...SMALL, l2Entries: 65_536, l2Ways: 16 }, 1)).toThrow('at most 32768 and 31')
  })
})
