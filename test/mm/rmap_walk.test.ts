/**
 * Walks of the reverse map: every mapping of a family is found, nothing moves under a walk, and page_referenced counts and
 * clears the accessed bits, as seen by callers with and without the page lock.
 */
import { describe, expect, it } from 'vitest'
import { PTE_A } from '../../core/hw/pte.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { pageReferenced, rmapWalk } from '../../core/mm/rmap_walk.ts'
import { VM_LOCKED } from '../../core/mm/vma.ts'
import { at, GEARS, P, Rig, RW } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('finds the mapping of each process of a family', () => {
    const rig = new Rig({ gear })
    const a = rig.map(2)
    rig.store(a + 1, 5)
    const pfn = rig.frame(a + 1)
    const family = [rig.process, rig.fork(), rig.fork()]
    const found: number[] = []
    rig.call(function* (k) {
      yield* rig.kernel.pageLocks.lock(k, pfn)
      yield* rmapWalk(k, rig.kernel, pfn, function* (mm, _vma, page) {
        yield* []
        if (page === a + 1) found.push(mm.id)
        return true
      })
      rig.kernel.pageLocks.unlock(k, pfn)
    })
    expect(found.sort()).toEqual(family.map((p) => p.mm.id).sort())
  })

  it.each([true, false])('page_referenced counts each accessed bit once and clears it (page locked: %s)', (isLocked) => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const child = rig.fork()
    rig.load(a, 1, child)
    const pfn = rig.frame(a)
    const ask = () =>
      rig.call(function* (k) {
        rig.kernel.pages.get(pfn)
        if (isLocked) yield* rig.kernel.pageLocks.lock(k, pfn)
        const answer = yield* pageReferenced(k, rig.kernel, pfn, isLocked)
        if (isLocked) rig.kernel.pageLocks.unlock(k, pfn)
        rig.kernel.pages.put(pfn)
        return answer
      })
    expect(ask()).toEqual({ referenced: 2, found: 2, vmLocked: false })
    expect((rig.pte(a) | rig.pte(a, child.mm)) & PTE_A).toBe(0)
    expect(ask()).toEqual({ referenced: 0, found: 2, vmLocked: false })
    rig.cpu(1).mmu.flushAll()
    rig.load(a, 1, child)
    expect(ask().referenced).toBe(1)
  })
})

it('a page in a locked area says so', () => {
  const rig = new Rig()
  rig.place(4, 1, RW | VM_LOCKED)
  rig.store(4, 1)
  expect(rig.call((k) => pageReferenced(k, rig.kernel, rig.frame(4), true)).vmLocked).toBe(true)
})

it('where walkers must hold the page lock, a page that is locked counts as used', () => {
  const rig = new Rig()
  rig.kernel.variants.rmapRecheck = 'page-lock'
  const a = rig.map(1)
  rig.store(a, 1)
  const pfn = rig.frame(a)
  rig.call(function* (k) {
    yield* rig.kernel.pageLocks.lock(k, pfn)
    expect(yield* pageReferenced(k, rig.kernel, pfn, false)).toMatchObject({ referenced: 1, found: 0 })
    rig.kernel.pageLocks.unlock(k, pfn)
  })
})

describe('a walk without the page lock against a remap (R30)', () => {
  const scenario: Scenario = (rig) => {
    rig.place(4, 1)
    rig.place(8, 1)
    rig.store(4, 7)
    const pfn = rig.frame(4)
    let found = -1
    rig.spawn('walker', 1, function* (k) {
      rig.kernel.pages.get(pfn)
      found = (yield* pageReferenced(k, rig.kernel, pfn, false)).found
      rig.kernel.pages.put(pfn)
    })
    rig.spawn('remap', 0, (k) => remapAnonPages(k, rig.mm, at(8), at(4), P, 0))
    return () => (found === 1 ? null : `found ${found} of 1 mapping`)
  }

  it('finds the page in one place or the other (1500 schedules)', () => {
    expect(firstBreak(1500, {}, scenario)).toBeNull()
  })

  it('misses it, or sees it move, if the remap does not write-lock the anon_vma', () => {
    expect(firstBreak(3000, { without: ['remap-anon-vma-lock'] }, scenario)?.why).toMatch(/found 0 of 1|moved from anon_vma/)
  })

  it('misses it if the mapping is not read again (R26), and with the patch of 2013 (R27)', () => {
    expect(firstBreak(3000, { without: ['rmap-mapping-recheck'] }, scenario)?.why).toMatch(/found 0 of 1|moved from anon_vma/)
    const as2013: Scenario = (rig) => {
      rig.kernel.variants.rmapRecheck = 'slow-path'
      return scenario(rig)
    }
    expect(firstBreak(3000, {}, as2013)?.why).toMatch(/found 0 of 1|moved from anon_vma/)
  })
})
