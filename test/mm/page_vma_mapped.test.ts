/**
 * From a candidate to its PTE: found only where the frame, or the migration entry that names it, really stands, and then with
 * the table's lock held.
 */
import { expect, it } from 'vitest'
import { lockMappedPte, type MappedAs } from '../../core/mm/page_vma_mapped.ts'
import { makeMigrationEntry, makeSwapEntry } from '../../core/mm/swapops.ts'
import { Rig } from './rig.ts'

function find(rig: Rig, page: number, pfn: number, as: MappedAs): boolean {
  return rig.call(function* (k) {
    const slot = yield* lockMappedPte(k, rig.kernel, rig.mm, page, pfn, as)
    if (slot < 0) return false
    const lock = rig.kernel.pteLock(slot)
    expect(lock.holder).toBe(k)
    lock.unlock(k)
    return true
  })
}

it('finds the frame where it is mapped, and nothing else', () => {
  const rig = new Rig({ windowPages: 2048 })
  const a = rig.map(1024)
  rig.store(a, 1)
  rig.store(a + 1, 2)
  const pfn = rig.frame(a)
  expect(find(rig, a, pfn, 'present')).toBe(true)
  expect(find(rig, a + 1, pfn, 'present')).toBe(false)
  expect(find(rig, a + 2, pfn, 'present')).toBe(false)
  expect(find(rig, a + 1000, pfn, 'present')).toBe(false)
  expect(find(rig, a, pfn, 'migration')).toBe(false)
})

it('tells a migration entry from a swap entry of the same number', () => {
  const rig = new Rig()
  const a = rig.map(1)
  const slot = rig.mm.table.walkAllocate(a)
  rig.kernel.tables.set(slot, makeMigrationEntry(7, true, true))
  expect([find(rig, a, 7, 'migration'), find(rig, a, 8, 'migration'), find(rig, a, 7, 'present')]).toEqual([true, false, false])
  rig.kernel.tables.set(slot, makeSwapEntry(7, true))
  expect(find(rig, a, 7, 'migration')).toBe(false)
  rig.kernel.tables.set(slot, 0)
})
