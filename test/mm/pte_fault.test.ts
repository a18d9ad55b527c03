/**
 * The work of a fault below the choice of its guard: markers, an entry that changed since it was sampled, a lock that is not
 * to be had, reuse or copy, and what a fault may do that holds nothing. Nothing may be lost on any way out.
 */
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import { ZERO_PFN } from '../../core/hw/phys_mem.ts'
import { PTE_D, PTE_NONE, PTE_UFFD_WP, PTE_W, ptePfn, pteWithFlags } from '../../core/hw/pte.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { handlePteFault } from '../../core/mm/pte_fault.ts'
import { MARKER_POISON, MARKER_UFFD_WP, makeMarker } from '../../core/mm/swapops.ts'
import { type Attempt, FAULT_USER, type FaultGuard, INDEX_NOW, LOCKED, NOT_LOCKED, type Vmf } from '../../core/mm/vm_fault.ts'
import { VM_UFFD_MISSING, VM_UFFD_WP } from '../../core/mm/vma.ts'
import { at, GEARS, P, Rig, RW, seedsWhere } from './rig.ts'

const ACCESSES = [false, true] as const

/** A fault on `page` as sampled now; what is given differs from that. */
function fault(rig: Rig, page: number, store: boolean, other: Partial<Vmf> = {}): Vmf {
  const slot = rig.mm.table.walkAllocate(page)
  const vma = rig.vma(page)
  const pte = rig.kernel.tables.get(slot)
  return {
    mm: rig.mm,
    vma,
    page,
    store,
    slot,
    pte,
    prot: vma.pageProt,
    guard: null,
    index: INDEX_NOW,
    flags: FAULT_USER,
    offset: 0,
    ...other,
  }
}

/** Runs the work, under mmap_lock if nothing else guards it, and drops that if the work did not. */
function work(rig: Rig, vmf: Vmf): Attempt {
  return rig.call(function* (k) {
    if (vmf.guard === null) yield* rig.mm.mmapLock.downRead(k)
    const attempt = yield* handlePteFault(k, vmf)
    if (vmf.guard === null && attempt !== 'sigbus' && attempt !== 'retry') rig.mm.mmapLock.upRead(k)
    return attempt
  })
}

/** A guard that says no at the `n`th attempt to take the lock (from 1), and yes before. */
function refusesAt(n: number, more: Partial<FaultGuard> = {}): FaultGuard {
  let asked = 0
  return {
    speculative: false,
    settlesUserfault: false,
    release: () => {},
    lockPte(k, vmf): Proc<boolean> {
      return ++asked === n ? NOT_LOCKED : taking(vmf.mm.kernel.pteLock(vmf.slot).lock(k))
    },
    ...more,
  }
}

function taking(lock: Proc<void>): Proc<boolean> {
  return (function* () {
    yield* lock
    return yield* LOCKED
  })()
}

/** A speculation that always holds. */
const speculation = (settlesUserfault: boolean) => refusesAt(0, { speculative: true, settlesUserfault })

function state(rig: Rig, page: number): unknown {
  const pfn = rig.frame(page)
  const refs = pfn > 0 ? rig.kernel.pages.refcount[pfn] : 0
  return [rig.pte(page), refs, rig.kernel.pages.used, rig.mm.rss, rig.mm.mmapLock.isHeld]
}

/** A page in each state that a PTE can be in, short of swap. */
const STATES: Readonly<Record<string, (rig: Rig, page: number) => void>> = {
  none: () => {},
  'the zero page': (rig, page) => void rig.load(page),
  'a page of its own': (rig, page) => rig.store(page, 5),
  'a page mapped without W': (rig, page) => {
    rig.store(page, 5)
    const slot = rig.mm.table.walk(page)
    const pte = rig.pte(page)
    rig.kernel.tables.set(slot, pte - (pte & PTE_W))
    rig.cpu(0).mmu.flushAll()
  },
  'a marker': (rig, page) => rig.kernel.tables.set(rig.mm.table.walkAllocate(page), makeMarker(MARKER_UFFD_WP)),
}

