/**
 * UFFDIO_COPY and UFFDIO_ZEROPAGE: each errno of their table, partial results, who is woken and who is not, a source that
 * is itself missing, and that nobody ever sees half a page.
 */
import { describe, expect, it } from 'vitest'
import { ZERO_PFN } from '../../core/hw/phys_mem.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { MADV_DONTNEED, madvise } from '../../core/mm/madvise.ts'
import { type UffdResult, uffdCopy, uffdZeropage } from '../../core/mm/mfill_atomic.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_NONE, PROT_READ } from '../../core/mm/mprotect.ts'
import { UFFDIO_COPY_MODE_DONTWAKE } from '../../core/mm/uffd_abi.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { wakeUserfault } from '../../core/mm/uffd_wake.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { at, GEARS, P, Rig, type RigOptions, seedsWhere } from './rig.ts'

const SRC = 4
const DST = 20

interface Filling {
  rig: Rig
  uffd: Userfaultfd
  copy: (dst?: number, src?: number, pages?: number, mode?: number) => UffdResult
  zero: (dst?: number, pages?: number, mode?: number) => UffdResult
}

function filling(options: RigOptions = {}): Filling {
  const rig = new Rig(options)
  rig.place(SRC, 8)
  rig.place(DST, 8)
  for (let p = 0; p < 4; p++) rig.store(SRC + p, p + 1)
  const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
  rig.call((k) => userfaultfdRegister(k, uffd, at(DST), 8 * P, 1))
  return {
    rig,
    uffd,
    copy: (dst = DST, src = SRC, pages = 1, mode = 0) => rig.call((k) => uffdCopy(k, uffd, at(dst), at(src), pages * P, mode)),
    zero: (dst = DST, pages = 1, mode = 0) => rig.call((k) => uffdZeropage(k, uffd, at(dst), pages * P, mode)),
  }
}

const ok = (pages: number): UffdResult => ({ result: 0, done: pages * P })
const failed = (errno: number): UffdResult => ({ result: errno, done: errno })

describe.each(GEARS)('in the %s gear', (gear) => {
  it('COPY gives an equal page in another frame and leaves the source; again is EEXIST, as is ZEROPAGE', () => {
    const { rig, copy, zero } = filling({ gear })
    expect(copy()).toEqual(ok(1))
    expect([rig.load(DST), rig.load(SRC)]).toEqual([1, 1])
    expect(rig.frame(DST)).not.toBe(rig.frame(SRC))
    rig.store(SRC, 9)
    expect(copy()).toEqual(failed(ERRNO.EEXIST))
    expect(zero()).toEqual(failed(ERRNO.EEXIST))
    expect(rig.load(DST)).toBe(1)
    expect(rig.audit()).toBeNull()
  })

  it('ZEROPAGE maps the zero page; again, and COPY over it, are EEXIST; a store copies without a message', () => {
    const { rig, uffd, copy, zero } = filling({ gear })
    expect(zero()).toEqual(ok(1))
    expect(rig.frame(DST)).toBe(ZERO_PFN)
    expect(zero()).toEqual(failed(ERRNO.EEXIST))
    expect(copy()).toEqual(failed(ERRNO.EEXIST))
    rig.store(DST, 4)
    expect(rig.load(DST)).toBe(4)
    expect(uffd.pending.length).toBe(0)
    expect(rig.audit()).toBeNull()
  })

  it('COPY of 4 pages, the third present: EAGAIN with 2 pages done, the 4th still missing; from the third EEXIST', () => {
    const { rig, copy, zero } = filling({ gear })
    zero(DST + 2)
    expect(copy(DST, SRC, 4)).toEqual({ result: ERRNO.EAGAIN, done: 2 * P })
    expect([0, 1, 2, 3].map((p) => rig.frame(DST + p) > 0)).toEqual([true, true, false, false])
    expect(rig.pte(DST + 3)).toBe(0)
    expect(copy(DST + 2, SRC + 2, 2)).toEqual(failed(ERRNO.EEXIST))
    expect(rig.audit()).toBeNull()
  })

  it('COPY whose source is missing and registered sends a message for the source, waits, and then succeeds', () => {
    const { rig, uffd } = filling({ gear })
    const copier = rig.spawn('copier', 1, (k) => uffdCopy(k, uffd, at(DST), at(DST + 5), P, 0))
    rig.run()
    expect(copier.done).toBe(false)
    expect(uffd.pending.entries.map((w) => w.page)).toEqual([DST + 5])
    expect(rig.mm.mmapLock.isHeld).toBe(false)
    rig.call((k) => uffdCopy(k, uffd, at(DST + 5), at(SRC + 2), P, 0))
    expect(copier.value).toEqual(ok(1))
    expect(rig.load(DST)).toBe(3)
    expect(rig.audit()).toBeNull()
  })

  it('COPY wakes who waits for the bytes done and nobody else; EEXIST wakes nobody', () => {
    const { rig, uffd } = filling({ gear })
    const readers = [0, 1].map((p) => rig.spawn(`reader ${p}`, 2 + p, (k) => rig.process.touch(k, DST + p, false)))
    rig.run()
    rig.spawn('copier', 0, (k) => uffdCopy(k, uffd, at(DST), at(SRC), P, UFFDIO_COPY_MODE_DONTWAKE))
    rig.run()
    rig.spawn('copier', 0, (k) => uffdCopy(k, uffd, at(DST), at(SRC), P, 0))
    rig.run()
    expect(readers.map((r) => r.done)).toEqual([false, false])
    rig.call((k) => wakeUserfault(k, uffd, DST, DST + 1))
    expect(readers.map((r) => r.done)).toEqual([true, false])
    rig.call((k) => uffdZeropage(k, uffd, at(DST + 1), P, 0))
    expect(readers.map((r) => r.done)).toEqual([true, true])
  })
})

