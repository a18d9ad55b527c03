/**
 * The MMU: what hardware writes into page tables, what it caches, what it charges, and what stays stale without a flush.
 *
 * Pages 0 to 3 are the usual ones; the CPU is SMALL (threads.ts), whose L1 holds 4 entries.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Clock } from '../../core/engine/task.ts'
import { Mmu } from '../../core/hw/mmu.ts'
import { PageTable, PageTablePool } from '../../core/hw/page_table.ts'
import { makePte, PTE_A, PTE_D, PTE_P, PTE_U, PTE_W, pteFlags } from '../../core/hw/pte.ts'
import { SMALL, WINDOW_PAGES } from './threads.ts'

const RO = PTE_P | PTE_U
const RW = PTE_P | PTE_U | PTE_W
const NEAR_NS = SMALL.nearReadCycles.value / SMALL.clockGHz.value
const MEMORY_NS = SMALL.memoryReadCycles.value / SMALL.clockGHz.value
const L2_NS = SMALL.l2PenaltyCycles.value / SMALL.clockGHz.value

function setUp() {
  const clock = new Clock(0)
  const mmu = new Mmu(SMALL, WINDOW_PAGES, clock)
  const pool = new PageTablePool()
  const table = new PageTable(pool)
  mmu.load(table)
  const dirtied: number[] = []
  mmu.onDirty = (page) => dirtied.push(page)
  return {
    clock,
    mmu,
    pool,
    table,
    dirtied,
    map: (page: number, pfn: number, flags: number) => pool.set(table.walkAllocate(page), makePte(pfn, flags)),
    flags: (page: number) => pteFlags(pool.get(table.walk(page))),
    /** Counters since the last call of this. */
    since: (() => {
      let before = { ...mmu.counters }
      return () => {
        const now = mmu.counters
        const change = {
          l1: now.l1Hits - before.l1Hits,
          l2: now.l2Hits - before.l2Hits,
          walks: now.walks - before.walks,
          refs: now.walkRefs - before.walkRefs,
          faults: now.faults - before.faults,
        }
        before = { ...now }
        return change
      }
    })(),
  }
}

describe('accessed and dirty bits', () => {
  it('are set in memory by hardware: A by a load, A and D by a store', () => {
    const { mmu, map, flags, dirtied } = setUp()
    map(1, 11, RW)
    map(2, 12, RW)
    expect([mmu.translate(1, false), mmu.translate(2, true)]).toEqual([11, 12])
    expect([flags(1), flags(2)]).toEqual([RW | PTE_A, RW | PTE_A | PTE_D])
    expect(dirtied).toEqual([2])
  })

  it('a store through a clean entry walks again and sets D, once', () => {
    const { mmu, map, flags, dirtied, since } = setUp()
    map(1, 11, RW)
    mmu.translate(1, false)
    since()
    expect(mmu.translate(1, true)).toBe(11)
    expect(since()).toMatchObject({ l1: 0, l2: 0, walks: 1 })
    expect(flags(1)).toBe(RW | PTE_A | PTE_D)
    expect(mmu.translate(1, true)).toBe(11)
    expect(since()).toMatchObject({ l1: 1, walks: 0 })
    expect(dirtied).toEqual([1])
  })

  it('a load of a page already dirty caches that, so that a later store needs no walk', () => {
    const { mmu, map, since } = setUp()
    map(1, 11, RW | PTE_D)
    mmu.translate(1, false)
    since()
    mmu.translate(1, true)
    expect(since()).toMatchObject({ l1: 1, walks: 0 })
  })

  it('D cleared in memory without a flush is not set again: the cached entry says dirty', () => {
    const { mmu, map, flags, dirtied } = setUp()
    map(1, 11, RW)
    mmu.translate(1, true)
    map(1, 11, RW)
    mmu.translate(1, true)
    expect(flags(1)).toBe(RW)
    mmu.flushPage(1)
    mmu.translate(1, true)
    expect(flags(1)).toBe(RW | PTE_A | PTE_D)
    expect(dirtied).toEqual([1, 1])
  })
})