describe.each(GEARS)('markers in the %s gear', (gear) => {
  it('of poison are SIGBUS for loads and stores, with write protection or without, and stay; mmap_lock is dropped', () => {
    for (const store of ACCESSES) {
      for (const bits of [MARKER_POISON, MARKER_POISON | MARKER_UFFD_WP]) {
        for (const flags of [RW, RW | VM_UFFD_WP, RW | VM_UFFD_MISSING]) {
          const rig = new Rig({ gear })
          rig.place(20, 1, flags)
          rig.kernel.tables.set(rig.mm.table.walkAllocate(20), makeMarker(bits))
          expect(work(rig, fault(rig, 20, store))).toBe('sigbus')
          expect(state(rig, 20)).toEqual([makeMarker(bits), 0, 0, 0, false])
        }
      }
    }
  })

  it('of write protection that nobody watches any longer go, and the next touch is an ordinary one', () => {
    for (const store of ACCESSES) {
      const rig = new Rig({ gear })
      rig.place(20, 1)
      rig.kernel.tables.set(rig.mm.table.walkAllocate(20), makeMarker(MARKER_UFFD_WP))
      expect(work(rig, fault(rig, 20, store))).toBe('done')
      expect(state(rig, 20)).toEqual([PTE_NONE, 0, 0, 0, false])
      expect(rig.call((k) => handlePageFault(k, rig.mm, 20, store))).toBe('ok')
      expect(rig.pte(20) & PTE_UFFD_WP).toBe(0)
    }
  })

  it('of write protection hand it on to what is mapped: a zero page for a load, a page of its own for a store', () => {
    for (const store of ACCESSES) {
      const rig = new Rig({ gear })
      rig.place(20, 1, RW | VM_UFFD_WP)
      rig.kernel.tables.set(rig.mm.table.walkAllocate(20), makeMarker(MARKER_UFFD_WP))
      expect(work(rig, fault(rig, 20, store))).toBe('done')
      expect(rig.pte(20) & (PTE_UFFD_WP | PTE_W)).toBe(PTE_UFFD_WP)
      expect(rig.frame(20) === ZERO_PFN).toBe(!store)
      expect(rig.audit()).toBeNull()
    }
  })
})

describe.each(GEARS)('an entry that is not what was sampled, in the %s gear', (gear) => {
  const others = Object.keys(STATES).filter((name) => name !== 'none')
  const pairs = others.flatMap((now) => ACCESSES.map((store) => [now, store] as const))

  it.each(pairs)('%s now, and none before (store: %s): done, and nothing changed', (now, store) => {
    const rig = new Rig({ gear })
    const a = rig.map(2, RW | VM_UFFD_WP)
    rig.store(a + 1, 1)
    STATES[now]?.(rig, a)
    const before = state(rig, a)
    expect(work(rig, fault(rig, a, store, { pte: PTE_NONE }))).toBe('done')
    expect(state(rig, a)).toEqual(before)
  })

  it('a marker that went away while the lock was waited for leaves what came instead', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const before = state(rig, a)
    expect(work(rig, fault(rig, a, true, { pte: makeMarker(MARKER_UFFD_WP) }))).toBe('done')
    expect(state(rig, a)).toEqual(before)
  })
})

