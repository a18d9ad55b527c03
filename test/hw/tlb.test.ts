/**
 * Both TLB levels against slow models that are obviously right: a list in order of use, and a set's ways with a bit each.
 *
 * The models are told the same calls and must cache the same pages with the same frames and permissions after each.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { L1Tlb, L2Tlb, TLB_D, TLB_STORE, TLB_W } from '../../core/hw/tlb.ts'

interface Entry {
  readonly pfn: number
  readonly perm: number
}

/** Fully associative, true LRU: a Map keeps the order of insertion, so the first key is the least recently used. */
class SlowL1 {
  readonly cached = new Map<number, Entry>()
  constructor(readonly entries: number) {}

  touch(page: number): void {
    const entry = this.cached.get(page)
    if (entry !== undefined) this.fill(page, entry.pfn, entry.perm)
  }

  fill(page: number, pfn: number, perm: number): void {
    if (!this.cached.delete(page) && this.cached.size === this.entries) {
      for (const [oldest] of this.cached) {
        this.cached.delete(oldest)
        break
      }
    }
    this.cached.set(page, { pfn, perm })
  }

  flush(page: number): boolean {
    return this.cached.delete(page)
  }

  flushAll(): void {
    this.cached.clear()
  }
}

interface Way {
  page: number
  entry: Entry
  used: boolean
}

/** Set associative, bit-PLRU: the victim is the first way whose bit is clear; when all are set, all others are cleared. */
class SlowL2 {
  readonly sets: Way[][]
  constructor(entries: number, ways: number) {
    const way = (): Way => ({ page: -1, entry: { pfn: 0, perm: 0 }, used: false })
    this.sets = Array.from({ length: entries / ways }, () => Array.from({ length: ways }, way))
  }

  get cached(): Map<number, Entry> {
    return new Map(this.sets.flat().flatMap((way): [number, Entry][] => (way.page < 0 ? [] : [[way.page, way.entry]])))
  }

  touch(page: number): void {
    const way = this.#find(page)
    if (way !== undefined) this.#use(this.#set(page), way)
  }

  fill(page: number, pfn: number, perm: number): void {
    const set = this.#set(page)
    const way = this.#find(page) ?? set.find((w) => w.page < 0) ?? set.find((w) => !w.used)
    if (way === undefined) throw new Error('all ways used')
    way.page = page
    way.entry = { pfn, perm }
    this.#use(set, way)
  }

  flush(page: number): boolean {
    const way = this.#find(page)
    if (way === undefined) return false
    way.page = -1
    way.used = false
    return true
  }

  flushAll(): void {
    for (const way of this.sets.flat()) {
      way.page = -1
      way.used = false
    }
  }

  #use(set: Way[], way: Way): void {
    way.used = true
    if (set.every((w) => w.used)) for (const w of set) w.used = w === way
  }

  #set(page: number): Way[] {
    return this.sets[page % this.sets.length] ?? []
  }

  #find(page: number): Way | undefined {
    return this.#set(page).find((w) => w.page === page)
  }
}

const WINDOW = 64

interface Call {
  readonly what: 'access' | 'refill' | 'flush' | 'flushAll'
  readonly page: number
  readonly pfn: number
  readonly perm: number
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
      pfn: fc.nat(1000),
      perm: fc.constantFrom(0, TLB_W, TLB_STORE),
    }),
    { maxLength: 120 },
  )

function contents(tlb: L1Tlb | L2Tlb): Map<number, Entry> {
  const cached = new Map<number, Entry>()
  for (let page = 0; page < WINDOW; page++) {
    const slot = tlb.where[page] ?? 0
    if (slot === 0) continue
    expect(tlb.page[slot], `slot ${slot} names its page`).toBe(page)
    cached.set(page, { pfn: tlb.pfn[slot] ?? -1, perm: tlb.perm[slot] ?? -1 })
  }
  return cached
}

