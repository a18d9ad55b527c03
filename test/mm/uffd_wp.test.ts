/**
 * Write protection: arm, report, disarm; what is not there; copies, fork, COPY with MODE_WP, and the two features that change
 * the rules. Rows 44 and 68 to 70 of the assertions (kernel.md 7.3, 7.4).
 */
import { describe, expect, it } from 'vitest'
import { PTE_UFFD_WP, PTE_W } from '../../core/hw/pte.ts'
import { ERRNO, sys, UFFD_FEATURE, UFFDIO_COPY_MODE_WP } from '../../core/machine/syscall.ts'
import { at, GEARS, P, seedsWhere } from './rig.ts'
import { all, MISSING, refused, UffdRig, untouched, WP } from './uffd_rig.ts'

const ARM = 1
const DISARM = 0

describe.each(GEARS)('in the %s gear', (gear) => {
  it('arm, load, store, disarm: 0, no message, flags 3, the writer goes on (row 68)', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1, WP)
    rig.store(20, 5)
    expect(rig.protect(20, 1, ARM)).toEqual(untouched(0))
    expect(rig.reader(20).value?.value).toBe(5)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
    const writer = rig.writer(20, 6)
    expect(writer.done).toBe(false)
    expect(rig.message()).toEqual({ event: 0x12, flags: 3, address: at(20), ptid: 0 })
    expect(rig.protect(20, 1, DISARM)).toEqual(untouched(0))
    expect(writer.done).toBe(true)
    expect(rig.load(20)).toBe(6)
    expect(rig.audit()).toBeNull()
  })

  it('a CPU with a writable TLB entry is stopped too', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1, WP)
    rig.store(20, 5, 3)
    rig.protect(20, 1, ARM)
    expect(rig.writer(20, 6, 3).done).toBe(false)
    expect(rig.audit()).toBeNull()
  })

  it('COPY with MODE_WP arms what it places (row 70)', () => {
    const rig = new UffdRig({ gear })
    rig.map(1, 3, 4)
    rig.store(4, 7)
    rig.watch(20, 1, MISSING | WP)
    expect(rig.copy(20, 4, 1, UFFDIO_COPY_MODE_WP)).toEqual(all('copy', 1))
    expect(rig.reader(20).value?.value).toBe(7)
    rig.writer(20, 8)
    expect(rig.message()).toMatchObject({ flags: 3 })
  })

  it('a page shared by fork is armed, reported, and copied after disarming', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1, WP)
    rig.store(20, 5)
    const child = rig.fork()
    rig.protect(20, 1, ARM)
    const writer = rig.writer(20, 6)
    expect(writer.done).toBe(false)
    rig.protect(20, 1, DISARM)
    expect(writer.done).toBe(true)
    expect([rig.load(20), rig.load(20, 2, child)]).toEqual([6, 5])
  })

  it('without EVENT_FORK a child does not inherit protection', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1, WP)
    rig.store(20, 5)
    rig.protect(20, 1, ARM)
    const child = rig.fork()
    expect(rig.pte(20) & PTE_UFFD_WP).not.toBe(0)
    expect(rig.pte(20, child.mm) & PTE_UFFD_WP).toBe(0)
    expect(rig.writer(20, 6, 1, child).done).toBe(true)
  })

  it('with EVENT_FORK the child inherits it, and its store is reported to the child’s descriptor', () => {
    const rig = new UffdRig({ gear }, UFFD_FEATURE.EVENT_FORK)
    rig.watch(20, 1, WP)
    rig.store(20, 5)
    rig.protect(20, 1, ARM)
    const forker = rig.start('forker', 1, (k) => sys.fork(k, rig.process))
    const message = rig.message()
    rig.run()
    const child = forker.value
    if (child === undefined || typeof message === 'number' || message.event !== 0x13) throw new Error('no child')
    rig.writer(20, 6, 2, child)
    expect(rig.message(message.ufd)).toMatchObject({ flags: 3 })
  })
})

