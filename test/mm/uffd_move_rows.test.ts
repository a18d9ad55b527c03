/**
 * UFFDIO_MOVE through the system call, row by row: 77 to 94 of the assertions (kernel.md 7.6).
 */
import { describe, expect, it } from 'vitest'
import { ERRNO, MADV_DONTFORK, MAP_ANONYMOUS, MAP_SHARED, PROT_NONE, PROT_READ, sys } from '../../core/machine/syscall.ts'
import { at, GEARS, P, type RigOptions, seedsWhere } from './rig.ts'
import { all, refused, UffdRig, untouched } from './uffd_rig.ts'

const HOLES = 2

/** Pages 4 to 7 hold 1 to 4; pages 20 to 27 are watched. */
function moving(options: RigOptions = {}): UffdRig {
  const rig = new UffdRig(options)
  rig.map(4, 3, 4)
  for (let p = 0; p < 4; p++) rig.store(4 + p, p + 1)
  rig.watch(20, 8)
  return rig
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a page moves with its frame; the source is gone and reads as a fresh zero (rows 77, 78)', () => {
    const rig = moving({ gear })
    const frame = rig.frame(4)
    expect(rig.move(20, 4)).toEqual(all('move', 1))
    expect([rig.frame(20), rig.pte(4)]).toEqual([frame, 0])
    expect([rig.load(4), rig.load(20)]).toEqual([0, 1])
    expect(rig.audit()).toBeNull()
  })

  it('a hole onto a present page is EEXIST, onto a missing one ENOENT, with holes allowed 0 (rows 79, 80)', () => {
    const rig = moving({ gear })
    rig.move(20, 4)
    expect(rig.move(20, 4)).toEqual(refused('move', ERRNO.EEXIST))
    expect(rig.move(21, 4)).toEqual(refused('move', ERRNO.ENOENT))
    expect(rig.move(21, 4, 1, HOLES)).toEqual(all('move', 1))
    expect(rig.pte(21)).toBe(0)
  })

  it('3 pages with a hole in the middle: EAGAIN after 1; allowed: all, present 1, 0, 1 (row 81)', () => {
    const rig = moving({ gear })
    rig.move(27, 5)
    expect(rig.move(20, 4, 3)).toEqual({ ret: ERRNO.EAGAIN, fields: { move: P } })
    const other = moving({ gear })
    other.move(27, 5)
    expect(other.move(20, 4, 3, HOLES)).toEqual(all('move', 3))
    expect([20, 21, 22].map((p) => other.frame(p) > 0)).toEqual([true, false, true])
  })

  it('after fork EBUSY, after the child’s exit EBUSY, after a store 0 (row 86)', () => {
    const rig = moving({ gear })
    const child = rig.do((k) => sys.fork(k, rig.process))
    expect(rig.move(20, 4)).toEqual(refused('move', ERRNO.EBUSY))
    rig.do((k) => sys.exit(k, child))
    expect(rig.move(20, 4)).toEqual(refused('move', ERRNO.EBUSY))
    rig.store(4, 9)
    expect(rig.move(20, 4)).toEqual(all('move', 1))
  })

  it('a source that is not inherited moves while the child lives (row 87)', () => {
    const rig = moving({ gear })
    rig.do((k) => sys.madvise(k, rig.process, at(4), 4 * P, MADV_DONTFORK))
    rig.do((k) => sys.fork(k, rig.process))
    expect(rig.move(20, 4)).toEqual(all('move', 1))
  })

  it('inside one area 0, onto itself EEXIST (row 88)', () => {
    const rig = moving({ gear })
    rig.move(20, 4)
    expect(rig.move(21, 20)).toEqual(all('move', 1))
    expect(rig.move(21, 21)).toEqual(refused('move', ERRNO.EEXIST))
    expect(rig.load(21)).toBe(1)
  })

  it('a source that was only read: the zero page moves (row 89)', () => {
    const rig = moving({ gear })
    rig.map(1, 3, 10)
    rig.load(10)
    expect(rig.move(20, 10)).toEqual(all('move', 1))
    expect([rig.frame(20), rig.load(20)]).toEqual([0, 0])
  })

  it('4 pages, the third destination present: EAGAIN, 2 pages, the rest still at the source (row 90)', () => {
    const rig = moving({ gear })
    rig.zero(22)
    expect(rig.move(20, 4, 4)).toEqual({ ret: ERRNO.EAGAIN, fields: { move: 2 * P } })
    expect([4, 5, 6, 7].map((p) => rig.frame(p) > 0)).toEqual([false, false, true, true])
  })

  it('wakes a blocked reader; with DONTWAKE it waits for a WAKE (row 92)', () => {
    const rig = moving({ gear })
    const [one, two] = [rig.reader(20, 1), rig.reader(21, 2)]
    rig.move(20, 4)
    expect(one.value?.value).toBe(1)
    rig.move(21, 5, 1, 1)
    expect(two.done).toBe(false)
    rig.wake(21)
    expect(two.value?.value).toBe(2)
  })
})

