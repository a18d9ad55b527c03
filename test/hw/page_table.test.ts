/**
 * Page tables: what was allocated is found, what was not is missing, and all tables come back at the end.
 *
 * A table of 512 entries covers 512 pages; four levels, of which the top one has a single entry in use.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ENTRIES, PageTable, PageTablePool, WINDOW_PAGES_MAX } from '../../core/hw/page_table.ts'
import {
  makePte,
  PTE_A,
  PTE_D,
  PTE_P,
  PTE_PROTNONE,
  PTE_W,
  pteFlags,
  ptePfn,
  ptePresent,
  pteWithFlags,
  pteWritable,
} from '../../core/hw/pte.ts'

const page = fc.oneof(fc.nat(2000), fc.integer({ min: 0, max: WINDOW_PAGES_MAX - 1 }))

/** Tables that these pages need: one PGD; with any page one PUD, one PMD table a GiB, one leaf a 2 MiB. */
function tablesFor(pages: readonly number[]): number {
  const distinct = (shift: number) => new Set(pages.map((p) => Math.floor(p / 2 ** shift))).size
  return pages.length === 0 ? 1 : 2 + distinct(18) + distinct(9)
}

describe('a page table', () => {
  it('finds each entry that was allocated, each in a slot of its own, and no others', () => {
    fc.assert(
      fc.property(fc.uniqueArray(page, { maxLength: 40 }), page, (pages, other) => {
        const pool = new PageTablePool(1)
        const table = new PageTable(pool)
        pages.forEach((p, i) => {
          pool.set(table.walkAllocate(p), makePte(i + 1, PTE_P))
        })
        pages.forEach((p, i) => {
          const slot = table.walk(p)
          expect(slot).toBe(table.walkAllocate(p))
          expect(ptePfn(pool.get(slot))).toBe(i + 1)
        })
        expect(pool.nodesInUse).toBe(tablesFor(pages))
        const hasLeaf = pages.some((p) => p >>> 9 === other >>> 9)
        expect(table.walk(other) >= 0).toBe(hasLeaf)
        if (hasLeaf && !pages.includes(other)) expect(pool.get(table.walk(other))).toBe(0)
      }),
    )
  })

  it('gives all its tables back when destroyed, cleared for the next', () => {
    fc.assert(
      fc.property(fc.array(page, { maxLength: 30 }), fc.array(page, { maxLength: 30 }), (first, second) => {
        const pool = new PageTablePool(1)
        const kept = new PageTable(pool)
        kept.walkAllocate(7)
        const before = pool.nodesInUse
        const table = new PageTable(pool)
        for (const p of first) pool.set(table.walkAllocate(p), makePte(p + 1, PTE_P))
        table.destroy()
        expect(pool.nodesInUse).toBe(before)
        const next = new PageTable(pool)
        for (const p of second) expect(pool.get(next.walkAllocate(p))).toBe(0)
        expect(kept.walk(7)).toBeGreaterThan(0)
      }),
    )
  })

  it('reuses freed tables instead of growing', () => {
    const pool = new PageTablePool(1)
    for (let i = 0; i < 100; i++) {
      const table = new PageTable(pool)
      table.walkAllocate(i * 600)
      table.destroy()
    }
    // A PGD, a PUD, a PMD table and a leaf, and node 0.
    expect(pool.entries.length).toBeLessThanOrEqual(8 * ENTRIES)
    expect(pool.nodesInUse).toBe(0)
  })

  it('visits each leaf once, in order of addresses', () => {
    fc.assert(
      fc.property(fc.array(page, { maxLength: 30 }), (pages) => {
        const table = new PageTable(new PageTablePool(1))
        for (const p of pages) table.walkAllocate(p)
        const visited: number[] = []
        table.forEachLeaf((node, firstPage) => {
          expect(table.walk(firstPage)).toBe(node * ENTRIES)
          visited.push(firstPage)
        })
        expect(visited).toEqual([...new Set(pages.map((p) => (p >>> 9) * 512))].sort((a, b) => a - b))
      }),
      { numRuns: 20 },
    )
  })

  it('names the table of each level, or 0', () => {
    const pool = new PageTablePool()
    const table = new PageTable(pool)
    expect([table.node(5, 3), table.node(5, 2), table.node(5, 1)]).toEqual([0, 0, 0])
    const slot = table.walkAllocate(5)
    expect(table.node(5, 1)).toBe(Math.floor(slot / ENTRIES))
    // 512 is of the next leaf, 2^18 of the next PMD table: what is above them is there.
    expect(table.node(512, 2)).toBe(table.node(5, 2))
    expect(table.node(512, 1)).toBe(0)
    expect([table.node(2 ** 18, 3), table.node(2 ** 18, 2)]).toEqual([table.node(5, 3), 0])
  })

  it('refuses a page outside the window', () => {
    const table = new PageTable(new PageTablePool())
    for (const p of [-1, WINDOW_PAGES_MAX]) expect(() => table.walkAllocate(p)).toThrow('outside the window')
    expect(table.walkAllocate(WINDOW_PAGES_MAX - 1)).toBeGreaterThan(0)
  })
})

describe('an entry', () => {
  it('keeps frame number and flags apart, for frames of 29 bits, the most that there are', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 29 }), fc.nat(0xfff), fc.nat(0xfff), (pfn, flags, others) => {
        const pte = makePte(pfn, flags)
        expect([ptePfn(pte), pteFlags(pte)]).toEqual([pfn, flags])
        expect([ptePresent(pte), pteWritable(pte)]).toEqual([(flags & (PTE_P | PTE_PROTNONE)) !== 0, (flags & PTE_W) !== 0])
        expect(pteWithFlags(pte, others)).toBe(makePte(pfn, others))
      }),
    )
  })

  it('has its bits where x86-64 has them', () => {
    //  frame 0x12345, then  D A . . U W P  =  1 1 0 0 0 1 1
    expect(makePte(0x12345, PTE_P | PTE_W | PTE_A | PTE_D)).toBe(0x12345063)
  })
})