describe.each(GEARS)('a lock that is not to be had, in the %s gear', (gear) => {
  /** Where the work takes the lock, by state and access; the work itself says how often. */
  const cases = Object.keys(STATES).flatMap((name) => ACCESSES.flatMap((store) => [1, 2].map((n) => [name, store, n] as const)))

  it.each(cases)('%s, store: %s, attempt %i: changed with nothing lost, or it never asked', (name, store, n) => {
    const rig = new Rig({ gear })
    const a = rig.map(2)
    rig.store(a + 1, 1)
    STATES[name]?.(rig, a)
    const shared = name === 'a page mapped without W'
    if (shared) {
      // Somebody else has a reference: the page must be copied.
      rig.kernel.pages.get(rig.frame(a))
      rig.kernel.pages.flags[rig.frame(a)] = 0
    }
    const before = state(rig, a)
    let asked = 0
    const guard = refusesAt(n)
    const counting: FaultGuard = {
      ...guard,
      lockPte: (k, vmf) => {
        asked++
        return guard.lockPte(k, vmf)
      },
    }
    const attempt = work(rig, fault(rig, a, store, { guard: counting }))
    // Once for what maps or drops, twice for a copy, never for what is there already.
    const copies = store && (name === 'the zero page' || shared)
    const needed = copies ? 2 : name === 'none' || name === 'a marker' ? 1 : 0
    expect(asked).toBe(Math.min(needed, n))
    expect(attempt).toBe(needed >= n ? 'changed' : 'done')
    if (needed >= n) expect(state(rig, a)).toEqual(before)
    expect(rig.kernel.pteLock(rig.mm.table.walk(a)).holder).toBeNull()
    if (shared && attempt === 'changed') rig.kernel.pages.put(rig.frame(a))
    if (attempt === 'changed') expect(rig.audit()).toBeNull()
  })
})

describe.each(GEARS)('a store to a page mapped without W, in the %s gear', (gear) => {
  /** A written page that fork shared, then left to the parent alone. */
  function leftAlone(): { rig: Rig; a: number; pfn: number } {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const child = rig.fork()
    const pfn = rig.frame(a)
    expect(rig.kernel.pages.isExclusive(pfn)).toBe(false)
    rig.call((k) => munmap(k, child.mm, at(a), P), 1, child)
    return { rig, a, pfn }
  }

  it('reuses the page once nobody else has it: same frame, W and D, exclusive again', () => {
    const { rig, a, pfn } = leftAlone()
    expect(work(rig, fault(rig, a, true))).toBe('done')
    expect(rig.frame(a)).toBe(pfn)
    expect(rig.pte(a) & (PTE_W | PTE_D)).toBe(PTE_W | PTE_D)
    expect(rig.kernel.pages.isExclusive(pfn)).toBe(true)
    expect(rig.audit()).toBeNull()
  })

  it('copies it while somebody else has a reference, who keeps the old page and its content', () => {
    const { rig, a, pfn } = leftAlone()
    rig.kernel.pages.get(pfn)
    rig.store(a, 6)
    expect(rig.frame(a)).not.toBe(pfn)
    expect([rig.load(a), rig.kernel.phys.words[pfn * 2]]).toEqual([6, 5])
    expect([rig.kernel.pages.refcount[pfn], rig.kernel.pages.mapcount[pfn]]).toEqual([1, 0])
    rig.kernel.pages.put(pfn)
    expect(rig.audit()).toBeNull()
  })

  it('copies it while it is locked: whether it is alone cannot be known', () => {
    const { rig, a, pfn } = leftAlone()
    expect(rig.act((k) => rig.kernel.pageLocks.tryLock(k, pfn), 4)).toBe(true)
    expect(work(rig, fault(rig, a, true))).toBe('done')
    expect(rig.frame(a)).not.toBe(pfn)
    expect(rig.kernel.phys.words[rig.frame(a) * 2]).toBe(5)
    expect(rig.mm.rss).toBe(1)
  })

  it('that is exclusive is not asked for references: a pin from elsewhere does not make it a copy', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 5)
    const pfn = rig.frame(a)
    rig.kernel.pages.get(pfn)
    const pte = rig.pte(a)
    rig.kernel.tables.set(rig.mm.table.walk(a), pteWithFlags(pte, pte & 0xfff & ~PTE_W))
    expect(work(rig, fault(rig, a, true))).toBe('done')
    expect(ptePfn(rig.pte(a))).toBe(pfn)
    rig.kernel.pages.put(pfn)
    expect(rig.audit()).toBeNull()
  })
})

