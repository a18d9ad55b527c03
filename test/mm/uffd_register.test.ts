/**
 * Registration: what each mode allows, every errno in its order, that it is a property of areas which are cut and joined, and
 * what unregistering and closing do to those who wait. Rows 10 to 25 of the assertions (kernel.md 7.2), 59 to 61.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO, ioctlMask, MAP_ANONYMOUS, MAP_SHARED, PROT_READ, sys } from '../../core/machine/syscall.ts'
import { at, GEARS, P } from './rig.ts'
import { MINOR, MISSING, UffdRig, untouched, WP } from './uffd_rig.ts'

const EINVAL = untouched(ERRNO.EINVAL)

function unregister(rig: UffdRig, page: number, pages: number, uffd = rig.uffd) {
  return rig.do((k) => sys.uffdioUnregister(k, uffd, at(page), pages * P))
}

describe('REGISTER', () => {
  it.each([0, 8, 32, 9])('mode %i is EINVAL (row 10)', (mode) => {
    const rig = new UffdRig()
    rig.map(4, 3, 20)
    expect(rig.register(20, 4, mode)).toEqual(EINVAL)
  })

  it.each([
    ['an unaligned start', at(20) + 1, P],
    ['no length', at(20), 0],
    ['an unaligned length', at(20), 100],
    ['a negative length', at(20), -P],
    ['a range that wraps', at(20), 2 ** 53],
    ['a range outside of the task', 0, P],
    ['a range without an area', at(40), P],
  ])('%s is EINVAL, for UNREGISTER too (rows 11, 12, 23)', (_what, start, length) => {
    const rig = new UffdRig()
    rig.map(4, 3, 20)
    expect(rig.do((k) => sys.uffdioRegister(k, rig.uffd, start, length, MISSING))).toEqual(EINVAL)
    expect(rig.do((k) => sys.uffdioUnregister(k, rig.uffd, start, length))).toEqual(EINVAL)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it('reports the ioctls of its mode (row 14)', () => {
    const rig = new UffdRig()
    rig.map(4, 3, 20)
    const shared = rig.do((k) => sys.mmap(k, rig.process, 4 * P, 3, MAP_SHARED | MAP_ANONYMOUS))
    const ioctls = (mode: number, address: number) =>
      rig.do((k) => sys.uffdioRegister(k, rig.uffd, address, 4 * P, mode)).fields.ioctls
    expect(ioctls(MISSING, at(20))).toBe(0x13cn)
    expect(ioctls(MISSING | WP, at(20))).toBe(0x17cn)
    expect(ioctls(MINOR, shared)).toBe(ioctlMask([2, 3, 4, 5, 7, 8]))
    expect(ioctls(MISSING | WP | MINOR, shared)).toBe(0x1fcn)
  })

  it('MINOR on anonymous memory is EINVAL (row 13)', () => {
    const rig = new UffdRig()
    rig.map(4, 3, 20)
    expect(rig.register(20, 4, MINOR)).toEqual(EINVAL)
    expect(rig.register(20, 4, MISSING | MINOR)).toEqual(EINVAL)
  })

  it('a page of another descriptor is EBUSY and changes nothing; the same again is fine (rows 15, 16)', () => {
    const rig = new UffdRig()
    rig.watch(20, 4)
    rig.map(4, 3, 24)
    const other = rig.open()
    expect(rig.register(22, 4, MISSING, other)).toEqual(untouched(ERRNO.EBUSY))
    expect(rig.vma(25).uffd).toBeNull()
    expect(rig.register(20, 4).ret).toBe(0)
  })

  it('the middle page of 3 makes 3 areas, unregistered it is one again (row 17)', () => {
    const rig = new UffdRig()
    rig.map(3, 3, 20)
    rig.register(21, 1)
    expect(sys.maps(rig.process).length).toBe(3)
    expect(unregister(rig, 21, 1)).toEqual({ ret: 0, fields: {} })
    expect(rig.areas()).toEqual([[20, 23]])
  })

  it('a hole between areas, or before the first, is fine (rows 18, 19)', () => {
    const rig = new UffdRig()
    rig.map(1, 3, 20)
    rig.map(1, 3, 22)
    expect(rig.register(20, 3).ret).toBe(0)
    expect(rig.register(18, 3).ret).toBe(0)
  })

  it('a mode replaces the one before; a mode that is there already is kept', () => {
    const rig = new UffdRig()
    rig.watch(20, 4, MISSING | WP)
    rig.register(20, 4, MISSING)
    expect(rig.protect(20, 1, 1).ret).toBe(0)
    rig.watch(30, 4, MISSING)
    rig.register(30, 4, WP)
    expect(rig.reader(30).done).toBe(true)
    expect(rig.protect(30, 1, 1).ret).toBe(0)
  })

  it('a shared mapping of a read-only descriptor is EPERM, an ordinary file EINVAL (rows 20, 21)', () => {
    const rig = new UffdRig()
    const memfd = sys.memfdCreate(rig.process, 4 * P)
    const file = sys.openFile(rig.process, 4 * P)
    const map = (f: typeof file, prot: number) =>
      (rig.do((k) => sys.mmap(k, rig.process, 4 * P, prot, MAP_SHARED, 0, f)) - at(0)) / P
    expect(rig.register(map(memfd, 3), 4).ret).toBe(0)
    expect(rig.register(map(sys.reopenReadOnly(memfd), PROT_READ), 4)).toEqual(untouched(ERRNO.EPERM))
    expect(rig.register(map(file, 3), 4)).toEqual(EINVAL)
  })

  it('the areas before one that is refused are not registered either', () => {
    const rig = new UffdRig()
    rig.map(2, 3, 20)
    const file = sys.openFile(rig.process, P)
    rig.do((k) => sys.mmap(k, rig.process, P, 3, MAP_SHARED | 0x10, at(22), file))
    expect(rig.register(20, 3)).toEqual(EINVAL)
    expect(rig.vma(20).uffd).toBeNull()
  })

  it('pages that are there stay and raise no message (row 24)', () => {
    const rig = new UffdRig()
    rig.map(1, 3, 20)
    rig.store(20, 5)
    rig.register(20, 1)
    expect(rig.reader(20).value?.value).toBe(5)
    expect(rig.writer(20, 6).done).toBe(true)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
  })

  it('an area mapped anew is not registered (row 25)', () => {
    const rig = new UffdRig()
    rig.watch(20, 1)
    rig.map(1, 3, 4)
    rig.store(4, 1)
    rig.do((k) => sys.munmap(k, rig.process, at(20), P))
    rig.map(1, 3, 20)
    expect(rig.copy(20, 4)).toEqual({ ret: ERRNO.ENOENT, fields: { copy: ERRNO.ENOENT } })
  })

  it('for a process that is gone is ENOMEM, WAKE 0, COPY ESRCH with its field untouched (row 49)', () => {
    const rig = new UffdRig()
    rig.watch(20, 1)
    const child = rig.do((k) => sys.fork(k, rig.process))
    rig.do((k) => sys.exit(k, rig.process), child)
    const on = (body: Parameters<UffdRig['do']>[0]) => rig.do(body, child)
    expect(on((k) => sys.uffdioRegister(k, rig.uffd, at(20), P, MISSING))).toEqual(untouched(ERRNO.ENOMEM))
    expect(on((k) => sys.uffdioCopy(k, child, rig.uffd, at(20), at(21), P, 0))).toEqual(untouched(ERRNO.ESRCH))
    expect(on((k) => sys.uffdioMove(k, child, rig.uffd, at(20), at(21), P, 0))).toEqual(untouched(ERRNO.EINVAL))
    expect(on((k) => sys.uffdioWriteprotect(k, rig.uffd, at(20), P, 1))).toEqual(untouched(ERRNO.ESRCH))
    expect(on((k) => sys.uffdioWake(k, rig.uffd, at(20), P))).toEqual(untouched(0))
    expect(on((k) => sys.close(k, rig.uffd))).toBeUndefined()
  })
})

describe('UNREGISTER', () => {
  it('through another descriptor is EINVAL; of what is not registered 0 (rows 22, 23)', () => {
    const rig = new UffdRig()
    rig.watch(20, 1)
    rig.map(1, 3, 30)
    expect(unregister(rig, 20, 1, rig.open())).toEqual(EINVAL)
    expect(unregister(rig, 30, 1).ret).toBe(0)
    expect(rig.vma(20).uffd).toBe(rig.uffd)
  })

  it('lifts write protection', () => {
    const rig = new UffdRig()
    rig.watch(20, 1, WP)
    rig.store(20, 5)
    rig.protect(20, 1, 1)
    unregister(rig, 20, 1)
    expect(rig.writer(20, 6).done).toBe(true)
  })
})

describe.each(GEARS)('those who wait, in the %s gear', (gear) => {
  it('go on and read 0 when a MISSING range is unregistered (row 60)', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 2)
    const reader = rig.reader(20)
    expect(reader.done).toBe(false)
    expect(unregister(rig, 20, 2).ret).toBe(0)
    rig.run()
    expect(reader.value).toMatchObject({ signal: null, value: 0 })
  })

  it('stay asleep when a WP range is unregistered, until a WAKE (row 61)', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1, WP)
    rig.store(20, 5)
    rig.protect(20, 1, 1)
    const writer = rig.writer(20, 6)
    unregister(rig, 20, 1)
    rig.run()
    expect(writer.done).toBe(false)
    rig.wake(20)
    expect(writer.value).toMatchObject({ signal: null })
    expect(rig.load(20)).toBe(6)
  })

  it('go on and read 0 when the descriptor is closed, and the area is free for another (row 59)', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 2)
    const reader = rig.reader(20)
    rig.message()
    rig.do((k) => sys.close(k, rig.uffd))
    rig.run()
    expect(reader.value).toMatchObject({ signal: null, value: 0 })
    expect(rig.register(20, 2, MISSING, rig.open()).ret).toBe(0)
    expect(rig.audit()).toBeNull()
  })
})
