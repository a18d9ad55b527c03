import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { cutsHugetlb } from '../../core/mm/hugetlb_area.ts'
import { MADV_DONTNEED, madvise } from '../../core/mm/madvise.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_READ } from '../../core/mm/mprotect.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { VM_HUGETLB } from '../../core/mm/vma.ts'
import { H, hugeRig } from './huge_rig.ts'
import { at, P, RW } from './rig.ts'

describe('a cut', () => {
  const rig = hugeRig()
  const page = rig.map(2 * H, RW | VM_HUGETLB, H)
  const plain = rig.map(10)

  it.each([
    ['inside 2 MiB of the pool', page + 1, page + H, true],
    ['that ends inside', page, page + H + 1, true],
    ['at its multiples', page + H, page + 2 * H, false],
    ['that reaches beyond the area', page, page + 2 * H + 5, false],
    ['of other memory', plain + 1, plain + 2, false],
  ])('%s', (_name, start, end, cuts) => {
    expect(cutsHugetlb(rig.mm, start, end)).toBe(cuts)
  })
})

describe('memory of the hugetlb pool refuses', () => {
  const rig = hugeRig()
  const page = rig.map(2 * H, RW | VM_HUGETLB, H)
  rig.store(page, 1)
  const a = at(page + 5)
  it.each([
    ['munmap', () => rig.call((k) => munmap(k, rig.mm, a, P))],
    ['mprotect', () => rig.call((k) => mprotect(k, rig.mm, a, P, PROT_READ))],
    ['MADV_DONTNEED', () => rig.call((k) => madvise(k, rig.mm, a, P, MADV_DONTNEED))],
    ['remap_anon_pages out of it', () => rig.call((k) => remapAnonPages(k, rig.mm, at(rig.map(1)), a, P, 0))],
  ])('%s of a part', (_name, call) => {
    expect(call()).toBe(ERRNO.EINVAL)
    expect([rig.isHuge(page), rig.audit()]).toEqual([true, null])
  })
})
