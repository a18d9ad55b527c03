/**
 * The page fault: zero page for loads, a page of its own for stores, copies where a page is shared, signals where there is
 * no area or no right. Racing faults of one page leave one frame.
 */
import { describe, expect, it } from 'vitest'
import { ZERO_PFN } from '../../core/hw/phys_mem.ts'
import { PTE_A, PTE_D, PTE_P, PTE_SPECIAL, PTE_W } from '../../core/hw/pte.ts'
import { uffdCopy } from '../../core/mm/mfill_atomic.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { VM_READ, VM_USERFAULT } from '../../core/mm/vma.ts'
import { at, GEARS, P, Rig, RW, seedsWhere } from './rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a load of a missing page maps the zero page, read-only and special, and takes no frame', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    expect(rig.load(a)).toBe(0)
    expect(rig.frame(a)).toBe(ZERO_PFN)
    expect(rig.pte(a) & (PTE_P | PTE_W | PTE_SPECIAL)).toBe(PTE_P | PTE_SPECIAL)
    expect(rig.kernel.pages.used).toBe(0)
    expect(rig.mm.rss).toBe(0)
  })

  it('a store to a missing page gives a cleared, dirty, exclusive page mapped once', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    const pfn = rig.call((k) => rig.process.touch(k, a, true))
    expect(rig.frame(a)).toBe(pfn)
    expect(rig.pte(a) & (PTE_P | PTE_W | PTE_A | PTE_D)).toBe(PTE_P | PTE_W | PTE_A | PTE_D)
    expect(rig.kernel.phys.isZero(pfn)).toBe(true)
    expect(rig.kernel.pages.mapcount[pfn]).toBe(1)
    expect(rig.kernel.pages.refcount[pfn]).toBe(1)
    expect(rig.kernel.pages.isExclusive(pfn)).toBe(true)
    expect(rig.mm.rss).toBe(1)
  })

  it('a store to the zero page copies it; other CPUs that read it see the store', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    for (let n = 0; n < 3; n++) expect(rig.load(a, n)).toBe(0)
    rig.store(a, 8, 0)
    for (let n = 0; n < 3; n++) expect(rig.load(a, n)).toBe(8)
    expect(rig.kernel.phys.isZero(ZERO_PFN)).toBe(true)
    expect(rig.mm.rss).toBe(1)
    expect(rig.audit()).toBeNull()
  })

  it('a frame used before is cleared before anybody sees it', () => {
    const rig = new Rig({ gear, frames: 4 })
    const a = rig.map(4)
    rig.store(a, 99)
    rig.kernel.phys.words.fill(77, 4)
    const pfn = rig.call((k) => rig.process.touch(k, a + 1, true))
    expect(rig.kernel.phys.isZero(pfn)).toBe(true)
  })

  it('no area is SIGSEGV, for loads and stores, below, between and above areas', () => {
    const rig = new Rig({ gear })
    rig.place(4, 1)
    rig.place(6, 1)
    for (const page of [3, 5, 7]) {
      for (const store of [false, true]) expect(rig.call((k) => handlePageFault(k, rig.mm, page, store))).toBe('sigsegv')
    }
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it('rights are asked before anything else: none for a load, read only for a store are SIGSEGV', () => {
    const rig = new Rig({ gear })
    rig.place(4, 1, 0)
    rig.place(6, 1, VM_READ | VM_USERFAULT)
    expect(rig.call((k) => handlePageFault(k, rig.mm, 4, false))).toBe('sigsegv')
    expect(rig.call((k) => handlePageFault(k, rig.mm, 6, true))).toBe('sigsegv')
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it('a hole of a userfault area without a descriptor is SIGBUS, and the page allocated for a store is given back', () => {
    const rig = new Rig({ gear })
    rig.place(4, 1, RW | VM_USERFAULT)
    for (const store of [false, true]) expect(rig.call((k) => handlePageFault(k, rig.mm, 4, store))).toBe('sigbus')
    expect(rig.kernel.pages.used).toBe(0)
    expect(rig.pte(4)).toBe(0)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it('full memory is OOM for a missing page and for a copy, and loses nothing', () => {
    const rig = new Rig({ gear, frames: 3 })
    const a = rig.map(4)
    rig.load(a + 2)
    rig.store(a, 1)
    rig.store(a + 1, 2)
    expect(rig.call((k) => handlePageFault(k, rig.mm, a + 2, true))).toBe('oom')
    expect(rig.call((k) => handlePageFault(k, rig.mm, a + 3, true))).toBe('oom')
    expect([rig.load(a), rig.load(a + 1), rig.load(a + 2)]).toEqual([1, 2, 0])
    expect(rig.mm.mmapLock.isHeld).toBe(false)
    expect(rig.audit()).toBeNull()
  })

  it('a fault on a page that is already there is done at once', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 3)
    const pte = rig.pte(a)
    for (const store of [false, true]) expect(rig.call((k) => handlePageFault(k, rig.mm, a, store))).toBe('ok')
    expect(rig.pte(a)).toBe(pte)
    expect(rig.kernel.pages.used).toBe(1)
  })

  it('a thread that waits for a page goes on when it was placed, and counts as one major fault', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    const src = rig.map(1)
    rig.store(src, 6)
    const minor = rig.kernel.faults.minor
    const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
    rig.call((k) => userfaultfdRegister(k, uffd, at(a), P, 1))
    const touch = rig.spawn('toucher', 1, (k) => rig.process.touch(k, a, false))
    rig.run()
    expect(touch.done).toBe(false)
    rig.call((k) => uffdCopy(k, uffd, at(a), at(src), P, 0))
    expect(touch.done).toBe(true)
    expect(rig.load(a)).toBe(6)
    expect(rig.kernel.faults.major).toBe(1)
    expect(rig.kernel.faults.minor).toBe(minor)
    expect(rig.kernel.faults.userfault).toBe(1)
  })
})

describe('races', () => {
  it('three threads that store to one missing page leave one frame, in each of 500 schedules', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const a = rig.map(1)
      for (let n = 0; n < 3; n++) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, a, true))
      return rig.run() !== 'done' || rig.kernel.pages.used !== 1 || rig.mm.rss !== 1 || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })

  it('a reader and two writers of a zero page leave one frame with both stores, in each of 500 schedules', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const a = rig.map(1)
      rig.load(a, 0)
      rig.load(a, 1)
      for (let n = 0; n < 2; n++) {
        rig.spawn(`w${n}`, n, function* (k) {
          const pfn = yield* rig.process.touch(k, a, true)
          rig.kernel.phys.words[pfn * 2 + n] = n + 1
        })
      }
      rig.spawn('r', 2, (k) => rig.process.touch(k, a, false))
      if (rig.run() !== 'done' || rig.kernel.pages.used !== 1 || rig.audit() !== null) return true
      const pfn = rig.frame(a)
      return rig.kernel.phys.words[pfn * 2] !== 1 || rig.kernel.phys.words[pfn * 2 + 1] !== 2 || !rig.kernel.phys.isZero(ZERO_PFN)
    })
    expect(wrong).toEqual([])
  })

  it('parent and child that store to a shared page at once each keep their own, in each of 300 schedules', () => {
    const wrong = seedsWhere(300, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const a = rig.map(1)
      rig.store(a, 5)
      const child = rig.fork()
      const pair = [rig.process, child]
      pair.forEach((process, n) => {
        rig.spawn(`t${n}`, n, (k) => process.writePage(k, a, { word0: n + 1, word1: n + 1, version: 1 }), process)
      })
      if (rig.run() !== 'done' || rig.audit() !== null) return true
      return pair.some((process, n) => rig.load(a, n, process) !== n + 1)
    })
    expect(wrong).toEqual([])
  })
})
