/**
 * The reverse map: page_lock_anon_vma_read in all its exits, the walk that follows, and what keeps both true while pages
 * move, areas split and processes end.
 */
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { type AnonVma, anonVmaUnlockRead } from '../../core/mm/anon_vma.ts'
import { MADV_DONTFORK, madvise } from '../../core/mm/madvise.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { pageAnonVma, pageLockAnonVmaRead, pageRemoveRmap } from '../../core/mm/rmap.ts'
import { at, GEARS, P, Rig, seedsWhere } from './rig.ts'
import { candidatesOf, sourceAndDestination, walkAndCount } from './scenarios.ts'

/** Locks and unlocks; answers the anon_vma. */
function* lockOnce(k: Thread, rig: Rig, pfn: number): Proc<AnonVma | null> {
  const av = yield* pageLockAnonVmaRead(k, rig.kernel, pfn)
  av?.root.rwsem.upRead(k)
  return av
}

describe.each(GEARS)('page_lock_anon_vma_read in the %s gear', (gear) => {
  it('a frame that is not anonymous has none', () => {
    const rig = new Rig({ gear })
    rig.map(1)
    const pfn = rig.kernel.pages.allocate(0)
    expect(rig.call((k) => lockOnce(k, rig, pfn))).toBeNull()
  })

  it('a page that nobody maps any longer has none, although its mapping word stays', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 1)
    const pfn = rig.frame(a)
    rig.kernel.pages.get(pfn)
    rig.call((k) => munmap(k, rig.mm, at(a), P))
    expect(rig.kernel.pages.mapping[pfn]).not.toBe(0)
    expect(rig.call((k) => lockOnce(k, rig, pfn))).toBeNull()
  })

  it('the fast path read-locks the root and takes no reference', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 1)
    const child = rig.fork()
    rig.store(a, 2, 0, child)
    const pfn = rig.frame(a, child.mm)
    const own = rig.vma(a, child.mm).anonVma
    rig.call(function* (k) {
      const av = yield* pageLockAnonVmaRead(k, rig.kernel, pfn)
      expect(av).toBe(own)
      expect(av?.refcount).toBe(1)
      expect(av?.root.rwsem.readers).toBe(1)
      expect(av?.rwsem.readers).toBe(0)
      av?.root.rwsem.upRead(k)
    })
  })

  it('the slow path waits for a writer with a reference, then drops it', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 1)
    const av = rig.vma(a).anonVma
    if (av === null) throw new Error('no anon_vma')
    const writer = rig.machine.makeThread('writer')
    expect(av.rwsem.tryWrite(writer)).toBe(true)
    const walker = rig.spawn('walker', 1, function* (k) {
      expect(yield* pageLockAnonVmaRead(k, rig.kernel, rig.frame(a))).toBe(av)
      expect([av.refcount, av.rwsem.readers]).toEqual([1, 1])
      anonVmaUnlockRead(k, rig.kernel, av)
    })
    rig.run()
    expect(walker.done).toBe(false)
    expect(av.refcount).toBe(2)
    av.rwsem.upWrite(writer)
    rig.run()
    expect(walker.done).toBe(true)
  })

  it('an anon_vma that is being freed is not taken again: none', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 1)
    const av = rig.vma(a).anonVma
    if (av === null) throw new Error('no anon_vma')
    av.rwsem.tryWrite(rig.machine.makeThread('writer'))
    av.refcount = 0
    expect(rig.call((k) => lockOnce(k, rig, rig.frame(a)))).toBeNull()
    expect(av.refcount).toBe(0)
  })

  it('a mapping that changes while the walker sleeps sends it to the new anon_vma', () => {
    const rig = new Rig({ gear })
    const { src, dst } = sourceAndDestination(rig)
    const pfn = rig.frame(src)
    rig.store(dst, 1)
    const old = rig.vma(src).anonVma
    const next = rig.vma(dst).anonVma
    if (old === null || next === null) throw new Error('no anon_vma')
    const writer = rig.machine.makeThread('writer')
    old.rwsem.tryWrite(writer)
    const walker = rig.spawn('walker', 1, function* (k) {
      expect(yield* pageLockAnonVmaRead(k, rig.kernel, pfn)).toBe(next)
      expect([old.refcount, old.rwsem.readers, next.rwsem.readers]).toEqual([1, 0, 1])
      anonVmaUnlockRead(k, rig.kernel, next)
    })
    rig.run()
    expect(walker.done).toBe(false)
    rig.kernel.pages.mapping[pfn] = next.index * 2 + 1
    old.rwsem.upWrite(writer)
    rig.run()
    expect(walker.done).toBe(true)
  })
})

