/**
 * madvise: DONTNEED empties, the flag advices split and merge areas and change no PTE, USERFAULT makes holes signal, and
 * each errno comes where the man page and the 2014 series say.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { MADV_DOFORK, MADV_DONTFORK, MADV_DONTNEED, MADV_NOUSERFAULT, MADV_USERFAULT, madvise } from '../../core/mm/madvise.ts'
import { VM_DONTCOPY, VM_LOCKED, VM_USERFAULT } from '../../core/mm/vma.ts'
import { at, GEARS, P, Rig, RW } from './rig.ts'

const FLAG_ADVICE = [
  ['DONTFORK', MADV_DONTFORK, MADV_DOFORK, VM_DONTCOPY],
  ['USERFAULT', MADV_USERFAULT, MADV_NOUSERFAULT, VM_USERFAULT],
] as const

describe.each(GEARS)('in the %s gear', (gear) => {
  it('DONTNEED makes written pages read as zeros, on every CPU, and frees their frames', () => {
    const rig = new Rig({ gear })
    const a = rig.map(4)
    for (let p = 0; p < 4; p++) for (const n of [0, 1]) rig.store(a + p, 9, n)
    expect(rig.call((k) => madvise(k, rig.mm, at(a + 1), 2 * P, MADV_DONTNEED))).toBe(0)
    expect(rig.kernel.pages.used).toBe(2)
    expect(rig.mm.rss).toBe(2)
    for (const n of [0, 1]) expect([0, 1, 2, 3].map((p) => rig.load(a + p, n))).toEqual([9, 0, 0, 9])
    expect(rig.areas()).toEqual([[a, a + 4]])
    expect(rig.audit()).toBeNull()
  })

  it.each(FLAG_ADVICE)(
    '%s on the middle page makes 3 areas, its opposite merges them to 1, and no PTE changes',
    (_name, set, clear, flag) => {
      const rig = new Rig({ gear })
      const a = rig.map(3)
      for (let p = 0; p < 3; p++) rig.store(a + p, p)
      const ptes = () => [0, 1, 2].map((p) => rig.pte(a + p))
      const before = ptes()
      expect(rig.call((k) => madvise(k, rig.mm, at(a + 1), P, set))).toBe(0)
      expect(rig.areas()).toEqual([
        [a, a + 1],
        [a + 1, a + 2],
        [a + 2, a + 3],
      ])
      expect(rig.vma(a + 1).flags & flag).toBe(flag)
      expect(rig.vma(a).flags & flag).toBe(0)
      expect(rig.call((k) => madvise(k, rig.mm, at(a + 1), P, clear))).toBe(0)
      expect(rig.areas()).toEqual([[a, a + 3]])
      expect(ptes()).toEqual(before)
      expect(rig.audit()).toBeNull()
    },
  )
})

describe('errno', () => {
  it.each([
    ['an unaligned address', at(1) + 8, P, MADV_DONTNEED],
    ['an unknown advice', at(1), P, 5],
    ['a negative length', at(1), -P, MADV_DONTNEED],
    ['an address below the window', 0, P, MADV_DONTFORK],
  ])('%s is EINVAL', (_what, address, length, advice) => {
    const rig = new Rig()
    rig.map(4)
    expect(rig.call((k) => madvise(k, rig.mm, address, length, advice))).toBe(ERRNO.EINVAL)
  })

  it('no length is 0', () => {
    const rig = new Rig()
    expect(rig.call((k) => madvise(k, rig.mm, at(1), 0, MADV_DONTNEED))).toBe(0)
  })

  it.each([MADV_DONTNEED, MADV_DONTFORK, MADV_USERFAULT])('advice %i over a hole is ENOMEM, and the rest is done', (advice) => {
    const rig = new Rig()
    rig.place(4, 2)
    rig.place(8, 2)
    rig.store(4, 1)
    rig.store(9, 1)
    expect(rig.call((k) => madvise(k, rig.mm, at(4), 6 * P, advice))).toBe(ERRNO.ENOMEM)
    if (advice === MADV_DONTNEED) expect(rig.kernel.pages.used).toBe(0)
    else for (const page of [4, 9]) expect(rig.vma(page).flags).not.toBe(RW)
  })

  it('DONTNEED of a locked area is EINVAL and keeps the page', () => {
    const rig = new Rig()
    rig.place(4, 2, RW | VM_LOCKED)
    rig.store(4, 3)
    expect(rig.call((k) => madvise(k, rig.mm, at(4), P, MADV_DONTNEED))).toBe(ERRNO.EINVAL)
    expect(rig.load(4)).toBe(3)
  })

  it.each([MADV_USERFAULT, MADV_NOUSERFAULT])('advice %i of a file area is EINVAL', (advice) => {
    const rig = new Rig()
    rig.place(4, 2, RW, 'file')
    expect(rig.call((k) => madvise(k, rig.mm, at(4), P, advice))).toBe(ERRNO.EINVAL)
    expect(rig.call((k) => madvise(k, rig.mm, at(4), P, MADV_DONTFORK))).toBe(0)
  })
})

describe('USERFAULT', () => {
  it('makes a hole signal, keeps a present page, and after NOUSERFAULT the hole reads as zero', () => {
    const rig = new Rig()
    const a = rig.map(2)
    rig.store(a, 4)
    rig.call((k) => madvise(k, rig.mm, at(a), 2 * P, MADV_USERFAULT))
    expect(rig.load(a)).toBe(4)
    for (const store of [false, true]) {
      expect(() => rig.call((k) => rig.process.touch(k, a + 1, store))).toThrow(`SIGBUS at page ${a + 1}`)
    }
    expect(rig.kernel.pages.used).toBe(1)
    rig.call((k) => madvise(k, rig.mm, at(a), 2 * P, MADV_NOUSERFAULT))
    expect(rig.load(a + 1)).toBe(0)
  })

  it('a page emptied by DONTNEED is a hole again', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.store(a, 4)
    rig.call((k) => madvise(k, rig.mm, at(a), P, MADV_USERFAULT))
    rig.call((k) => madvise(k, rig.mm, at(a), P, MADV_DONTNEED))
    expect(() => rig.load(a)).toThrow('SIGBUS')
  })
})
