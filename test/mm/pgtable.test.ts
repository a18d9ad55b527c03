import { describe, expect, it } from 'vitest'
import { Deposits, pteAlloc } from '../../core/mm/pgtable.ts'
import { H, hugeRig, mapHugeWritten } from './huge_rig.ts'
import { GEARS } from './rig.ts'

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