describe('the walk', () => {
  it('finds each process that maps a page: generations 1 to 5 of a page nobody wrote', () => {
    const rig = new Rig()
    const a = rig.map(3)
    rig.store(a + 1, 1)
    const pfn = rig.frame(a + 1)
    let process = rig.process
    for (let generation = 2; generation <= 5; generation++) {
      process = rig.fork(0, process)
      const found = rig.call(function* (k) {
        const av = yield* pageLockAnonVmaRead(k, rig.kernel, pfn)
        if (av === null) return []
        const all = yield* candidatesOf(k, rig, pfn, av)
        av.root.rwsem.upRead(k)
        return all
      })
      expect(found).toHaveLength(generation)
      expect(new Set(found.map((c) => c.vma)).size).toBe(generation)
      expect(found.every((c) => c.page === a + 1)).toBe(true)
      expect(rig.kernel.pages.mapcount[pfn]).toBe(generation)
    }
  })

  it('of an area cut in pieces leads to the piece that has the page, and to no other', () => {
    const rig = new Rig()
    const a = rig.map(5)
    for (let p = 0; p < 5; p++) rig.store(a + p, p)
    rig.call((k) => madvise(k, rig.mm, at(a + 1), P, MADV_DONTFORK))
    rig.call((k) => madvise(k, rig.mm, at(a + 3), P, MADV_DONTFORK))
    for (let p = 0; p < 5; p++) {
      const pfn = rig.frame(a + p)
      const av = pageAnonVma(rig.kernel, pfn)
      if (av === null) throw new Error('no anon_vma')
      expect(rig.call((k) => candidatesOf(k, rig, pfn, av))).toEqual([{ vma: rig.vma(a + p), page: a + p }])
    }
  })

  it('a mapping removed once too often is refused', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.store(a, 1)
    pageRemoveRmap(rig.kernel, rig.frame(a))
    expect(() => pageRemoveRmap(rig.kernel, rig.frame(a))).toThrow(/mapcount -1/)
  })
})

describe('walks beside', () => {
  it('a move to and fro find the page in each of 1000 schedules', () => {
    const wrong = seedsWhere(1000, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const { src, dst } = sourceAndDestination(rig)
      const pfn = rig.frame(src)
      rig.spawn('mover', 0, function* (k) {
        yield* remapAnonPages(k, rig.mm, at(dst), at(src), P, 0)
        yield* remapAnonPages(k, rig.mm, at(src), at(dst), P, 0)
      })
      const walks = [1, 2].map((n) => rig.spawn(`walker ${n}`, n, (k) => walkAndCount(k, rig, pfn)))
      return rig.run() !== 'done' || walks.some((w) => w.value !== 1) || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })

  it('the splitting of an area find the page in each of 1000 schedules; between link and cut both halves lead to it', () => {
    const wrong = seedsWhere(1000, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const a = rig.map(3)
      for (let p = 0; p < 3; p++) rig.store(a + p, p)
      rig.spawn('splitter', 0, (k) => madvise(k, rig.mm, at(a + 1), P, MADV_DONTFORK))
      const walks = [0, 1, 2].map((p) => rig.spawn(`walker ${p}`, 1 + p, (k) => walkAndCount(k, rig, rig.frame(a + p))))
      return rig.run() !== 'done' || walks.some((w) => w.value !== 1 && w.value !== 2)
    })
    expect(wrong).toEqual([])
  })

  it('the merging of areas find the page in each of 1000 schedules; before the upper lets go both lead to it', () => {
    const wrong = seedsWhere(1000, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const a = rig.map(3)
      for (let p = 0; p < 3; p++) rig.store(a + p, p)
      rig.call((k) => madvise(k, rig.mm, at(a + 1), P, MADV_DONTFORK))
      rig.spawn('merger', 0, (k) => madvise(k, rig.mm, at(a + 1), P, 11))
      const walks = [0, 1, 2].map((p) => rig.spawn(`walker ${p}`, 1 + p, (k) => walkAndCount(k, rig, rig.frame(a + p))))
      return rig.run() !== 'done' || walks.some((w) => w.value !== 1 && w.value !== 2)
    })
    expect(wrong).toEqual([])
  })

  it('munmap never leave the walker with an anon_vma that was freed while it waited for the lock', () => {
    const rig = new Rig({ gear: 'step' })
    const a = rig.map(1)
    rig.store(a, 1)
    const pfn = rig.frame(a)
    const av = rig.vma(a).anonVma
    if (av === null) throw new Error('no anon_vma')
    // Whoever walks the reverse map holds a reference on the page.
    rig.kernel.pages.get(pfn)
    const other = rig.machine.makeThread('other')
    av.rwsem.tryWrite(other)
    const walk = pageLockAnonVmaRead(rig.machine.makeThread('walker'), rig.kernel, pfn)
    // Up to the announcement of the sleeping acquire: behind the second look at mapcount.
    for (let locks = 0; locks < 2; ) {
      const step = walk.next()
      if (step.done === true) throw new Error('the walk ended early')
      if (step.value.kind === 'access' && step.value.label === 'anon_vma.rwsem') locks++
    }
    av.rwsem.upWrite(other)
    rig.call((k) => munmap(k, rig.mm, at(a), P))
    let end = walk.next()
    while (end.done !== true) end = walk.next()
    const got = end.value
    expect(got === null || got.refcount > 0).toBe(true)
    expect(av.refcount).toBe(0)
    expect(av.rwsem.isHeld).toBe(false)
  })
})
