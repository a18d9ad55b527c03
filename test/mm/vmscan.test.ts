/**
 * Reclaim: with fewer frames than pages everything still reads back as written, in both gears, across forks; what is used
 * stays and what is not goes; locked areas stay; without swap, or with a full one, there is an end.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PTE_A } from '../../core/hw/pte.ts'
import type { Process } from '../../core/machine/process.ts'
import { MADV_DONTNEED, madvise } from '../../core/mm/madvise.ts'
import { exitMmap } from '../../core/mm/mmap.ts'
import { PG_ACTIVE } from '../../core/mm/page.ts'
import { VM_LOCKED } from '../../core/mm/vma.ts'
import { shrink } from '../../core/mm/vmscan.ts'
import { at, GEARS, P, Rig, RW, seedsWhere } from './rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('64 pages in 20 frames read back as written', () => {
    const rig = new Rig({ gear, frames: 20, swap: 100 })
    const a = rig.map(64)
    for (let p = 0; p < 64; p++) rig.store(a + p, p + 1)
    expect(rig.audit()).toBeNull()
    for (let p = 0; p < 64; p++) expect(rig.load(a + p, p % 2)).toBe(p + 1)
    expect(rig.audit()).toBeNull()
    expect(rig.kernel.swap.writes).toBeGreaterThan(40)
    expect(rig.kernel.swap.reads).toBeGreaterThan(40)
    rig.call((k) => exitMmap(k, rig.mm))
    expect(rig.kernel.swap.used).toBe(0)
    expect(rig.kernel.pages.used).toBe(0)
  })

  it('any stores, loads, forks, discards and exits of a family under pressure see each its own values', () => {
    const PAGES = 8
    const step = fc.record({
      who: fc.nat(3),
      what: fc.constantFrom('store', 'store', 'store', 'load', 'load', 'fork', 'exit', 'dontneed', 'evict'),
      page: fc.nat(PAGES - 1),
      value: fc.integer({ min: 1, max: 1000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const rig = new Rig({ gear, frames: 14, swap: 64, windowPages: 16 })
        const a = rig.map(PAGES)
        const family: { process: Process; cells: number[] }[] = [
          { process: rig.process, cells: new Array<number>(PAGES).fill(0) },
        ]
        for (const s of steps) {
          const member = family[s.who % family.length]
          if (member === undefined) continue
          const { process, cells } = member
          const page = a + s.page
          if (s.what === 'store') {
            rig.store(page, s.value, 0, process)
            cells[s.page] = s.value
          } else if (s.what === 'load') expect(rig.load(page, 0, process)).toBe(cells[s.page])
          else if (s.what === 'fork' && family.length < 4) family.push({ process: rig.fork(0, process), cells: [...cells] })
          else if (s.what === 'exit' && family.length > 1 && process !== rig.process) {
            rig.call((k) => exitMmap(k, process.mm))
            family.splice(family.indexOf(member), 1)
          } else if (s.what === 'dontneed') {
            rig.call((k) => madvise(k, process.mm, at(page), P, MADV_DONTNEED), 0, process)
            cells[s.page] = 0
          } else if (s.what === 'evict' && rig.frame(page, process.mm) > 0) rig.evict(page, 0, process)
          expect(rig.audit()).toBeNull()
        }
        for (const { process, cells } of family)
          for (let p = 0; p < PAGES; p++) expect(rig.load(a + p, 0, process)).toBe(cells[p])
        for (const { process } of family) rig.call((k) => exitMmap(k, process.mm))
        expect([rig.kernel.swap.used, rig.kernel.pages.used, rig.kernel.anonVmas.live]).toEqual([0, 0, 0])
      }),
      { numRuns: gear === 'clock' ? 250 : 60 },
    )
  })
})

it('three threads that store and load more than memory holds see their own values (300 schedules)', () => {
  const wrong = seedsWhere(300, (seed) => {
    const rig = new Rig({ gear: 'step', seed, frames: 7, swap: 32 })
    const a = rig.map(9)
    let torn = false
    for (const n of [0, 1, 2])
      rig.spawn(`t${n}`, n, function* (k) {
        const out = { word0: 0, word1: 0, version: 0 }
        for (let round = 1; round < 3; round++) {
          for (let p = n * 3; p < n * 3 + 3; p++)
            yield* rig.process.writePage(k, a + p, { word0: round + p, word1: round + p, version: round })
          for (let p = n * 3; p < n * 3 + 3; p++) {
            yield* rig.process.readPage(k, a + p, out)
            if (out.word0 !== round + p) torn = true
          }
        }
      })
    return rig.run() !== 'done' || torn || rig.audit() !== null
  })
  expect(wrong).toEqual([])
})

describe('the second chance', () => {
  it('a page used since the last round becomes active; unused, inactive; unused again, it goes', () => {
    const rig = new Rig({ swap: 8 })
    const a = rig.map(1)
    rig.store(a, 1)
    const { pages } = rig.kernel
    const round = () => rig.call((k) => shrink(k, rig.kernel, 1))
    expect(round()).toBe(1)
    expect(rig.kernel.reclaim).toMatchObject({ activated: 1, deactivated: 1, reclaimed: 1 })
    rig.store(a, 2)
    expect((pages.flags[rig.frame(a)] ?? 0) & PG_ACTIVE).toBe(0)
    expect(rig.load(a)).toBe(2)
  })

  it('a page that is used all the time outlives those that are not', () => {
    const rig = new Rig({ frames: 12, swap: 100 })
    const a = rig.map(40)
    for (let p = 0; p < 40; p++) {
      rig.store(a + p, p)
      // The TLB would hide the use from the page table, as it does in hardware.
      rig.cpu(0).mmu.flushAll()
      rig.load(a)
    }
    expect(rig.frame(a)).toBeGreaterThan(0)
    expect(rig.pte(a) & PTE_A).toBe(PTE_A)
  })

  it('pages of a locked area stay', () => {
    const rig = new Rig({ frames: 8, swap: 100 })
    rig.place(2, 2, RW | VM_LOCKED)
    rig.store(2, 7)
    rig.store(3, 8)
    const a = rig.map(20)
    for (let p = 0; p < 20; p++) rig.store(a + p, p)
    expect([rig.frame(2), rig.frame(3)].every((f) => f > 0)).toBe(true)
  })
})

describe('the end of memory', () => {
  it('without swap is out of memory', () => {
    const rig = new Rig({ frames: 5 })
    const a = rig.map(8)
    expect(() => {
      for (let p = 0; p < 8; p++) rig.store(a + p, p)
    }).toThrow('OOM')
  })

  it('with a full swap device is too, and the books are right', () => {
    const rig = new Rig({ frames: 5, swap: 2 })
    const a = rig.map(8)
    expect(() => {
      for (let p = 0; p < 8; p++) rig.store(a + p, p)
    }).toThrow('OOM')
    expect(rig.audit()).toBeNull()
    // Each frame and each slot has a page: giving one up lets the others be read again.
    rig.call((k) => madvise(k, rig.mm, at(a), P, MADV_DONTNEED))
    for (let p = 1; p < 6; p++) expect(rig.load(a + p)).toBe(p)
  })
})
