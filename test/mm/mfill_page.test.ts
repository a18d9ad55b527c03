/**
 * COPY, ZEROPAGE and POISON: each errno with its field, partial results, markers, a source that is itself missing, and that
 * nobody ever sees half a page. Rows 30 to 50 and 95 to 97 of the assertions (kernel.md 7.3, 7.6); races R58 to R62, R75.
 */
import { describe, expect, it } from 'vitest'
import { ZERO_PFN } from '../../core/hw/phys_mem.ts'
import {
  ERRNO,
  MADV_DONTNEED,
  type OpenFile,
  PROT_NONE,
  PROT_READ,
  sys,
  UFFDIO_COPY_MODE_WP,
} from '../../core/machine/syscall.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import { at, failure, firstSeed, GEARS, P, type RigOptions, seedsWhere } from './rig.ts'
import { all, refused, UffdRig, untouched } from './uffd_rig.ts'

/** Pages 4 to 7 hold 1 to 4; pages 20 to 27 are watched. */
function filling(options: RigOptions = {}): UffdRig {
  const rig = new UffdRig(options)
  rig.map(4, 3, 4)
  for (let p = 0; p < 4; p++) rig.store(4 + p, p + 1)
  rig.watch(20, 8)
  return rig
}

function poison(rig: UffdRig, page: number, mode = 0) {
  return rig.do((k) => sys.uffdioPoison(k, rig.uffd, at(page), P, mode))
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('COPY gives an equal page in another frame and leaves the source (row 30)', () => {
    const rig = filling({ gear })
    expect(rig.copy(20, 4)).toEqual(all('copy', 1))
    expect([rig.load(20), rig.load(4)]).toEqual([1, 1])
    expect(rig.frame(20)).not.toBe(rig.frame(4))
    expect(rig.audit()).toBeNull()
  })

  it('COPY again is EEXIST and changes nothing, as is ZEROPAGE over it (rows 31, 32)', () => {
    const rig = filling({ gear })
    rig.copy(20, 4)
    expect(rig.copy(20, 5)).toEqual(refused('copy', ERRNO.EEXIST))
    expect(rig.zero(20)).toEqual(refused('zeropage', ERRNO.EEXIST))
    expect(rig.load(20)).toBe(1)
    expect(rig.audit()).toBeNull()
  })

  it('ZEROPAGE maps the zero page; again and COPY over it are EEXIST; a store raises no message (rows 40, 41)', () => {
    const rig = filling({ gear })
    expect(rig.zero(20)).toEqual(all('zeropage', 1))
    expect(rig.frame(20)).toBe(ZERO_PFN)
    expect(rig.zero(20)).toEqual(refused('zeropage', ERRNO.EEXIST))
    expect(rig.copy(20, 4)).toEqual(refused('copy', ERRNO.EEXIST))
    expect(rig.writer(20, 9).done).toBe(true)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
    expect(rig.audit()).toBeNull()
  })

  it('COPY of 4 with the third present is EAGAIN after 2, the 4th not tried; from the third EEXIST (row 37, R62)', () => {
    const rig = filling({ gear })
    rig.zero(22)
    expect(rig.copy(20, 4, 4)).toEqual({ ret: ERRNO.EAGAIN, fields: { copy: 2 * P } })
    expect([20, 21, 22, 23].map((p) => rig.pte(p) !== 0)).toEqual([true, true, true, false])
    expect(rig.copy(22, 6, 2)).toEqual(refused('copy', ERRNO.EEXIST))
    expect(rig.audit()).toBeNull()
  })

  it('COPY from a missing watched page blocks, with a message for the source, and then is 0 (row 50)', () => {
    const rig = filling({ gear })
    const copier = rig.start('copier', 1, (k) => sys.uffdioCopy(k, rig.process, rig.uffd, at(20), at(25), P, 0))
    expect(copier.done).toBe(false)
    expect(rig.message()).toMatchObject({ address: at(25), flags: 0 })
    expect([rig.mm.mmapLock.isHeld, rig.uffd.mapChangingLock.isHeld]).toEqual([false, false])
    rig.copy(25, 6)
    expect(copier.value).toEqual(all('copy', 1))
    expect(rig.load(20)).toBe(3)
    expect(rig.audit()).toBeNull()
  })

  it('POISON: 0; a touch is SIGBUS; again EEXIST (row 42)', () => {
    const rig = filling({ gear })
    expect(poison(rig, 20)).toEqual(all('updated', 1))
    expect(rig.reader(20).value).toMatchObject({ signal: 'SIGBUS', code: 2 })
    expect(poison(rig, 20)).toEqual(refused('updated', ERRNO.EEXIST))
    expect(rig.message()).toBe(ERRNO.EAGAIN)
  })

  it('COPY over poison is 0, ZEROPAGE EEXIST (row 43)', () => {
    const rig = filling({ gear })
    poison(rig, 20)
    expect(rig.zero(20)).toEqual(refused('zeropage', ERRNO.EEXIST))
    expect(rig.copy(20, 4)).toEqual(all('copy', 1))
    expect(rig.load(20)).toBe(1)
    expect(rig.audit()).toBeNull()
  })

  it('POISON wakes who waits, into SIGBUS; unless told not to', () => {
    const rig = filling({ gear })
    const reader = rig.reader(20)
    poison(rig, 20)
    expect(reader.value?.signal).toBe('SIGBUS')
    const other = rig.reader(21, 2)
    poison(rig, 21, 1)
    expect(other.done).toBe(false)
  })

  it('COPY by a child through the inherited descriptor lands in the parent (row 48)', () => {
    const rig = filling({ gear })
    const child = rig.fork()
    rig.store(4, 50, 2, child)
    expect(rig.copy(20, 4, 1, 0, rig.uffd, child)).toEqual(all('copy', 1))
    expect(rig.load(20)).toBe(50)
    expect(rig.load(4)).toBe(1)
    expect(rig.pte(20, child.mm)).toBe(0)
    expect(rig.audit()).toBeNull()
  })
})

