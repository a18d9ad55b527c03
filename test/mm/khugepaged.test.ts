import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import { collapseHugePage, khugepagedScanMm, scanAndCollapse } from '../../core/mm/khugepaged.ts'
import { MADV_COLLAPSE, MADV_HUGEPAGE, MADV_USERFAULT, madvise } from '../../core/mm/madvise.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { H, hugeRig } from './huge_rig.ts'
import { at, failure, firstSeed, GEARS, P, type Rig, type RigOptions } from './rig.ts'

/** 2 MiB of small pages, `written` of them written (i + 1 in page i), in an area that may be huge only since then. */
function smallPages(options: RigOptions, written = H): { rig: Rig; page: number } {
  const rig = hugeRig(options)
  const page = rig.map(H, undefined, H)
  for (let i = 0; i < written; i++) rig.store(page + i, i + 1)
  rig.call((k) => madvise(k, rig.mm, at(page), H * P, MADV_HUGEPAGE))
  return { rig, page }
}

const arm = (rig: Rig, page: number) => rig.call((k) => madvise(k, rig.mm, at(page), H * P, MADV_USERFAULT))

describe.each(GEARS)('khugepaged, %s gear', (gear) => {
  it('makes one page of 512, with their content', () => {
    const { rig, page } = smallPages({ gear })
    expect(rig.call((k) => khugepagedScanMm(k, rig.mm))).toBe(1)
    expect([rig.isHuge(page), rig.kernel.pages.used, rig.mm.rss]).toEqual([true, H, H])
    for (let i = 0; i < H; i += 73) expect(rig.load(page + i)).toBe(i + 1)
    expect(rig.audit()).toBeNull()
  })

  it('makes zeros of holes where they are nobody else is to fill', () => {
    const { rig, page } = smallPages({ gear }, 3)
    expect(rig.call((k) => scanAndCollapse(k, rig.mm, page))).toBe('succeed')
    expect([rig.load(page + 2), rig.load(page + 3), rig.mm.rss]).toEqual([3, 0, H])
    expect(rig.audit()).toBeNull()
  })
})

describe('khugepaged leaves alone', () => {
  it('a userfault area with a page missing, whatever the limit', () => {
    const { rig, page } = smallPages({}, H - 1)
    arm(rig, page)
    expect(rig.call((k) => scanAndCollapse(k, rig.mm, page))).toBe('exceed-none-pte')
    expect(rig.call((k) => handlePageFault(k, rig.mm, page + H - 1, false))).toBe('sigbus')
    expect(rig.audit()).toBeNull()
  })

  it('but not a userfault area in which nothing is missing', () => {
    const { rig, page } = smallPages({})
    arm(rig, page)
    expect(rig.call((k) => scanAndCollapse(k, rig.mm, page))).toBe('succeed')
  })

  it('a page that somebody holds, and puts the table back', () => {
    const { rig, page } = smallPages({})
    const pfn = rig.frame(page + 7)
    rig.kernel.pages.get(pfn)
    expect(rig.call((k) => collapseHugePage(k, rig.mm, page))).toBe('page-count')
    rig.kernel.pages.put(pfn)
    expect([rig.isHuge(page), rig.load(page + 7), rig.audit()]).toEqual([false, 8, null])
  })

  it('more shared pages than the limit', () => {
    const { rig, page } = smallPages({})
    rig.fork()
    expect(rig.call((k) => scanAndCollapse(k, rig.mm, page))).toBe('exceed-shared-pte')
    expect(rig.audit()).toBeNull()
  })

  it('what has no area, no table, or is huge already', () => {
    const { rig, page } = smallPages({})
    expect(rig.call((k) => scanAndCollapse(k, rig.mm, page + 4 * H))).toBe('vma-check')
    expect(rig.call((k) => scanAndCollapse(k, rig.mm, page))).toBe('succeed')
    expect(rig.call((k) => scanAndCollapse(k, rig.mm, page))).toBe('pmd-mapped')
  })

  it('everything, when no huge page is to be had', () => {
    const { rig, page } = smallPages({ frames: H + 200 }, 3)
    expect(rig.call((k) => scanAndCollapse(k, rig.mm, page))).toBe('alloc-huge-page-fail')
    expect(rig.call((k) => madvise(k, rig.mm, at(page), H * P, MADV_COLLAPSE))).toBe(ERRNO.ENOMEM)
  })
})

describe('MADV_COLLAPSE', () => {
  it('answers 0 for a huge page made or there, EINVAL for one that may not be', () => {
    const { rig, page } = smallPages({})
    const collapse = () => rig.call((k) => madvise(k, rig.mm, at(page), H * P, MADV_COLLAPSE))
    expect([collapse(), collapse()]).toEqual([0, 0])
    const other = smallPages({}, 5)
    arm(other.rig, other.page)
    expect(other.rig.call((k) => madvise(k, other.rig.mm, at(other.page), H * P, MADV_COLLAPSE))).toBe(ERRNO.EINVAL)
  })
})

describe('a missing page of a userfault area (R68)', () => {
  function collapsedHole(without: readonly ProtectionName[]): { rig: Rig; page: number } {
    const made = smallPages({ without }, H - 1)
    arm(made.rig, made.page)
    made.rig.call((k) => scanAndCollapse(k, made.rig.mm, made.page))
    return made
  }

  it('becomes zeros where khugepaged does not ask', () => {
    const { rig, page } = collapsedHole(['khugepaged-userfault'])
    expect([rig.isHuge(page), rig.load(page + H - 1)]).toEqual([true, 0])
  })

  /** The area is armed at some moment of the scan and collapse; true if its hole can then be read. */
  function armedMeanwhile(seed: number, without: readonly ProtectionName[]): boolean {
    const { rig, page } = smallPages({ gear: 'step', seed, without }, H - 1)
    let armedFirst = false
    rig.spawn('khugepaged', 0, (k) => scanAndCollapse(k, rig.mm, page))
    rig.spawn('arm', 1, function* (k) {
      yield* madvise(k, rig.mm, at(page), H * P, MADV_USERFAULT)
      // Armed only after the collapse: then nothing was missing any more.
      armedFirst = !rig.isHuge(page)
    })
    const wrong = failure(() => expect(rig.run()).toBe('done'))
    expect(wrong).toBeNull()
    return armedFirst && rig.call((k) => handlePageFault(k, rig.mm, page + H - 1, false)) === 'ok'
  }

  it('stays missing whenever the area is armed before the collapse', () => {
    expect(firstSeed(12, (seed) => armedMeanwhile(seed, []))).toBe(-1)
  })

  it('becomes zeros where the isolate step does not ask again', () => {
    expect(firstSeed(40, (seed) => armedMeanwhile(seed, ['khugepaged-userfault-recheck']))).toBeGreaterThan(0)
  })
})
