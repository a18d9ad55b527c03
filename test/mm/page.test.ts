/**
 * Page structs and the allocator: a frame is given out once, comes back with its last reference, and is refused when the
 * books say that it is still used. Frame 0, the zero page, takes no part.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PhysMem, ZERO_PFN } from '../../core/hw/phys_mem.ts'
import { Pages, PG_ANON_EXCLUSIVE } from '../../core/mm/page.ts'

describe('the allocator', () => {
  it('never gives out a frame twice, and says -1 exactly when all are out', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (steps) => {
        const pages = new Pages(new PhysMem(8))
        const out: number[] = []
        for (const take of steps) {
          if (take) {
            const pfn = pages.allocate(0)
            if (out.length === 7) expect(pfn).toBe(-1)
            else {
              expect(pfn).toBeGreaterThan(ZERO_PFN)
              expect(out).not.toContain(pfn)
              expect(pages.refcount[pfn]).toBe(1)
              out.push(pfn)
            }
          } else {
            const pfn = out.shift()
            if (pfn !== undefined) pages.put(pfn)
          }
          expect(pages.used).toBe(out.length)
        }
      }),
    )
  })

  it('frees with the last reference only, and then forgets mapping, index and flags', () => {
    const pages = new Pages(new PhysMem(4))
    const pfn = pages.allocate(0)
    pages.get(pfn)
    pages.mapping[pfn] = 7
    pages.index[pfn] = 9
    pages.flags[pfn] = PG_ANON_EXCLUSIVE
    pages.put(pfn)
    expect(pages.used).toBe(1)
    expect(pages.isExclusive(pfn)).toBe(true)
    pages.put(pfn)
    expect(pages.used).toBe(0)
    expect([pages.mapping[pfn], pages.index[pfn], pages.flags[pfn]]).toEqual([0, 0, 0])
    expect(pages.allocate(0)).toBe(pfn)
  })

  it('refuses one put too many, and the end of a page that is still mapped', () => {
    const pages = new Pages(new PhysMem(4))
    const a = pages.allocate(0)
    pages.put(a)
    expect(() => pages.put(a)).toThrow(/refcount/)
    const other = new Pages(new PhysMem(4))
    const b = other.allocate(0)
    other.mapcount[b] = 1
    expect(other.isMapped(b)).toBe(true)
    expect(() => other.put(b)).toThrow(/mapcount 1/)
  })

  it('does not count the zero page', () => {
    const pages = new Pages(new PhysMem(4))
    for (let i = 0; i < 3; i++) pages.put(ZERO_PFN)
    expect(pages.refcount[ZERO_PFN]).toBe(0)
    expect(pages.used).toBe(0)
  })
})
