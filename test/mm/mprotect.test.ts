/**
 * mprotect: rights hold from the moment it returns, on every CPU whatever its TLB knew; they come back by fault, with
 * copy-on-write kept; areas split and merge; ENOMEM and EINVAL change nothing.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { mprotect, PROT_NONE, PROT_READ, PROT_WRITE } from '../../core/mm/mprotect.ts'
import { at, GEARS, P, Rig } from './rig.ts'

const PROT_RW = PROT_READ | PROT_WRITE

function protect(rig: Rig, page: number, pages: number, prot: number): number {
  return rig.call((k) => mprotect(k, rig.mm, at(page), pages * P, prot))
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a store after mprotect to read-only is SIGSEGV on every CPU, though it had a writable TLB entry', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    for (let n = 0; n < 3; n++) rig.store(a, 5, n)
    expect(protect(rig, a, 1, PROT_READ)).toBe(0)
    for (let n = 0; n < 3; n++) {
      expect(rig.load(a, n)).toBe(5)
      expect(() => rig.store(a, 6, n)).toThrow(`SIGSEGV at page ${a}`)
    }
    expect(rig.audit()).toBeNull()
  })

  it('rights that come back are used at the next store, without a copy', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const pfn = rig.frame(a)
    protect(rig, a, 1, PROT_READ)
    protect(rig, a, 1, PROT_RW)
    rig.store(a, 6)
    expect(rig.load(a)).toBe(6)
    expect(rig.frame(a)).toBe(pfn)
    expect(rig.kernel.pages.used).toBe(1)
  })

  it('a page shared by fork stays shared through read-only and back: the store copies', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const child = rig.fork()
    protect(rig, a, 1, PROT_READ)
    protect(rig, a, 1, PROT_RW)
    rig.store(a, 6)
    expect(rig.load(a)).toBe(6)
    expect(rig.load(a, 1, child)).toBe(5)
    expect(rig.audit()).toBeNull()
  })

  it('the middle page of 3 read-only and back: 1, 3, 1 areas', () => {
    const rig = new Rig({ gear })
    const a = rig.map(3)
    for (let p = 0; p < 3; p++) rig.store(a + p, p)
    protect(rig, a + 1, 1, PROT_READ)
    expect(rig.areas()).toHaveLength(3)
    expect(rig.audit()).toBeNull()
    protect(rig, a + 1, 1, PROT_RW)
    expect(rig.areas()).toEqual([[a, a + 3]])
    expect(rig.audit()).toBeNull()
  })
})

describe('ranges', () => {
  it('every range of 8 pages over every earlier read-only range gives those rights and no crash (36 * 36 = 1296)', () => {
    const ranges: [number, number][] = []
    for (let from = 0; from < 8; from++) for (let to = from + 1; to <= 8; to++) ranges.push([from, to])
    expect(ranges).toHaveLength(36)
    const wrong: string[] = []
    for (const [a, b] of ranges) {
      for (const [c, d] of ranges) {
        const rig = new Rig({ windowPages: 16, frames: 4 })
        const first = rig.map(8)
        const name = `[${a},${b}) then [${c},${d})`
        try {
          protect(rig, first + a, b - a, PROT_READ)
          protect(rig, first + c, d - c, PROT_READ)
        } catch (e) {
          wrong.push(`${name}: ${e instanceof Error ? e.message : e}`)
          continue
        }
        for (let p = 0; p < 8; p++) {
          const readOnly = (p >= a && p < b) || (p >= c && p < d)
          if (((rig.vma(first + p).flags & 2) === 0) !== readOnly) wrong.push(`${name}: page ${p}`)
        }
      }
    }
    expect(wrong.slice(0, 5)).toEqual([])
  })
})

describe('PROT_NONE', () => {
  it('a load of a missing page is SIGSEGV', () => {
    const rig = new Rig()
    const a = rig.map(1)
    protect(rig, a, 1, PROT_NONE)
    expect(() => rig.load(a)).toThrow('SIGSEGV')
  })

  it('a load of a present page is SIGSEGV', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.store(a, 5)
    protect(rig, a, 1, PROT_NONE)
    expect(() => rig.load(a)).toThrow('SIGSEGV')
  })

  it('the content is there again when the rights are', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.store(a, 5)
    protect(rig, a, 1, PROT_NONE)
    protect(rig, a, 1, PROT_READ)
    expect(rig.load(a)).toBe(5)
  })
})

describe('errno', () => {
  it('a hole at the start of the range is ENOMEM and changes nothing', () => {
    const rig = new Rig()
    rig.place(5, 2)
    expect(protect(rig, 4, 3, PROT_READ)).toBe(ERRNO.ENOMEM)
    expect(rig.vma(5).flags & 2).toBe(2)
  })

  it('a hole later in the range is ENOMEM', () => {
    const rig = new Rig()
    rig.place(4, 2)
    rig.place(8, 2)
    expect(protect(rig, 4, 6, PROT_READ)).toBe(ERRNO.ENOMEM)
  })

  it('an unaligned address, unknown rights and a negative length are EINVAL; no length is 0', () => {
    const rig = new Rig()
    const a = rig.map(1)
    expect(rig.call((k) => mprotect(k, rig.mm, at(a) + 1, P, PROT_READ))).toBe(ERRNO.EINVAL)
    expect(protect(rig, a, 1, 8)).toBe(ERRNO.EINVAL)
    expect(protect(rig, a, -1, PROT_READ)).toBe(ERRNO.EINVAL)
    expect(protect(rig, a, 0, PROT_READ)).toBe(0)
  })
})
