/**
 * Faults on swap and migration entries: what comes back is what went out, once for each holder of the entry, whoever
 * faults at once; sharing and exclusiveness survive the way through swap; and each look again is needed.
 */
import { describe, expect, it } from 'vitest'
import { PTE_W, ptePresent } from '../../core/hw/pte.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { migratePage } from '../../core/mm/migrate.ts'
import { exitMmap, munmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../../core/mm/mprotect.ts'
import { makeMigrationEntry, swapExclusive, swapKind } from '../../core/mm/swapops.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { at, evictFrame, GEARS, P, Rig } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a page that went to swap reads as it was, and is not mapped meanwhile', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(1)
    rig.store(a, 42)
    expect(rig.evict(a)).toBe(true)
    expect(swapKind(rig.pte(a))).toBe('swap')
    expect([rig.mm.rss, rig.mm.swapEntries, rig.kernel.pages.used]).toEqual([0, 1, 0])
    expect(rig.load(a, 1)).toBe(42)
    expect([rig.mm.rss, rig.mm.swapEntries]).toEqual([1, 0])
    expect(rig.audit()).toBeNull()
  })

  it('an exclusive page comes back exclusive and writable, a shared one neither', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(2)
    rig.store(a, 1)
    rig.evict(a)
    expect(swapExclusive(rig.pte(a))).toBe(true)
    rig.load(a)
    expect(rig.pte(a) & PTE_W).toBe(PTE_W)
    rig.store(a + 1, 1)
    rig.fork()
    rig.evict(a + 1)
    expect(swapExclusive(rig.pte(a + 1))).toBe(false)
    expect(rig.kernel.swap.count(1) + rig.kernel.swap.count(2)).toBe(2)
    rig.load(a + 1)
    expect(rig.pte(a + 1) & PTE_W).toBe(0)
    expect(rig.audit()).toBeNull()
  })

  it('a page swapped out before fork is nobody’s alone afterwards: each sees only its own stores', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(1)
    rig.store(a, 5)
    rig.evict(a)
    const child = rig.fork()
    rig.store(a, 6)
    expect(rig.load(a, 1, child)).toBe(5)
    rig.store(a, 7, 1, child)
    expect(rig.load(a)).toBe(6)
    expect(rig.kernel.swap.used).toBe(0)
    expect(rig.audit()).toBeNull()
  })

  it('a store takes the page out of the swap cache if nobody else has the entry', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(1)
    rig.store(a, 5)
    rig.evict(a)
    rig.store(a, 6)
    expect(rig.kernel.swap.used).toBe(0)
    expect(rig.load(a)).toBe(6)
  })

  it('rights taken while the page was in swap hold when it comes back, and come back with them', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(1)
    rig.store(a, 5)
    rig.evict(a)
    rig.call((k) => mprotect(k, rig.mm, at(a), P, PROT_READ))
    expect(() => rig.store(a, 6)).toThrow('SIGSEGV')
    expect(rig.load(a)).toBe(5)
    expect(rig.pte(a) & PTE_W).toBe(0)
    rig.call((k) => mprotect(k, rig.mm, at(a), P, PROT_READ | PROT_WRITE))
    rig.store(a, 6)
    expect(rig.load(a)).toBe(6)
  })

  it('unmapping frees the slot, in memory or not', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(2)
    rig.store(a, 5)
    rig.store(a + 1, 6)
    rig.evict(a)
    rig.evict(a + 1)
    rig.load(a + 1)
    expect(rig.call((k) => munmap(k, rig.mm, at(a), 2 * P))).toBe(0)
    expect([rig.kernel.swap.used, rig.kernel.pages.used, rig.mm.swapEntries]).toEqual([0, 0, 0])
  })
})

it('a page in swap is there for userfaultfd: a fault on it sends no message', () => {
  const rig = new Rig({ swap: 4 })
  const a = rig.map(1)
  rig.store(a, 5)
  rig.evict(a)
  const uffd = new Userfaultfd(rig.mm, 1, 'ioctl')
  rig.vma(a).uffd = uffd
  expect(rig.load(a)).toBe(5)
  expect(uffd.pending.length).toBe(0)
  expect(ERRNO.EEXIST).toBe(-17)
})