describe('a page fault', () => {
  it('is what a missing entry, a missing table or a store without W gives, and hardware sets no bit', () => {
    const { mmu, map, flags, since, dirtied } = setUp()
    map(1, 11, RO)
    map(2, 12, PTE_U | PTE_W)
    expect([mmu.translate(1, true), mmu.translate(2, false), mmu.translate(3, false), mmu.translate(3000, false)]).toEqual([
      -1, -1, -1, -1,
    ])
    expect([flags(1), flags(2)]).toEqual([RO, PTE_U | PTE_W])
    expect(since()).toMatchObject({ walks: 4, faults: 4 })
    expect(dirtied).toEqual([])
  })

  it('leaves nothing in the TLB: what was not present is found as soon as it is mapped', () => {
    const { mmu, map, since } = setUp()
    map(2, 12, RW)
    for (const page of [1, 1023, 3000]) {
      expect(mmu.translate(page, false)).toBe(-1)
      map(page, 11, RW)
      expect(mmu.translate(page, false)).toBe(11)
    }
    expect(since()).toMatchObject({ walks: 6, faults: 3 })
  })

  it('is what everything gives before an address space is loaded', () => {
    const mmu = new Mmu(SMALL, WINDOW_PAGES, new Clock(0))
    expect(mmu.translate(1, false)).toBe(-1)
  })
})

describe('a stale entry', () => {
  it('survives a change of the page table until it is flushed', () => {
    const { mmu, map } = setUp()
    map(1, 11, RW)
    mmu.translate(1, true)
    map(1, 22, RW)
    expect(mmu.translate(1, true)).toBe(11)
    expect(mmu.flushPage(1)).toBe(true)
    expect(mmu.translate(1, true)).toBe(22)
  })

  it('survives in L2 when L1 has dropped it', () => {
    const { mmu, map, since } = setUp()
    for (let page = 0; page < 6; page++) map(page, 10 + page, RW)
    for (let page = 0; page < 6; page++) mmu.translate(page, false)
    map(0, 99, RW)
    since()
    expect(mmu.translate(0, false)).toBe(10)
    expect(since()).toMatchObject({ l1: 0, l2: 1, walks: 0 })
  })

  it('is gone after flushAll, and after another address space was loaded', () => {
    const { mmu, map, pool, table } = setUp()
    map(1, 11, RW)
    mmu.translate(1, false)
    map(1, 22, RW)
    mmu.flushAll()
    expect(mmu.translate(1, false)).toBe(22)
    const other = new PageTable(pool)
    mmu.load(other)
    expect(mmu.translate(1, false)).toBe(-1)
    map(1, 33, RW)
    mmu.load(table)
    expect(mmu.translate(1, false)).toBe(33)
  })

  it('stays when the space that is loaded is loaded again', () => {
    const { mmu, map, table, since } = setUp()
    map(1, 11, RW)
    mmu.translate(1, false)
    mmu.load(table)
    since()
    mmu.translate(1, false)
    expect(since()).toMatchObject({ l1: 1, walks: 0 })
  })

  it('of a page-walk cache survives, too, until a page that uses it is flushed: a leaf table, and a PMD table', () => {
    for (const level of [1, 2] as const) {
      const { mmu, map, pool, table } = setUp()
      map(1, 11, RW)
      map(2, 12, RW)
      mmu.translate(1, false)
      // Another table takes the place of the one that page 2 is found through.
      const old = table.node(2, level)
      const upper = table.node(2, level === 1 ? 2 : 3) * 512
      expect(Math.floor(pool.get(upper) / 4096)).toBe(old)
      pool.set(upper, makePte(pool.allocate(), RW))
      map(2, 99, RW)
      expect(mmu.translate(2, false), `level ${level}`).toBe(12)
      mmu.flushPage(2)
      expect(mmu.translate(2, false), `level ${level}`).toBe(99)
    }
  })

  it('that was not there is not flushed: flushPage says so', () => {
    const { mmu, map } = setUp()
    map(1, 11, RW)
    expect(mmu.flushPage(1)).toBe(false)
    mmu.translate(1, false)
    expect([mmu.flushPage(2), mmu.flushPage(1), mmu.flushPage(1)]).toEqual([false, true, false])
  })
})