describe.each(GEARS)('a speculation in the %s gear', (gear) => {
  it('that did not settle whose the page is leaves a missing page to another, and gives back what it allocated', () => {
    for (const store of ACCESSES) {
      const rig = new Rig({ gear })
      const a = rig.map(2)
      rig.store(a + 1, 1)
      rig.vma(a).flags |= VM_UFFD_MISSING
      const before = state(rig, a)
      expect(work(rig, fault(rig, a, store, { guard: speculation(false) }))).toBe('changed')
      expect(state(rig, a)).toEqual(before)
      expect(rig.kernel.faults.userfault).toBe(0)
    }
  })

  it('that settled it comes before a registration that it does not see: the page is mapped', () => {
    for (const store of ACCESSES) {
      const rig = new Rig({ gear })
      const a = rig.map(2)
      rig.store(a + 1, 1)
      rig.vma(a).flags |= VM_UFFD_MISSING
      expect(work(rig, fault(rig, a, store, { guard: speculation(true) }))).toBe('done')
      expect(rig.frame(a) === ZERO_PFN).toBe(!store)
    }
  })

  it('never sleeps on write protection: changed, whatever it settled', () => {
    for (const settles of [false, true]) {
      const rig = new Rig({ gear })
      const a = rig.map(1)
      rig.store(a, 5)
      rig.vma(a).flags |= VM_UFFD_WP
      const pte = pteWithFlags(rig.pte(a), (rig.pte(a) & 0xfff & ~PTE_W) | PTE_UFFD_WP)
      rig.kernel.tables.set(rig.mm.table.walk(a), pte)
      const before = state(rig, a)
      expect(work(rig, fault(rig, a, true, { guard: speculation(settles) }))).toBe('changed')
      expect(state(rig, a)).toEqual(before)
    }
  })

  it('does not reclaim: full memory is OOM to it at once, though there is swap', () => {
    const rig = new Rig({ gear, frames: 4, swap: 16 })
    const a = rig.map(6)
    for (let p = 0; p < 3; p++) rig.store(a + p, p + 1)
    expect(work(rig, fault(rig, a + 4, true, { guard: speculation(true) }))).toBe('oom')
    expect([0, 1, 2].every((p) => rig.frame(a + p) > 0)).toBe(true)
  })

  it.each(['speculative', 'speculative-2014', 'vma-lock'] as const)(
    'full memory with swap is no OOM to the thread: the classic path reclaims (%s)',
    (path) => {
      const rig = new Rig({ gear, frames: 4, swap: 16 })
      rig.kernel.faultPath = path
      const a = rig.map(6)
      // A second thread, or v12 does not try at all.
      rig.daemon('another', 3, function* (k) {
        k.park('nothing')
        yield { kind: 'block' }
      })
      rig.run()
      for (let p = 0; p < 6; p++) rig.store(a + p, p + 1)
      expect((rig.kernel.faults.aborted['no-memory'] ?? 0) > 0).toBe(path !== 'vma-lock')
      expect([0, 1, 2, 3, 4, 5].map((p) => rig.load(a + p))).toEqual([1, 2, 3, 4, 5, 6])
      expect(rig.audit()).toBeNull()
    },
  )
})

describe('races', () => {
  it('a load and a store of a marker nobody watches, side by side: one frame, no marker (500 schedules)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const a = rig.map(1)
      rig.kernel.tables.set(rig.mm.table.walkAllocate(a), makeMarker(MARKER_UFFD_WP))
      for (const [n, store] of ACCESSES.entries()) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, a, store))
      return rig.run() !== 'done' || rig.kernel.pages.used !== 1 || rig.frame(a) < 1 || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })

  it('two stores to a page that was left alone: one reuses it, none copies it (500 schedules)', () => {
    const wrong = seedsWhere(500, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const a = rig.map(1)
      rig.store(a, 5)
      const child = rig.fork()
      const pfn = rig.frame(a)
      rig.call((k) => munmap(k, child.mm, at(a), P), 1, child)
      for (const n of [0, 1]) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, a, true))
      return rig.run() !== 'done' || rig.frame(a) !== pfn || rig.kernel.pages.used !== 1 || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })
})
