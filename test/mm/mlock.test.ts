/**
 * mlock brings pages in and keeps them from DONTNEED; mincore says what is here. Rows 63 and 110 of the assertions.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO, MADV_DONTNEED, MAP_SHARED, MLOCK_ONFAULT, sys } from '../../core/machine/syscall.ts'
import { at, GEARS, P, seedsWhere } from './rig.ts'
import { UffdRig } from './uffd_rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('mlock makes every page present, splits its area, and munlock joins it again', () => {
    const rig = new UffdRig({ gear })
    rig.map(4, 3, 20)
    expect(rig.do((k) => sys.mlock(k, rig.process, at(21), 2 * P))).toBe(0)
    expect([20, 21, 22, 23].map((p) => rig.frame(p) > 0)).toEqual([false, true, true, false])
    expect(rig.areas()).toHaveLength(3)
    expect(rig.do((k) => sys.munlock(k, rig.process, at(21), 2 * P))).toBe(0)
    expect(rig.areas()).toEqual([[20, 24]])
    expect(rig.audit()).toBeNull()
  })

  it('DONTNEED of a locked page is EINVAL (row 110)', () => {
    const rig = new UffdRig({ gear })
    rig.map(2, 3, 20)
    rig.do((k) => sys.mlock(k, rig.process, at(20), P))
    expect(rig.do((k) => sys.madvise(k, rig.process, at(20), 2 * P, MADV_DONTNEED))).toBe(ERRNO.EINVAL)
    expect(rig.frame(20)).toBeGreaterThan(0)
  })

  it('a hole is ENOMEM for mlock and mincore, a bad address EINVAL for mincore', () => {
    const rig = new UffdRig({ gear })
    rig.map(1, 3, 20)
    expect(rig.do((k) => sys.mlock(k, rig.process, at(20), 2 * P))).toBe(ERRNO.ENOMEM)
    expect(rig.do((k) => sys.mincore(k, rig.process, at(20), 2 * P))).toBe(ERRNO.ENOMEM)
    expect(rig.do((k) => sys.mincore(k, rig.process, at(20) + 1, P))).toBe(ERRNO.EINVAL)
  })

  it('mlock takes whole pages wherever it points, and with ONFAULT brings none in', () => {
    const rig = new UffdRig({ gear })
    rig.map(3, 3, 20)
    expect(rig.do((k) => sys.mlock(k, rig.process, at(20) + 1, P, MLOCK_ONFAULT))).toBe(0)
    expect([20, 21, 22].map((p) => rig.frame(p) > 0)).toEqual([false, false, false])
    expect(rig.areas()).toEqual([
      [20, 22],
      [22, 23],
    ])
  })

  it('mlock locks what lies before a hole, and nothing behind it', () => {
    const rig = new UffdRig({ gear })
    rig.map(5, 3, 20)
    rig.do((k) => sys.munmap(k, rig.process, at(22), P))
    expect(rig.do((k) => sys.mlock(k, rig.process, at(21), 3 * P))).toBe(ERRNO.ENOMEM)
    expect(rig.areas()).toEqual([
      [20, 21],
      [21, 22],
      [23, 25],
    ])
  })

  it('mlock of PROT_NONE memory is ENOMEM: its pages cannot be brought in', () => {
    const rig = new UffdRig({ gear })
    rig.map(1, 0, 20)
    expect(rig.do((k) => sys.mlock(k, rig.process, at(20), P))).toBe(ERRNO.ENOMEM)
  })

  it('mincore looks into the page cache for shared memory', () => {
    const rig = new UffdRig({ gear })
    const file = sys.memfdCreate(rig.process, 2 * P)
    for (const page of [20, 30]) rig.do((k) => sys.mmap(k, rig.process, 2 * P, 3, MAP_SHARED | 0x10, at(page), file))
    rig.store(20, 1)
    expect(rig.do((k) => sys.mincore(k, rig.process, at(30), 2 * P))).toEqual([true, false])
    expect(rig.pte(30)).toBe(0)
  })
})

it('what is mapped between the two parts of mlock ONFAULT is brought in, though it is not locked (in some schedule of 100)', () => {
  const present = seedsWhere(100, (seed) => {
    const rig = new UffdRig({ gear: 'step', seed })
    rig.map(2, 3, 20)
    rig.spawn('locker', 1, (k) => sys.mlock(k, rig.process, at(20), 2 * P, MLOCK_ONFAULT))
    rig.spawn('mapper', 2, (k) => sys.mmap(k, rig.process, P, 3, 0x32, at(21)))
    expect([rig.run(), rig.audit()]).toEqual(['done', null])
    // What stays locked is never brought in.
    expect(rig.frame(20)).toBeLessThanOrEqual(0)
    return rig.frame(21) > 0
  })
  expect(present.length).toBeGreaterThan(0)
  expect(present.length).toBeLessThan(100)
})
