/**
 * mmap and munmap: the areas of a process are those of a slow model that keeps one cell a page, whatever the calls, and
 * frames go back with their areas. The splitting and merging that other calls use is tested here through mprotect and madvise.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { MADV_DOFORK, MADV_DONTFORK, MADV_DONTNEED, MADV_NOUSERFAULT, MADV_USERFAULT, madvise } from '../../core/mm/madvise.ts'
import { exitMmap, mmapAnonymous, munmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../../core/mm/mprotect.ts'
import { VM_ACCOUNT, VM_DONTCOPY, VM_READ, VM_USERFAULT, VM_WRITE } from '../../core/mm/vma.ts'
import { at, GEARS, P, Rig, RW } from './rig.ts'

const PAGES = 16

/** One cell a page: its flags, or null where nothing is mapped; and the value last stored. */
interface Cell {
  flags: number
  value: number
}

type Call =
  | { call: 'mmap'; pages: number }
  | {
      call: 'munmap' | 'dontneed' | 'readonly' | 'readwrite' | 'dontfork' | 'dofork' | 'userfault' | 'nouserfault'
      page: number
      pages: number
    }
  | { call: 'store'; page: number; value: number }

const range = (call: Exclude<Call, { call: 'mmap' | 'store' }>['call']) =>
  fc.record({ call: fc.constant(call), page: fc.integer({ min: 1, max: PAGES }), pages: fc.integer({ min: 1, max: 9 }) })
const calls: fc.Arbitrary<Call> = fc.oneof(
  fc.record({ call: fc.constant('mmap' as const), pages: fc.integer({ min: 1, max: 6 }) }),
  range('munmap'),
  range('dontneed'),
  range('readonly'),
  range('readonly'),
  range('readwrite'),
  range('readwrite'),
  range('dontfork'),
  range('dofork'),
  range('userfault'),
  range('nouserfault'),
  fc.record({
    call: fc.constant('store' as const),
    page: fc.integer({ min: 1, max: PAGES }),
    value: fc.integer({ min: 1, max: 99 }),
  }),
)

/** The call on the model: what it should do to the cells, and to what it returns (null: not compared). */
function apply(cells: (Cell | null)[], c: Call): number | null {
  if (c.call === 'store') {
    const cell = cells[c.page]
    if (cell !== null && cell !== undefined && (cell.flags & VM_WRITE) !== 0 && canTouch(cell)) cell.value = c.value
    return null
  }
  if (c.call === 'mmap') {
    for (let first = 1; first + c.pages <= PAGES + 1; first++) {
      if (cells.slice(first, first + c.pages).every((cell) => cell === null)) {
        for (let p = first; p < first + c.pages; p++) cells[p] = { flags: RW, value: 0 }
        return at(first)
      }
    }
    return ERRNO.ENOMEM
  }
  const pages = Array.from({ length: c.pages }, (_, i) => c.page + i)
  const holes = pages.some((p) => (cells[p] ?? null) === null)
  if (c.call === 'munmap') {
    if (c.page + c.pages > PAGES + 1) return ERRNO.EINVAL
    for (const p of pages) cells[p] = null
    return 0
  }
  const isProtect = c.call === 'readonly' || c.call === 'readwrite'
  for (const p of pages) {
    const cell = cells[p] ?? null
    // mprotect stops at the first hole, madvise goes on behind it.
    if (cell === null && isProtect) break
    if (cell === null) continue
    if (c.call === 'dontneed') cell.value = 0
    if (c.call === 'readonly') cell.flags &= ~VM_WRITE
    if (c.call === 'readwrite') cell.flags |= VM_WRITE
    if (c.call === 'dontfork') cell.flags |= VM_DONTCOPY
    if (c.call === 'dofork') cell.flags &= ~VM_DONTCOPY
    if (c.call === 'userfault') cell.flags |= VM_USERFAULT
    if (c.call === 'nouserfault') cell.flags &= ~VM_USERFAULT
  }
  return holes ? ERRNO.ENOMEM : 0
}

