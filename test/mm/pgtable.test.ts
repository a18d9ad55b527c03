/**
 * Leaf tables: made once for all who need them, put by for huge pages, and freed behind munmap when no area needs them.
 */
import { describe, expect, it } from 'vitest'
import { munmap } from '../../core/mm/mmap.ts'
import { Deposits, pteAlloc } from '../../core/mm/pgtable.ts'
import { H, hugeRig, mapHugeWritten } from './huge_rig.ts'
import { at, failure, GEARS, P, Rig } from './rig.ts'

describe.each(GEARS)('pteAlloc, %s gear', (gear) => {
  it('makes one table for two threads that need it at once', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const rig = hugeRig({ gear, seed })
      const a = rig.spawn('a', 0, (k) => pteAlloc(k, rig.mm, 3 * H + 1))
      const b = rig.spawn('b', 1, (k) => pteAlloc(k, rig.mm, 3 * H + 2))
      expect(rig.run()).toBe('done')
      expect((b.value ?? 0) - (a.value ?? 0)).toBe(1)
      expect(rig.mm.table.walk(3 * H + 1)).toBe(a.value)
    }
  })

  it('answers -1 where 2 MiB are mapped at once', () => {
    const rig = hugeRig({ gear })
    const page = mapHugeWritten(rig, 1)
    expect(rig.call((k) => pteAlloc(k, rig.mm, page + 3))).toBe(-1)
  })
})

describe.each(GEARS)('munmap, %s gear', (gear) => {
  /** Areas of three tables, each page of them written that is named. */
  function threeTables(...written: number[]): Rig {
    const rig = new Rig({ gear, windowPages: 4 * H, frames: 64 })
    rig.place(1, 3 * H - 1)
    for (const page of written) rig.store(page, page)
    return rig
  }
  const leaves = (rig: Rig) => [0, 1, 2].map((i) => rig.mm.table.node(i * H, 1) !== 0)

  it('frees the tables that no area needs, and those alone', () => {
    const rig = threeTables(1, H + 1, 2 * H + 1)
    const before = rig.kernel.tables.nodesInUse
    expect(leaves(rig)).toEqual([true, true, true])
    rig.call((k) => munmap(k, rig.mm, at(2), (2 * H - 2) * P))
    expect(leaves(rig)).toEqual([true, false, true])
    expect(rig.kernel.tables.nodesInUse).toBe(before - 1)
    rig.call((k) => munmap(k, rig.mm, at(2 * H), H * P))
    expect(leaves(rig)).toEqual([true, false, false])
    expect(rig.load(1)).toBe(1)
    expect(rig.audit()).toBeNull()
  })

  it('a table that maps nothing goes too, and no CPU walks by it afterwards', () => {
    const rig = threeTables(1)
    rig.load(2, 3)
    rig.call((k) => munmap(k, rig.mm, at(1), 2 * P))
    const node = rig.mm.table.node(1, 1)
    expect(node).toBeGreaterThan(0)
    const before = rig.kernel.shootdowns
    rig.call((k) => munmap(k, rig.mm, at(1), H * P))
    expect(rig.kernel.shootdowns).toBe(before + 1)
    expect(rig.act((k) => k.cpu.mmu.walkCache.leaf(3), 3)).toBe(0)
    expect(failure(() => rig.kernel.tables.use(node, 'a walk'))).toMatch('use after free: a walk uses page table')
  })
})

describe('deposited tables', () => {
  it('are a list for each PMD table, whichever entry asks', () => {
    const deposits = new Deposits()
    deposits.deposit(5 * 512 + 1, 77)
    deposits.deposit(5 * 512 + 9, 78)
    expect([deposits.count(5), deposits.count(6), deposits.total]).toEqual([2, 0, 2])
    expect([deposits.withdraw(5 * 512 + 1), deposits.withdraw(5 * 512 + 1)].sort()).toEqual([77, 78])
  })

  it('cannot be withdrawn where there are none', () => {
    expect(() => new Deposits().withdraw(5 * 512)).toThrow('no table is deposited')
  })
})
