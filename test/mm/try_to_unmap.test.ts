/**
 * Taking a page from everybody: each mapping becomes an entry, a locked area keeps its page, the D bit is carried over, and
 * nothing that hardware or other CPUs do meanwhile is lost.
 */
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { migrationWritable, swapExclusive, swapKind, swapValue } from '../../core/mm/swapops.ts'
import { tryToMigrate, tryToUnmap } from '../../core/mm/try_to_unmap.ts'
import { VM_LOCKED } from '../../core/mm/vma.ts'
import { evictFrame, failure, GEARS, Rig, RW } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

function* withLock<T>(k: Thread, rig: Rig, pfn: number, body: () => Proc<T>): Proc<T> {
  rig.kernel.pages.get(pfn)
  yield* rig.kernel.pageLocks.lock(k, pfn)
  const value = yield* body()
  rig.kernel.pageLocks.unlock(k, pfn)
  rig.kernel.pages.put(pfn)
  return value
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('every mapping of a family becomes the same swap entry, counted as often', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(1)
    rig.store(a, 1)
    const family = [rig.process, rig.fork(), rig.fork()]
    const pfn = rig.frame(a)
    const gone = rig.call((k) =>
      withLock(k, rig, pfn, function* () {
        rig.kernel.swap.addToSwap(pfn)
        return yield* tryToUnmap(k, rig.kernel, pfn)
      }),
    )
    expect(gone).toBe(true)
    const slot = rig.kernel.swap.slotOf(pfn)
    for (const { mm } of family)
      expect([swapKind(rig.pte(a, mm)), swapValue(rig.pte(a, mm)), swapExclusive(rig.pte(a, mm))]).toEqual(['swap', slot, false])
    expect(rig.kernel.swap.count(slot)).toBe(3)
    expect(rig.audit()).toBeNull()
  })

  it('a migration entry keeps frame, right to write and exclusiveness; rss stays', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 1)
    const pfn = rig.frame(a)
    rig.call((k) => withLock(k, rig, pfn, () => tryToMigrate(k, rig.kernel, pfn)))
    const pte = rig.pte(a)
    expect([swapKind(pte), swapValue(pte), migrationWritable(pte), swapExclusive(pte), rig.mm.rss]).toEqual([
      'migration',
      pfn,
      true,
      true,
      1,
    ])
  })
})

it('a page of a locked area stays mapped', () => {
  const rig = new Rig({ swap: 4 })
  rig.place(4, 1, RW | VM_LOCKED)
  rig.store(4, 1)
  const pfn = rig.frame(4)
  const gone = rig.call((k) =>
    withLock(k, rig, pfn, function* () {
      rig.kernel.swap.addToSwap(pfn)
      const answer = yield* tryToUnmap(k, rig.kernel, pfn)
      rig.kernel.swap.freeIfUnused(pfn)
      return answer
    }),
  )
  expect([gone, rig.frame(4)]).toEqual([false, pfn])
  expect(rig.audit()).toBeNull()
})

it('without the page lock is a bug', () => {
  const rig = new Rig({ swap: 4 })
  const a = rig.map(1)
  rig.store(a, 1)
  expect(failure(() => rig.call((k) => tryToMigrate(k, rig.kernel, rig.frame(a))))).toContain('without its lock')
})

/** A page with an old copy in swap is written to while it goes out again. */
const rewritten: Scenario = (rig) => {
  const a = rig.map(1)
  rig.store(a, 1)
  rig.evict(a)
  rig.load(a)
  const pfn = rig.frame(a)
  rig.spawn('store', 1, (k) => rig.process.writePage(k, a, { word0: 2, word1: 2, version: 2 }))
  rig.spawn('reclaim', 0, (k) => evictFrame(k, rig.kernel, pfn))
  return () => rig.audit() ?? (rig.load(a, 2) === 2 ? null : 'the store is lost')
}

describe('a store to a page that has a copy in swap', () => {
  it('is never lost (1000 schedules)', () => {
    expect(firstBreak(1000, { swap: 4 }, rewritten)).toBeNull()
  })

  it('is lost if the D bit is not carried over (R37)', () => {
    expect(firstBreak(2000, { swap: 4, without: ['unmap-dirty-bit'] }, rewritten)?.why).toBe('the store is lost')
  })

  it('is lost if the TLBs are not flushed', () => {
    expect(firstBreak(3000, { swap: 4, without: ['unmap-tlb-flush'] }, rewritten)).not.toBeNull()
  })
})
