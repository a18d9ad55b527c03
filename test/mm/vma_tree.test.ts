/**
 * The tree of areas answers as a sorted list does, whatever is inserted, removed and resized, and stays a valid red-black tree
 * whose gaps are right.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Vma } from '../../core/mm/vma.ts'
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
        expect(tree.find(page)).toBe(list.find((v) => v.end > page) ?? null)
        expect(tree.overlapping(page, page + pages)).toEqual(list.filter((v) => v.start < page + pages && v.end > page))
        expect(tree.findGap(1, pages, WINDOW)).toBe(lowestGap(list, 1, pages))
      }
    }),
  )
})

function lowestGap(list: readonly Vma[], from: number, pages: number): number {
  for (let at = from; at + pages <= WINDOW; at++) if (!list.some((v) => v.start < at + pages && at < v.end)) return at
  return -1
}
