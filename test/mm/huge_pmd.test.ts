import { describe, expect, it } from 'vitest'
import { PTE_W } from '../../core/hw/pte.ts'
import { changeHugePmd, copyHugePmd, zapHugePmd } from '../../core/mm/huge_pmd.ts'
import { Mm } from '../../core/mm/mm.ts'
import { H, hugeRig, mapHuge, mapHugeWritten } from './huge_rig.ts'
import { GEARS } from './rig.ts'

describe.each(GEARS)('a huge PMD as a whole, %s gear', (gear) => {
  it('is zapped with its table, and its page is the caller’s to free', () => {
    const rig = hugeRig({ gear })
    const page = mapHugeWritten(rig, 1)
    const tables = rig.kernel.tables.nodesInUse
    const head = rig.call((k) => zapHugePmd(k, rig.mm, page))
    const { pages } = rig.kernel
    expect([pages.mapcount[head], pages.refcount[head], rig.mm.rss]).toEqual([0, 1, 0])
    expect([rig.kernel.tables.nodesInUse, rig.kernel.deposits.total]).toEqual([tables - 1, 0])
    pages.put(head)
    expect(pages.used).toBe(0)
  })

  it('loses W once; the second time there is nothing to flush', () => {
    const rig = hugeRig({ gear })
    const page = mapHugeWritten(rig, 1)
    const protect = () => rig.call((k) => changeHugePmd(k, rig.mm, page, (flags) => flags & ~PTE_W))
    expect([protect(), protect()]).toEqual([true, false])
  })

  it('is shared with a child: two mappings, two tables, nobody writes', () => {
    const rig = hugeRig({ gear })
    const page = mapHugeWritten(rig, 1)
    const child = new Mm(rig.kernel, rig.mm.windowPages)
    expect(rig.call((k) => copyHugePmd(k, rig.mm, child, page))).toBe(true)
    const head = rig.frame(page)
    const { pages } = rig.kernel
    expect([pages.mapcount[head], pages.refcount[head], pages.isExclusive(head), child.rss]).toEqual([2, 2, false, H])
    expect(rig.kernel.deposits.total).toBe(2)
  })

  it('that is not there is left alone by all three', () => {
    const rig = hugeRig({ gear })
    const page = mapHuge(rig, 1)
    const child = new Mm(rig.kernel, rig.mm.windowPages)
    expect(rig.call((k) => zapHugePmd(k, rig.mm, page))).toBe(-1)
    expect(rig.call((k) => changeHugePmd(k, rig.mm, page, (flags) => flags & ~PTE_W))).toBe(false)
    expect(rig.call((k) => copyHugePmd(k, rig.mm, child, page))).toBe(false)
  })
})
