/**
 * anon_vma: two threads that need one agree on it, neighbours lend theirs where the areas could be one, edges stand newest
 * first, and every reference is given back when the address spaces end. The root of a family is freed last.
 */
import { describe, expect, it } from 'vitest'
import { anonVmaPrepare } from '../../core/mm/anon_vma.ts'
import { MADV_DONTFORK, madvise } from '../../core/mm/madvise.ts'
import { exitMmap } from '../../core/mm/mmap.ts'
import { at, GEARS, P, Rig, RW, seedsWhere } from './rig.ts'

describe('preparing', () => {
  it('two racing threads agree in each of 1000 random schedules, and the loser’s anon_vma is freed', () => {
    const wrong = seedsWhere(1000, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const vma = rig.place(1, 4)
      const seen = [0, 1].map((n) =>
        rig.spawn(`t${n}`, n, function* (k) {
          yield* rig.mm.mmapLock.downRead(k)
          yield* anonVmaPrepare(k, rig.mm, vma)
          rig.mm.mmapLock.upRead(k)
          return vma.anonVma
        }),
      )
      if (rig.run() !== 'done') return true
      const [x, y] = [seen[0]?.value ?? null, seen[1]?.value ?? null]
      const av = vma.anonVma
      return (
        x === null || x !== y || rig.kernel.anonVmas.live !== 1 || vma.chain.length !== 1 || av?.refcount !== 1 || av.rwsem.isHeld
      )
    })
    expect(wrong).toEqual([])
  })

  it('two threads that store to one area at once leave one anon_vma and right books (500 schedules)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const a = rig.map(2)
      for (const n of [0, 1]) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, a + n, true))
      return rig.run() !== 'done' || rig.kernel.anonVmas.live !== 1 || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })

  it('a second call changes nothing', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.store(a, 1)
    const av = rig.vma(a).anonVma
    rig.call((k) => anonVmaPrepare(k, rig.mm, rig.vma(a)))
    expect(rig.vma(a).anonVma).toBe(av)
    expect(av?.refcount).toBe(1)
  })
})

describe('reuse', () => {
  /** Two touching areas that did not merge when they were made, the lower one written. */
  function neighbours(change: (rig: Rig) => void): Rig {
    const rig = new Rig()
    rig.place(4, 2)
    rig.place(6, 2)
    rig.store(4, 1)
    change(rig)
    rig.store(6, 1)
    return rig
  }

  it('a neighbour with equal flags lends its anon_vma', () => {
    const rig = neighbours(() => {})
    expect(rig.vma(6).anonVma).toBe(rig.vma(4).anonVma)
    expect(rig.vma(4).anonVma?.refcount).toBe(2)
  })

  it('works upwards too', () => {
    const rig = new Rig()
    rig.place(4, 2)
    rig.place(6, 2)
    rig.store(6, 1)
    rig.store(4, 1)
    expect(rig.vma(4).anonVma).toBe(rig.vma(6).anonVma)
  })

  it.each([
    ['with other flags', (rig: Rig) => void rig.call((k) => madvise(k, rig.mm, at(6), 2 * P, MADV_DONTFORK))],
    ['whose pages are not linear with it', (rig: Rig) => Object.assign(rig.vma(6), { pgoff: 7 })],
    [
      'that took part in a fork',
      (rig: Rig) => {
        const { mm } = rig.fork()
        const edge = rig.vma(4, mm).chain[0]
        if (edge !== undefined) rig.vma(4).chain.push(edge)
      },
    ],
  ])('a neighbour %s lends nothing', (_what, change) => {
    const rig = neighbours(change)
    expect(rig.vma(6).anonVma).not.toBe(rig.vma(4).anonVma)
  })

  it('an area that does not touch lends nothing', () => {
    const rig = new Rig()
    rig.place(4, 1)
    rig.place(6, 1)
    rig.store(4, 1)
    rig.store(6, 1)
    expect(rig.vma(6).anonVma).not.toBe(rig.vma(4).anonVma)
  })
})

describe('chains', () => {
  it('of generation n have n edges, newest first, the root last', () => {
    const rig = new Rig({ frames: 64 })
    const a = rig.map(1)
    rig.store(a, 1)
    let process = rig.process
    for (let generation = 2; generation <= 6; generation++) {
      process = rig.fork(0, process)
      rig.store(a, generation, 0, process)
      const { chain, anonVma } = rig.vma(a, process.mm)
      expect(chain).toHaveLength(generation)
      expect(chain[0]?.anonVma).toBe(anonVma)
      expect(chain[generation - 1]?.anonVma).toBe(rig.vma(a).anonVma)
      expect(chain.every((e) => e.anonVma.root === rig.vma(a).anonVma)).toBe(true)
    }
  })

  it('a split keeps their order and counts one more reference each', () => {
    const rig = new Rig()
    const a = rig.map(2)
    rig.store(a, 1)
    const child = rig.fork()
    const before = rig.vma(a, child.mm).chain.map((e) => e.anonVma)
    const counts = before.map((av) => av.refcount)
    rig.call((k) => madvise(k, child.mm, at(a), P, MADV_DONTFORK), 0, child)
    expect(rig.vma(a + 1, child.mm).chain.map((e) => e.anonVma)).toEqual(before)
    expect(before.map((av) => av.refcount)).toEqual(counts.map((n) => n + 1))
  })
})

describe('the end', () => {
  it('the root lives as long as any of its family, in each order in which 3 processes can end (3! = 6)', () => {
    const orders = [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]
    for (const order of orders) {
      const rig = new Rig()
      const a = rig.map(1)
      rig.store(a, 1)
      const child = rig.fork()
      rig.store(a, 2, 0, child)
      const grandchild = rig.fork(0, child)
      rig.store(a, 3, 0, grandchild)
      const family = [rig.process, child, grandchild]
      const root = rig.vma(a).anonVma
      order.forEach((who, n) => {
        expect(root?.refcount).toBeGreaterThan(0)
        const mm = family[who]?.mm
        if (mm !== undefined) rig.call((k) => exitMmap(k, mm))
        const left = order.slice(n + 1).flatMap((i) => family[i] ?? [])
        if (left.length > 0) expect(rig.audit()).toBeNull()
      })
      expect(root?.refcount).toBe(0)
      expect(rig.kernel.anonVmas.live).toBe(0)
      expect(rig.kernel.pages.used).toBe(0)
    }
  })

  it('frees newest first: the root’s index is the first to be used again', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.store(a, 1)
    const root = rig.vma(a).anonVma
    const child = rig.fork()
    rig.store(a, 2, 0, child)
    rig.call((k) => exitMmap(k, rig.mm))
    rig.call((k) => exitMmap(k, child.mm))
    expect(rig.kernel.anonVmas.allocate()).toBe(root)
  })

  it.each(GEARS)('counts return to zero after writing, splitting and forking in the %s gear', (gear) => {
    const rig = new Rig({ gear })
    const a = rig.map(6, RW)
    for (let p = 0; p < 6; p++) rig.store(a + p, p)
    const child = rig.fork()
    for (const process of [rig.process, child]) {
      rig.call((k) => madvise(k, process.mm, at(a + 2), 2 * P, MADV_DONTFORK), 0, process)
      rig.store(a + 3, 9, 0, process)
    }
    rig.call((k) => exitMmap(k, rig.mm))
    rig.call((k) => exitMmap(k, child.mm))
    expect(rig.kernel.anonVmas.live).toBe(0)
    expect(rig.kernel.pages.used).toBe(0)
  })
})
