import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { uffdCopy, uffdZeropage } from '../../core/mm/mfill_atomic.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { VM_HUGETLB } from '../../core/mm/vma.ts'
import { expectWritten, H, hugeRig, mapHuge, mapHugeWritten } from './huge_rig.ts'
import { at, GEARS, P, type Rig, RW } from './rig.ts'

const WHOLE = H * P
const mapPool = (rig: Rig, count = 1) => rig.map(count * H, RW | VM_HUGETLB, H)

describe.each(GEARS)('UFFDIO_COPY into the pool, %s gear', (gear) => {
  function armed(rig: Rig): { uffd: Userfaultfd; dst: number } {
    const dst = mapPool(rig, 2)
    const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
    expect(rig.call((k) => userfaultfdRegister(k, uffd, at(dst), 2 * WHOLE, 1))).toBe(0)
    return { uffd, dst }
  }

  it('places 2 MiB at once, and the next says EEXIST', () => {
    const rig = hugeRig({ gear })
    const src = mapHugeWritten(rig, 1)
    const { uffd, dst } = armed(rig)
    const copy = () => rig.call((k) => uffdCopy(k, uffd, at(dst), at(src), WHOLE, 0))
    expect(copy()).toEqual({ result: 0, done: WHOLE })
    expect([rig.isHuge(dst), rig.frame(dst) === rig.frame(src)]).toEqual([true, false])
    expectWritten(rig, dst, 1)
    expect(copy().result).toBe(ERRNO.EEXIST)
    expect(rig.audit()).toBeNull()
  })

  it('reads a source that is not there with no lock held, and keeps its page for it', () => {
    const rig = hugeRig({ gear })
    const src = mapHuge(rig, 1)
    const { uffd, dst } = armed(rig)
    expect(rig.call((k) => uffdCopy(k, uffd, at(dst), at(src), WHOLE, 0))).toEqual({ result: 0, done: WHOLE })
    expect([rig.load(dst + 300), rig.kernel.pages.used, rig.audit()]).toEqual([0, 2 * H, null])
  })

  it('wakes who waits for any page of it', () => {
    const rig = hugeRig({ gear })
    const src = mapHugeWritten(rig, 1)
    const { uffd, dst } = armed(rig)
    const waits = rig.spawn('waits', 1, (k) => handlePageFault(k, rig.mm, dst + 74, false))
    rig.run()
    expect(waits.done).toBe(false)
    rig.call((k) => uffdCopy(k, uffd, at(dst), at(src), WHOLE, 0))
    expect([waits.value, rig.load(dst + 74)]).toEqual(['ok', 1074])
  })

  it('answers EINVAL to a part, to an odd place, and to ZEROPAGE', () => {
    const rig = hugeRig({ gear })
    const src = mapHugeWritten(rig, 2)
    const { uffd, dst } = armed(rig)
    expect(rig.call((k) => uffdCopy(k, uffd, at(dst), at(src), P, 0)).result).toBe(ERRNO.EINVAL)
    expect(rig.call((k) => uffdCopy(k, uffd, at(dst + 1), at(src), WHOLE, 0)).result).toBe(ERRNO.EINVAL)
    expect(rig.call((k) => uffdZeropage(k, uffd, at(dst), WHOLE, 0)).result).toBe(ERRNO.EINVAL)
    expect([rig.frame(dst), rig.audit()]).toEqual([-1, null])
  })
})
