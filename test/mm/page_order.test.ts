import { describe, expect, it } from 'vitest'
import { PhysMem } from '../../core/hw/phys_mem.ts'
import { HUGE_PAGES } from '../../core/hw/pte.ts'
import { Pages } from '../../core/mm/page.ts'

const H = HUGE_PAGES
const allocator = (frames: number) => new Pages(new PhysMem(frames))

describe('blocks of 512 frames', () => {
  it('are aligned, come from the top, and leave the bottom to single frames', () => {
    const pages = allocator(4 * H)
    expect([pages.allocateHuge(), pages.allocate(0), pages.allocateHuge(), pages.used]).toEqual([3 * H, 1, 2 * H, 2 * H + 1])
  })

  it('run out before they reach frames in use, or the zero page', () => {
    const pages = allocator(3 * H)
    pages.allocate(0)
    expect([pages.allocateHuge(), pages.allocateHuge(), pages.allocateHuge()]).toEqual([2 * H, H, -1])
  })

  it('come back when freed, and are broken when single frames run out', () => {
    const pages = allocator(2 * H)
    const head = pages.allocateHuge()
    pages.put(head)
    expect(pages.allocateHuge()).toBe(head)
    pages.put(head)
    for (let i = 1; i < H; i++) pages.allocate(0)
    expect([pages.allocate(0), pages.used, pages.allocateHuge()]).toEqual([head, H, -1])
  })

  it('are made of single frames again where all 512 are free, and only there', () => {
    const pages = allocator(2 * H)
    const head = pages.allocateHuge()
    pages.mapcount[head] = 1
    pages.splitCompound(head)
    pages.mapcount.fill(0)
    for (let i = 0; i < H - 1; i++) pages.put(head + i)
    expect(pages.allocateHuge()).toBe(-1)
    pages.put(head + H - 1)
    expect([pages.allocateHuge(), pages.used]).toEqual([head, H])
  })
})

describe('splitting a huge page', () => {
  it('gives each part the mappings and the place it had, and the rest of the references to the first', () => {
    const pages = allocator(2 * H)
    const head = pages.allocateHuge()
    pages.mapcount[head] = 2
    pages.refcount[head] = 3
    pages.mapping[head] = 7
    pages.index[head] = 100
    pages.splitCompound(head)
    const of = (pfn: number) => [
      pages.mapcount[pfn],
      pages.refcount[pfn],
      pages.mapping[pfn],
      pages.index[pfn],
      pages.isHuge(pfn),
    ]
    expect([of(head), of(head + 511)]).toEqual([
      [2, 3, 7, 100, false],
      [2, 2, 7, 611, false],
    ])
  })
})

describe('memory split among CPUs', () => {
  it('keeps blocks apart from the lists of single frames, and counts both', () => {
    const pages = allocator(2 * H)
    pages.splitAmongCpus(2, 1)
    expect([pages.allocate(0), pages.allocate(1), pages.used]).toEqual([1, 1 + Math.floor((H - 1) / 2), 2])
    expect([pages.allocateHuge(), pages.allocateHuge(), pages.used]).toEqual([H, -1, H + 2])
    pages.put(H)
    expect([pages.used, pages.allocateHuge()]).toEqual([2, H])
  })

  it('joins the frames of a split block again, and gives none of them to a CPU', () => {
    const pages = allocator(2 * H)
    pages.splitAmongCpus(1, 1)
    const head = pages.allocateHuge()
    pages.mapcount[head] = 1
    pages.splitCompound(head)
    pages.mapcount.fill(0, head, head + H)
    for (let i = 0; i < H; i++) pages.put(head + i)
    expect([pages.used, pages.allocateHuge()]).toEqual([0, head])
    for (let i = 1; i < H; i++) expect(pages.allocate(0)).toBeLessThan(H)
    expect(pages.allocate(0)).toBe(-1)
  })
})