describe('the cost', () => {
  it('of a walk is 4 table reads cold, 1 with the leaf table cached, 2 and 3 when only higher ones are', () => {
    const { mmu, map, since, clock } = setUp()
    for (const page of [0, 1, 512, 1024, 1536]) map(page, page + 10, RW)
    const refs = (page: number) => {
      mmu.translate(page, false)
      return since().refs
    }
    // 0: PGD, PUD, PMD, PTE. 1: the same leaf table. 512: the next leaf of the same PMD table.
    expect([refs(0), refs(1), refs(512)]).toEqual([4, 1, 2])
    // The cache of leaf tables holds 2 and is full of 0 and 512; 1024 replaces 0.
    expect([refs(1024), refs(1536)]).toEqual([2, 2])
    // 11 reads. In memory: PGD, PUD, one line of PMD entries, and the line of a PTE in each of four leaf tables.
    expect(clock.nowNs).toBeCloseTo(7 * MEMORY_NS + 4 * NEAR_NS)
    mmu.flushAll()
    expect(refs(0)).toBe(4)
  })

  it('of a walk that ends at a missing table counts the reads it made', () => {
    const { mmu, map, since } = setUp()
    expect([mmu.translate(0, false), since().refs]).toEqual([-1, 1])
    map(0, 10, RW)
    mmu.translate(0, false)
    expect(since().refs).toBe(4)
    // Page 512 has no leaf table: the PMD entry is read, and is none.
    expect([mmu.translate(512, false), since().refs]).toEqual([-1, 1])
  })

  it('of an L1 hit is nothing here, of an L2 hit the penalty', () => {
    const { mmu, map, clock } = setUp()
    for (let page = 0; page < 5; page++) {
      map(page, 10 + page, RW)
      mmu.translate(page, false)
    }
    const cold = clock.nowNs
    mmu.translate(4, false)
    expect(clock.nowNs).toBe(cold)
    mmu.translate(0, false)
    expect(clock.nowNs).toBeCloseTo(cold + L2_NS)
  })
})

describe('any accesses', () => {
  it('with a flush after each change see the page table as it is, and each is a hit or a walk', () => {
    const step = fc.record({
      what: fc.constantFrom('load', 'store', 'load', 'store', 'map', 'unmap', 'readonly'),
      page: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 16, 32, 512, 513, 1024, 2048),
      pfn: fc.integer({ min: 1, max: 1000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const { mmu, map, flags } = setUp()
        const truth = new Map<number, { pfn: number; writable: boolean; stored: boolean; loaded: boolean }>()
        let accesses = 0
        for (const { what, page, pfn } of steps) {
          const entry = truth.get(page)
          if (what === 'map' || what === 'readonly') {
            map(page, pfn, what === 'map' ? RW : RO)
            truth.set(page, { pfn, writable: what === 'map', stored: false, loaded: false })
            mmu.flushPage(page)
          } else if (what === 'unmap') {
            map(page, 0, 0)
            truth.delete(page)
            mmu.flushPage(page)
          } else {
            accesses++
            const store = what === 'store'
            const allowed = entry !== undefined && (!store || entry.writable)
            expect(mmu.translate(page, store)).toBe(allowed ? entry.pfn : -1)
            if (!allowed) continue
            entry.loaded = true
            entry.stored ||= store
            expect([(flags(page) & PTE_A) !== 0, (flags(page) & PTE_D) !== 0]).toEqual([entry.loaded, entry.stored])
          }
        }
        const { l1Hits, l2Hits, walks } = mmu.counters
        expect(l1Hits + l2Hits + walks).toBe(accesses)
      }),
    )
  })
})
