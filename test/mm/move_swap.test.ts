/**
 * Moving swap entries: what is at dst afterwards is what was at src, in swap or in the swap cache; shared entries are EBUSY;
 * and each look again of the two calls is needed (R39, R40, R83).
 */
import { describe, expect, it } from 'vitest'
import { PTE_NONE } from '../../core/hw/pte.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { swapKind } from '../../core/mm/swapops.ts'
import { uffdMove } from '../../core/mm/uffd_move.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { at, evictFrame, GEARS, P, Rig } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

const SRC = 4
const DST = 8

/** Two areas, a page at SRC in swap. */
function swappedOut(rig: Rig): void {
  rig.place(SRC, 1)
  rig.place(DST, 1)
  rig.store(SRC, 7)
  rig.evict(SRC)
}

const remap = (rig: Rig): number => rig.call((k) => remapAnonPages(k, rig.mm, at(DST), at(SRC), P, 0))

function move(rig: Rig): number {
  const uffd = new Userfaultfd(rig.mm, 77, 'ioctl')
  rig.vma(DST).uffd = uffd
  const { result } = rig.call((k) => uffdMove(k, uffd, at(DST), at(SRC), P, 0))
  rig.vma(DST).uffd = null
  return result === 0 ? P : result
}

describe.each([
  ['remap_anon_pages', remap],
  ['UFFDIO_MOVE', move],
])('%s', (_name, call) => {
  it.each(GEARS)('moves the entry: dst reads what src had, src is a hole (%s gear)', (gear) => {
    const rig = new Rig({ gear, swap: 4 })
    swappedOut(rig)
    expect(call(rig)).toBe(P)
    expect(rig.pte(SRC)).toBe(PTE_NONE)
    expect(swapKind(rig.pte(DST))).toBe('swap')
    expect(rig.load(DST)).toBe(7)
    expect(rig.audit()).toBeNull()
  })

  it('does not move an entry that a child has too', () => {
    const rig = new Rig({ swap: 4 })
    swappedOut(rig)
    const child = rig.fork()
    expect(call(rig)).toBe(ERRNO.EBUSY)
    expect([rig.load(SRC), rig.load(SRC, 1, child)]).toEqual([7, 7])
    expect(rig.audit()).toBeNull()
  })

  it('over a page in swap is EEXIST', () => {
    const rig = new Rig({ swap: 4 })
    swappedOut(rig)
    rig.store(DST, 1)
    rig.evict(DST)
    expect(call(rig)).toBe(ERRNO.EEXIST)
  })
})

/** Leaves the page of SRC in the swap cache, unmapped: as when reclaim has not got to its end. */
function leaveInCache(rig: Rig): void {
  swappedOut(rig)
  const { swap, pages, pageLocks, tables } = rig.kernel
  rig.load(SRC)
  const pfn = rig.frame(SRC)
  // Another reference keeps reclaim from freeing it after it has unmapped it.
  pages.get(pfn)
  expect(rig.evict(SRC)).toBe(false)
  pages.put(pfn)
  expect([swap.isCached(pfn), swapKind(tables.get(rig.mm.table.walk(SRC)))]).toEqual([true, 'swap'])
  expect(pageLocks).toBeDefined()
}

describe('the page in the swap cache (R39)', () => {
  it.each([remap, move])('is described as being at dst when dst maps it', (call) => {
    const rig = new Rig({ swap: 4 })
    leaveInCache(rig)
    expect(call(rig)).toBe(P)
    expect(rig.load(DST)).toBe(7)
    expect(rig.audit()).toBeNull()
  })

  it.each([remap, move])('is not, in the code of before 2025', (call) => {
    const rig = new Rig({ swap: 4, without: ['swap-move-cache'] })
    leaveInCache(rig)
    expect(call(rig)).toBe(P)
    expect(rig.load(DST)).toBe(7)
    expect(rig.audit()).toMatch(/does not lead to the area|index/)
  })
})

describe('a slot that is freed and used again while its entry is moved (R40)', () => {
  /**
   * The entry of SRC is moved while somebody reads it in, frees its slot by a store, and pushes out another page, then SRC.
   * One slot only, so numbers come back.
   */
  const scenario: Scenario = (rig) => {
    swappedOut(rig)
    rig.place(12, 1)
    rig.store(12, 9)
    const { kernel } = rig
    rig.spawn('move', 0, (k) => remapAnonPages(k, rig.mm, at(DST), at(SRC), P, 0))
    rig.spawn('pressure', 1, function* (k) {
      yield* rig.process.touch(k, SRC, true)
      const own = rig.frame(SRC)
      const other = rig.frame(12)
      if (own < 0 || other < 0) return
      yield* evictFrame(k, kernel, other)
      yield* rig.process.touch(k, 12, true)
      if (rig.frame(SRC) === own) yield* evictFrame(k, kernel, own)
    })
    return () => rig.audit()
  }

  it('moves no foreign page (1500 schedules)', () => {
    expect(firstBreak(1500, { swap: 1, turn: 20 }, scenario)).toBeNull()
  })

  it('describes a foreign page as being at dst without the second look', () => {
    expect(firstBreak(5000, { swap: 1, turn: 20, without: ['swap-move-recheck'] }, scenario)?.why).toMatch(/does not lead|index/)
  })
})

describe('a page shared through a swap entry, mapcount 1 or not (R83)', () => {
  /** Both entries in swap; the parent has read its page back in, the child has not. */
  function shared(without: readonly ProtectionName[]): { rig: Rig; child: ReturnType<Rig['fork']> } {
    const rig = new Rig({ swap: 4, without })
    rig.place(SRC, 1)
    rig.place(DST, 1)
    rig.store(SRC, 7)
    const child = rig.fork()
    rig.evict(SRC)
    rig.load(SRC)
    expect(rig.kernel.pages.mapcount[rig.frame(SRC)]).toBe(1)
    return { rig, child }
  }

  it('is EBUSY for both calls', () => {
    const { rig } = shared([])
    expect(remap(rig)).toBe(ERRNO.EBUSY)
    expect(move(rig)).toBe(ERRNO.EBUSY)
  })

  it('is moved by the code of 2014, and the child sees the parent’s store', () => {
    const { rig, child } = shared(['remap-swap-share'])
    expect(remap(rig)).toBe(P)
    rig.store(DST, 8)
    expect(rig.load(SRC, 1, child)).toBe(8)
  })
})
