/**
 * The dirty log: after a sync, a page that is not marked has not been written; reading the pages that a sync names, again and
 * again, ends with what is in memory, whatever stores, forks and reclaim do meanwhile.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bitmap } from '../../core/base/bitmap.ts'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { PTE_W } from '../../core/hw/pte.ts'
import { dirtyLogClear, dirtyLogGet, dirtyLogStart, dirtyLogStop } from '../../core/mm/dirty_log.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { at, GEARS, P, Rig } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

/** The pages that are marked, cleared: what a get names, and a clear of exactly these. */
function* getAndClear(k: Thread, rig: Rig, a: number, pages: number): Proc<number[] | number> {
  const marked = new Bitmap(pages)
  const got = yield* dirtyLogGet(k, rig.mm, a, a + pages, marked)
  if (got !== 0) return got
  yield* dirtyLogClear(k, rig.mm, a, a + pages, marked, a)
  return Array.from({ length: pages }, (_, i) => a + i).filter((page) => marked.has(page - a))
}

const sync = (rig: Rig, a: number, pages: number) => rig.call((k) => getAndClear(k, rig, a, pages))

describe.each(GEARS)('in the %s gear', (gear) => {
  it('names the pages written since the last sync, each once', () => {
    const rig = new Rig({ gear })
    const a = rig.map(4)
    for (let p = 0; p < 3; p++) rig.store(a + p, 1)
    expect(rig.call((k) => dirtyLogStart(k, rig.mm, a, a + 4))).toBe(0)
    expect(sync(rig, a, 4)).toEqual([])
    rig.store(a + 1, 2, 1)
    rig.store(a + 1, 3, 2)
    rig.store(a + 3, 4)
    rig.load(a)
    expect(sync(rig, a, 4)).toEqual([a + 1, a + 3])
    expect(sync(rig, a, 4)).toEqual([])
    expect(rig.pte(a + 1) & PTE_W).toBe(0)
  })

  it('of part of the range leaves the rest marked', () => {
    const rig = new Rig({ gear })
    const a = rig.map(3)
    rig.call((k) => dirtyLogStart(k, rig.mm, a, a + 3))
    for (let p = 0; p < 3; p++) rig.store(a + p, 1)
    expect(sync(rig, a + 1, 1)).toEqual([a + 1])
    expect(sync(rig, a, 3)).toEqual([a, a + 2])
  })

  it('can be read without being cleared; clearing a part protects that part', () => {
    const rig = new Rig({ gear })
    const a = rig.map(3)
    rig.call((k) => dirtyLogStart(k, rig.mm, a, a + 3))
    for (let p = 0; p < 3; p++) rig.store(a + p, 1)
    const get = () => {
      const marked = new Bitmap(10)
      rig.call((k) => dirtyLogGet(k, rig.mm, a - 1, a + 9, marked))
      return Array.from({ length: 10 }, (_, i) => i).filter((i) => marked.has(i))
    }
    expect(get()).toEqual([1, 2, 3])
    expect(rig.pte(a + 1) & PTE_W).not.toBe(0)
    const all = new Bitmap(3)
    all.fill()
    expect(rig.call((k) => dirtyLogClear(k, rig.mm, a + 1, a + 2, all, a))).toBe(0)
    expect(rig.pte(a + 1) & PTE_W).toBe(0)
    expect(rig.pte(a + 2) & PTE_W).not.toBe(0)
    expect(get()).toEqual([1, 3])
  })

  it('keeps a mark that whoever clears has not seen', () => {
    const rig = new Rig({ gear })
    const a = rig.map(2)
    rig.call((k) => dirtyLogStart(k, rig.mm, a, a + 2))
    rig.store(a, 1)
    const seen = new Bitmap(2)
    rig.call((k) => dirtyLogGet(k, rig.mm, a, a + 2, seen))
    rig.store(a + 1, 1)
    rig.call((k) => dirtyLogClear(k, rig.mm, a, a + 2, seen, a))
    expect(sync(rig, a, 2)).toEqual([a + 1])
  })

  it('may begin with every page marked, and none protected until it is cleared', () => {
    const rig = new Rig({ gear })
    const a = rig.map(3)
    rig.store(a, 1)
    rig.call((k) => dirtyLogStart(k, rig.mm, a, a + 3, true))
    expect(rig.pte(a) & PTE_W).not.toBe(0)
    rig.store(a, 2)
    expect(sync(rig, a, 3)).toEqual([a, a + 1, a + 2])
    expect(rig.pte(a) & PTE_W).toBe(0)
    rig.store(a + 2, 1)
    expect(sync(rig, a, 3)).toEqual([a + 2])
  })

  it('hears of every way in which a page is written: first touch, copy, swap-in, remap', () => {
    const rig = new Rig({ gear, swap: 4 })
    rig.place(4, 4)
    rig.place(20, 1)
    for (const page of [5, 6, 20]) rig.store(page, 1)
    rig.evict(6)
    rig.call((k) => dirtyLogStart(k, rig.mm, 4, 8))
    rig.fork()
    rig.store(4, 2)
    rig.store(5, 2)
    rig.store(6, 2)
    rig.store(20, 3)
    expect(rig.call((k) => remapAnonPages(k, rig.mm, at(7), at(20), P, 0))).toBe(P)
    expect(sync(rig, 4, 4)).toEqual([4, 5, 6, 7])
    expect(rig.audit()).toBeNull()
  })
})

