/**
 * The tree of areas answers as a sorted list does, whatever is inserted, removed and resized, and stays a valid red-black tree
 * whose gaps are right. Overlap and the removal of a stranger are refused.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { VM_READ, Vma } from '../../core/mm/vma.ts'
import { VmaTree } from '../../core/mm/vma_tree.ts'
import { Rig, RW } from './rig.ts'

const WINDOW = 120

it('find, overlapping, neighbours and gaps are those of a sorted list', () => {
  const step = fc.record({
    what: fc.constantFrom('insert', 'remove', 'shrink'),
    page: fc.nat(WINDOW - 8),
    pages: fc.integer({ min: 1, max: 6 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const rig = new Rig({ windowPages: WINDOW })
      const { tree } = rig.mm
      rig.mm.mmapLock.tryRead(rig.machine.makeThread('reader'))
      let list: Vma[] = []
      for (const { what, page, pages } of steps) {
        const at = list.find((v) => v.contains(page))
        if (what === 'insert' && !list.some((v) => v.start < page + pages && page < v.end)) {
          const vma = new Vma(rig.kernel.newId(), page, page + pages, RW)
          tree.insert(vma)
          list = [...list, vma].sort((a, b) => a.start - b.start)
        } else if (what === 'remove' && at !== undefined) {
          tree.remove(at)
          list = list.filter((v) => v !== at)
        } else if (what === 'shrink' && at !== undefined && at.end - at.start > 1) {
          rig.call((k) => tree.adjust(k, at, at.start, at.end - 1))
        }
        expect(tree.validate()).toBeNull()
        expect(tree.areas).toEqual(list)
        list.forEach((vma, i) => {
          expect(tree.before(vma)).toBe(list[i - 1] ?? null)
          expect(tree.after(vma)).toBe(list[i + 1] ?? null)
        })
        expect(tree.find(page)).toBe(list.find((v) => v.end > page) ?? null)
        expect(tree.overlapping(page, page + pages)).toEqual(list.filter((v) => v.start < page + pages && v.end > page))
        expect(tree.findGap(1, pages, WINDOW)).toBe(lowestGap(list, 1, pages))
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
  const rig = new Rig()
  const tree = new VmaTree(rig.mm)
  rig.mm.mmapLock.tryRead(rig.machine.makeThread('reader'))
  const vma = new Vma(1, 0, 8, VM_READ)
  tree.insert(vma)
  expect(tree.find(6)).toBe(vma)
  vma.end = 4
  expect(tree.find(6)).toBeNull()
  expect(tree.find(2)).toBe(vma)
  tree.remove(vma)
  expect(tree.find(2)).toBeNull()
})

it('answers only under mmap_lock: what it found last may be going', () => {
  const rig = new Rig()
  rig.place(4, 4)
  expect(() => rig.mm.tree.find(5)).toThrow(/page 5 without mmap_lock/)
  expect(rig.mm.tree.walk(5)?.start).toBe(4)
})

function lowestGap(list: readonly Vma[], from: number, pages: number): number {
  for (let at = from; at + pages <= WINDOW; at++) if (!list.some((v) => v.start < at + pages && at < v.end)) return at
  return -1
}
