/**
 * Zapping: whatever stands in a PTE goes with its books, and nothing outside the range is touched.
 */
import { describe, expect, it } from 'vitest'
import { PTE_NONE } from '../../core/hw/pte.ts'
import { MARKER_POISON, makeMarker, makeMigrationEntry } from '../../core/mm/swapops.ts'
import { zapPageRange } from '../../core/mm/zap.ts'
import { GEARS, Rig } from './rig.ts'

function zap(rig: Rig, start: number, end: number): void {
  rig.call(function* (k) {
    yield* rig.mm.mmapLock.downRead(k)
    yield* zapPageRange(k, rig.mm, rig.vma(start), start, end)
    rig.mm.mmapLock.upRead(k)
  })
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a page, a page of zeros, a swap entry, a marker and a hole all become none; neighbours stay', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(7)
    rig.store(a, 1)
    rig.store(a + 1, 2)
    rig.load(a + 2)
    rig.store(a + 3, 3)
    rig.evict(a + 3)
    rig.kernel.tables.set(rig.mm.table.walkAllocate(a + 4), makeMarker(MARKER_POISON))
    rig.store(a + 6, 4)
    zap(rig, a + 1, a + 6)
    for (let p = 1; p < 6; p++) expect(rig.pte(a + p)).toBe(PTE_NONE)
    expect([rig.load(a), rig.load(a + 6)]).toEqual([1, 4])
    expect([rig.mm.rss, rig.mm.swapEntries, rig.kernel.swap.used, rig.kernel.pages.used]).toEqual([2, 0, 0, 2])
    expect(rig.audit()).toBeNull()
  })

  it('goes over tables that are missing', () => {
    const rig = new Rig({ gear, windowPages: 4096 })
    const a = rig.map(3000)
    rig.store(a, 1)
    rig.store(a + 2999, 2)
    zap(rig, a, a + 3000)
    expect([rig.mm.rss, rig.kernel.pages.used]).toEqual([0, 0])
  })
})

it('a swap entry that another process has too only loses a count', () => {
  const rig = new Rig({ swap: 4 })
  const a = rig.map(1)
  rig.store(a, 9)
  rig.evict(a)
  const child = rig.fork()
  zap(rig, a, a + 1)
  expect(rig.kernel.swap.used).toBe(1)
  expect(rig.load(a, 1, child)).toBe(9)
  expect(rig.load(a)).toBe(0)
})

it('a migration entry takes its rss along', () => {
  const rig = new Rig()
  const a = rig.map(1)
  rig.store(a, 9)
  rig.kernel.tables.set(rig.mm.table.walk(a), makeMigrationEntry(rig.frame(a), true, true))
  zap(rig, a, a + 1)
  expect(rig.mm.rss).toBe(0)
})
