/**
 * Faults under the lock of an area: every doubt is a "no" with a name and leaves nothing held; what is left is done without
 * mmap_lock, page tables and sleeps included. Races with munmap are in speculative_fault.test.ts, the lock in mmap_lock.test.ts.
 */
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import { ptePresent, pteWritable } from '../../core/hw/pte.ts'
import { uffdZeropage } from '../../core/mm/mfill_atomic.ts'
import { mprotect, PROT_READ } from '../../core/mm/mprotect.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { VM_DONTCOPY, VM_READ, VM_WRITE, type Vma } from '../../core/mm/vma.ts'
import { lockVmaUnderRcu, vmaLock } from '../../core/mm/vma_lock.ts'
import { at, GEARS, P, Rig, type RigOptions, RW } from './rig.ts'
import { breaks, holds, type Scenario } from './speculative_search.ts'

function rigOf(options: RigOptions = {}): Rig {
  const rig = new Rig(options)
  rig.kernel.faultPath = 'vma-lock'
  return rig
}

/** An area whose first page was stored to: it has an anon_vma and a page table. */
function warm(rig: Rig, pages = 4): number {
  const a = rig.map(pages)
  rig.store(a, 1)
  return a
}

/** Runs to the end, or to a sleep: true. */
function isBlocked(proc: Proc<void>): boolean {
  for (let next = proc.next(); next.done !== true; next = proc.next()) if (next.value.kind === 'block') return true
  return false
}

const fault = (rig: Rig, page: number, store = true) => rig.call((k) => handlePageFault(k, rig.mm, page, store))

describe.each(GEARS)('lock_vma_under_rcu in the %s gear', (gear) => {
  /** The answer, once the lock was given back: lockdep finds what else a thread holds at its end, and a writer need not wait. */
  function ask(rig: Rig, page: number): Vma | string {
    const answer = rig.call(function* (k) {
      const found = yield* lockVmaUnderRcu(k, rig.mm, page)
      if (typeof found !== 'string') found.lock?.endRead(k)
      return found
    })
    const blocked = rig.call(function* (k) {
      yield* rig.mm.mmapLock.downWrite(k)
      const blocks = rig.mm.tree.areas.map((vma) => isBlocked(vmaLock(rig.mm, vma).startWrite(k, rig.mm.mmapLock)))
      rig.mm.mmapLock.upWrite(k)
      return blocks.includes(true)
    })
    expect(blocked).toBe(false)
    return answer
  }

  it('answers with the area, with its lock held for reading: a writer waits until it is given back', () => {
    const rig = rigOf({ gear })
    const a = warm(rig)
    const vma = rig.vma(a)
    const writes = vmaLock(rig.mm, vma).startWrite(rig.machine.makeThread('writer', rig.cpu(1)), rig.mm.mmapLock)
    const seen = rig.call(function* (k) {
      const found = yield* lockVmaUnderRcu(k, rig.mm, a + 3)
      const blocked = isBlocked(writes)
      vma.lock?.endRead(k)
      return [found, blocked, isBlocked(writes)]
    })
    expect(seen).toEqual([vma, true, false])
  })

  it('says no-vma above the last area, detached in a hole below an area; a first fault is no doubt', () => {
    const rig = rigOf({ gear })
    const low = warm(rig, 2)
    const high = rig.place(low + 10, 2)
    expect(ask(rig, low + 12)).toBe('no-vma')
    expect(ask(rig, low + 5)).toBe('detached')
    expect(high.anonVma).toBeNull()
    expect(ask(rig, low + 10)).toBe(high)
  })

  it('says locked, and does not wait, while a writer has the area, but not for its neighbour', () => {
    const rig = rigOf({ gear })
    const a = warm(rig)
    const b = rig.map(2, RW | VM_DONTCOPY)
    rig.store(b, 1)
    const answers = rig.call(function* (k) {
      yield* rig.mm.mmapLock.downWrite(k)
      yield* vmaLock(rig.mm, rig.vma(a)).startWrite(k, rig.mm.mmapLock)
      const locked = yield* lockVmaUnderRcu(k, rig.mm, a)
      const other = yield* lockVmaUnderRcu(k, rig.mm, b)
      if (typeof other !== 'string') other.lock?.endRead(k)
      rig.mm.mmapLock.upWrite(k)
      return [locked, other]
    })
    expect(answers).toEqual(['locked', rig.vma(b)])
    expect(ask(rig, a)).toBe(rig.vma(a))
  })
})

