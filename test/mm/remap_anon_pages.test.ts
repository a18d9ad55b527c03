/**
 * remap_anon_pages: the errno table and its precedence, partial results, what moves and what does not, and the races that
 * its locks decide.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ZERO_PFN } from '../../core/hw/phys_mem.ts'
import { PTE_D, PTE_W } from '../../core/hw/pte.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { MADV_DONTNEED, MADV_USERFAULT, madvise } from '../../core/mm/madvise.ts'
import { exitMmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_NONE, PROT_READ } from '../../core/mm/mprotect.ts'
import { RAP_ALLOW_SRC_HOLES, remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { VM_LOCKED, VM_READ, VM_SHARED } from '../../core/mm/vma.ts'
import { at, GEARS, P, Rig, RW, seedsWhere } from './rig.ts'
import { sourceAndDestination } from './scenarios.ts'

function remap(rig: Rig, dst: number, src: number, pages = 1, flags = 0): number {
  return rig.call((k) => remapAnonPages(k, rig.mm, at(dst), at(src), pages * P, flags))
}

describe.each(GEARS)('a success in the %s gear', (gear) => {
  it('returns the bytes moved, for 1 to 5 pages, and never 0', () => {
    for (let pages = 1; pages <= 5; pages++) {
      const rig = new Rig({ gear })
      const { src, dst } = sourceAndDestination(rig, pages)
      expect(remap(rig, dst, src, pages)).toBe(pages * P)
      for (let p = 0; p < pages; p++) expect(rig.load(dst + p)).toBe(100 + p)
      expect(rig.audit()).toBeNull()
    }
  })

  it('keeps frame, mapcount, refcount and rss; mapping and index are the destination’s', () => {
    const rig = new Rig({ gear })
    const { src, dst } = sourceAndDestination(rig, 3)
    const { pages } = rig.kernel
    const pfn = rig.frame(src + 1)
    const rss = rig.mm.rss
    remap(rig, dst + 2, src + 1)
    expect(rig.frame(dst + 2)).toBe(pfn)
    expect(rig.pte(src + 1)).toBe(0)
    expect([pages.mapcount[pfn], pages.refcount[pfn], rig.mm.rss]).toEqual([1, 1, rss])
    expect(pages.mapping[pfn]).toBe((rig.vma(dst).anonVma?.index ?? 0) * 2 + 1)
    expect(pages.index[pfn]).toBe(rig.vma(dst).indexOf(dst + 2))
    expect(rig.vma(dst).anonVma).not.toBe(rig.vma(src).anonVma)
    expect(rig.pte(dst + 2) & (PTE_W | PTE_D)).toBe(PTE_W | PTE_D)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
    expect(rig.vma(src).anonVma?.refcount).toBe(1)
  })

  it('leaves no entry of the source in the TLB of any CPU that runs the mm', () => {
    const rig = new Rig({ gear })
    const { src, dst } = sourceAndDestination(rig)
    for (let n = 0; n < 4; n++) rig.store(src, n, n)
    rig.wakeCpus()
    remap(rig, dst, src)
    for (let n = 0; n < 4; n++) {
      const { mmu } = rig.cpu(n)
      expect(mmu.tlb.where[src]).toBe(0)
      rig.store(src, 50 + n, n)
      expect(rig.load(dst, n)).toBe(3)
    }
  })

  it('the source is a hole afterwards and reads as zeros', () => {
    const rig = new Rig({ gear })
    const { src, dst } = sourceAndDestination(rig)
    remap(rig, dst, src)
    expect(rig.load(src)).toBe(0)
    expect(rig.load(dst)).toBe(100)
  })

  it('works inside one area, and inside one page table, and between two', () => {
    const rig = new Rig({ gear })
    const a = rig.map(600)
    rig.store(a, 1)
    expect(remap(rig, a + 1, a)).toBe(P)
    expect(remap(rig, a + 580, a + 1)).toBe(P)
    expect(remap(rig, a, a + 580)).toBe(P)
    expect(rig.load(a)).toBe(1)
    expect(rig.audit()).toBeNull()
  })

  it('fills userfault memory and any other memory alike, read-only areas too', () => {
    const rig = new Rig({ gear })
    const { src, dst } = sourceAndDestination(rig, 2)
    rig.call((k) => madvise(k, rig.mm, at(dst), P, MADV_USERFAULT))
    expect(remap(rig, dst, src)).toBe(P)
    rig.call((k) => mprotect(k, rig.mm, at(src), 2 * P, PROT_READ))
    rig.call((k) => mprotect(k, rig.mm, at(dst), 2 * P, PROT_READ))
    expect(remap(rig, dst + 1, src + 1)).toBe(P)
    expect(rig.pte(dst + 1) & PTE_W).toBe(0)
    expect(rig.load(dst + 1)).toBe(101)
  })
})

describe('EINVAL', () => {
  it.each([
    ['an unaligned source', at(20), at(4) + 1, P, 0],
    ['an unaligned destination', at(20) + 8, at(4), P, 0],
    ['an unaligned length', at(20), at(4), P + 1, 0],
    ['no length', at(20), at(4), 0, 0],
    ['a negative length', at(20), at(4), -P, 0],
    ['an unknown flag', at(20), at(4), P, 2],
    ['a source without an area', at(20), at(30), P, 0],
    ['a destination without an area', at(30), at(4), P, 0],
    ['a source that ends too early', at(20), at(7), 2 * P, 0],
    ['a destination that ends too early', at(23), at(4), 2 * P, 0],
    ['an address outside of the window', 0, at(4), P, 0],
  ])('%s', (_what, dst, src, length, flags) => {
    const rig = new Rig()
    rig.place(4, 4)
    rig.place(20, 4)
    for (let p = 4; p < 8; p++) rig.store(p, p)
    expect(rig.call((k) => remapAnonPages(k, rig.mm, dst, src, length, flags))).toBe(ERRNO.EINVAL)
    expect([4, 5, 6, 7].map((p) => rig.load(p))).toEqual([4, 5, 6, 7])
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it.each([
    ['a shared source', RW | VM_SHARED, RW, null, null],
    ['a shared destination', RW, RW | VM_SHARED, null, null],
    ['a read-only source', VM_READ, RW, null, null],
    ['a read-only destination', RW, VM_READ, null, null],
    ['a locked source', RW | VM_LOCKED, RW, null, null],
    ['a locked destination', RW, RW | VM_LOCKED, null, null],
    ['a file as source', RW, RW, 'file', null],
    ['a file as destination', RW, RW, null, 'file'],
  ] as const)('%s', (_what, srcFlags, dstFlags, srcOps, dstOps) => {
    const rig = new Rig()
    rig.place(4, 1, srcFlags, srcOps)
    rig.place(20, 1, dstFlags, dstOps)
    expect(remap(rig, 20, 4)).toBe(ERRNO.EINVAL)
  })

  it('comes before EEXIST, ENOENT and EBUSY', () => {
    const rig = new Rig()
    rig.place(4, 1, VM_READ)
    rig.place(20, 1)
    rig.load(4)
    rig.store(20, 1)
    expect(remap(rig, 20, 4)).toBe(ERRNO.EINVAL)
  })

  it('PROT_NONE and PROT_READ are different protections', () => {
    const rig = new Rig()
    const { src, dst } = sourceAndDestination(rig)
    rig.call((k) => mprotect(k, rig.mm, at(src), P, PROT_READ))
    rig.call((k) => mprotect(k, rig.mm, at(dst), P, PROT_NONE))
    expect(remap(rig, dst, src)).toBe(ERRNO.EINVAL)
  })
})

describe('each page', () => {
  it('a hole in the source is ENOENT, wherever the tables end', () => {
    const rig = new Rig()
    rig.place(4, 2)
    rig.place(20, 2)
    expect(remap(rig, 20, 4)).toBe(ERRNO.ENOENT)
    rig.store(5, 1)
    expect(remap(rig, 20, 4)).toBe(ERRNO.ENOENT)
  })

  it.each([
    ['written', (rig: Rig) => rig.store(600, 1)],
    ['read', (rig: Rig) => void rig.load(600)],
  ])('a destination that was %s is EEXIST and keeps its content', (_what, touch) => {
    const rig = new Rig()
    rig.place(4, 1)
    rig.place(600, 1)
    rig.store(4, 9)
    touch(rig)
    const before = rig.pte(600)
    expect(remap(rig, 600, 4)).toBe(ERRNO.EEXIST)
    expect(rig.pte(600)).toBe(before)
    expect(rig.load(4)).toBe(9)
  })

  it('the zero page is EBUSY', () => {
    const rig = new Rig()
    const { src, dst } = sourceAndDestination(rig, 2)
    rig.call((k) => madvise(k, rig.mm, at(src), P, MADV_DONTNEED))
    rig.load(src)
    expect(rig.frame(src)).toBe(ZERO_PFN)
    expect(remap(rig, dst, src)).toBe(ERRNO.EBUSY)
  })

  it('a page shared with a child is EBUSY; after the child’s exit it moves, written or not', () => {
    const rig = new Rig()
    const a = rig.map(2)
    rig.store(a, 5)
    const child = rig.fork()
    expect(remap(rig, a + 1, a)).toBe(ERRNO.EBUSY)
    rig.call((k) => exitMmap(k, child.mm))
    expect(remap(rig, a + 1, a)).toBe(P)
    rig.store(a + 1, 6)
    expect(rig.load(a + 1)).toBe(6)
    expect(rig.audit()).toBeNull()
  })

  it('a child of DONTFORK memory does not make it EBUSY', () => {
    const rig = new Rig()
    const { src, dst } = sourceAndDestination(rig)
    rig.fork()
    expect(remap(rig, dst, src)).toBe(P)
  })

  it('onto itself is EEXIST', () => {
    const rig = new Rig()
    const { src } = sourceAndDestination(rig)
    expect(remap(rig, src, src)).toBe(ERRNO.EEXIST)
  })
})

describe('precedence', () => {
  // Source: no table, hole, page. Destination: hole, page. Holes allowed or not: 3 * 2 * 2 = 12 rows.
  const rows = [
    ['no table', 'hole', 0, ERRNO.ENOENT],
    ['no table', 'page', 0, ERRNO.ENOENT],
    ['hole', 'hole', 0, ERRNO.ENOENT],
    ['hole', 'page', 0, ERRNO.EEXIST],
    ['page', 'hole', 0, P],
    ['page', 'page', 0, ERRNO.EEXIST],
    ['no table', 'hole', 1, P],
    ['no table', 'page', 1, ERRNO.EEXIST],
    ['hole', 'hole', 1, P],
    ['hole', 'page', 1, ERRNO.EEXIST],
    ['page', 'hole', 1, P],
    ['page', 'page', 1, ERRNO.EEXIST],
  ] as const

  it.each(rows)('source %s, destination %s, flags %i: %i', (src, dst, flags, expected) => {
    const rig = new Rig()
    rig.place(4, 2)
    rig.place(600, 2)
    if (src !== 'no table') rig.store(5, 1)
    if (src === 'page') rig.store(4, 1)
    if (dst === 'page') rig.store(600, 1)
    expect(remap(rig, 600, 4, 1, flags)).toBe(expected)
    expect(rig.audit()).toBeNull()
    expect(rig.pte(600) !== 0).toBe(dst === 'page' || src === 'page')
  })

  it('covers each combination once', () => {
    expect(new Set(rows.map(([a, b, c]) => `${a} ${b} ${c}`)).size).toBe(12)
  })
})

describe('stops', () => {
  it('at page k return k pages if k > 0 and the error if k = 0; the rest is untouched (any sources and destinations)', () => {
    const page = fc.constantFrom('page', 'hole', 'zero')
    fc.assert(
      fc.property(fc.array(fc.tuple(page, fc.boolean()), { minLength: 1, maxLength: 6 }), fc.boolean(), (list, holes) => {
        const rig = new Rig()
        const n = list.length
        rig.place(4, n)
        rig.place(600, n)
        rig.place(560, 1)
        rig.place(30, 1)
        // Both page tables exist.
        rig.store(560, 1)
        rig.store(30, 1)
        list.forEach(([src, dst], p) => {
          if (src === 'page') rig.store(4 + p, 10 + p)
          if (src === 'zero') rig.load(4 + p)
          if (dst) rig.store(600 + p, 50 + p)
        })
        const errorOf = ([src, dst]: (typeof list)[number]) =>
          dst ? ERRNO.EEXIST : src === 'zero' ? ERRNO.EBUSY : src === 'hole' && !holes ? ERRNO.ENOENT : 0
        const stop = list.findIndex((one) => errorOf(one) !== 0)
        const moved = stop < 0 ? n : stop
        const result = remap(rig, 600, 4, n, holes ? RAP_ALLOW_SRC_HOLES : 0)
        const first = list[stop]
        expect(result).toBe(moved > 0 ? moved * P : first === undefined ? 0 : errorOf(first))
        if (moved > 0 && first !== undefined) {
          expect(remap(rig, 600 + moved, 4 + moved, n - moved, holes ? 1 : 0)).toBe(errorOf(first))
        }
        list.forEach(([src, dst], p) => {
          const went = p < moved && src === 'page'
          expect(rig.load(600 + p)).toBe(went ? 10 + p : dst ? 50 + p : 0)
          expect(rig.load(4 + p)).toBe(src === 'page' && !went ? 10 + p : 0)
        })
        expect(rig.audit()).toBeNull()
      }),
      { numRuns: 200 },
    )
  })

  it('a fatal signal after the first page: what was moved is returned', () => {
    const rig = new Rig()
    const { src, dst } = sourceAndDestination(rig, 3)
    const moved = rig.call(function* (k) {
      k.fatalSignal = true
      return yield* remapAnonPages(k, rig.mm, at(dst), at(src), 3 * P, 0)
    })
    expect(moved).toBe(P)
    expect(rig.load(src + 1)).toBe(101)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })
})

describe('races in random schedules', () => {
  it('two movers into opposite directions over two page tables never deadlock (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed, windowPages: 2048 })
      rig.place(4, 2)
      rig.place(600, 2)
      rig.store(4, 1)
      rig.store(600, 2)
      const moves = [
        rig.spawn('up', 0, (k) => remapAnonPages(k, rig.mm, at(601), at(4), P, 0)),
        rig.spawn('down', 1, (k) => remapAnonPages(k, rig.mm, at(5), at(600), P, 0)),
      ]
      if (rig.run() !== 'done' || moves.some((m) => m.value !== P)) return true
      return rig.load(601) !== 1 || rig.load(5) !== 2 || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })

  it('two movers of one page: one moves it, the other finds a hole (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const { src, dst } = sourceAndDestination(rig, 2)
      const moves = [0, 1].map((n) => rig.spawn(`m${n}`, n, (k) => remapAnonPages(k, rig.mm, at(dst + n), at(src), P, 0)))
      if (rig.run() !== 'done' || rig.audit() !== null) return true
      return (
        moves
          .map((m) => m.value ?? 0)
          .sort()
          .join() !== [ERRNO.ENOENT, P].sort().join()
      )
    })
    expect(wrong).toEqual([])
  })

  it('a mover against DONTNEED of its source: moved, or ENOENT, and nothing leaks (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const { src, dst } = sourceAndDestination(rig)
      const move = rig.spawn('mover', 0, (k) => remapAnonPages(k, rig.mm, at(dst), at(src), P, 0))
      rig.spawn('zapper', 1, (k) => madvise(k, rig.mm, at(src), P, MADV_DONTNEED))
      if (rig.run() !== 'done' || rig.audit() !== null) return true
      return move.value === P ? rig.load(dst) !== 100 : move.value !== ERRNO.ENOENT || rig.kernel.pages.used !== 0
    })
    expect(wrong).toEqual([])
  })

  it('a mover against fork: the child has the page or not, and both see what was written (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const a = rig.map(2)
      rig.store(a, 5)
      const move = rig.spawn('mover', 0, (k) => remapAnonPages(k, rig.mm, at(a + 1), at(a), P, 0))
      const child = rig.fork(1)
      if (!move.done && rig.run() !== 'done') return true
      if (rig.audit() !== null) return true
      const page = move.value === P ? a + 1 : a
      if (rig.load(page) !== 5) return true
      rig.store(page, 6)
      return rig.load(a, 1, child) + rig.load(a + 1, 1, child) !== 5
    })
    expect(wrong).toEqual([])
  })

  it('a writer that spins on the source never changes the destination after the call returned (500)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const { src, dst } = sourceAndDestination(rig)
      let after = -1
      rig.spawn('writer', 1, function* (k) {
        for (let i = 1; i <= 6; i++) yield* rig.process.writePage(k, src, { word0: i, word1: i, version: i })
      })
      rig.spawn('mover', 0, function* (k) {
        yield* remapAnonPages(k, rig.mm, at(dst), at(src), P, 0)
        after = rig.kernel.phys.words[rig.frame(dst) * 2] ?? -1
      })
      return rig.run() !== 'done' || rig.load(dst) !== after || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })
})