describe('errno', () => {
  it('unregistered, unmapped: ENOENT (row 33)', () => {
    const rig = filling()
    rig.map(1, 3, 40)
    expect(rig.copy(40, 4)).toEqual(refused('copy', ERRNO.ENOENT))
    expect(rig.copy(60, 4)).toEqual(refused('copy', ERRNO.ENOENT))
    expect(rig.zero(60)).toEqual(refused('zeropage', ERRNO.ENOENT))
    expect(poison(rig, 60)).toEqual(refused('updated', ERRNO.ENOENT))
  })

  it('an unreadable source: EFAULT, also at the second page and outside of the window (row 34)', () => {
    const rig = filling()
    expect(rig.copy(20, 60)).toEqual(refused('copy', ERRNO.EFAULT))
    expect(rig.copy(20, 100_000)).toEqual(refused('copy', ERRNO.EFAULT))
    expect(rig.copy(20, 7, 2)).toEqual({ ret: ERRNO.EAGAIN, fields: { copy: P } })
    expect(rig.audit()).toBeNull()
  })

  it('a source at any alignment is fine, its halves come from where they lie (row 35)', () => {
    const expected = [
      [8, 10, 11],
      [2048, 20, 11],
      [4088, 20, 21],
    ] as const
    for (const [shift, first, last] of expected) {
      const rig = filling()
      for (const [address, value] of [
        [at(4), 10],
        [at(4) + 4092, 20],
        [at(5), 11],
        [at(5) + 4092, 21],
      ] as const)
        rig.do((k) => sys.store(k, rig.process, address, value))
      const call = rig.do((k) => sys.uffdioCopy(k, rig.process, rig.uffd, at(20), at(4) + shift, P, 0))
      expect(call).toEqual(all('copy', 1))
      const words = [at(20), at(20) + 4092].map((address) => rig.do((k) => sys.load(k, rig.process, address)).value)
      expect(words).toEqual([first, last])
    }
  })

  it.each([
    ['an unaligned destination', at(20) + 8, P, 0],
    ['an unaligned length', at(20), P + 1, 0],
    ['no length', at(20), 0, 0],
    ['an unknown mode', at(20), P, 4],
  ])('%s is EINVAL, the field untouched (row 36)', (_what, dst, length, mode) => {
    const rig = filling()
    const [u, p] = [rig.uffd, rig.process]
    expect(rig.do((k) => sys.uffdioCopy(k, p, u, dst, at(4), length, mode))).toEqual(untouched(ERRNO.EINVAL))
    expect(rig.do((k) => sys.uffdioZeropage(k, u, dst, length, mode))).toEqual(untouched(ERRNO.EINVAL))
    expect(rig.do((k) => sys.uffdioPoison(k, u, dst, length, mode))).toEqual(untouched(ERRNO.EINVAL))
    expect(rig.do((k) => sys.uffdioContinue(k, u, dst, length, mode))).toEqual(untouched(ERRNO.EINVAL))
  })

  it('MODE_WP on a range not registered for WP is EINVAL (row 36)', () => {
    expect(filling().copy(20, 4, 1, UFFDIO_COPY_MODE_WP).ret).toBe(ERRNO.EINVAL)
  })

  it('CONTINUE on anonymous memory is EINVAL (row 45)', () => {
    const rig = filling()
    expect(rig.do((k) => sys.uffdioContinue(k, rig.uffd, at(20), P, 0)).ret).toBe(ERRNO.EINVAL)
  })

  it('2 pages across the end of an area inside the registration: ENOENT, nothing placed (row 38)', () => {
    const rig = filling()
    rig.do((k) => sys.mprotect(k, rig.process, at(21), P, PROT_READ))
    expect(rig.copy(20, 4, 2)).toEqual(refused('copy', ERRNO.ENOENT))
    expect(rig.pte(20)).toBe(0)
  })

  it('PROT_READ and PROT_NONE pages can be filled (row 39)', () => {
    const rig = filling()
    rig.do((k) => sys.mprotect(k, rig.process, at(20), P, PROT_READ))
    rig.do((k) => sys.mprotect(k, rig.process, at(21), P, PROT_NONE))
    expect([rig.copy(20, 4), rig.copy(21, 5)]).toEqual([all('copy', 1), all('copy', 1)])
    expect(rig.reader(20).value?.value).toBe(1)
    rig.do((k) => sys.mprotect(k, rig.process, at(21), P, PROT_READ))
    expect(rig.reader(21).value?.value).toBe(2)
  })

  it('while the layout changes: EAGAIN, in the field too, before anything else is looked at (row 71)', () => {
    const rig = filling()
    rig.uffd.mmapChanging = 1
    const [u, p] = [rig.uffd, rig.process]
    expect(rig.do((k) => sys.uffdioCopy(k, p, u, 1, 1, 1, 9))).toEqual(refused('copy', ERRNO.EAGAIN))
    expect(rig.do((k) => sys.uffdioZeropage(k, u, 1, 1, 9))).toEqual(refused('zeropage', ERRNO.EAGAIN))
    expect(rig.do((k) => sys.uffdioContinue(k, u, 1, 1, 9))).toEqual(refused('mapped', ERRNO.EAGAIN))
    expect(rig.do((k) => sys.uffdioPoison(k, u, 1, 1, 9))).toEqual(refused('updated', ERRNO.EAGAIN))
  })

  it('no memory: ENOMEM, and no lock and no page is left behind', () => {
    const rig = filling({ frames: 5 })
    expect(rig.copy(20, 4)).toEqual(refused('copy', ERRNO.ENOMEM))
    expect(rig.mm.mmapLock.isHeld).toBe(false)
    expect(rig.audit()).toBeNull()
  })

  it('a fatal signal: EINTR is seen as a partial result', () => {
    const rig = filling()
    const call = rig.do(function* (k) {
      k.fatalSignal = true
      return yield* sys.uffdioCopy(k, rig.process, rig.uffd, at(20), at(4), 4 * P, 0)
    })
    expect(call).toEqual({ ret: ERRNO.EAGAIN, fields: { copy: P } })
  })

  it('a page zapped by DONTNEED can be filled again and is reported (row 62)', () => {
    const rig = filling()
    rig.copy(20, 4)
    rig.do((k) => sys.madvise(k, rig.process, at(20), P, MADV_DONTNEED))
    rig.reader(20)
    expect(rig.message()).toMatchObject({ address: at(20) })
    expect(rig.copy(20, 5)).toEqual(all('copy', 1))
    expect(rig.load(20)).toBe(2)
  })

  it('an area of another descriptor can be filled: the kernel asks only whether somebody registered it', () => {
    const rig = filling()
    expect(rig.copy(20, 4, 1, 0, rig.open())).toEqual(all('copy', 1))
  })
})

