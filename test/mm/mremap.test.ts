/**
 * mremap: every errno, shrinking, growing, moving; what a move keeps (content, frames, the reverse map) and what it destroys.
 * Rows 27 to 29, 113 and 114 of the assertions (kernel.md 7.2, 7.7).
 */
import { describe, expect, it } from 'vitest'
import { ERRNO, MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE, sys } from '../../core/machine/syscall.ts'
import { at, GEARS, P, type RigOptions, seedsWhere } from './rig.ts'
import { UffdRig } from './uffd_rig.ts'

const MOVE = MREMAP_MAYMOVE | MREMAP_FIXED

/** Pages 20 to 23 hold 1 to 4. */
function written(options: RigOptions = {}): UffdRig {
  const rig = new UffdRig(options)
  rig.map(4, 3, 20)
  for (let p = 0; p < 4; p++) rig.store(20 + p, p + 1)
  return rig
}

function mremap(rig: UffdRig, page: number, was: number, pages: number, flags: number, to = 0) {
  return rig.do((k) => sys.mremap(k, rig.process, at(page), was * P, pages * P, flags, to === 0 ? 0 : at(to)))
}

describe('errno', () => {
  it.each([
    ['an unmapped old range', 60, 1, 2, MREMAP_MAYMOVE, 0, ERRNO.EFAULT],
    ['an old range across the end of its area', 22, 4, 5, MREMAP_MAYMOVE, 0, ERRNO.EFAULT],
    ['a target that overlaps', 20, 4, 4, MOVE, 22, ERRNO.EINVAL],
    ['FIXED without MAYMOVE', 20, 4, 4, MREMAP_FIXED, 60, ERRNO.EINVAL],
    ['DONTUNMAP without MAYMOVE', 20, 4, 4, MREMAP_DONTUNMAP, 0, ERRNO.EINVAL],
    ['DONTUNMAP of another length', 20, 4, 5, MREMAP_DONTUNMAP | MREMAP_MAYMOVE, 0, ERRNO.EINVAL],
    ['an unknown flag', 20, 4, 4, 8, 0, ERRNO.EINVAL],
    ['no new length', 20, 4, 0, MREMAP_MAYMOVE, 0, ERRNO.EINVAL],
    ['a target beyond the window', 20, 4, 4, MOVE, 1022, ERRNO.EINVAL],
  ])('%s (row 113)', (_what, page, was, pages, flags, to, errno) => {
    const rig = written()
    expect(mremap(rig, page, was, pages, flags, to)).toBe(errno)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
    expect(rig.load(20)).toBe(1)
  })

  it('an unaligned old address or target is EINVAL (row 113)', () => {
    const rig = written()
    expect(rig.do((k) => sys.mremap(k, rig.process, at(20) + 1, P, P, 0))).toBe(ERRNO.EINVAL)
    expect(rig.do((k) => sys.mremap(k, rig.process, at(20), P, P, MOVE, at(60) + 1))).toBe(ERRNO.EINVAL)
  })

  it('growing in place where something is behind is ENOMEM (row 113)', () => {
    const rig = written()
    rig.map(1, 1, 24)
    expect(mremap(rig, 20, 4, 5, 0)).toBe(ERRNO.ENOMEM)
    expect(mremap(rig, 20, 2, 3, 0)).toBe(ERRNO.ENOMEM)
  })
})

