/**
 * Dirty rings: what is in no ring is not writable and was not written; a vCPU whose ring is nearly full reaps it; and a copy
 * kept up by syncs ends with what is in memory, whoever reaps meanwhile.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bitmap } from '../../core/base/bitmap.ts'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { PTE_W } from '../../core/hw/pte.ts'
import { DirtyRings } from '../../core/migration/dirty_rings.ts'
import { DirtyRing, dirtyRingsEnable, dirtyRingsReset, RESERVED_ENTRIES } from '../../core/mm/dirty_ring.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { GEARS, type Gear, Rig } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

/** Room for 64 entries and the reserve. */
const ENTRIES = 2 * RESERVED_ENTRIES

interface Rings {
  readonly rig: Rig
  readonly rings: DirtyRings
  /** First page of the range. */
  readonly a: number
  readonly pages: number
}

/** `pages` pages with a log, and a ring for each of the rig's CPUs 1 and 2. */
function logging(rig: Rig, pages: number, entries = ENTRIES): Rings {
  const a = rig.map(pages)
  const rings = new DirtyRings(rig.process, a, pages, [rig.cpu(1).id, rig.cpu(2).id], entries)
  rig.call((k) => rings.start(k))
  return { rig, rings, a, pages }
}

function* syncPages(k: Thread, { rings, a, pages }: Rings): Proc<number[]> {
  const out = new Bitmap(pages)
  yield* rings.sync(k, out)
  return Array.from({ length: pages }, (_, i) => a + i).filter((page) => out.has(page - a))
}

/** A vCPU stores to a page, as vcpu.ts does it: its ring is looked at behind each fault. */
function* storeBy(k: Thread, { rig, rings }: Rings, page: number, value: number): Proc<void> {
  yield* rig.process.writePage(k, page, { word0: value, word1: value, version: value })
  if (rings.isDue(k)) yield* rings.handle(k)
}

/** Runs `body` on a vCPU to its end. */
function onVcpu<T>({ rig }: Rings, cpu: 0 | 1 | 2, body: (k: Thread) => Proc<T>): T {
  return rig.call(body, cpu)
}

const store = (r: Rings, cpu: 0 | 1 | 2, page: number, value: number) => onVcpu(r, cpu, (k) => storeBy(k, r, page, value))
const sync = (r: Rings) => r.rig.call((k) => syncPages(k, r))

describe.each(GEARS)('in the %s gear', (gear: Gear) => {
  it('a sync names the pages that each vCPU wrote since the last, and those that nobody with a ring wrote', () => {
    const r = logging(new Rig({ gear }), 6)
    store(r, 1, r.a + 1, 1)
    store(r, 1, r.a + 1, 2)
    store(r, 2, r.a + 3, 3)
    store(r, 0, r.a + 5, 4)
    expect(sync(r)).toEqual([r.a + 1, r.a + 3, r.a + 5])
    expect([...r.rings.dirtyPages]).toEqual([1, 1])
    expect(sync(r)).toEqual([])
    for (const page of [1, 3, 5]) expect(r.rig.pte(r.a + page) & PTE_W).toBe(0)
    expect(r.rig.audit()).toBeNull()
  })

  it('what is reaped between two syncs is protected at once, and named by the next sync', () => {
    const r = logging(new Rig({ gear }), 2)
    store(r, 1, r.a, 1)
    r.rig.call((k) => r.rings.reap(k))
    expect(r.rig.pte(r.a) & PTE_W).toBe(0)
    store(r, 2, r.a + 1, 1)
    expect(r.rig.pte(r.a + 1) & PTE_W).not.toBe(0)
    expect(sync(r)).toEqual([r.a, r.a + 1])
  })

  it('a vCPU whose ring is nearly full leaves the guest and reaps all rings', () => {
    const r = logging(new Rig({ gear, frames: 256 }), 80)
    store(r, 2, r.a + 70, 1)
    for (let page = 0; page < RESERVED_ENTRIES - 1; page++) store(r, 1, r.a + page, 1)
    expect(r.rings.fulls).toBe(0)
    store(r, 1, r.a + 66, 1)
    expect(r.rings.fulls).toBe(1)
    expect([...r.rings.dirtyPages]).toEqual([64, 1])
    expect(r.rig.pte(r.a + 70) & PTE_W).toBe(0)
    expect(sync(r)).toHaveLength(65)
  })

  it('where vCPUs are limited, it reaps its own ring only, and is told how long to sleep', () => {
    const r = logging(new Rig({ gear, frames: 256 }), 80)
    r.rings.limit = (vcpu) => 1000 + vcpu
    store(r, 1, r.a + 70, 1)
    for (let page = 0; page < RESERVED_ENTRIES - 1; page++) store(r, 2, r.a + page, 1)
    const ns = onVcpu(r, 2, function* (k) {
      yield* r.rig.process.writePage(k, r.a + 66, { word0: 1, word1: 1, version: 1 })
      return r.rings.isDue(k) ? yield* r.rings.handle(k) : -1
    })
    expect(ns).toBe(1001)
    expect([...r.rings.dirtyPages]).toEqual([0, 64])
    expect(r.rig.pte(r.a + 70) & PTE_W).not.toBe(0)
  })
})