describe('errno', () => {
  it('not registered EINVAL; destination unmapped, source unmapped: ENOENT (row 82)', () => {
    const rig = moving()
    expect(rig.move(5, 4)).toEqual(refused('move', ERRNO.EINVAL))
    expect(rig.move(60, 4)).toEqual(refused('move', ERRNO.ENOENT))
    expect(rig.move(20, 60)).toEqual(refused('move', ERRNO.ENOENT))
  })

  it.each([
    ['an unaligned destination', at(20) + 8, at(4), P, 0],
    ['an unaligned source', at(20), at(4) + 8, P, 0],
    ['an unaligned length', at(20), at(4), P + 8, 0],
    ['no length', at(20), at(4), 0, 0],
    ['an unknown mode', at(20), at(4), P, 8],
  ])('%s is EINVAL, the field untouched (row 83)', (_what, dst, src, length, mode) => {
    const rig = moving()
    expect(rig.do((k) => sys.uffdioMove(k, rig.process, rig.uffd, dst, src, length, mode))).toEqual(untouched(ERRNO.EINVAL))
  })

  it('source shared, read-only or locked; both read-only; destination PROT_NONE: EINVAL (row 84)', () => {
    const invalid = refused('move', ERRNO.EINVAL)
    const rig = moving()
    rig.do((k) => sys.mmap(k, rig.process, P, 3, MAP_SHARED | MAP_ANONYMOUS | 0x10, at(12)))
    rig.store(12, 1)
    expect(rig.move(20, 12)).toEqual(invalid)
    rig.do((k) => sys.mprotect(k, rig.process, at(4), P, PROT_READ))
    expect(rig.move(20, 4)).toEqual(invalid)
    rig.do((k) => sys.mprotect(k, rig.process, at(20), P, PROT_READ))
    expect(rig.move(20, 4)).toEqual(invalid)
    rig.do((k) => sys.mprotect(k, rig.process, at(21), P, PROT_NONE))
    expect(rig.move(21, 5)).toEqual(invalid)
    rig.do((k) => sys.mlock(k, rig.process, at(6), P))
    expect(rig.move(22, 6)).toEqual(invalid)
    expect(rig.audit()).toBeNull()
  })

  it('a length across the end of the source’s area is EINVAL and moves nothing (row 85)', () => {
    const rig = moving()
    expect(rig.move(20, 6, 3)).toEqual(refused('move', ERRNO.EINVAL))
    expect(rig.pte(20)).toBe(0)
  })

  it('from another process it is EINVAL (row 91)', () => {
    const rig = moving()
    const child = rig.fork()
    expect(rig.move(20, 4, 1, 0, child)).toEqual(untouched(ERRNO.EINVAL))
  })
})

describe('races in random schedules', () => {
  it('a writer that spins on the source never changes the destination after MOVE returned (row 93)', () => {
    const wrong = seedsWhere(300, (seed) => {
      const rig = moving({ gear: 'step', seed })
      let returned = -1
      let changed = false
      rig.spawn('mover', 1, function* (k) {
        yield* sys.uffdioMove(k, rig.process, rig.uffd, at(20), at(4), P, 0)
        returned = rig.kernel.phys.words[rig.frame(20) * 2] ?? -1
      })
      rig.spawn('writer', 2, function* (k) {
        for (let i = 50; i < 56; i++) {
          yield* sys.store(k, rig.process, at(4), i)
          if (returned >= 0) changed ||= rig.kernel.phys.words[rig.frame(20) * 2] !== returned
        }
      })
      return rig.run() !== 'done' || changed || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })

  it('two moves to one destination: one 0, one EEXIST, the loser’s source intact (row 94)', () => {
    const wrong = seedsWhere(300, (seed) => {
      const rig = moving({ gear: 'step', seed })
      const moves = [0, 1].map((n) =>
        rig.spawn(`m${n}`, n, (k) => sys.uffdioMove(k, rig.process, rig.uffd, at(20), at(4 + n), P, 0)),
      )
      if (rig.run() !== 'done' || rig.audit() !== null) return true
      const results = moves.map((m) => m.value?.ret ?? 1)
      const loser = results.indexOf(ERRNO.EEXIST)
      return !results.includes(0) || loser < 0 || rig.load(4 + loser) !== loser + 1
    })
    expect(wrong).toEqual([])
  })
})