describe('a fault under the lock of the area', () => {
  it('an area has one lock, made when it is first needed', () => {
    const rig = rigOf()
    const vma = rig.place(4, 2)
    expect(vma.lock).toBeNull()
    expect(vmaLock(rig.mm, vma)).toBe(vmaLock(rig.mm, vma))
  })

  it.each(GEARS)(
    'no fault goes the classic way, not even the first of an area, which gives it its anon_vma (%s gear)',
    (gear) => {
      const rig = rigOf({ gear })
      const a = rig.map(3)
      for (const i of [0, 1, 2]) expect(fault(rig, a + i)).toBe('ok')
      expect(rig.vma(a).anonVma).not.toBeNull()
      expect([rig.kernel.faults.classic, rig.kernel.faults.vmaLock]).toEqual([0, 3])
      expect(rig.audit()).toBeNull()
    },
  )

  it('the first store of an area waits for whoever writes mmap_lock, a load does not: it needs no anon_vma', () => {
    const outcomes = [true, false].map((store) => {
      const rig = rigOf({ gear: 'step' })
      const a = rig.map(2)
      expect(rig.mm.mmapLock.tryWrite(rig.machine.makeThread('holder', rig.cpu(1)))).toBe(true)
      const faulter = rig.spawn('fault', 2, (k) => handlePageFault(k, rig.mm, a, store))
      return [rig.run(), faulter.value, rig.vma(a).anonVma]
    })
    expect(outcomes).toEqual([
      ['deadlock', undefined, null],
      ['done', 'ok', null],
    ])
  })

  it('allocates the page table that is missing, which a speculation may not', () => {
    const rig = rigOf({ windowPages: 2048 })
    const a = warm(rig, 600)
    expect(rig.mm.table.walk(a + 560)).toBeLessThan(0)
    const before = rig.kernel.faults.vmaLock
    expect(fault(rig, a + 560)).toBe('ok')
    expect(rig.kernel.faults.vmaLock).toBe(before + 1)
    expect(rig.audit()).toBeNull()
  })

  it.each([
    ['a store to a read-only area', VM_READ, true],
    ['a load where there are no rights', 0, false],
  ] as const)('%s is SIGSEGV at once: rights are exact, mmap_lock is not asked', (_what, flags, store) => {
    const rig = rigOf({ gear: 'step' })
    const a = warm(rig)
    rig.vma(a).flags = (rig.vma(a).flags & ~(VM_READ | VM_WRITE)) | flags
    expect(rig.mm.mmapLock.tryWrite(rig.machine.makeThread('holder', rig.cpu(1)))).toBe(true)
    const faulter = rig.spawn('fault', 2, (k) => handlePageFault(k, rig.mm, a + 1, store))
    expect([rig.run(), faulter.value]).toEqual(['done', 'sigsegv'])
  })

  it('gives the lock back when memory is full: OOM, and the area can be written', () => {
    const rig = rigOf({ frames: 3 })
    const a = warm(rig, 8)
    const answers = [1, 2, 3, 4].map((i) => fault(rig, a + i))
    expect(answers.at(-1)).toBe('oom')
    expect(rig.call((k) => mprotect(k, rig.mm, at(a), 8 * P, PROT_READ))).toBe(0)
  })

  it('is done while another thread writes mmap_lock for other areas, where the classic path waits', () => {
    const outcomes = (['vma-lock', 'classic'] as const).map((path) => {
      const rig = new Rig({ gear: 'step' })
      rig.kernel.faultPath = path
      const a = warm(rig)
      const holder = rig.machine.makeThread('holder', rig.cpu(1))
      expect(rig.mm.mmapLock.tryWrite(holder)).toBe(true)
      const faulter = rig.spawn('fault', 2, (k) => handlePageFault(k, rig.mm, a + 1, true))
      return [rig.run(), faulter.value]
    })
    expect(outcomes).toEqual([
      ['done', 'ok'],
      ['deadlock', undefined],
    ])
  })

  it('sleeps on a missing page with neither lock: the area can be changed meanwhile, and the fault ends', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const rig = rigOf({ gear: 'step', seed })
      const a = warm(rig)
      const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
      rig.call((k) => userfaultfdRegister(k, uffd, at(a), 4 * P, 1))
      const faulter = rig.spawn('fault', 1, (k) => handlePageFault(k, rig.mm, a + 2, false))
      expect(rig.run()).toBe('deadlock')
      expect(rig.call((k) => mprotect(k, rig.mm, at(a), 4 * P, PROT_READ), 2)).toBe(0)
      rig.call((k) => uffdZeropage(k, uffd, at(a + 2), P, 0), 2)
      rig.run()
      expect([faulter.value, rig.kernel.faults.major]).toEqual(['ok', 1])
    }
  })
})

/** A fault that sampled the rights of the area maps with them; mprotect takes them away. */
const racesMprotect: Scenario = {
  path: 'vma-lock',
  set(rig) {
    const a = warm(rig)
    rig.spawn('fault', 1, (k) => handlePageFault(k, rig.mm, a + 2, true))
    rig.spawn('mprotect', 2, (k) => mprotect(k, rig.mm, at(a), 4 * P, PROT_READ))
    return () => {
      const pte = rig.pte(a + 2)
      const may = (rig.vma(a + 2).flags & VM_WRITE) !== 0
      return ptePresent(pte) && pteWritable(pte) && !may ? 'a page of a read-only area may be written' : null
    }
  },
}

describe('a fault beside mprotect', () => {
  it('leaves no page that may be written in a read-only area, in each of 1,000 schedules', () => {
    expect(holds(racesMprotect)).toBeNull()
  })

  it.each(['vma-write-lock', 'vma-lock-second-look'] as const)('leaves one in some schedule without %s', (name) => {
    expect(breaks(racesMprotect, name)).toBeGreaterThan(0)
  })
})
