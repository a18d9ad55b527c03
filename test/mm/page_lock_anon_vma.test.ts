/**
 * page_lock_anon_vma_read against everything that can happen to the page meanwhile, in its three variants, and with each of
 * its tests left out. The walker holds a reference on the page and nothing else, as page_referenced does.
 */
import { describe, expect, it } from 'vitest'
import { read } from '../../core/engine/op.ts'
import { type AnonVma, anonVmaUnlockRead } from '../../core/mm/anon_vma.ts'
import type { RmapRecheck } from '../../core/mm/kconfig.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { pageGetAnonVma, pageLockAnonVmaRead } from '../../core/mm/rmap.ts'
import { at, P, type Rig } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

const SRC = 4
const DST = 8

/** A walker of the page at SRC; `judge` looks at what it got, lock held. */
function walker(rig: Rig, judge: (av: AnonVma, pfn: number) => string | null, pfn = rig.frame(SRC)): () => string | null {
  const { kernel } = rig
  let wrong: string | null = null
  rig.spawn('walker', 1, function* (k) {
    kernel.pages.get(pfn)
    const av = yield* pageLockAnonVmaRead(k, kernel, pfn)
    if (av !== null) {
      wrong = judge(av, pfn)
      anonVmaUnlockRead(k, kernel, av)
    }
    kernel.pages.put(pfn)
  })
  return () => wrong
}

/** A page is remapped, and its old area goes, while the walker asks for its anon_vma. */
function remapScenario(variant: RmapRecheck, wanted: 'wrong' | 'freed', unmaps: boolean): Scenario {
  return (rig) => {
    rig.kernel.variants.rmapRecheck = variant
    rig.place(SRC, 1)
    rig.place(DST, 1)
    rig.store(SRC, 7)
    const { pages } = rig.kernel
    const check = walker(rig, (av, pfn) => {
      if (wanted === 'freed') return av.isFree ? `anon_vma ${av.index} is freed, and locked` : null
      return pages.mapping[pfn] === av.index * 2 + 1
        ? null
        : `pfn ${pfn} is of anon_vma ${(pages.mapping[pfn] ?? 0) >>> 1}, not ${av.index}`
    })
    rig.spawn('remap', 0, function* (k) {
      yield* remapAnonPages(k, rig.mm, at(DST), at(SRC), P, 0)
      if (unmaps) yield* munmap(k, rig.mm, at(SRC), P)
    })
    return check
  }
}

describe('a remap between reading the mapping and locking (R26, R27)', () => {
  it('is never missed where both paths read the mapping again (1500 schedules)', () => {
    expect(firstBreak(1500, {}, remapScenario('both-paths', 'wrong', true))).toBeNull()
    expect(firstBreak(500, {}, remapScenario('both-paths', 'freed', true))).toBeNull()
  })

  it('is missed on either path where neither does', () => {
    expect(firstBreak(3000, { without: ['rmap-mapping-recheck'] }, remapScenario('both-paths', 'wrong', false))?.why).toContain(
      'not',
    )
  })

  it('is missed on the fast path by the patch of 2013, which looks again on the slow path only', () => {
    expect(firstBreak(3000, {}, remapScenario('slow-path', 'wrong', false))?.why).toContain('not')
  })

  it('leads the patch of 2013 to lock an anon_vma that is freed already', () => {
    expect(firstBreak(3000, {}, remapScenario('slow-path', 'freed', true))?.why).toContain('is freed')
  })

  it('cannot happen to a walker that holds the page lock, though nothing is read again (1500 schedules)', () => {
    const scenario: Scenario = (rig) => {
      rig.kernel.variants.rmapRecheck = 'page-lock'
      rig.place(SRC, 1)
      rig.place(DST, 1)
      rig.store(SRC, 7)
      const { pages, pageLocks } = rig.kernel
      const pfn = rig.frame(SRC)
      let wrong: string | null = null
      rig.spawn('walker', 1, function* (k) {
        pages.get(pfn)
        yield* pageLocks.lock(k, pfn)
        const av = yield* pageLockAnonVmaRead(k, rig.kernel, pfn)
        if (av !== null) {
          if (pages.mapping[pfn] !== av.index * 2 + 1) wrong = 'the page is of another anon_vma'
          anonVmaUnlockRead(k, rig.kernel, av)
        }
        pageLocks.unlock(k, pfn)
        pages.put(pfn)
      })
      rig.spawn('remap', 0, (k) => remapAnonPages(k, rig.mm, at(DST), at(SRC), P, 0))
      return () => wrong
    }
    expect(firstBreak(1500, {}, scenario)).toBeNull()
  })
})

