/**
 * UFFDIO_MOVE where its order of checks shows, what it leaves behind, and its races with stores and munmap. The rows of the
 * assertions are in uffd_move_rows.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import type { UffdResult } from '../../core/mm/mfill_atomic.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { mprotect } from '../../core/mm/mprotect.ts'
import { UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES } from '../../core/mm/uffd_abi.ts'
import { uffdMove } from '../../core/mm/uffd_move.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { VM_LOCKED, VM_READ, VM_SHARED, VM_WRITE } from '../../core/mm/vma.ts'
import { at, GEARS, P, Rig, type RigOptions, RW, seedsWhere } from './rig.ts'

const SRC = 4
const DST = 600

/** Two areas of 8 pages, the upper one registered. */
function moving(options: RigOptions = {}): {
  rig: Rig
  uffd: Userfaultfd
  move: (dst?: number, src?: number, pages?: number, mode?: number) => UffdResult
} {
  const rig = new Rig(options)
  rig.place(SRC, 8)
  rig.place(DST, 8)
  const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
  rig.call((k) => userfaultfdRegister(k, uffd, at(DST), 8 * P, 1))
  const move = (dst = DST, src = SRC, pages = 1, mode = 0) =>
    rig.call((k) => uffdMove(k, uffd, at(dst), at(src), pages * P, mode))
  return { rig, uffd, move }
}

const ok = (pages: number): UffdResult => ({ result: 0, done: pages * P })
const failed = (errno: number): UffdResult => ({ result: errno, done: errno })

describe.each(GEARS)('in the %s gear', (gear) => {
  it('one page: 0 and its bytes; the same frame; the source reads as zeros; a second call is EEXIST', () => {
    const { rig, move } = moving({ gear })
    rig.store(SRC, 7)
    const pfn = rig.frame(SRC)
    expect(move()).toEqual(ok(1))
    expect(rig.frame(DST)).toBe(pfn)
    expect(rig.load(SRC)).toBe(0)
    expect(rig.load(DST)).toBe(7)
    expect(move()).toEqual(failed(ERRNO.EEXIST))
    expect(rig.audit()).toBeNull()
  })
})

