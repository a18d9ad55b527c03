/**
 * The root of a family of anon_vmas: it is what is locked, it outlives every child, also one that only a page migration
 * holds; and a line of forks whose parents exit takes over what its ancestors leave instead of piling up anon_vmas.
 */
import { describe, expect, it } from 'vitest'
import { anonVmaLockRead, anonVmaUnlockRead, putAnonVma } from '../../core/mm/anon_vma.ts'
import { fork } from '../../core/mm/fork.ts'
import { exitMmap } from '../../core/mm/mmap.ts'
import { pageGetAnonVma, pageLockAnonVmaRead } from '../../core/mm/rmap.ts'
import { rmapWalkAnon } from '../../core/mm/rmap_walk.ts'
import { Rig } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

describe('the reference on the root (R43)', () => {
  /** A child's page, whose anon_vma somebody pins while parent and child end. */
  const scenario: Scenario = (rig) => {
    const a = rig.map(1)
    rig.store(a, 1)
    const child = rig.fork()
    rig.store(a, 2, 0, child)
    const pfn = rig.frame(a, child.mm)
    rig.spawn('migration', 1, function* (k) {
      rig.kernel.pages.get(pfn)
      const av = yield* pageGetAnonVma(k, rig.kernel, pfn)
      if (av !== null) {
        yield* anonVmaLockRead(k, rig.kernel, av)
        anonVmaUnlockRead(k, rig.kernel, av)
        yield* putAnonVma(k, rig.kernel, av)
      }
      rig.kernel.pages.put(pfn)
    })
    rig.spawn('exits', 0, function* (k) {
      yield* exitMmap(k, rig.mm)
      yield* exitMmap(k, child.mm)
    })
    return () =>
      rig.kernel.anonVmas.live === 0 && rig.kernel.pages.used === 0 ? null : `${rig.kernel.anonVmas.live} anon_vmas left`
  }

  it('keeps it until the last child is gone (1000 schedules)', () => {
    expect(firstBreak(1000, {}, scenario)).toBeNull()
  })

  it('left out, a freed root is locked', () => {
    expect(firstBreak(3000, { without: ['anon-vma-root-ref'] }, scenario)?.why).toContain('is freed, and about to be locked')
  })
})

describe('the lock of the root (R44)', () => {
  /** A child's page is walked while the child forks, which links an area into the child's anon_vma. */
  const scenario: Scenario = (rig) => {
    const a = rig.map(1)
    rig.store(a, 1)
    const child = rig.fork()
    rig.store(a, 2, 0, child)
    const pfn = rig.frame(a, child.mm)
    rig.spawn('walker', 1, function* (k) {
      const av = yield* pageLockAnonVmaRead(k, rig.kernel, pfn)
      if (av === null) return
      yield* rmapWalkAnon(k, rig.kernel, pfn, av, function* () {
        yield { kind: 'access', mode: 0, object: pfn, label: 'pte' }
        return true
      })
      anonVmaUnlockRead(k, rig.kernel, av)
    })
    rig.spawn('fork', 0, (k) => fork(k, child.mm))
    return () => null
  }

  it('keeps the tree as it is during a walk (1000 schedules)', () => {
    expect(firstBreak(1000, {}, scenario)).toBeNull()
  })

  it('left out (each locks its own), fork links an area under a walk', () => {
    expect(firstBreak(3000, { without: ['anon-vma-root-lock'] }, scenario)?.why).toContain('changes under a walk')
  })
})

describe('reuse by fork', () => {
  it('a line of 50 forks whose parents exit needs no more than a handful of anon_vmas', () => {
    const rig = new Rig({ frames: 64 })
    const a = rig.map(1)
    rig.store(a, 1)
    let process = rig.process
    const live: number[] = []
    for (let generation = 0; generation < 50; generation++) {
      const child = rig.fork(0, process)
      rig.store(a, generation, 0, child)
      const ending = process.mm
      rig.call((k) => exitMmap(k, ending))
      process = child
      live.push(rig.kernel.anonVmas.live)
    }
    expect(Math.max(...live)).toBeLessThanOrEqual(3)
    expect(rig.audit()).toBeNull()
    const last = process.mm
    rig.call((k) => exitMmap(k, last))
    expect(rig.kernel.anonVmas.live).toBe(0)
  })

  it('never takes over a root, nor an ancestor that has an area or two children', () => {
    const rig = new Rig({ frames: 64 })
    const a = rig.map(1)
    rig.store(a, 1)
    const root = rig.vma(a).anonVma
    const one = rig.fork()
    rig.store(a, 2, 0, one)
    const middle = rig.vma(a, one.mm).anonVma
    const two = rig.fork(0, one)
    const three = rig.fork(0, one)
    rig.call((k) => exitMmap(k, rig.mm))
    rig.call((k) => exitMmap(k, one.mm))
    expect([middle?.children, middle?.activeVmas]).toEqual([2, 0])
    const four = rig.fork(0, two)
    const its = rig.vma(a, four.mm).anonVma
    expect(its).not.toBe(middle)
    expect(its).not.toBe(root)
    const gone = [four, three]
    for (const p of gone) rig.call((k) => exitMmap(k, p.mm))
    expect(middle?.children).toBe(1)
    // Its one child is the anon_vma of `two`: now the next fork may have it.
    const five = rig.fork(0, two)
    expect(rig.vma(a, five.mm).anonVma).toBe(middle)
    expect(middle?.activeVmas).toBe(1)
    expect(rig.audit()).toBeNull()
  })
})
