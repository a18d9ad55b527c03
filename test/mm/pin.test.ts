/**
 * Pins: the frame that a device may use without a PTE is the one that is mapped, stays while it is pinned, and is not moved
 * by UFFDIO_MOVE nor migrated meanwhile.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { migratePage } from '../../core/mm/migrate.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { maybePinned, pinUserPage, unpin } from '../../core/mm/pin.ts'
import { uffdMove } from '../../core/mm/uffd_move.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { at, GEARS, P, Rig } from './rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a page that is not there is faulted in, for a store with the right to store', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    const pfn = rig.call((k) => pinUserPage(k, rig.mm, a, true))
    expect([pfn, maybePinned(rig.kernel, pfn)]).toEqual([rig.frame(a), true])
    unpin(rig.kernel, pfn)
    expect(maybePinned(rig.kernel, pfn)).toBe(false)
    expect(rig.audit()).toBeNull()
  })

  it('a frame outlives its mapping while it is pinned, and no longer', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const pfn = rig.call((k) => pinUserPage(k, rig.mm, a, false))
    rig.call((k) => munmap(k, rig.mm, at(a), P))
    expect([rig.kernel.phys.words[pfn * 2], rig.kernel.pages.used]).toEqual([5, 1])
    unpin(rig.kernel, pfn)
    expect(rig.kernel.pages.used).toBe(0)
  })

  it('a pinned page is not migrated, and UFFDIO_MOVE answers EBUSY', () => {
    const rig = new Rig({ gear })
    rig.place(4, 1)
    rig.place(8, 1)
    rig.store(4, 5)
    const pfn = rig.call((k) => pinUserPage(k, rig.mm, 4, true))
    const uffd = new Userfaultfd(rig.mm, 77, 'ioctl')
    rig.vma(8).uffd = uffd
    const move = () => rig.call((k) => uffdMove(k, uffd, at(8), at(4), P, 0)).result
    expect(move()).toBe(ERRNO.EBUSY)
    rig.kernel.pages.get(pfn)
    expect(rig.call((k) => migratePage(k, rig.kernel, pfn))).toBe(ERRNO.EAGAIN)
    expect([rig.frame(4), rig.frame(8)]).toEqual([pfn, -1])
    unpin(rig.kernel, pfn)
    expect(move()).toBe(0)
    expect(rig.frame(8)).toBe(pfn)
    expect(rig.audit()).toBeNull()
  })
})

it('an address without an area is EFAULT', () => {
  const rig = new Rig()
  expect(rig.call((k) => pinUserPage(k, rig.mm, 5, false))).toBe(ERRNO.EFAULT)
})