it('there is one log at a time; without one there is nothing to sync', () => {
  const rig = new Rig()
  const a = rig.map(1)
  expect(sync(rig, a, 1)).toBe(ERRNO.ENOENT)
  rig.call((k) => dirtyLogStart(k, rig.mm, a, a + 1))
  expect(rig.call((k) => dirtyLogStart(k, rig.mm, a, a + 1))).toBe(ERRNO.EBUSY)
  rig.call((k) => dirtyLogStop(k, rig.mm))
  rig.store(a, 1)
  expect(sync(rig, a, 1)).toBe(ERRNO.ENOENT)
})

it('a copy kept up by syncs is what is in memory, after any stores, loads, evictions and syncs', () => {
  const step = fc.record({
    what: fc.constantFrom('store', 'store', 'load', 'evict', 'sync', 'fork'),
    page: fc.nat(3),
    value: fc.nat(99),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const rig = new Rig({ swap: 16, frames: 256 })
      const a = rig.map(4)
      const copy = [0, 0, 0, 0]
      rig.call((k) => dirtyLogStart(k, rig.mm, a, a + 4))
      const catchUp = () => {
        const dirty = sync(rig, a, 4)
        if (typeof dirty !== 'number') for (const page of dirty) copy[page - a] = rig.load(page)
      }
      for (const s of steps) {
        if (s.what === 'store') rig.store(a + s.page, s.value)
        else if (s.what === 'load') rig.load(a + s.page)
        else if (s.what === 'evict' && rig.frame(a + s.page) > 0) rig.evict(a + s.page)
        else if (s.what === 'fork') rig.fork()
        else if (s.what === 'sync') catchUp()
      }
      catchUp()
      expect(copy).toEqual([0, 1, 2, 3].map((p) => rig.load(a + p)))
    }),
    { numRuns: 150 },
  )
})

describe('a store during a sync', () => {
  /** One thread stores twice; another syncs once and reads what it is told, once more in the end. */
  const scenario: Scenario = (rig) => {
    const a = rig.map(1)
    rig.store(a, 1, 1)
    rig.call((k) => dirtyLogStart(k, rig.mm, a, a + 1))
    rig.store(a, 2, 1)
    let copy = 1
    rig.spawn('store', 1, function* (k) {
      for (const value of [3, 4]) yield* rig.process.writePage(k, a, { word0: value, word1: value, version: value })
    })
    rig.spawn('sync', 0, function* (k) {
      const dirty = yield* getAndClear(k, rig, a, 1)
      const out = { word0: 0, word1: 0, version: 0 }
      if (typeof dirty !== 'number' && dirty.length > 0) {
        yield* rig.process.readPage(k, a, out)
        copy = out.word0
      }
    })
    return () => {
      const dirty = sync(rig, a, 1)
      if (typeof dirty !== 'number' && dirty.length > 0) copy = rig.load(a)
      return copy === rig.load(a) ? null : 'a store is in no log'
    }
  }

  it('is in what was read or marked for the next (1000 schedules)', () => {
    expect(firstBreak(1000, {}, scenario)).toBeNull()
  })

  it('is in neither if old TLB entries are not flushed', () => {
    expect(firstBreak(3000, { without: ['dirty-log-flush'] }, scenario)?.why).toBe('a store is in no log')
  })
})
