/**
 * mmap(2): where it maps, with which rights, what MAP_FIXED replaces, and every errno.
 */
import { describe, expect, it } from 'vitest'
import {
  ERRNO,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
  sys,
} from '../../core/machine/syscall.ts'
import { at, GEARS, P } from './rig.ts'
import { UffdRig } from './uffd_rig.ts'

const RW = PROT_READ | PROT_WRITE
const ANON = MAP_PRIVATE | MAP_ANONYMOUS

function mmap(rig: UffdRig, length: number, prot = RW, flags = ANON, address = 0): number {
  return rig.do((k) => sys.mmap(k, rig.process, length, prot, flags, address))
}

describe('errno', () => {
  it.each([
    ['no length', 0, ANON, 0, ERRNO.EINVAL],
    ['neither shared nor private', P, MAP_ANONYMOUS, 0, ERRNO.EINVAL],
    ['both', P, ANON | MAP_SHARED, 0, ERRNO.EINVAL],
    ['an unaligned fixed address', P, ANON | MAP_FIXED, at(20) + 1, ERRNO.EINVAL],
    ['no file and not anonymous', P, MAP_PRIVATE, 0, ERRNO.EBADF],
    ['more than there is', 2000 * P, ANON, 0, ERRNO.ENOMEM],
    ['a fixed range beyond the window', 8 * P, ANON | MAP_FIXED, at(1020), ERRNO.ENOMEM],
  ])('%s', (_what, length, flags, address, errno) => {
    const rig = new UffdRig()
    expect(mmap(rig, length, RW, flags, address)).toBe(errno)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
    expect(rig.areas()).toEqual([])
  })

  it('NOREPLACE over an area is EEXIST and leaves it', () => {
    const rig = new UffdRig()
    rig.map(2, 3, 20)
    rig.store(21, 5)
    expect(mmap(rig, P, RW, ANON | MAP_FIXED_NOREPLACE, at(21))).toBe(ERRNO.EEXIST)
    expect(rig.load(21)).toBe(5)
    expect(mmap(rig, P, RW, ANON | MAP_FIXED_NOREPLACE, at(22))).toBe(at(22))
  })

  it('a shared writable mapping of a read-only descriptor is EACCES, as is mprotect of a readable one', () => {
    const rig = new UffdRig()
    const file = sys.reopenReadOnly(sys.memfdCreate(rig.process, P))
    const map = (prot: number, flags: number) => rig.do((k) => sys.mmap(k, rig.process, P, prot, flags, 0, file))
    expect(map(RW, MAP_SHARED)).toBe(ERRNO.EACCES)
    const address = map(PROT_READ, MAP_SHARED)
    expect(rig.do((k) => sys.mprotect(k, rig.process, address, P, RW))).toBe(ERRNO.EACCES)
    expect(map(RW, MAP_PRIVATE)).toBeGreaterThan(0)
  })
})

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a hint is taken if it is free, else the lowest gap', () => {
    const rig = new UffdRig({ gear })
    expect(mmap(rig, P, RW, ANON, at(20))).toBe(at(20))
    expect(mmap(rig, P, RW, ANON, at(20))).toBe(at(1))
  })

  it('FIXED replaces what is there, and only that', () => {
    const rig = new UffdRig({ gear })
    rig.map(3, 3, 20)
    for (const page of [20, 21, 22]) rig.store(page, page)
    expect(mmap(rig, P, RW, ANON | MAP_FIXED, at(21))).toBe(at(21))
    expect([20, 21, 22].map((p) => rig.load(p))).toEqual([20, 0, 22])
    expect(rig.areas()).toEqual([[20, 23]])
    expect(rig.audit()).toBeNull()
  })

  it('rights are what was asked for: SIGSEGV 2 without, 1 where nothing is mapped (row 111)', () => {
    const rig = new UffdRig({ gear })
    rig.map(1, PROT_READ, 20)
    rig.map(1, PROT_NONE, 21)
    expect(rig.reader(20).value?.signal).toBeNull()
    expect(rig.writer(20, 1).value).toMatchObject({ signal: 'SIGSEGV', code: 2, address: at(20) })
    expect(rig.reader(21).value).toMatchObject({ signal: 'SIGSEGV', code: 2 })
    expect(rig.reader(30).value).toMatchObject({ signal: 'SIGSEGV', code: 1 })
  })

  it('an offset into a file maps its pages from there', () => {
    const rig = new UffdRig({ gear })
    const file = sys.memfdCreate(rig.process, 4 * P)
    const map = (page: number, offset: number) =>
      rig.do((k) => sys.mmap(k, rig.process, P, RW, MAP_SHARED | MAP_FIXED, at(page), file, offset))
    map(20, 2 * P)
    map(30, 2 * P)
    map(40, 3 * P)
    rig.store(20, 5)
    expect([rig.load(30), rig.load(40)]).toEqual([5, 0])
  })
})