/** What the MMU does: touch on a hit, fill on a miss; `refill` is a fill of what may be there already. */
function agree(fast: L1Tlb | L2Tlb, slow: SlowL1 | SlowL2, told: readonly Call[]): void {
  for (const { what, page, pfn, perm } of told) {
    const slot = fast.where[page] ?? 0
    expect(slot !== 0).toBe(slow.cached.has(page))
    if (what === 'flushAll') {
      fast.flushAll()
      slow.flushAll()
    } else if (what === 'flush') expect(fast.flush(page)).toBe(slow.flush(page))
    else if (what === 'access' && slot !== 0) {
      fast.touch(slot)
      slow.touch(page)
    } else {
      fast.fill(page, pfn, perm)
      slow.fill(page, pfn, perm)
    }
    expect(contents(fast)).toEqual(new Map(slow.cached))
  }
}

describe('L1', () => {
  it('is true LRU: it caches what a list in order of use would', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), calls(10), (entries, told) => {
        agree(new L1Tlb(entries, WINDOW, WINDOW), new SlowL1(entries), told)
      }),
      { numRuns: 150 },
    )
  })

  it('of 96 entries holds 96 pages, and a cyclic walk of 97 never hits', () => {
    const tlb = new L1Tlb(96, 128, 128)
    const misses = (pages: number) => {
      let n = 0
      for (let i = 0; i < pages; i++) {
        const slot = tlb.where[i] ?? 0
        if (slot !== 0) tlb.touch(slot)
        else {
          tlb.fill(i, i, 0)
          n++
        }
      }
      return n
    }
    expect([misses(96), misses(96), misses(97), misses(97), misses(97)]).toEqual([96, 0, 1, 97, 97])
  })

  it('uses the place of a flushed entry before it evicts another', () => {
    const tlb = new L1Tlb(4, WINDOW, WINDOW)
    for (const page of [1, 2, 3, 4]) tlb.fill(page, page, 0)
    // most recent  4 3 2 1  least; flush 3, fill 5: 4 5 2 1 stay
    tlb.flush(3)
    tlb.fill(5, 5, 0)
    expect([...contents(tlb).keys()]).toEqual([1, 2, 4, 5])
  })

  it('refuses a size its index cannot hold', () => {
    expect(() => new L1Tlb(0, 1, 1)).toThrow('1 to 255')
    expect(() => new L1Tlb(256, 1, 1)).toThrow('1 to 255')
    expect(new L1Tlb(255, 1, 1).entries).toBe(255)
  })
})

describe('L2', () => {
  it('is bit-PLRU a set: it caches what ways with a bit each would', () => {
    fc.assert(
      fc.property(fc.constantFrom([4, 4], [8, 4], [16, 4], [8, 2], [16, 8]), calls(40), ([entries = 4, ways = 4], told) => {
        agree(new L2Tlb(entries, ways, WINDOW), new SlowL2(entries, ways), told)
      }),
      { numRuns: 150 },
    )
  })

  it('keeps pages of different sets apart', () => {
    const tlb = new L2Tlb(16, 4, WINDOW)
    // 4 sets: pages 0, 4, 8, ... compete, page 1 does not.
    tlb.fill(1, 77, TLB_D)
    for (let page = 0; page < 60; page += 4) tlb.fill(page, page, 0)
    expect(contents(tlb).get(1)).toEqual({ pfn: 77, perm: TLB_D })
    expect(contents(tlb).size).toBe(5)
  })

  it('uses the place of a flushed entry before it evicts another', () => {
    const tlb = new L2Tlb(4, 4, WINDOW)
    // ways  0 1 2 3   bits  ...x  after the fourth fill: all but the newest are cleared
    for (const page of [1, 2, 3, 4]) tlb.fill(page, page, 0)
    tlb.flush(3)
    tlb.fill(5, 5, 0)
    expect([...contents(tlb).keys()]).toEqual([1, 2, 4, 5])
  })

  it('refuses sets that are no power of two', () => {
    expect(() => new L2Tlb(12, 4, 1)).toThrow('L2 TLB of 12 entries, 4 ways')
  })
})
