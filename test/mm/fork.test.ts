/**
 * fork: parent and child share pages until one of them writes; what the advices and registrations say about children
 * holds; and the anon_vmas of any family of processes share one root, which goes last.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PTE_D, PTE_W } from '../../core/hw/pte.ts'
import type { Process } from '../../core/machine/process.ts'
import { MADV_DONTFORK, madvise } from '../../core/mm/madvise.ts'
import { exitMmap } from '../../core/mm/mmap.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { VM_LOCKED, VM_UFFD_MISSING } from '../../core/mm/vma.ts'
import { at, GEARS, P, Rig, RW } from './rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('what one writes after fork the other does not see, whoever writes first', () => {
    for (const parentFirst of [true, false]) {
      const rig = new Rig({ gear })
      const a = rig.map(2)
      rig.store(a, 5)
      const child = rig.fork()
      const pair = [rig.process, child] as const
      const [first, second] = parentFirst ? pair : [pair[1], pair[0]]
      rig.store(a, 6, 0, first)
      expect(rig.load(a, 1, second)).toBe(5)
      rig.store(a, 7, 1, second)
      expect(rig.load(a, 0, first)).toBe(6)
      expect(rig.load(a, 1, second)).toBe(7)
      expect(rig.audit()).toBeNull()
    }
  })

  it('a CPU of the parent that had a writable TLB entry copies at its next store', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    for (let n = 0; n < 3; n++) rig.store(a, n + 1, n)
    const child = rig.fork(0)
    for (let n = 0; n < 3; n++) rig.store(a, 90 + n, n)
    expect(rig.load(a, 3, child)).toBe(3)
  })

  it('both PTEs are without W after fork, the page counts twice and is nobody alone’s', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const pfn = rig.frame(a)
    expect(rig.kernel.pages.isExclusive(pfn)).toBe(true)
    const child = rig.fork()
    expect(rig.frame(a, child.mm)).toBe(pfn)
    expect((rig.pte(a) | rig.pte(a, child.mm)) & PTE_W).toBe(0)
    expect(rig.kernel.pages.mapcount[pfn]).toBe(2)
    expect(rig.kernel.pages.refcount[pfn]).toBe(2)
    expect(rig.kernel.pages.isExclusive(pfn)).toBe(false)
    expect([rig.mm.rss, child.mm.rss]).toEqual([1, 1])
  })

  it('the last of a family to write takes the page over instead of copying it', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const pfn = rig.frame(a)
    const child = rig.fork()
    rig.call((k) => exitMmap(k, child.mm))
    rig.store(a, 6)
    expect(rig.frame(a)).toBe(pfn)
    expect(rig.kernel.pages.isExclusive(pfn)).toBe(true)
  })
})

describe('what a child gets', () => {
  it('an area with DONTFORK does not exist in the child: SIGSEGV; its page stays exclusive', () => {
    const rig = new Rig()
    const a = rig.map(3)
    for (let p = 0; p < 3; p++) rig.store(a + p, p + 1)
    rig.call((k) => madvise(k, rig.mm, at(a + 1), P, MADV_DONTFORK))
    const child = rig.fork()
    expect(rig.areas(child.mm)).toEqual([
      [a, a + 1],
      [a + 2, a + 3],
    ])
    expect(() => rig.load(a + 1, 0, child)).toThrow('SIGSEGV')
    expect(rig.kernel.pages.isExclusive(rig.frame(a + 1))).toBe(true)
    expect(rig.kernel.pages.mapcount[rig.frame(a + 1)]).toBe(1)
  })

  it('a registered area is not registered in the child, which reads zeros without a message', () => {
    const rig = new Rig()
    const a = rig.map(2)
    const uffd = new Userfaultfd(rig.mm, 1, 'ioctl')
    rig.call((k) => userfaultfdRegister(k, uffd, at(a), 2 * P, 1))
    const child = rig.fork()
    expect(rig.vma(a, child.mm).uffd).toBeNull()
    expect(rig.vma(a, child.mm).flags & VM_UFFD_MISSING).toBe(0)
    expect(rig.load(a, 1, child)).toBe(0)
    expect(uffd.pending.length).toBe(0)
    expect(rig.vma(a).uffd).toBe(uffd)
  })

  it('a page of zeros is shared without being counted', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.load(a)
    const child = rig.fork()
    rig.store(a, 4, 1, child)
    expect(rig.load(a)).toBe(0)
    expect(rig.kernel.pages.used).toBe(1)
    expect(rig.audit()).toBeNull()
  })

  it('keeps the dirty bit of private pages, which says that a page must not be dropped', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.store(a, 5)
    const child = rig.fork()
    expect(rig.pte(a, child.mm) & PTE_D).toBe(PTE_D)
  })

  it('does not inherit mlock', () => {
    const rig = new Rig()
    rig.place(4, 1, RW | VM_LOCKED)
    const child = rig.fork()
    expect(rig.vma(4, child.mm).flags & VM_LOCKED).toBe(0)
  })
})

describe('anon_vmas of a family', () => {
  it('the child’s own is new, the parent’s is still linked, and their root is the parent’s', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.store(a, 5)
    const child = rig.fork()
    const mine = rig.vma(a).anonVma
    const its = rig.vma(a, child.mm)
    expect(its.anonVma).not.toBe(mine)
    expect(its.anonVma?.root).toBe(mine)
    expect(its.anonVma?.parent).toBe(mine)
    expect(its.chain.map((e) => e.anonVma)).toEqual([its.anonVma, mine])
  })

  it('a page copied in the child carries the child’s anon_vma, one inherited the parent’s', () => {
    const rig = new Rig()
    const a = rig.map(2)
    rig.store(a, 1)
    rig.store(a + 1, 1)
    const child = rig.fork()
    rig.store(a, 2, 1, child)
    const word = (page: number) => rig.kernel.pages.mapping[rig.frame(page, child.mm)]
    expect(word(a)).toBe((rig.vma(a, child.mm).anonVma?.index ?? 0) * 2 + 1)
    expect(word(a + 1)).toBe((rig.vma(a).anonVma?.index ?? 0) * 2 + 1)
  })

  it('an area without pages gives its child none', () => {
    const rig = new Rig()
    const a = rig.map(1)
    const child = rig.fork()
    expect(rig.vma(a, child.mm).anonVma).toBeNull()
    rig.store(a, 1, 1, child)
    rig.store(a, 2, 0)
    expect(rig.vma(a, child.mm).anonVma?.root).toBe(rig.vma(a, child.mm).anonVma)
  })

  it('any tree of forks, writes and exits keeps the books right and frees everything in the end', () => {
    const step = fc.record({ who: fc.nat(9), what: fc.constantFrom('fork', 'write', 'exit', 'dontfork'), page: fc.nat(3) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const rig = new Rig({ frames: 256, windowPages: 16 })
        const a = rig.map(4)
        const living: { process: Process; words: number[]; gone: Set<number> }[] = [
          { process: rig.process, words: [0, 0, 0, 0], gone: new Set() },
        ]
        let value = 1
        for (const { who, what, page } of steps) {
          const one = living[who % Math.max(1, living.length)]
          if (one === undefined) break
          const { mm } = one.process
          if (what === 'fork' && living.length < 8) {
            const gone = new Set(one.gone)
            for (let p = 0; p < 4; p++) if (!gone.has(p) && (rig.vma(a + p, mm).flags & (1 << 17)) !== 0) gone.add(p)
            living.push({ process: rig.fork(0, one.process), words: [...one.words], gone })
          }
          if (what === 'write' && !one.gone.has(page)) {
            one.words[page] = value
            rig.store(a + page, value++, 0, one.process)
          }
          if (what === 'dontfork' && !one.gone.has(page))
            rig.call((k) => madvise(k, mm, at(a + page), P, MADV_DONTFORK), 0, one.process)
          if (what === 'exit') {
            rig.call((k) => exitMmap(k, mm))
            living.splice(living.indexOf(one), 1)
          }
          if (living.length > 0) expect(rig.audit()).toBeNull()
          for (const l of living) {
            for (let p = 0; p < 4; p++) if (!l.gone.has(p)) expect(rig.load(a + p, 0, l.process)).toBe(l.words[p])
          }
        }
        for (const l of living) rig.call((k) => exitMmap(k, l.process.mm))
        expect(rig.kernel.pages.used).toBe(0)
        expect(rig.kernel.anonVmas.live).toBe(0)
      }),
      { numRuns: 150 },
    )
  })
})
