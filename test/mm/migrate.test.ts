/**
 * Page migration: the same content in another frame for everybody who had it, whatever they do meanwhile; a page that
 * somebody holds a reference on stays where it is.
 */
import { describe, expect, it } from 'vitest'
import { PTE_W } from '../../core/hw/pte.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { fork } from '../../core/mm/fork.ts'
import { migratePage } from '../../core/mm/migrate.ts'
import { exitMmap, munmap } from '../../core/mm/mmap.ts'
import { at, GEARS, P, Rig } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

function migrate(rig: Rig, pfn: number): number {
  rig.kernel.pages.get(pfn)
  return rig.call((k) => migratePage(k, rig.kernel, pfn))
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('each of a family has the content in the new frame, with the rights it had', () => {
    const rig = new Rig({ gear })
    const a = rig.map(2)
    rig.store(a, 5)
    const child = rig.fork()
    rig.store(a + 1, 6)
    const old = rig.frame(a)
    const to = migrate(rig, old)
    expect(to).not.toBe(old)
    expect(rig.kernel.pages.refcount[old]).toBe(0)
    expect([rig.frame(a), rig.frame(a, child.mm)]).toEqual([to, to])
    expect((rig.pte(a) | rig.pte(a, child.mm)) & PTE_W).toBe(0)
    const own = migrate(rig, rig.frame(a + 1))
    expect(rig.frame(a + 1)).toBe(own)
    expect(rig.pte(a + 1) & PTE_W).toBe(PTE_W)
    expect(rig.kernel.pages.isExclusive(own)).toBe(true)
    expect([rig.load(a), rig.load(a, 1, child), rig.load(a + 1)]).toEqual([5, 5, 6])
    expect(rig.audit()).toBeNull()
  })

  it('a page in the swap cache moves with its slot', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(1)
    rig.store(a, 5)
    rig.evict(a)
    rig.load(a)
    const slot = rig.kernel.swap.slotOf(rig.frame(a))
    const to = migrate(rig, rig.frame(a))
    expect(rig.kernel.swap.cached(slot)).toBe(to)
    expect(rig.load(a)).toBe(5)
    expect(rig.audit()).toBeNull()
  })

  it('a page with a reference of somebody else stays, mapped as before', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const pfn = rig.frame(a)
    rig.kernel.pages.get(pfn)
    expect(migrate(rig, pfn)).toBe(ERRNO.EAGAIN)
    expect([rig.frame(a), rig.load(a)]).toEqual([pfn, 5])
    rig.kernel.pages.put(pfn)
    expect(rig.audit()).toBeNull()
  })
})

it('without a free frame it is out of memory', () => {
  const rig = new Rig({ frames: 2 })
  const a = rig.map(1)
  rig.store(a, 5)
  expect(migrate(rig, rig.frame(a))).toBe(ERRNO.ENOMEM)
  expect(rig.audit()).toBeNull()
})

describe('while others use the page', () => {
  const scenario: Scenario = (rig) => {
    const a = rig.map(1)
    rig.store(a, 1)
    const pfn = rig.frame(a)
    rig.spawn('migrate', 0, function* (k) {
      rig.kernel.pages.get(pfn)
      yield* migratePage(k, rig.kernel, pfn)
    })
    rig.spawn('store', 1, (k) => rig.process.writePage(k, a, { word0: 2, word1: 2, version: 2 }))
    rig.spawn('fork', 2, function* (k) {
      const child = yield* fork(k, rig.mm)
      yield* exitMmap(k, child)
    })
    return () => rig.audit() ?? (rig.load(a, 3) === 2 ? null : 'the store is lost')
  }

  it('no store is lost and no mapping forgotten (1000 schedules)', () => {
    expect(firstBreak(1000, {}, scenario)).toBeNull()
  })

  it('a store is lost if nothing is flushed', () => {
    expect(firstBreak(3000, { without: ['unmap-tlb-flush'] }, scenario)).not.toBeNull()
  })

  it('an area that goes meanwhile leaves nothing behind (1000 schedules)', () => {
    const gone: Scenario = (rig) => {
      const a = rig.map(1)
      rig.store(a, 1)
      const pfn = rig.frame(a)
      rig.spawn('migrate', 0, function* (k) {
        rig.kernel.pages.get(pfn)
        yield* migratePage(k, rig.kernel, pfn)
      })
      rig.spawn('unmap', 1, (k) => munmap(k, rig.mm, at(a), P))
      const { pages, anonVmas } = rig.kernel
      return () => (pages.used + anonVmas.live + rig.mm.rss === 0 ? null : `${pages.used} pages, ${anonVmas.live} anon_vmas left`)
    }
    expect(firstBreak(1000, {}, gone)).toBeNull()
  })

  /** Somebody found the frame, took a reference, and writes to it (a device, or get_user_pages). */
  const pinned: Scenario = (rig) => {
    const a = rig.map(1)
    rig.store(a, 1)
    const { pages, phys } = rig.kernel
    const pfn = rig.frame(a)
    rig.spawn('migrate', 0, function* (k) {
      pages.get(pfn)
      yield* migratePage(k, rig.kernel, pfn)
    })
    rig.spawn('device', 1, function* () {
      yield { kind: 'access', mode: 1, object: pfn, label: 'page.refcount' }
      if (rig.frame(a) !== pfn) return
      pages.get(pfn)
      yield { kind: 'access', mode: 1, object: pfn, label: 'page.content' }
      phys.words[pfn * 2] = 2
      pages.put(pfn)
    })
    return () => (phys.words[pfn * 2] !== 2 || rig.load(a, 2) === 2 ? null : 'what the device wrote is lost')
  }

  it('what somebody with a reference writes is not lost (1000 schedules)', () => {
    expect(firstBreak(1000, {}, pinned)).toBeNull()
  })

  it('is lost if references are not counted first', () => {
    expect(firstBreak(3000, { without: ['migrate-refcount'] }, pinned)?.why).toContain('lost')
  })
})
