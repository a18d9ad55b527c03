/**
 * An area: linear index and page number are inverses inside it, nothing else is inside, and its rights make its PTE flags.
 * Pages and indices run over small ranges exhaustively.
 */
import { describe, expect, it } from 'vitest'
import { PTE_P, PTE_W } from '../../core/hw/pte.ts'
import { VM_READ, VM_WRITE, Vma } from '../../core/mm/vma.ts'

describe('index and page', () => {
  it('are inverses for each page of each area with bounds below 8 and each pgoff below 4 (28 areas, 4 offsets)', () => {
    let areas = 0
    for (let start = 0; start < 7; start++) {
      for (let end = start + 1; end <= 7; end++) {
        for (let pgoff = 0; pgoff < 4; pgoff++) {
          areas++
          const vma = new Vma(1, start, end, VM_READ)
          vma.pgoff = pgoff
          for (let page = 0; page < 10; page++) {
            const inside = page >= start && page < end
            expect(vma.contains(page)).toBe(inside)
            expect(vma.pageOf(vma.indexOf(page))).toBe(inside ? page : -1)
          }
        }
      }
    }
    expect(areas).toBe(28 * 4)
  })

  it('a new area counts its index from its own start', () => {
    expect(new Vma(1, 5, 9, VM_READ).indexOf(7)).toBe(7)
  })
})

describe('rights', () => {
  it('a PTE of an area that may not be written has no W', () => {
    expect(new Vma(1, 0, 1, VM_READ).pageProt & PTE_W).toBe(0)
    expect(new Vma(1, 0, 1, VM_READ | VM_WRITE).pageProt & (PTE_P | PTE_W)).toBe(PTE_P | PTE_W)
  })

  it('only an area without a file is anonymous', () => {
    expect(new Vma(1, 0, 1, VM_READ).isAnonymous).toBe(true)
    expect(new Vma(1, 0, 1, VM_READ, 'file').isAnonymous).toBe(false)
  })
})
