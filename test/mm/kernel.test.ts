/**
 * A kernel's own bookkeeping: ids that are never given twice, one PTE lock a page table, and the page lock bit in the page.
 * Two kernels share nothing.
 */
import { describe, expect, it } from 'vitest'
import { PG_LOCKED } from '../../core/mm/page.ts'
import { Rig } from './rig.ts'

describe('a kernel', () => {
  it('gives no id twice', () => {
    const { kernel } = new Rig()
    const ids = Array.from({ length: 100 }, () => kernel.newId())
    expect(new Set(ids).size).toBe(100)
  })

  it('has one PTE lock a table of 512 entries, and table order is lock order', () => {
    const { kernel } = new Rig()
    expect(kernel.pteLock(3 * 512)).toBe(kernel.pteLock(3 * 512 + 511))
    expect(kernel.pteLock(3 * 512)).not.toBe(kernel.pteLock(4 * 512))
    expect(kernel.pteLock(3 * 512).id).toBeLessThan(kernel.pteLock(4 * 512).id)
  })

  it('keeps the page lock in the page', () => {
    const rig = new Rig()
    const { kernel } = rig
    const pfn = kernel.pages.allocate(0)
    rig.act((k) => {
      expect(kernel.pageLocks.tryLock(k, pfn)).toBe(true)
      expect((kernel.pages.flags[pfn] ?? 0) & PG_LOCKED).toBe(PG_LOCKED)
      expect(kernel.pageLocks.tryLock(k, pfn)).toBe(false)
      kernel.pageLocks.unlock(k, pfn)
    })
    expect((kernel.pages.flags[pfn] ?? 0) & PG_LOCKED).toBe(0)
  })

  it('shares no frame and no table with another', () => {
    const [a, b] = [new Rig(), new Rig()]
    const page = a.map(1)
    b.map(1)
    a.store(page, 5)
    expect(b.kernel.pages.used).toBe(0)
    expect(b.load(page)).toBe(0)
  })

  it('counts each fault once, as minor, major or with a signal', () => {
    const rig = new Rig()
    const a = rig.map(3)
    rig.load(a)
    rig.store(a, 1)
    rig.store(a + 1, 1)
    expect(rig.kernel.faults).toMatchObject({ total: 3, minor: 3, major: 0, userfault: 0, classic: 3 })
  })
})
