import { describe, expect, it } from 'vitest'
import { MADV_NOHUGEPAGE, MADV_USERFAULT, madvise } from '../../core/mm/madvise.ts'
import { exitMmap } from '../../core/mm/mmap.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { expectWritten, H, hugeRig, mapHuge, mapHugeWritten } from './huge_rig.ts'
import { at, GEARS, P } from './rig.ts'

describe.each(GEARS)('the first touch of 2 MiB, %s gear', (gear) => {
  it('maps them all by one fault, the rest zero', () => {
    const rig = hugeRig({ gear })
    const page = mapHuge(rig, 1)
    rig.store(page + 5, 7)
    expect(rig.kernel.faults.total).toBe(1)
    expect(rig.isHuge(page)).toBe(true)
    expect([rig.load(page), rig.load(page + 5), rig.load(page + 511)]).toEqual([0, 7, 0])
    expect(rig.kernel.faults.total).toBe(1)
    expect(rig.mm.rss).toBe(H)
    expect(rig.audit()).toBeNull()
  })

  it('maps a real page for a load too: there is no huge zero page', () => {
    const rig = hugeRig({ gear })
    const page = mapHuge(rig, 1)
    expect(rig.load(page + 100)).toBe(0)
    expect([rig.isHuge(page), rig.kernel.thp.faultAlloc]).toEqual([true, 1])
    expect(rig.audit()).toBeNull()
  })

  it('lets two threads that touch it at once share one page', () => {
    const rig = hugeRig({ gear, seed: 3 })
    const page = mapHuge(rig, 1)
    const a = rig.spawn('a', 0, (k) => handlePageFault(k, rig.mm, page + 1, true))
    const b = rig.spawn('b', 1, (k) => handlePageFault(k, rig.mm, page + 2, true))
    expect(rig.run()).toBe('done')
    expect([a.value, b.value, rig.mm.rss]).toEqual(['ok', 'ok', H])
    expect(rig.audit()).toBeNull()
  })

  it('is a signal in a MADV_USERFAULT area, and nothing stays allocated', () => {
    const rig = hugeRig({ gear })
    const page = mapHuge(rig, 1)
    rig.call((k) => madvise(k, rig.mm, at(page), H * P, MADV_USERFAULT))
    const tables = rig.kernel.tables.nodesInUse
    expect(rig.call((k) => handlePageFault(k, rig.mm, page + 9, true))).toBe('sigbus')
    expect([rig.kernel.pages.used, rig.kernel.tables.nodesInUse - tables <= 2]).toEqual([0, true])
    expect(rig.audit()).toBeNull()
  })
})

describe('an area gets small pages', () => {
  it('without MADV_HUGEPAGE, and after MADV_NOHUGEPAGE', () => {
    const rig = hugeRig()
    const plain = rig.map(H, undefined, H)
    rig.store(plain, 1)
    const refused = mapHuge(rig, 1)
    rig.call((k) => madvise(k, rig.mm, at(refused), H * P, MADV_NOHUGEPAGE))
    rig.store(refused, 1)
    expect([rig.isHuge(plain), rig.isHuge(refused), rig.kernel.pages.used]).toEqual([false, false, 2])
  })

  it('where it has no aligned room', () => {
    const rig = hugeRig()
    const page = mapHuge(rig, 2)
    rig.call((k) => madvise(k, rig.mm, at(page), P, MADV_NOHUGEPAGE))
    rig.store(page + 1, 1)
    rig.store(page + H, 1)
    expect([rig.isHuge(page), rig.isHuge(page + H)]).toEqual([false, true])
    expect(rig.audit()).toBeNull()
  })

  it('when no block of 512 frames is free, and says so in a counter', () => {
    const rig = hugeRig({ frames: 600 })
    const page = mapHuge(rig, 1)
    rig.store(page + 3, 4)
    expect([rig.isHuge(page), rig.load(page + 3), rig.kernel.thp.faultFallback]).toEqual([false, 4, 1])
    expect(rig.audit()).toBeNull()
  })
})

describe.each(GEARS)('a store to a huge page shared by fork, %s gear', (gear) => {
  it('copies one small page, and both keep what they had', () => {
    const rig = hugeRig({ gear })
    const page = mapHugeWritten(rig, 1)
    const child = rig.fork()
    expect([rig.isHuge(page), rig.isHuge(page, child.mm)]).toEqual([true, true])
    expect(rig.audit()).toBeNull()
    rig.store(page + 37, 5, 0, child)
    expect([rig.load(page + 37), rig.load(page + 37, 0, child)]).toEqual([1037, 5])
    expect([rig.kernel.pages.used, rig.kernel.thp.splitPage]).toEqual([H + 1, 1])
    expect(rig.frame(page)).toBe(rig.frame(page, child.mm))
    expectWritten(rig, page, 1)
    expect(rig.audit()).toBeNull()
  })

  it('reuses the whole page once the other is gone', () => {
    const rig = hugeRig({ gear })
    const page = mapHugeWritten(rig, 1)
    const child = rig.fork()
    rig.call((k) => exitMmap(k, child.mm), 1, child)
    rig.store(page, 6)
    expect([rig.isHuge(page), rig.kernel.pages.used, rig.load(page)]).toEqual([true, H, 6])
    expect(rig.audit()).toBeNull()
  })
})
