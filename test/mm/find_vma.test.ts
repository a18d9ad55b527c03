/**
 * Look-ups without mmap_lock answer as those under it do, use no cache, and in v12 come with exactly one reference.
 *
 * The search for a wrong answer of the look-up of 2014 is in speculative_fault.test.ts; here is that of v12.
 */
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { findVmaRcu, findVmaSrcu } from '../../core/mm/find_vma.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'
import { munmap } from '../../core/mm/mmap.ts'
import type { Vma } from '../../core/mm/vma.ts'
import { putVma } from '../../core/mm/vma_lifetime.ts'
import { at, failure, GEARS, P, Rig, type RigOptions } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

function rigOf(path: FaultPath, options: RigOptions = {}): Rig {
  const rig = new Rig({ windowPages: 64, ...options })
  rig.kernel.faultPath = path
  return rig
}

function* bySrcu(k: Thread, rig: Rig, page: number): Proc<Vma | null> {
  const index = rig.kernel.vmaSrcu.readLock(k)
  const vma = yield* findVmaSrcu(k, rig.mm, page)
  rig.kernel.vmaSrcu.readUnlock(k, index)
  return vma
}

function* byRcu(k: Thread, rig: Rig, page: number): Proc<Vma | null> {
  const vma = yield* findVmaRcu(k, rig.mm, page)
  if (vma !== null) putVma(vma)
  return vma
}

const LOOKUPS = [
  ['find_vma_srcu', 'speculative-2014', bySrcu],
  ['find_vma_rcu', 'speculative', byRcu],
] as const

describe.each(LOOKUPS)('%s', (_name, path, look) => {
  it.each(GEARS)('answers for each page of a window as a look-up under mmap_lock does, in the %s gear', (gear) => {
    const rig = rigOf(path, { gear, windowPages: 40 })
    for (const p of [3, 7, 8, 16, 21, 30]) rig.place(p, p === 7 ? 1 : 3)
    const pages = Array.from({ length: 40 }, (_, page) => page)
    const found = pages.map((page) => rig.call((k) => look(k, rig, page)))
    rig.mm.mmapLock.tryRead(rig.machine.makeThread('reader'))
    expect(found).toEqual(pages.map((page) => rig.mm.tree.find(page)))
    expect(found.at(-1)).toBeNull()
  })

  it('neither uses nor fills the cache of the look-up under mmap_lock', () => {
    const rig = rigOf(path)
    const { tree } = rig.mm
    rig.mm.mmapLock.tryRead(rig.machine.makeThread('reader'))
    const [low, , high] = [rig.place(1, 1), rig.place(10, 1), rig.place(50, 1)]
    // A lie about the area in the cache tells an answer from the cache from one from the tree.
    expect(tree.find(1)).toBe(low)
    low.end = 60
    expect(tree.find(50)).toBe(low)
    expect(rig.call((k) => look(k, rig, 50))).toBe(high)
    low.end = 2
    expect(tree.find(50)).toBe(high)
    expect(rig.call((k) => look(k, rig, 1))).toBe(low)
    low.end = 60
    expect(tree.find(55)).toBeNull()
  })

  it('waits for the end of a change of the tree that it meets, in the clock gear', () => {
    const rig = rigOf(path)
    const vma = rig.place(4, 2)
    const endNs = rig.act((k) => {
      k.clock.nowNs = 1000
      rig.mm.treeSeq.writeLock(k)
      k.clock.nowNs = 5000
      rig.mm.treeSeq.writeUnlock(k)
      return k.clock.nowNs
    }, 1)
    const seen = rig.act((k) => {
      k.clock.nowNs = 2000
      return { vma: look(k, rig, 4).next().value, nowNs: k.clock.nowNs }
    }, 2)
    // v12 takes a reference as well, whose cache line comes from elsewhere.
    const referenceNs = path === 'speculative' ? ZEN5.lineTransferNs.value : 0
    expect(seen).toEqual({ vma, nowNs: endNs + referenceNs })
  })
})