describe('a page that is not there', () => {
  it('of anonymous memory is not protected', () => {
    const rig = new UffdRig()
    rig.watch(20, 1, WP)
    expect(rig.protect(20, 1, ARM).ret).toBe(0)
    expect(rig.pte(20)).toBe(0)
    expect(rig.writer(20, 6).done).toBe(true)
  })

  it('is, by a marker, with WP_UNPOPULATED: loads map the zero page, a store is reported', () => {
    for (const touched of [false, true]) {
      const rig = new UffdRig({}, UFFD_FEATURE.WP_UNPOPULATED)
      rig.watch(20, 1, WP)
      rig.protect(20, 1, ARM)
      expect(rig.pte(20)).not.toBe(0)
      if (touched) expect(rig.reader(20).value?.value).toBe(0)
      const writer = rig.writer(20, 6)
      expect(rig.message()).toMatchObject({ flags: 3 })
      rig.protect(20, 1, DISARM)
      expect(writer.done).toBe(true)
      expect(rig.load(20)).toBe(6)
      expect(rig.audit()).toBeNull()
    }
  })

  it('a marker goes when it is disarmed, and when the range is unregistered', () => {
    const rig = new UffdRig({}, UFFD_FEATURE.WP_UNPOPULATED)
    rig.watch(20, 2, WP)
    rig.protect(20, 2, ARM)
    rig.protect(20, 1, DISARM)
    expect(rig.pte(20)).toBe(0)
    rig.do((k) => sys.uffdioUnregister(k, rig.uffd, at(20), 2 * P))
    expect(rig.pte(21)).toBe(0)
  })

  it('COPY over a marker is 0, ZEROPAGE EEXIST (row 44)', () => {
    const rig = new UffdRig({}, UFFD_FEATURE.WP_UNPOPULATED)
    rig.map(1, 3, 4)
    rig.store(4, 7)
    rig.watch(20, 1, MISSING | WP)
    rig.protect(20, 1, ARM)
    expect(rig.zero(20)).toEqual(refused('zeropage', ERRNO.EEXIST))
    expect(rig.copy(20, 4)).toEqual(all('copy', 1))
    expect(rig.load(20)).toBe(7)
  })
})

describe('WP_ASYNC', () => {
  it('lifts protection at the store and tells nobody', () => {
    const rig = new UffdRig({}, UFFD_FEATURE.WP_ASYNC)
    rig.watch(20, 2, WP)
    rig.store(20, 5)
    rig.protect(20, 2, ARM)
    expect(rig.writer(20, 6).done).toBe(true)
    expect(rig.writer(21, 7).done).toBe(true)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
    expect(rig.pte(20) & (PTE_UFFD_WP | PTE_W)).toBe(PTE_W)
    expect([rig.load(20), rig.load(21)]).toEqual([6, 7])
  })

  it('allows an ordinary file in WP mode alone', () => {
    const rig = new UffdRig({}, UFFD_FEATURE.WP_ASYNC)
    const file = sys.openFile(rig.process, P)
    const page = (rig.do((k) => sys.mmap(k, rig.process, P, 3, 1, 0, file)) - at(0)) / P
    expect(rig.register(page, 1, WP).ret).toBe(0)
    expect(rig.register(page, 1, WP | MISSING).ret).toBe(ERRNO.EINVAL)
  })
})

describe('errno', () => {
  it('WP with DONTWAKE, unknown modes and bad ranges are EINVAL (row 69)', () => {
    const rig = new UffdRig()
    rig.watch(20, 1, WP)
    expect(rig.protect(20, 1, 3)).toEqual(untouched(ERRNO.EINVAL))
    expect(rig.protect(20, 1, 4)).toEqual(untouched(ERRNO.EINVAL))
    expect(rig.protect(20, 0, ARM)).toEqual(untouched(ERRNO.EINVAL))
    expect(rig.protect(20, 1, 2)).toEqual(untouched(0))
  })

  it('a range registered for MISSING only, or not at all, is ENOENT; areas before it are done (row 69)', () => {
    const rig = new UffdRig()
    rig.watch(20, 1, WP)
    rig.watch(21, 1, MISSING)
    rig.map(1, 3, 30)
    rig.store(20, 5)
    expect(rig.protect(21, 1, ARM)).toEqual(untouched(ERRNO.ENOENT))
    expect(rig.protect(30, 1, ARM)).toEqual(untouched(ERRNO.ENOENT))
    expect(rig.protect(40, 1, ARM)).toEqual(untouched(ERRNO.ENOENT))
    expect(rig.protect(20, 2, ARM)).toEqual(untouched(ERRNO.ENOENT))
    expect(rig.pte(20) & PTE_UFFD_WP).not.toBe(0)
  })

  it('while the layout changes it is EAGAIN', () => {
    const rig = new UffdRig()
    rig.watch(20, 1, WP)
    rig.uffd.mmapChanging = 1
    expect(rig.protect(20, 1, ARM)).toEqual(untouched(ERRNO.EAGAIN))
  })
})

it('a store after WRITEPROTECT returned is always reported, whoever had the page in its TLB (300 schedules)', () => {
  const wrong = seedsWhere(300, (seed) => {
    const rig = new UffdRig({ gear: 'step', seed })
    rig.watch(20, 1, WP)
    rig.store(20, 1, 3)
    let armed = false
    let late = false
    rig.spawn('armer', 2, function* (k) {
      yield* sys.uffdioWriteprotect(k, rig.uffd, at(20), P, ARM)
      armed = true
    })
    rig.spawn('writer', 3, function* (k) {
      for (let i = 0; i < 4; i++) {
        const after = armed
        yield* sys.store(k, rig.process, at(20), i)
        late ||= after
      }
    })
    rig.run()
    return late || rig.audit() !== null
  })
  expect(wrong).toEqual([])
})