it('has a size that is a power of two, above the reserve and up to 65536, and is enabled once, before the log', () => {
  for (const entries of [0, 64, 100, 131_072]) expect(dirtyRingsEnable(new Rig().mm, [0], entries)).toBe(ERRNO.EINVAL)
  const { mm } = new Rig()
  expect(dirtyRingsEnable(mm, [0], 4096)).toBe(0)
  expect(dirtyRingsEnable(mm, [0], 4096)).toBe(ERRNO.EBUSY)
  const rig = new Rig()
  expect(rig.call((k) => dirtyRingsReset(k, rig.mm))).toBe(ERRNO.EINVAL)
})

it('keeps an entry until it was collected and reset, and has no room for one too many', () => {
  const ring = new DirtyRing(0, ENTRIES)
  for (let page = 0; page < ENTRIES; page++) ring.push(page)
  expect(ring.free()).toBe(-1)
  expect(() => ring.push(0)).toThrow(/no room/)
  expect(ring.collect()).toBe(0)
  expect(() => ring.push(0)).toThrow(/no room/)
  expect(ring.free()).toBe(0)
  ring.push(999)
  for (let page = 1; page < ENTRIES; page++) expect(ring.collect()).toBe(page)
  expect(ring.collect()).toBe(999)
  expect(ring.collect()).toBe(-1)
})

it('a vCPU pays for its full ring', () => {
  const [full, roomy] = [ENTRIES, 4096].map((entries) => {
    const r = logging(new Rig({ frames: 512 }), 200, entries)
    for (let page = 0; page < 200; page++) store(r, 1, r.a + page, 1)
    return { ns: r.rig.cpu(1).nowNs, fulls: r.rings.fulls }
  })
  expect([full?.fulls, roomy?.fulls]).toEqual([3, 0])
  expect((full?.ns ?? 0) - (roomy?.ns ?? 0)).toBeGreaterThan(3 * 2000)
})

it('a copy kept up by syncs is what is in memory, after any stores, evictions, forks, reaps and syncs', () => {
  const step = fc.record({
    what: fc.constantFrom('store', 'store', 'store', 'load', 'evict', 'reap', 'sync', 'fork'),
    page: fc.nat(3),
    cpu: fc.constantFrom(0 as const, 1 as const, 2 as const),
    value: fc.nat(99),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const rig = new Rig({ swap: 16, frames: 256 })
      const r = logging(rig, 4)
      const copy = [0, 0, 0, 0]
      const catchUp = () => {
        for (const page of sync(r)) copy[page - r.a] = rig.load(page)
      }
      for (const s of steps) {
        if (s.what === 'store') store(r, s.cpu, r.a + s.page, s.value)
        else if (s.what === 'load') rig.load(r.a + s.page)
        else if (s.what === 'evict' && rig.frame(r.a + s.page) > 0) rig.evict(r.a + s.page)
        else if (s.what === 'fork') rig.fork()
        else if (s.what === 'reap') rig.call((k) => r.rings.reap(k))
        else if (s.what === 'sync') catchUp()
      }
      catchUp()
      expect(copy).toEqual([0, 1, 2, 3].map((p) => rig.load(r.a + p)))
    }),
    { numRuns: 150 },
  )
})

describe('a store while one thread reaps and another syncs', () => {
  /** A vCPU stores twice; the reaper reaps; the migration thread syncs and reads what it is told, once more in the end. */
  const scenario: Scenario = (rig) => {
    const r = logging(rig, 1)
    const { a } = r
    store(r, 1, a, 2)
    let copy = 0
    rig.spawn('vcpu', 1, function* (k) {
      for (const value of [3, 4]) yield* storeBy(k, r, a, value)
    })
    rig.spawn('reaper', 2, (k) => r.rings.reap(k))
    rig.spawn('sync', 0, function* (k) {
      const out = { word0: 0, word1: 0, version: 0 }
      if ((yield* syncPages(k, r)).length === 0) return
      yield* rig.process.readPage(k, a, out)
      copy = out.word0
    })
    return () => {
      if (sync(r).length > 0) copy = rig.load(a)
      return copy === rig.load(a) ? null : 'a store is in no ring'
    }
  }

  it('is in what was read or named by the next sync (1500 schedules)', () => {
    expect(firstBreak(1500, {}, scenario)).toBeNull()
  })

  it('is in neither if old TLB entries are not flushed', () => {
    expect(firstBreak(3000, { without: ['dirty-log-flush'] }, scenario)?.why).toBe('a store is in no ring')
  })
})
