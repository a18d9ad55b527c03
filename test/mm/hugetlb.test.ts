import { describe, expect, it } from 'vitest'
import { munmap } from '../../core/mm/mmap.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { VM_HUGETLB } from '../../core/mm/vma.ts'
import { H, hugeRig } from './huge_rig.ts'
import { at, GEARS, P, type Rig, RW } from './rig.ts'

const WHOLE = H * P
const mapPool = (rig: Rig, count = 1) => rig.map(count * H, RW | VM_HUGETLB, H)

describe.each(GEARS)('memory of the hugetlb pool, %s gear', (gear) => {
  it('comes 2 MiB at a time, without a table put by', () => {
    const rig = hugeRig({ gear })
    const page = mapPool(rig)
    rig.store(page + 9, 9)
    expect([rig.isHuge(page), rig.load(page + 9), rig.mm.rss, rig.kernel.deposits.total]).toEqual([true, 9, H, 0])
    expect(rig.audit()).toBeNull()
    expect(rig.call((k) => munmap(k, rig.mm, at(page), WHOLE))).toBe(0)
    expect([rig.kernel.pages.used, rig.audit()]).toEqual([0, null])
  })

  it('is copied whole when a child writes', () => {
    const rig = hugeRig({ gear })
    const page = mapPool(rig)
    rig.store(page + 9, 9)
    const child = rig.fork()
    rig.store(page + 10, 1, 0, child)
    expect([rig.load(page + 10), rig.load(page + 10, 0, child), rig.load(page + 9, 0, child)]).toEqual([0, 1, 9])
    expect([rig.isHuge(page, child.mm), rig.kernel.pages.used]).toEqual([true, 2 * H])
    expect(rig.audit()).toBeNull()
  })

  it('is a SIGBUS where no huge page is left, not a small page', () => {
    const rig = hugeRig({ gear, frames: 2 * H })
    const page = mapPool(rig, 2)
    rig.store(page, 1)
    expect(rig.call((k) => handlePageFault(k, rig.mm, page + H, true))).toBe('sigbus')
    expect(rig.audit()).toBeNull()
  })
})
