import { describe, expect, it } from 'vitest'
import { everyHugePmdHasItsTable } from '../../core/checkers/leaks.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { splitHugePmd } from '../../core/mm/huge_split.ts'
import { RAP_ALLOW_SRC_HOLES, remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { uffdMove } from '../../core/mm/uffd_move.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { expectWritten, H, hugeRig, mapHuge, mapHugeWritten } from './huge_rig.ts'
import { at, failure, GEARS, P, type Rig } from './rig.ts'

const WHOLE = H * P
const remap = (rig: Rig, dst: number, src: number, length = WHOLE, flags = 0): number =>
  rig.call((k) => remapAnonPages(k, rig.mm, at(dst), at(src), length, flags))

/** Room for `count` huge pages that stays empty. */
function room(rig: Rig, count: number): number {
  rig.map(1)
  return rig.map(count * H, undefined, H)
}

describe.each(GEARS)('remap_anon_pages of an aligned huge page, %s gear', (gear) => {
  it('moves the PMD: same frame, one shootdown, still huge', () => {
    const rig = hugeRig({ gear })
    const src = mapHugeWritten(rig, 1)
    const dst = room(rig, 1)
    const head = rig.frame(src)
    const before = rig.kernel.shootdowns
    expect(remap(rig, dst, src)).toBe(WHOLE)
    expect([rig.frame(dst), rig.isHuge(dst), rig.frame(src), rig.kernel.shootdowns - before]).toEqual([head, true, -1, 1])
    expect(rig.kernel.pages.index[head]).toBe(rig.vma(dst).indexOf(dst))
    expect([rig.mm.rss, rig.kernel.thp.splitPage]).toEqual([H, 0])
    expectWritten(rig, dst, 1)
    expect(rig.audit()).toBeNull()
  })

  it('splits it where src and dst lie differently in their 2 MiB', () => {
    const rig = hugeRig({ gear })
    const src = mapHugeWritten(rig, 1)
    const dst = room(rig, 2)
    expect(remap(rig, dst + 1, src, 64 * P)).toBe(64 * P)
    expect([rig.isHuge(src), rig.isHuge(dst)]).toEqual([false, false])
    expect([rig.load(dst + 38), rig.load(src + 74)]).toEqual([1037, 1074])
    expect(rig.audit()).toBeNull()
  })

  it('splits it where less than 2 MiB are asked for', () => {
    const rig = hugeRig({ gear })
    const src = mapHugeWritten(rig, 1)
    const dst = room(rig, 1)
    expect(remap(rig, dst, src, 100 * P)).toBe(100 * P)
    expect([rig.isHuge(src), rig.load(dst + 37), rig.load(src + 111)]).toEqual([false, 1037, 1111])
    expect(rig.audit()).toBeNull()
  })

  it('splits it where dst has a page table already', () => {
    const rig = hugeRig({ gear })
    const src = mapHugeWritten(rig, 1)
    const dst = room(rig, 1)
    rig.store(dst + 200, 9)
    expect(remap(rig, dst, src)).toBe(200 * P)
    expect([rig.load(dst + 37), rig.load(dst + 200), rig.load(src + 222)]).toEqual([1037, 9, 1222])
    expect(rig.audit()).toBeNull()
  })
})

describe('remap_anon_pages refuses', () => {
  it('a huge dst: EEXIST, also where src is a hole', () => {
    const rig = hugeRig()
    const src = mapHugeWritten(rig, 1)
    const other = mapHugeWritten(rig, 1)
    const hole = mapHuge(rig, 1)
    rig.store(hole, 1)
    rig.call((k) => splitHugePmd(k, rig.mm, hole))
    expect(remap(rig, other, src)).toBe(ERRNO.EEXIST)
    expect(remap(rig, other + 5, hole + 5, P)).toBe(ERRNO.EEXIST)
    expectWritten(rig, src, 1)
    expect(rig.audit()).toBeNull()
  })

  it('a huge page that a child maps too: EBUSY', () => {
    const rig = hugeRig()
    const src = mapHugeWritten(rig, 1)
    const dst = room(rig, 1)
    rig.fork()
    expect(remap(rig, dst, src)).toBe(ERRNO.EBUSY)
    expect([rig.isHuge(src), rig.audit()]).toEqual([true, null])
  })

  it('2 MiB that were never touched: ENOENT, or moved bytes where holes are allowed', () => {
    const rig = hugeRig()
    const src = mapHuge(rig, 1)
    const dst = room(rig, 1)
    expect(remap(rig, dst, src)).toBe(ERRNO.ENOENT)
    expect(remap(rig, dst, src, WHOLE, RAP_ALLOW_SRC_HOLES)).toBe(WHOLE)
    expect(rig.audit()).toBeNull()
  })
})

describe.each(GEARS)('UFFDIO_MOVE of an aligned huge page, %s gear', (gear) => {
  function armed(rig: Rig, count: number): { uffd: Userfaultfd; dst: number } {
    const dst = room(rig, count)
    const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
    expect(rig.call((k) => userfaultfdRegister(k, uffd, at(dst), count * WHOLE, 1))).toBe(0)
    return { uffd, dst }
  }

  it('moves the PMD', () => {
    const rig = hugeRig({ gear })
    const src = mapHugeWritten(rig, 1)
    const { uffd, dst } = armed(rig, 1)
    expect(rig.call((k) => uffdMove(k, uffd, at(dst), at(src), WHOLE, 0))).toEqual({ result: 0, done: WHOLE })
    expect([rig.isHuge(dst), rig.frame(src)]).toEqual([true, -1])
    expectWritten(rig, dst, 1)
    expect(rig.audit()).toBeNull()
  })

  it('says EBUSY to a shared one, and does not even split it', () => {
    const rig = hugeRig({ gear })
    const src = mapHugeWritten(rig, 1)
    const { uffd, dst } = armed(rig, 1)
    rig.fork()
    expect(rig.call((k) => uffdMove(k, uffd, at(dst + 1), at(src), P, 0)).result).toBe(ERRNO.EBUSY)
    expect([rig.isHuge(src), rig.audit()]).toEqual([true, null])
  })
})

describe('two moves of one huge page at once', () => {
  it('end with one that moved it and one that found a hole, in every order drawn', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const rig = hugeRig({ gear: 'step', seed })
      const src = mapHuge(rig, 1)
      rig.store(src + 8, 8)
      const dst = room(rig, 2)
      const a = rig.spawn('a', 0, (k) => remapAnonPages(k, rig.mm, at(dst), at(src), WHOLE, 0))
      const b = rig.spawn('b', 1, (k) => remapAnonPages(k, rig.mm, at(dst + H), at(src), WHOLE, 0))
      expect(rig.run()).toBe('done')
      expect([a.value, b.value].sort()).toEqual([ERRNO.ENOENT, WHOLE].sort())
      expect(rig.load((a.value === WHOLE ? dst : dst + H) + 8)).toBe(8)
      expect(rig.audit()).toBeNull()
    }
  })
})

describe('the deposited table', () => {
  /** src and dst lie under different PMD tables: 1 GiB apart. */
  function farMove(without: readonly 'remap-deposit-move'[]): { rig: Rig; dst: number } {
    const rig = hugeRig({ windowPages: (1 << 18) + 4 * H, without })
    const src = mapHugeWritten(rig, 1)
    rig.place(1 << 18, 2 * H)
    expect(remap(rig, 1 << 18, src)).toBe(WHOLE)
    return { rig, dst: 1 << 18 }
  }

  it('moves along with the page', () => {
    const { rig, dst } = farMove([])
    rig.call((k) => splitHugePmd(k, rig.mm, dst))
    expectWritten(rig, dst, 1)
    expect(rig.audit()).toBeNull()
  })

  it('is missing at dst, whose split then fails, where it stayed behind (R48)', () => {
    const { rig, dst } = farMove(['remap-deposit-move'])
    expect(everyHugePmdHasItsTable(rig.kernel)).toContain('0 tables deposited != 1 huge PMDs')
    expect(failure(() => rig.call((k) => splitHugePmd(k, rig.mm, dst)))).toContain('no table is deposited')
  })
})