describe('races in random schedules', () => {
  it('two COPYs to one page: one 0, one EEXIST, the content of the winner (row 95)', () => {
    const wrong = seedsWhere(300, (seed) => {
      const rig = filling({ gear: 'step', seed })
      const calls = [0, 1].map((n) =>
        rig.spawn(`c${n}`, n, (k) => sys.uffdioCopy(k, rig.process, rig.uffd, at(20), at(4 + n), P, 0)),
      )
      if (rig.run() !== 'done' || rig.audit() !== null) return true
      const results = calls.map((c) => c.value?.ret ?? 1)
      return [...results].sort().join() !== `${ERRNO.EEXIST},0` || rig.load(20) !== results.indexOf(0) + 1
    })
    expect(wrong).toEqual([])
  })

  it('a reader never sees half a page (row 96, R59)', () => {
    const wrong = seedsWhere(300, (seed) => {
      const rig = filling({ gear: 'step', seed })
      const out = { word0: -1, word1: -2, version: 0 }
      rig.spawn('reader', 1, (k) => rig.process.readPage(k, 20, out))
      rig.spawn('copier', 0, (k) => sys.uffdioCopy(k, rig.process, rig.uffd, at(20), at(6), P, 0))
      return rig.run() !== 'done' || out.word0 !== 3 || out.word1 !== 3
    })
    expect(wrong).toEqual([])
  })

  it('COPY against munmap: 0, ENOENT or EAGAIN, no page in a hole, nothing leaks (row 97, R75)', () => {
    const wrong = seedsWhere(300, (seed) => {
      const rig = filling({ gear: 'step', seed })
      const copier = rig.spawn('copier', 0, (k) => sys.uffdioCopy(k, rig.process, rig.uffd, at(20), at(4), 3 * P, 0))
      rig.spawn('unmapper', 1, (k) => sys.munmap(k, rig.process, at(20), 8 * P))
      if (rig.run() !== 'done' || rig.audit() !== null || rig.kernel.pages.used !== 4) return true
      return ![0, ERRNO.ENOENT, ERRNO.EAGAIN].includes(copier.value?.ret ?? 1)
    })
    expect(wrong).toEqual([])
  })

  /** COPY must fault its source in; meanwhile its destination is mapped anew, as a file that nobody registered (R61). */
  function staleDestination(without: readonly ProtectionName[], seed: number): boolean {
    const rig = filling({ gear: 'step', seed, without })
    rig.do((k) => sys.madvise(k, rig.process, at(4), P, MADV_DONTNEED))
    const memfd: OpenFile = sys.memfdCreate(rig.process, P)
    rig.spawn('copier', 0, (k) => sys.uffdioCopy(k, rig.process, rig.uffd, at(20), at(4), P, 0))
    rig.spawn('mapper', 1, (k) => sys.mmap(k, rig.process, P, 3, 0x11, at(20), memfd))
    rig.run()
    return rig.pte(20) !== 0
  }

  it('a page never lands in a mapping that nobody registered (R61)', () => {
    expect(seedsWhere(300, (seed) => staleDestination([], seed))).toEqual([])
  })

  it('without mfill-revalidate the area that is gone is used', () => {
    const usesFreed = (seed: number) => failure(() => staleDestination(['mfill-revalidate'], seed))?.includes('freed') === true
    expect(firstSeed(300, usesFreed)).toBeGreaterThan(0)
  })
})
