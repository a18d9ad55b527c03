/**
 * UFFDIO_COPY and UFFDIO_ZEROPAGE as the migration calls them: what a refused COPY leaves behind, a place mapped anew, and that
 * a copy-on-write beside ZEROPAGE leaves nobody asleep. The rows of the assertions are in mfill_page.test.ts.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { type UffdResult, uffdCopy, uffdZeropage } from '../../core/mm/mfill_atomic.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { at, P, Rig, type RigOptions, seedsWhere } from './rig.ts'

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

const failed = (errno: number): UffdResult => ({ result: errno, done: errno })

describe('errno', () => {
  it('a source without an area is EFAULT and frees the page', () => {
    const { rig, copy } = filling()
    const used = rig.kernel.pages.used
    expect(copy(DST, 100)).toEqual(failed(ERRNO.EFAULT))
    expect(rig.kernel.pages.used).toBe(used)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it('after munmap and mmap of the same place it is ENOENT', () => {
    const { rig, copy } = filling()
    rig.call((k) => munmap(k, rig.mm, at(DST), 8 * P))
    expect(copy()).toEqual(failed(ERRNO.ENOENT))
    rig.place(DST, 8)
    expect(copy()).toEqual(failed(ERRNO.ENOENT))
  })
})

describe('races in random schedules', () => {
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