/** A page that was never stored to and is a userfault page gives SIGBUS: the model leaves it alone. */
function canTouch(cell: Cell): boolean {
  return cell.value !== 0 || (cell.flags & VM_USERFAULT) === 0
}

function perform(rig: Rig, cells: readonly (Cell | null)[], c: Call): number | null {
  const { mm } = rig
  switch (c.call) {
    case 'store': {
      const cell = cells[c.page] ?? null
      if (cell !== null && (cell.flags & VM_WRITE) !== 0 && canTouch(cell)) rig.store(c.page, c.value)
      return null
    }
    case 'mmap':
      return rig.call((k) => mmapAnonymous(k, mm, c.pages * P))
    case 'munmap':
      return rig.call((k) => munmap(k, mm, at(c.page), c.pages * P))
    case 'readonly':
      return rig.call((k) => mprotect(k, mm, at(c.page), c.pages * P, PROT_READ))
    case 'readwrite':
      return rig.call((k) => mprotect(k, mm, at(c.page), c.pages * P, PROT_READ | PROT_WRITE))
    default: {
      const advice = {
        dontneed: MADV_DONTNEED,
        dontfork: MADV_DONTFORK,
        dofork: MADV_DOFORK,
        userfault: MADV_USERFAULT,
        nouserfault: MADV_NOUSERFAULT,
      }[c.call]
      return rig.call((k) => madvise(k, mm, at(c.page), c.pages * P, advice))
    }
  }
}

/** Each page's flags as the tree has them, but for what is charged. */
function flagsByPage(rig: Rig): (number | null)[] {
  return Array.from({ length: PAGES + 1 }, (_, p) => {
    const vma = rig.mm.tree.walk(p)
    return vma?.contains(p) ? vma.flags & ~VM_ACCOUNT : null
  })
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('any calls leave the areas, rights and contents of a model with one cell a page', () => {
    fc.assert(
      fc.property(fc.array(calls, { maxLength: 25 }), (list) => {
        const rig = new Rig({ gear, windowPages: PAGES + 1, frames: 64 })
        const cells: (Cell | null)[] = new Array<Cell | null>(PAGES + 1).fill(null)
        // A full window to begin with: most calls then meet areas.
        for (const c of [{ call: 'mmap', pages: PAGES } as const, ...list]) {
          const found = perform(rig, cells, c)
          expect(found, JSON.stringify(c)).toBe(apply(cells, c))
          expect(flagsByPage(rig)).toEqual(cells.map((cell) => cell?.flags ?? null))
          expect(rig.audit()).toBeNull()
        }
        cells.forEach((cell, page) => {
          if (cell !== null && canTouch(cell)) expect(rig.load(page), `page ${page}`).toBe(cell.value)
        })
      }),
      { numRuns: gear === 'clock' ? 300 : 100 },
    )
  })

  it('the end of an address space gives every frame, table and anon_vma back', () => {
    fc.assert(
      fc.property(fc.array(calls, { maxLength: 25 }), (list) => {
        const rig = new Rig({ gear, windowPages: PAGES + 1, frames: 64 })
        const cells: (Cell | null)[] = new Array<Cell | null>(PAGES + 1).fill(null)
        for (const c of list) {
          perform(rig, cells, c)
          apply(cells, c)
        }
        rig.call((k) => exitMmap(k, rig.mm))
        expect(rig.kernel.pages.used).toBe(0)
        expect(rig.kernel.anonVmas.live).toBe(0)
        expect(rig.kernel.tables.nodesInUse).toBe(0)
        expect(rig.mm.rss).toBe(0)
      }),
      { numRuns: 100 },
    )
  })

  it('neighbours with equal flags are one area, however they came to be', () => {
    const rig = new Rig({ gear })
    const first = rig.map(2)
    rig.map(2)
    rig.map(2)
    expect(rig.areas()).toEqual([[first, first + 6]])
  })
})