describe('two threads and reclaim on one page', () => {
  /** Two threads store to the two words of a page that goes out and comes back. */
  const scenario: Scenario = (rig) => {
    const a = rig.map(1)
    rig.store(a, 1)
    const { phys } = rig.kernel
    for (const n of [0, 1])
      rig.spawn(`t${n}`, n, function* (k) {
        const pfn = yield* rig.process.touch(k, a, true)
        phys.words[pfn * 2 + n] = 100 + n
      })
    const pfn = rig.frame(a)
    rig.spawn('reclaim', 2, (k) => evictFrame(k, rig.kernel, pfn))
    return () => {
      const wrong = rig.audit()
      if (wrong !== null) return wrong
      rig.load(a, 3)
      const now = rig.frame(a)
      return phys.words[now * 2] === 100 && phys.words[now * 2 + 1] === 101 ? null : 'a store is lost'
    }
  }

  it('lose no store and keep the books (1500 schedules)', () => {
    expect(firstBreak(1500, { swap: 4 }, scenario)).toBeNull()
  })

  it('drop the count of the entry twice if the PTE is not compared under its lock', () => {
    expect(firstBreak(3000, { swap: 4, without: ['swapin-pte-recheck'] }, scenario)).not.toBeNull()
  })

  it('lose a store if try_to_unmap does not flush', () => {
    expect(firstBreak(3000, { swap: 4, without: ['unmap-tlb-flush'] }, scenario)).not.toBeNull()
  })
})

describe('the look whether the cached page is still the slot’s', () => {
  /** Parent and child share an entry; both fault while reclaim takes the page again. */
  const scenario: Scenario = (rig) => {
    const a = rig.map(1)
    rig.store(a, 1)
    rig.evict(a)
    for (const n of [0, 1]) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, a, true))
    rig.spawn('reclaim', 2, function* (k) {
      for (let i = 0; i < 3; i++) {
        const pfn = rig.frame(a)
        if (pfn > 0) yield* evictFrame(k, rig.kernel, pfn)
        else yield { kind: 'access', mode: 0, object: 0, label: 'pte' }
      }
    })
    return () => rig.audit() ?? (rig.load(a, 3) === 1 ? null : 'another content')
  }

  it('keeps the books of the swap cache right (1500 schedules)', () => {
    expect(firstBreak(1500, { swap: 4 }, scenario)).toBeNull()
  })
})

describe('a migration entry', () => {
  it('makes a fault wait until the page has moved (500 schedules)', () => {
    const scenario: Scenario = (rig) => {
      const a = rig.map(1)
      rig.store(a, 3)
      const pfn = rig.frame(a)
      rig.spawn('migrate', 0, function* (k) {
        rig.kernel.pages.get(pfn)
        return yield* migratePage(k, rig.kernel, pfn)
      })
      for (const n of [1, 2]) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, a, true))
      return () => rig.audit() ?? (rig.load(a, 3) === 3 ? null : 'another content')
    }
    expect(firstBreak(500, {}, scenario)).toBeNull()
  })

  it('loses its right to write with fork and with mprotect', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.store(a, 3)
    const pfn = rig.frame(a)
    rig.kernel.tables.set(rig.mm.table.walk(a), makeMigrationEntry(pfn, true, true))
    const child = rig.fork()
    expect(rig.pte(a)).toBe(makeMigrationEntry(pfn, false, false))
    expect(rig.pte(a, child.mm)).toBe(makeMigrationEntry(pfn, false, false))
    rig.kernel.tables.set(rig.mm.table.walk(a), makeMigrationEntry(pfn, true, true))
    rig.call((k) => mprotect(k, rig.mm, at(a), P, PROT_READ))
    expect(rig.pte(a)).toBe(makeMigrationEntry(pfn, false, true))
    expect(ptePresent(rig.pte(a))).toBe(false)
    rig.call((k) => exitMmap(k, child.mm))
  })
})