describe('the reference of find_vma_rcu', () => {
  it('is one more than that of the tree, and keeps the area after munmap until it is put', () => {
    const rig = rigOf('speculative', { gear: 'step' })
    const a = rig.map(2)
    const vma = rig.call((k) => findVmaRcu(k, rig.mm, a))
    if (vma === null) throw new Error('no area')
    expect(vma.refs.refs).toBe(2)
    rig.call((k) => munmap(k, rig.mm, at(a), 2 * P))
    expect([vma.linked, vma.refs.refs, vma.refs.freed]).toEqual([false, 1, false])
    putVma(vma)
    expect(failure(() => vma.use('a test'))).toMatch('use after free')
  })

  it.each(GEARS)('is not given where the last one is gone: none, in the %s gear', (gear) => {
    const rig = rigOf('speculative', { gear })
    const vma = rig.place(4, 2)
    vma.refs.refs = 0
    expect(rig.call((k) => findVmaRcu(k, rig.mm, 4))).toBeNull()
    expect(vma.refs.refs).toBe(0)
  })
})

/** Two threads look up an area that stays, while a third takes away others around it: the tree turns. */
const turning: Scenario = (rig) => {
  rig.kernel.faultPath = 'speculative'
  for (const p of [4, 8, 12, 16, 20, 24, 28]) rig.place(p, 2)
  let wrong: string | null = null
  for (const n of [1, 2]) {
    rig.spawn(`look ${n}`, n, function* (k) {
      for (let i = 0; i < 3; i++) {
        const vma = yield* findVmaRcu(k, rig.mm, 16)
        if (vma?.contains(16) !== true) wrong = `the look-up answered ${vma === null ? 'none' : vma.start}`
        if (vma !== null) putVma(vma)
      }
    })
  }
  rig.spawn('change', 3, function* (k) {
    for (const p of [4, 8, 24, 12]) yield* munmap(k, rig.mm, at(p), 2 * P)
  })
  return () => {
    const counts = rig.mm.tree.areas.map((vma) => vma.refs.refs)
    return wrong ?? (counts.every((refs) => refs === 1) ? null : `the areas have ${counts} references`)
  }
}

/** The area that is looked up goes: the look-up finds it with a reference, or none; it is freed at the last put. */
const going: Scenario = (rig) => {
  rig.kernel.faultPath = 'speculative'
  const areas = [4, 8, 12].map((p) => rig.place(p, 2))
  const answers: number[] = []
  rig.spawn('look', 1, function* (k) {
    for (let i = 0; i < 2; i++) {
      const vma = yield* findVmaRcu(k, rig.mm, 12)
      answers.push(vma?.start ?? -1)
      vma?.use('who holds a reference')
      if (vma !== null) putVma(vma)
    }
  })
  rig.spawn('munmap', 2, (k) => munmap(k, rig.mm, at(12), 2 * P))
  return () => {
    if (answers.some((start) => start !== 12 && start !== -1)) return `answers ${answers}`
    return areas[2]?.refs.freed === true && areas[0]?.refs.refs === 1 ? null : 'a reference was kept'
  }
}

describe('find_vma_rcu beside changes of the tree', () => {
  it('finds an area that stays, and drops the references of rounds that failed, in each of 1,000 schedules', () => {
    expect(firstBreak(1000, { windowPages: 64 }, turning)).toBeNull()
  })

  it('misses it in some schedule without the second look at mm_seq', () => {
    const found = firstBreak(4000, { windowPages: 64, without: ['mm-seq-retry'] }, turning)
    expect(found?.why).toMatch(/the look-up answered/)
  })

  it('answers with a living area or with none while the area goes, in each of 1,000 schedules', () => {
    expect(firstBreak(1000, { windowPages: 64 }, going)).toBeNull()
  })

  it('reads a freed area in some schedule if areas are freed at once', () => {
    const found = firstBreak(4000, { windowPages: 64, without: ['vma-deferred-free'] }, going)
    expect(found?.why).toMatch('use after free')
  })
})