describe('areas', () => {
  it('unmapping every range of a mapping of 6 leaves what is outside of it (21 ranges: 6 * 7 / 2)', () => {
    let ranges = 0
    for (let from = 0; from < 6; from++) {
      for (let to = from + 1; to <= 6; to++) {
        ranges++
        const rig = new Rig()
        const a = rig.map(6)
        for (let p = 0; p < 6; p++) rig.store(a + p, p + 1)
        expect(rig.call((k) => munmap(k, rig.mm, at(a + from), (to - from) * P))).toBe(0)
        const expected: [number, number][] = []
        if (from > 0) expected.push([a, a + from])
        if (to < 6) expected.push([a + to, a + 6])
        expect(rig.areas()).toEqual(expected)
        expect(rig.kernel.pages.used).toBe(6 - (to - from))
        expect(rig.mm.rss).toBe(6 - (to - from))
        expect(rig.audit()).toBeNull()
      }
    }
    expect(ranges).toBe(21)
  })

  it('unmap the middle, map it again with equal flags: 1, 2, 1 areas, touched before or not', () => {
    for (const touched of [false, true]) {
      const rig = new Rig()
      const a = rig.map(3)
      if (touched) for (let p = 0; p < 3; p++) rig.store(a + p, 7)
      rig.call((k) => munmap(k, rig.mm, at(a + 1), P))
      expect(rig.areas()).toHaveLength(2)
      expect(rig.map(1)).toBe(a + 1)
      expect(rig.areas()).toHaveLength(1)
      expect(rig.load(a + 1)).toBe(0)
      expect(rig.load(a)).toBe(touched ? 7 : 0)
    }
  })

  it('an area split in the middle of written pages keeps each page findable by the reverse map', () => {
    const rig = new Rig()
    const a = rig.map(5)
    for (let p = 0; p < 5; p++) rig.store(a + p, p)
    rig.call((k) => madvise(k, rig.mm, at(a + 2), P, MADV_DONTFORK))
    expect(rig.areas()).toHaveLength(3)
    expect(rig.audit()).toBeNull()
    rig.call((k) => madvise(k, rig.mm, at(a + 2), P, MADV_DOFORK))
    expect(rig.areas()).toHaveLength(1)
    expect(rig.audit()).toBeNull()
  })

  it.each([
    ['an unaligned address', at(1) + 1, P],
    ['no length', at(1), 0],
    ['a range beyond the window', at(1020), 8 * P],
    ['an address below the window', 0, P],
  ])('munmap of %s is EINVAL', (_what, address, length) => {
    const rig = new Rig()
    expect(rig.map(1)).toBe(1)
    expect(rig.call((k) => munmap(k, rig.mm, address, length))).toBe(ERRNO.EINVAL)
    expect(rig.areas()).toHaveLength(1)
  })

  it('munmap of nothing is 0; mmap of nothing is EINVAL; mmap of more than the window is ENOMEM', () => {
    const rig = new Rig({ windowPages: 32 })
    expect(rig.call((k) => munmap(k, rig.mm, at(5), P))).toBe(0)
    expect(rig.call((k) => mmapAnonymous(k, rig.mm, 0))).toBe(ERRNO.EINVAL)
    expect(rig.call((k) => mmapAnonymous(k, rig.mm, 32 * P))).toBe(ERRNO.ENOMEM)
    expect(rig.call((k) => mmapAnonymous(k, rig.mm, 31 * P))).toBe(at(1))
    expect(rig.call((k) => mmapAnonymous(k, rig.mm, P))).toBe(ERRNO.ENOMEM)
  })

  it('no CPU can use a page after munmap returned, though it had it in its TLB', () => {
    for (const gear of GEARS) {
      const rig = new Rig({ gear })
      const a = rig.map(1, VM_READ | VM_WRITE)
      for (let n = 0; n < 3; n++) rig.store(a, n, n)
      rig.call((k) => munmap(k, rig.mm, at(a), P), 0)
      for (let n = 0; n < 3; n++) expect(rig.cpu(n).mmu.translate(a, false)).toBe(-1)
      expect(rig.kernel.ipis).toBe(2)
    }
  })
})