/** The page's area goes while the walker asks; then other areas take what is free in the slab. */
const unmapScenario: Scenario = (rig) => {
  const vma = rig.place(SRC, 1)
  rig.place(DST, 1)
  rig.store(SRC, 7)
  const check = walker(rig, (av) =>
    av.chains.some((edge) => edge.vma === vma) ? null : `anon_vma ${av.index} never had the page's area`,
  )
  rig.spawn('unmap', 0, function* (k) {
    yield* munmap(k, rig.mm, at(SRC), P)
    yield* rig.process.touch(k, DST, true)
  })
  return check
}

describe('an unmap between reading the mapping and locking', () => {
  it('never leads to a foreign anon_vma, a deadlock or a locked one in the slab (2000 schedules)', () => {
    expect(firstBreak(2000, {}, unmapScenario)).toBeNull()
  })

  it('leads to a recycled one without the look at "still mapped" (R45)', () => {
    // Recycled, or in the slab still and without a root to unlock: the first schedule that breaks shows one of the two.
    const broken = firstBreak(4000, { without: ['rmap-mapped-recheck'] }, unmapScenario)
    expect(broken?.why).toMatch(/never had the page's area|the root \d+ of anon_vma \d+ is freed/)
  })

  it('puts a locked one into the slab if freeing does not wait for who holds the lock (R47)', () => {
    expect(firstBreak(4000, { without: ['anon-vma-free-wait'] }, unmapScenario)?.why).toContain('while it is locked')
  })

  /** A child's page; somebody of the family has the root for writing when the walker comes, which takes the slow path. */
  const slowScenario: Scenario = (rig) => {
    rig.place(SRC, 2)
    rig.store(SRC, 7)
    const child = rig.fork()
    rig.store(SRC, 8, 0, child)
    const pfn = rig.frame(SRC, child.mm)
    const area = rig.vma(SRC, child.mm)
    const check = walker(rig, (av) => (!av.isFree && av.chains.every((e) => e.vma === area) ? null : 'a foreign anon_vma'), pfn)
    rig.spawn('unmap', 0, (k) => munmap(k, child.mm, at(SRC), 2 * P), child)
    const root = rig.vma(SRC).anonVma
    rig.spawn('another writer', 2, function* (k) {
      if (root === null) return
      yield* root.rwsem.downWrite(k)
      for (let i = 0; i < 12; i++) yield read(i, 'work under the lock')
      root.rwsem.upWrite(k)
    })
    return check
  }

  it('makes the walker wait for itself if it drops the last reference by the ordinary put (R46)', () => {
    expect(firstBreak(3000, { without: ['rmap-direct-free'] }, slowScenario)?.why).toMatch(/anon_vma.rwsem|deadlock/)
    expect(firstBreak(1500, {}, slowScenario)).toBeNull()
  })
})

it('a reference taken without the lock is on the page’s own anon_vma, or none (1000 schedules)', () => {
  const scenario: Scenario = (rig) => {
    const vma = rig.place(SRC, 1)
    rig.store(SRC, 7)
    const pfn = rig.frame(SRC)
    let wrong: string | null = null
    rig.spawn('getter', 1, function* (k) {
      rig.kernel.pages.get(pfn)
      const av = yield* pageGetAnonVma(k, rig.kernel, pfn)
      if (av !== null && (av.isFree || !av.chains.some((edge) => edge.vma === vma))) wrong = 'a foreign anon_vma'
      rig.kernel.pages.put(pfn)
      if (av !== null) av.refcount--
    })
    rig.spawn('unmap', 0, (k) => munmap(k, rig.mm, at(SRC), P))
    return () => (wrong === null ? null : wrong)
  }
  expect(firstBreak(1000, {}, scenario)?.why ?? null).toBeNull()
})