describe('errno', () => {
  it.each([
    ['an unaligned destination', at(DST) + 1, at(SRC), P, 0],
    ['an unaligned source', at(DST), at(SRC) + 1, P, 0],
    ['an unaligned length', at(DST), at(SRC), P + 1, 0],
    ['no length', at(DST), at(SRC), 0, 0],
    ['an unknown mode', at(DST), at(SRC), P, 8],
  ])('%s is EINVAL', (_what, dst, src, length, mode) => {
    const { rig, uffd } = moving()
    rig.store(SRC, 1)
    expect(rig.call((k) => uffdMove(k, uffd, dst, src, length, mode)).result).toBe(ERRNO.EINVAL)
    expect(rig.load(SRC)).toBe(1)
  })

  it('of the arguments does not write the field', () => {
    const { rig, uffd } = moving()
    expect(rig.call((k) => uffdMove(k, uffd, at(DST) + 1, at(SRC), P, 0)).done).toBe(0)
  })

  it('mmap_changing is EAGAIN before anything else', () => {
    const { rig, uffd } = moving()
    uffd.mmapChanging = 1
    expect(rig.call((k) => uffdMove(k, uffd, 1, 1, 1, 9))).toEqual(failed(ERRNO.EAGAIN))
  })

  it('a missing destination is ENOENT, then a missing source is; an unregistered destination is EINVAL', () => {
    const { rig, move } = moving()
    rig.store(SRC, 1)
    expect(move(900, SRC)).toEqual(failed(ERRNO.ENOENT))
    expect(move(DST, 900)).toEqual(failed(ERRNO.ENOENT))
    expect(move(SRC + 1, SRC)).toEqual(failed(ERRNO.EINVAL))
  })

  it('a destination registered with another descriptor is EINVAL', () => {
    const { rig } = moving()
    rig.store(SRC, 1)
    const other = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
    expect(rig.call((k) => uffdMove(k, other, at(DST), at(SRC), P, 0)).result).toBe(ERRNO.EINVAL)
  })

  it('ranges that cross the end of either area are EINVAL, and nothing moves', () => {
    const { rig, move } = moving()
    for (let p = 0; p < 8; p++) rig.store(SRC + p, 1)
    expect(move(DST + 7, SRC, 2)).toEqual(failed(ERRNO.EINVAL))
    expect(move(DST, SRC + 7, 2)).toEqual(failed(ERRNO.EINVAL))
    expect(rig.kernel.pages.used).toBe(8)
    expect(rig.pte(DST)).toBe(0)
  })

  it.each([
    ['shared', RW | VM_SHARED, RW, null],
    ['read-only', VM_READ, RW, null],
    ['locked', RW | VM_LOCKED, RW, null],
    ['a file', RW, RW, 'file'],
    ['read-only like the destination', VM_READ, VM_READ, null],
  ] as const)('a source that is %s is EINVAL', (_what, src, dst, ops) => {
    const { rig, move } = moving()
    rig.place(20, 1, src, ops)
    if ((dst & VM_WRITE) === 0) rig.call((k) => mprotect(k, rig.mm, at(DST), P, 1))
    expect(move(DST, 20)).toEqual(failed(ERRNO.EINVAL))
  })

  it('the destination is looked at first: a hole over a present page is EEXIST, over a missing one ENOENT', () => {
    const { rig, move } = moving()
    rig.store(SRC + 1, 1)
    rig.store(SRC + 2, 1)
    move(DST, SRC + 1)
    expect(move(DST, SRC)).toEqual(failed(ERRNO.EEXIST))
    expect(move(DST + 1, SRC)).toEqual(failed(ERRNO.ENOENT))
    expect(move(DST + 1, SRC, 1, UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES)).toEqual(ok(1))
    expect(rig.pte(DST + 1)).toBe(0)
  })

  it('a source without any page table is ENOENT even onto a present page', () => {
    const { rig, move } = moving()
    rig.store(SRC, 1)
    move()
    rig.place(1024 - 4, 1)
    expect(move(DST, 1024 - 4, 1)).toEqual(failed(ERRNO.EEXIST))
    const far = moving({ windowPages: 4096 })
    far.rig.store(SRC, 1)
    far.move()
    far.rig.place(3000, 1)
    expect(far.move(DST, 3000)).toEqual(failed(ERRNO.ENOENT))
  })

  it('a fatal signal ends it after the page at hand, with what was moved; a page that was not moved is left', () => {
    const { rig, uffd } = moving()
    for (let p = 0; p < 3; p++) rig.store(SRC + p, p + 1)
    const result = rig.call(function* (k) {
      k.fatalSignal = true
      return yield* uffdMove(k, uffd, at(DST), at(SRC), 3 * P, 0)
    })
    expect(result).toEqual({ result: ERRNO.EAGAIN, done: P })
    expect([rig.load(DST), rig.load(SRC + 1)]).toEqual([1, 2])
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it('leaves no lock and no reference behind, whatever it answered', () => {
    const { rig, move } = moving()
    rig.store(SRC, 1)
    rig.fork()
    for (const [dst, src, pages, mode] of [
      [DST, SRC, 1, 0],
      [900, SRC, 1, 0],
      [DST, SRC + 1, 1, 0],
      [DST, SRC, 9, 0],
      [DST, SRC, 1, 8],
    ] as const) {
      move(dst, src, pages, mode)
      expect(rig.mm.mmapLock.isHeld).toBe(false)
    }
    expect(rig.kernel.pages.refcount[rig.frame(SRC)]).toBe(2)
  })
})

describe('races in random schedules', () => {
  it('a move of the zero page against a store to it: nothing is lost (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const { rig, uffd } = moving({ gear: 'step', seed })
      rig.load(SRC, 1)
      const move = rig.spawn('mover', 0, (k) => uffdMove(k, uffd, at(DST), at(SRC), P, 0))
      rig.spawn('writer', 1, (k) => rig.process.writePage(k, SRC, { word0: 5, word1: 5, version: 1 }))
      if (rig.run() !== 'done' || rig.audit() !== null || move.value?.result !== 0) return true
      return rig.load(DST) + rig.load(SRC) !== 5
    })
    expect(wrong).toEqual([])
  })

  it('a move against munmap of the source: 0 or ENOENT, nothing leaks (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const { rig, uffd } = moving({ gear: 'step', seed })
      rig.store(SRC, 1)
      const move = rig.spawn('mover', 0, (k) => uffdMove(k, uffd, at(DST), at(SRC), P, 0))
      rig.spawn('unmapper', 1, (k) => munmap(k, rig.mm, at(SRC), 8 * P))
      if (rig.run() !== 'done' || rig.audit() !== null) return true
      const result = move.value?.result
      return result === 0 ? rig.load(DST) !== 1 : result !== ERRNO.ENOENT || rig.kernel.pages.used !== 0
    })
    expect(wrong).toEqual([])
  })
})