describe('errno', () => {
  it('mmap_changing is EAGAIN, in the field too, before the arguments are looked at', () => {
    const { rig, uffd } = filling()
    uffd.mmapChanging = 1
    expect(rig.call((k) => uffdCopy(k, uffd, 1, 1, 1, 9))).toEqual(failed(ERRNO.EAGAIN))
    expect(rig.call((k) => uffdZeropage(k, uffd, 1, 1, 9))).toEqual(failed(ERRNO.EAGAIN))
  })

  it.each([
    ['an unaligned destination', at(DST) + 8, P, 0],
    ['an unaligned length', at(DST), P + 1, 0],
    ['no length', at(DST), 0, 0],
    ['an unknown mode', at(DST), P, 4],
  ])('%s is EINVAL, and the field is not written', (_what, dst, length, mode) => {
    const { rig, uffd } = filling()
    expect(rig.call((k) => uffdCopy(k, uffd, dst, at(SRC), length, mode))).toEqual({ result: ERRNO.EINVAL, done: 0 })
    expect(rig.call((k) => uffdZeropage(k, uffd, dst, length, mode))).toEqual({ result: ERRNO.EINVAL, done: 0 })
  })

  it('no area and an area that is not registered are ENOENT; through which descriptor it is registered is not asked', () => {
    const { rig, copy, zero } = filling()
    expect(copy(100)).toEqual(failed(ERRNO.ENOENT))
    expect(copy(SRC + 6)).toEqual(failed(ERRNO.ENOENT))
    expect(zero(SRC + 6)).toEqual(failed(ERRNO.ENOENT))
    const other = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
    expect(rig.call((k) => uffdCopy(k, other, at(DST), at(SRC), P, 0))).toEqual(ok(1))
  })

  it('2 pages across the end of an area are ENOENT and place nothing', () => {
    const { rig, copy } = filling()
    rig.call((k) => madvise(k, rig.mm, at(DST), P, 10))
    expect(copy(DST, SRC, 2)).toEqual(failed(ERRNO.ENOENT))
    expect(rig.pte(DST)).toBe(0)
  })

  it('a source without an area is EFAULT and frees the page', () => {
    const { rig, copy } = filling()
    const used = rig.kernel.pages.used
    expect(copy(DST, 100)).toEqual(failed(ERRNO.EFAULT))
    expect(rig.kernel.pages.used).toBe(used)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it('a source outside of the window is EFAULT', () => {
    const { copy } = filling()
    expect(copy(DST, 5000)).toEqual(failed(ERRNO.EFAULT))
  })

  it('full memory is ENOMEM', () => {
    const { rig, copy } = filling({ frames: 5 })
    expect(copy()).toEqual(failed(ERRNO.ENOMEM))
    expect(rig.mm.mmapLock.isHeld).toBe(false)
    expect(rig.audit()).toBeNull()
  })

  it('after munmap and mmap of the same place it is ENOENT', () => {
    const { rig, copy } = filling()
    rig.call((k) => munmap(k, rig.mm, at(DST), 8 * P))
    expect(copy()).toEqual(failed(ERRNO.ENOENT))
    rig.place(DST, 8)
    expect(copy()).toEqual(failed(ERRNO.ENOENT))
  })

  it('pages with PROT_READ and PROT_NONE can be filled', () => {
    const { rig, copy } = filling()
    rig.call((k) => mprotect(k, rig.mm, at(DST), P, PROT_READ))
    rig.call((k) => mprotect(k, rig.mm, at(DST + 1), P, PROT_NONE))
    expect(copy(DST)).toEqual(ok(1))
    expect(copy(DST + 1)).toEqual(ok(1))
    expect(rig.load(DST)).toBe(1)
    expect(() => rig.store(DST, 2)).toThrow('SIGSEGV')
    expect(() => rig.load(DST + 1)).toThrow('SIGSEGV')
  })

  it('after DONTNEED a page can be filled again', () => {
    const { rig, copy } = filling()
    copy(DST)
    rig.call((k) => madvise(k, rig.mm, at(DST), P, MADV_DONTNEED))
    expect(copy(DST, SRC + 1)).toEqual(ok(1))
    expect(rig.load(DST)).toBe(2)
  })
})

describe('races in random schedules', () => {
  it('two COPYs to one page: one 0, one EEXIST, the content of the winner (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const { rig, uffd } = filling({ gear: 'step', seed })
      const calls = [0, 1].map((n) => rig.spawn(`c${n}`, n, (k) => uffdCopy(k, uffd, at(DST), at(SRC + n), P, 0)))
      if (rig.run() !== 'done' || rig.audit() !== null) return true
      const results = calls.map((c) => c.value?.result ?? 1)
      return [...results].sort().join() !== `${ERRNO.EEXIST},0` || rig.load(DST) !== results.indexOf(0) + 1
    })
    expect(wrong).toEqual([])
  })

  it('a reader beside COPY sees the whole page, never half (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const { rig, uffd } = filling({ gear: 'step', seed })
      const out = { word0: -1, word1: -2, version: 0 }
      rig.spawn('reader', 1, (k) => rig.process.readPage(k, DST, out))
      rig.spawn('copier', 0, (k) => uffdCopy(k, uffd, at(DST), at(SRC + 2), P, 0))
      return rig.run() !== 'done' || out.word0 !== 3 || out.word1 !== 3
    })
    expect(wrong).toEqual([])
  })

  it('COPY of 3 pages against munmap: 0, ENOENT or partial, no page in the hole, nothing leaks (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const { rig, uffd } = filling({ gear: 'step', seed })
      const copier = rig.spawn('copier', 0, (k) => uffdCopy(k, uffd, at(DST), at(SRC), 3 * P, 0))
      rig.spawn('unmapper', 1, (k) => munmap(k, rig.mm, at(DST), 8 * P))
      if (rig.run() !== 'done' || rig.audit() !== null || rig.kernel.pages.used !== 4) return true
      return ![0, ERRNO.ENOENT, ERRNO.EAGAIN].includes(copier.value?.result ?? 1)
    })
    expect(wrong).toEqual([])
  })

  it('ZEROPAGE beside a reader and a writer leaves nobody asleep (2000)', () => {
    const wrong = seedsWhere(2000, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const page = rig.map(1)
      const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
      rig.call((k) => userfaultfdRegister(k, uffd, at(page), P, 1))
      rig.spawn('reader', 0, (k) => rig.process.touch(k, page, false))
      rig.spawn('writer', 1, (k) => rig.process.touch(k, page, true))
      rig.spawn('placer', 2, (k) => uffdZeropage(k, uffd, at(page), P, 0))
      return rig.run() !== 'done'
    })
    expect(wrong).toEqual([])
  })
})
