/**
 * The swap device: slots are counted, the last freed is the first used again, the cache holds its page, and content goes out
 * and comes back; misuse is a bug and says so.
 */
import { describe, expect, it } from 'vitest'
import { PG_DIRTY } from '../../core/mm/page.ts'
import { failure, Rig } from './rig.ts'

/** Threads of the rig end, and lockdep would mind a lock held across that: these tests lock by the bit. */
function rigWithSwap(slots = 3): Rig {
  const rig = new Rig({ swap: slots })
  rig.kernel.lockdep = null
  return rig
}

function locked(rig: Rig): number {
  const pfn = rig.kernel.pages.allocate(0)
  rig.kernel.pages.flags[pfn] = (rig.kernel.pages.flags[pfn] ?? 0) | 1
  return pfn
}

describe('a slot', () => {
  it('is in use while it is cached or counted, and no longer', () => {
    const rig = rigWithSwap()
    const { swap, pages } = rig.kernel
    const pfn = locked(rig)
    expect(swap.addToSwap(pfn)).toBe(true)
    const slot = swap.slotOf(pfn)
    expect([swap.used, swap.count(slot), swap.cached(slot), pages.refcount[pfn]]).toEqual([1, 0, pfn, 2])
    swap.duplicate(slot)
    swap.deleteFromCache(pfn)
    expect([swap.used, swap.count(slot), swap.cached(slot), pages.refcount[pfn]]).toEqual([1, 1, -1, 1])
    swap.free(slot)
    expect([swap.used, swap.inUse(slot)]).toEqual([0, false])
  })

  it('freed last is used first: the same number comes back', () => {
    const rig = rigWithSwap()
    const { swap } = rig.kernel
    const [a, b] = [locked(rig), locked(rig)]
    swap.addToSwap(a)
    const slot = swap.slotOf(a)
    swap.deleteFromCache(a)
    swap.addToSwap(b)
    expect(swap.slotOf(b)).toBe(slot)
  })

  it('is given to no more pages than there are', () => {
    const rig = rigWithSwap(2)
    expect([0, 1, 2].map(() => rig.kernel.swap.addToSwap(locked(rig)))).toEqual([true, true, false])
  })
})

describe('content', () => {
  it('goes out and comes back in another frame, with its version; the page is clean after it was written', () => {
    const rig = rigWithSwap()
    const { swap, phys, pages } = rig.kernel
    const [from, to] = [locked(rig), locked(rig)]
    phys.words.set([7, 8], from * 2)
    phys.version[from] = 9
    swap.addToSwap(from)
    expect((pages.flags[from] ?? 0) & PG_DIRTY).toBe(PG_DIRTY)
    swap.write(from)
    expect((pages.flags[from] ?? 0) & PG_DIRTY).toBe(0)
    const slot = swap.slotOf(from)
    swap.duplicate(slot)
    swap.deleteFromCache(from)
    swap.addForRead(to, slot)
    swap.read(to)
    expect([phys.words[to * 2], phys.words[to * 2 + 1], phys.version[to]]).toEqual([7, 8, 9])
    expect([swap.writes, swap.reads]).toEqual([1, 1])
  })

  it('a page taken back from an unused slot has no copy: it is dirty', () => {
    const rig = rigWithSwap()
    const { swap, pages } = rig.kernel
    const pfn = locked(rig)
    swap.addToSwap(pfn)
    swap.write(pfn)
    expect(swap.freeIfUnused(pfn)).toBe(true)
    expect((pages.flags[pfn] ?? 0) & PG_DIRTY).toBe(PG_DIRTY)
    expect(swap.freeIfUnused(pfn)).toBe(false)
  })

  it('a page whose slot is counted stays in the cache, and goes with the last count', () => {
    const rig = rigWithSwap()
    const { swap, pages } = rig.kernel
    const pfn = locked(rig)
    swap.addToSwap(pfn)
    const slot = swap.slotOf(pfn)
    swap.duplicate(slot)
    swap.duplicate(slot)
    expect(swap.freeIfUnused(pfn)).toBe(false)
    pages.flags[pfn] = (pages.flags[pfn] ?? 0) & ~1
    swap.freeWithCache(slot)
    expect(swap.isCached(pfn)).toBe(true)
    swap.freeWithCache(slot)
    expect([swap.isCached(pfn), swap.used]).toEqual([false, 0])
  })
})

it.each([
  ['counts below zero', (rig: Rig) => rig.kernel.swap.free(1), 'count -1 < 0'],
  ['counts of a free slot', (rig: Rig) => rig.kernel.swap.duplicate(1), 'duplicated while free'],
  ['a page that is not locked', (rig: Rig) => rig.kernel.swap.addToSwap(rig.kernel.pages.allocate(0)), 'unlocked'],
  ['a second device', (rig: Rig) => rig.kernel.swap.on(1), 'already on'],
  ['reading what nobody has', (rig: Rig) => rig.kernel.swap.addForRead(locked(rig), 1), 'is read with count 0'],
])('refuses %s', (_what, misuse, message) => {
  expect(failure(() => misuse(rigWithSwap()))).toContain(message)
})

it('a machine without a device has none: nothing can be given a slot', () => {
  const rig = new Rig()
  expect(rig.kernel.swap.slots).toBe(0)
  expect(rig.kernel.swap.addToSwap(locked(rig))).toBe(false)
})
