/**
 * Stable nodes: a page knows its node only while it is that page, a walk visits each merged place and its forks once, and
 * nodes whose page is gone give back what they hold.
 */
import { expect, it } from 'vitest'
import { ksmMerge } from '../../core/mm/ksm.ts'
import { rmapWalkKsm } from '../../core/mm/ksm_node.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { at, P, Rig } from './rig.ts'

/** One process with two equal pages at different places, merged. */
function merged(): { rig: Rig; pfn: number } {
  const rig = new Rig()
  rig.place(4, 1)
  rig.place(9, 1)
  rig.store(4, 5)
  rig.store(9, 5)
  expect(rig.call((k) => ksmMerge(k, rig.kernel, { mm: rig.mm, page: 4 }, { mm: rig.mm, page: 9 }))).toBe('merged')
  return { rig, pfn: rig.frame(4) }
}

it('a walk visits each merged place and each fork of it', () => {
  const { rig, pfn } = merged()
  const child = rig.fork()
  const seen: string[] = []
  rig.call((k) =>
    rmapWalkKsm(k, rig.kernel, pfn, function* (mm, _vma, page) {
      yield* []
      seen.push(`${mm === child.mm ? 'child' : 'parent'} ${page}`)
      return true
    }),
  )
  expect(seen.sort()).toEqual(['child 4', 'child 9', 'parent 4', 'parent 9'])
})

it('a visitor that has seen enough ends the walk', () => {
  const { rig, pfn } = merged()
  let seen = 0
  rig.call((k) =>
    rmapWalkKsm(k, rig.kernel, pfn, function* () {
      yield* []
      seen++
      return false
    }),
  )
  expect(seen).toBe(1)
})

it('a freed page has no node, also when its frame is used again; pruning drops the references', () => {
  const { rig, pfn } = merged()
  const { ksm } = rig.kernel
  expect(ksm.of(rig.kernel, pfn)?.items).toHaveLength(2)
  rig.call((k) => munmap(k, rig.mm, at(4), P))
  rig.call((k) => munmap(k, rig.mm, at(9), P))
  const again = rig.kernel.pages.allocate(0)
  expect(again).toBe(pfn)
  expect(ksm.of(rig.kernel, pfn)).toBeNull()
  expect(rig.kernel.anonVmas.live).toBe(2)
  rig.call((k) => ksm.prune(k, rig.kernel))
  expect([ksm.nodes.size, rig.kernel.anonVmas.live]).toEqual([0, 0])
})