describe.each(GEARS)('in the %s gear', (gear) => {
  it('shrinking unmaps the tail, growing back reads zeros there (row 114)', () => {
    const rig = written({ gear })
    expect(mremap(rig, 20, 4, 2, 0)).toBe(at(20))
    expect(rig.reader(22).value).toMatchObject({ signal: 'SIGSEGV', code: 1 })
    expect(mremap(rig, 20, 2, 4, 0)).toBe(at(20))
    expect([20, 21, 22, 23].map((p) => rig.load(p))).toEqual([1, 2, 0, 0])
    expect(rig.areas()).toEqual([[20, 24]])
    expect(rig.audit()).toBeNull()
  })

  it('a move keeps frames and content; the old place is gone; what was at the target is gone too (row 114)', () => {
    const rig = written({ gear })
    rig.map(4, 3, 60)
    rig.store(60, 99)
    const frames = [20, 21, 22, 23].map((p) => rig.frame(p))
    expect(mremap(rig, 20, 4, 4, MOVE, 60)).toBe(at(60))
    expect([60, 61, 62, 63].map((p) => rig.frame(p))).toEqual(frames)
    expect([60, 61, 62, 63].map((p) => rig.load(p))).toEqual([1, 2, 3, 4])
    expect(rig.reader(20).value?.signal).toBe('SIGSEGV')
    expect(rig.kernel.pages.used).toBe(4)
    expect(rig.audit()).toBeNull()
  })

  it('a move of the middle leaves both ends', () => {
    const rig = written({ gear })
    mremap(rig, 21, 2, 2, MOVE, 60)
    expect(rig.areas()).toEqual([
      [20, 21],
      [23, 24],
      [60, 62],
    ])
    expect([20, 60, 61, 23].map((p) => rig.load(p))).toEqual([1, 2, 3, 4])
    expect(rig.audit()).toBeNull()
  })

  it('moved there and back it is one area again', () => {
    const rig = written({ gear })
    mremap(rig, 21, 2, 2, MOVE, 60)
    mremap(rig, 60, 2, 2, MOVE, 21)
    expect(rig.areas()).toEqual([[20, 24]])
    expect([20, 21, 22, 23].map((p) => rig.load(p))).toEqual([1, 2, 3, 4])
    expect(rig.audit()).toBeNull()
  })

  it('growing where something is behind moves with MAYMOVE, with its content', () => {
    const rig = written({ gear })
    rig.map(1, 1, 24)
    const to = (mremap(rig, 20, 4, 6, MREMAP_MAYMOVE) - at(0)) / P
    expect([0, 1, 2, 3, 4, 5].map((p) => rig.load(to + p))).toEqual([1, 2, 3, 4, 0, 0])
    expect(rig.audit()).toBeNull()
  })

  it('the middle page unmapped and mapped again: 1, 2, 1 areas, touched or not (row 27)', () => {
    for (const touched of [true, false]) {
      const rig = touched ? written({ gear }) : new UffdRig({ gear })
      if (!touched) rig.map(4, 3, 20)
      rig.do((k) => sys.munmap(k, rig.process, at(21), P))
      expect(rig.areas()).toHaveLength(2)
      rig.map(1, 3, 21)
      expect(rig.areas()).toEqual([[20, 24]])
      expect(rig.audit()).toBeNull()
    }
  })

  it('DONTUNMAP leaves the old area, empty', () => {
    const rig = written({ gear })
    const to = (mremap(rig, 20, 4, 4, MREMAP_MAYMOVE | MREMAP_DONTUNMAP) - at(0)) / P
    expect([rig.load(to), rig.load(20)]).toEqual([1, 0])
    expect(rig.audit()).toBeNull()
  })

  it('DONTUNMAP of a whole area lets go of its anon_vmas, of a part of one it does not', () => {
    for (const pages of [4, 2]) {
      const rig = written({ gear })
      mremap(rig, 20, pages, pages, MREMAP_MAYMOVE | MREMAP_DONTUNMAP)
      const old = rig.mm.tree.walk(20)
      expect([old?.anonVma === null, old?.chain.length]).toEqual(pages === 4 ? [true, 0] : [false, 1])
      rig.store(20, 9)
      expect([rig.load(20), rig.audit()]).toEqual([9, null])
    }
  })

  it('pages shared with a child stay shared after the parent moved them', () => {
    const rig = written({ gear })
    const child = rig.fork()
    mremap(rig, 20, 4, 4, MOVE, 60)
    rig.store(60, 50)
    expect([rig.load(60), rig.load(20, 2, child)]).toEqual([50, 1])
    expect(rig.audit()).toBeNull()
  })

  it('a CPU that had the old place in its TLB faults there', () => {
    const rig = written({ gear })
    rig.store(20, 1, 5)
    mremap(rig, 20, 4, 4, MOVE, 60)
    expect(rig.writer(20, 9, 5).value?.signal).toBe('SIGSEGV')
    expect(rig.load(60)).toBe(1)
  })

  it('written pages put side by side in swapped order stay 2 areas; never written, they are 1 (rows 28, 29)', () => {
    for (const write of [true, false]) {
      const rig = new UffdRig({ gear })
      rig.map(1, 3, 20)
      rig.map(1, 3, 30)
      if (write) for (const page of [20, 30]) rig.store(page, page)
      mremap(rig, 30, 1, 1, MOVE, 60)
      mremap(rig, 20, 1, 1, MOVE, 61)
      expect(rig.areas()).toHaveLength(write ? 2 : 1)
      if (write) expect([rig.load(60), rig.load(61)]).toEqual([30, 20])
      expect(rig.audit()).toBeNull()
    }
  })
})

it('a writer beside a move loses nothing: its last store is at the new place or was a signal (300 schedules)', () => {
  const wrong = seedsWhere(300, (seed) => {
    const rig = written({ gear: 'step', seed })
    let last = 1
    rig.spawn('writer', 2, function* (k) {
      for (let i = 10; i < 14; i++) {
        if ((yield* sys.store(k, rig.process, at(20), i)).signal !== null) return
        last = i
      }
    })
    rig.spawn('mover', 1, (k) => sys.mremap(k, rig.process, at(20), 4 * P, 4 * P, MOVE, at(60)))
    return rig.run() !== 'done' || rig.load(60) !== last || rig.audit() !== null
  })
  expect(wrong).toEqual([])
})
