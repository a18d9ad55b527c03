/**
 * The tree of areas against a model with one cell a page: find, overlapping, gaps and neighbours, after any insertions and
 * removals. Overlap and removal of a stranger are refused.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { VM_READ, Vma } from '../../core/mm/vma.ts'
import { VmaTree } from '../../core/mm/vma_tree.ts'
import { Rig } from './rig.ts'

const PAGES = 20

describe('the tree', () => {
  it('answers as an array with one cell a page does, after any insertions and removals', () => {
    const step = fc.record({ page: fc.nat(PAGES - 1), pages: fc.integer({ min: 1, max: 5 }), remove: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const tree = new VmaTree(new Rig().mm)
        const cells: (Vma | null)[] = new Array<Vma | null>(PAGES).fill(null)
        let id = 0
        for (const { page, pages, remove } of steps) {
          const there = cells[page] ?? null
          if (remove && there !== null) {
            tree.remove(there)
            for (let p = there.start; p < there.end; p++) cells[p] = null
          } else if (!remove && page + pages <= PAGES && cells.slice(page, page + pages).every((c) => c === null)) {
            const vma = new Vma(id++, page, page + pages, VM_READ)
            tree.insert(vma)
            for (let p = page; p < page + pages; p++) cells[p] = vma
          }
          const order = [...new Set(cells.filter((c): c is Vma => c !== null))]
          expect(tree.areas).toEqual(order)
          for (let p = 0; p < PAGES; p++) {
            expect(tree.find(p)).toBe(cells.slice(p).find((c) => c !== null) ?? null)
            expect(tree.overlapping(p, p + 3)).toEqual([...new Set(cells.slice(p, p + 3).filter((c) => c !== null))])
          }
          order.forEach((vma, i) => {
            expect(tree.before(vma)).toBe(order[i - 1] ?? null)
            expect(tree.after(vma)).toBe(order[i + 1] ?? null)
          })
          for (let want = 1; want <= 4; want++) {
            let gap = -1
            for (let p = 0; p + want <= PAGES && gap < 0; p++) if (cells.slice(p, p + want).every((c) => c === null)) gap = p
            expect(tree.findGap(0, want, PAGES)).toBe(gap)
          }
        }
      }),
    )
  })

  it('refuses an area that overlaps another, and the removal of one it does not have', () => {
    const tree = new VmaTree(new Rig().mm)
    tree.insert(new Vma(1, 4, 8, VM_READ))
    for (const [start, end] of [
      [4, 8],
      [3, 5],
      [7, 9],
      [5, 6],
      [0, 20],
    ] as const) {
      expect(() => tree.insert(new Vma(2, start, end, VM_READ))).toThrow(/overlaps/)
    }
    expect(() => tree.remove(new Vma(3, 0, 1, VM_READ))).toThrow(/not in the tree/)
    expect(tree.areas).toHaveLength(1)
  })

  it('finds the right area although the last one found was cut short or removed', () => {
    const tree = new VmaTree(new Rig().mm)
    const vma = new Vma(1, 0, 8, VM_READ)
    tree.insert(vma)
    expect(tree.find(6)).toBe(vma)
    vma.end = 4
    expect(tree.find(6)).toBeNull()
    expect(tree.find(2)).toBe(vma)
    tree.remove(vma)
    expect(tree.find(2)).toBeNull()
  })
})
