/**
 * The point of commitment of a fault without a lock: what makes it fail, what does not, and what it leaves behind. Whole
 * faults that race are in speculative_fault.test.ts; here the lock helper stands alone (sections 4.3 and 4.4).
 */
import { describe, expect, it } from 'vitest'
import { type Proc, read } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { fork } from '../../core/mm/fork.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'
import { scanAndCollapse } from '../../core/mm/khugepaged.ts'
import { MADV_DONTNEED, MADV_HUGEPAGE, madvise } from '../../core/mm/madvise.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_READ } from '../../core/mm/mprotect.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { Speculation, vmaHasChanged } from '../../core/mm/speculation.ts'
import { userfaultfdRegister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { FAULT_USER, INDEX_NOW, type Vmf } from '../../core/mm/vm_fault.ts'
import { VM_DONTCOPY } from '../../core/mm/vma.ts'
import { putVma } from '../../core/mm/vma_lifetime.ts'
import { H, hugeRig } from './huge_rig.ts'
import { at, GEARS, type Gear, P, Rig, RW, seedsWhere } from './rig.ts'

/** Four pages, of which the first is written. */
function warm(gear: Gear, path: FaultPath = 'speculative', without: ProtectionName[] = [], seed = 1): { rig: Rig; a: number } {
  const rig = new Rig({ gear, windowPages: 64, frames: 64, without, seed })
  rig.kernel.faultPath = path
  const a = rig.map(4)
  rig.store(a, 1)
  return { rig, a }
}

/** A fault on `page` whose area, count and table were seen now. The caller keeps the area from being freed. */
function snapshot(k: Thread, rig: Rig, page: number, leaf = rig.mm.table.node(page, 1)): Vmf {
  const vma = rig.vma(page)
  const slot = rig.mm.table.walk(page)
  const guard = new Speculation(vma, vma.sequence.sequence, k.nowNs, leaf, true, vma.flags)
  const pte = rig.kernel.tables.get(slot)
  return {
    mm: rig.mm,
    vma,
    page,
    store: true,
    slot,
    pte,
    prot: vma.pageProt,
    guard,
    index: INDEX_NOW,
    flags: FAULT_USER,
    offset: 0,
  }
}

/** Takes the lock after `change`; the answer, once it is sure that the lock is held if and only if it says so. */
function commit(rig: Rig, page: number, change: (k: Thread) => Proc<unknown>, leaf?: number): boolean {
  return rig.call(function* (k) {
    const vmf = snapshot(k, rig, page, leaf)
    vmf.vma.refs.get()
    k.cpu.nowNs++
    yield* change(k)
    const lock = rig.kernel.pteLock(vmf.slot)
    const taken = yield* vmf.guard?.lockPte(k, vmf) ?? fails()
    expect(lock.holder).toBe(taken ? k : null)
    expect(k.cpu.irqOff).toBe(0)
    if (taken) lock.unlock(k)
    putVma(vmf.vma)
    return taken
  })
}

function fails(): never {
  throw new Error('a fault without a guard')
}

/** What happens to an area, and whether the RFC of 2014 counts it too. */
const CHANGES: readonly [string, boolean, (k: Thread, rig: Rig, a: number) => Proc<unknown>][] = [
  ['munmap of all of it', true, (k, rig, a) => munmap(k, rig.mm, at(a), 4 * P)],
  ['munmap of its end', true, (k, rig, a) => munmap(k, rig.mm, at(a + 3), P)],
  ['munmap of its beginning', true, (k, rig, a) => munmap(k, rig.mm, at(a), P)],
  ['MADV_DONTNEED of a page', true, (k, rig, a) => madvise(k, rig.mm, at(a), P, MADV_DONTNEED)],
  ['mprotect of a part', true, (k, rig, a) => mprotect(k, rig.mm, at(a + 2), 2 * P, PROT_READ)],
  ['mprotect of all of it', false, (k, rig, a) => mprotect(k, rig.mm, at(a), 4 * P, PROT_READ)],
  ['fork', false, (k, rig) => fork(k, rig.mm)],
  [
    'registration with userfaultfd',
    false,
    (k, rig, a) => userfaultfdRegister(k, new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl'), at(a), 4 * P, 1),
  ],
]

function* nothing(k: Thread): Proc<void> {
  if (k.stepping) yield read(0, 'nothing')
}

describe.each(GEARS)('the lock helper in the %s gear', (gear) => {
  it('takes the lock where nothing changed, with interrupts on again', () => {
    for (const path of ['speculative', 'speculative-2014'] as const) {
      const { rig, a } = warm(gear, path)
      expect(commit(rig, a + 1, nothing)).toBe(true)
    }
  })

  it.each(CHANGES)('after %s it fails in v12, and leaves the lock free and interrupts on', (_name, _counts2014, change) => {
    const { rig, a } = warm(gear)
    expect(commit(rig, a + 1, (k) => change(k, rig, a))).toBe(false)
  })

  it.each(CHANGES)('after %s the RFC of 2014 fails only where it counts (%s)', (_name, counts2014, change) => {
    const { rig, a } = warm(gear, 'speculative-2014')
    expect(commit(rig, a + 1, (k) => change(k, rig, a))).toBe(!counts2014)
  })

  it('does not care what happens to other areas, or to other pages by other faults', () => {
    const { rig, a } = warm(gear)
    const other = rig.map(2, RW | VM_DONTCOPY)
    expect(commit(rig, a + 1, (k) => mprotect(k, rig.mm, at(other), 2 * P, PROT_READ))).toBe(true)
    expect(commit(rig, a + 1, (k) => munmap(k, rig.mm, at(other), 2 * P))).toBe(true)
    expect(commit(rig, a + 1, (k) => handlePageFault(k, rig.mm, a + 2, true))).toBe(true)
  })

  it('fails inside a write section, and after it, though the fields are as they were', () => {
    const { rig, a } = warm(gear)
    const { sequence } = rig.vma(a)
    const answers = rig.call(function* (k) {
      const vmf = snapshot(k, rig, a + 1)
      k.cpu.nowNs++
      const found: (boolean | undefined)[] = []
      yield* sequence.begin(k)
      found.push(yield* vmf.guard?.lockPte(k, vmf) ?? fails())
      k.cpu.nowNs++
      yield* sequence.end(k)
      found.push(yield* vmf.guard?.lockPte(k, vmf) ?? fails())
      return found
    })
    expect(answers).toEqual([false, false])
  })

  it('fails where the PMD names another table than the one that was walked', () => {
    const { rig, a } = warm(gear)
    const leaf = rig.mm.table.node(a, 1)
    expect(commit(rig, a + 1, nothing, leaf)).toBe(true)
    expect(commit(rig, a + 1, nothing, leaf + 1)).toBe(false)
  })

  it.each(['speculative', 'speculative-2014'] as const)(
    'fails after a collapse to a huge page, which 2014 does not count (%s)',
    (path) => {
      const rig = hugeRig({ gear, frames: 3 * H, windowPages: 4 * H })
      rig.kernel.faultPath = path
      const a = rig.map(H, undefined, H)
      rig.store(a, 1)
      rig.call((k) => madvise(k, rig.mm, at(a), H * P, MADV_HUGEPAGE))
      const answer = commit(rig, a + 1, function* (k) {
        expect(yield* scanAndCollapse(k, rig.mm, a)).toBe('succeed')
      })
      expect(rig.isHuge(a)).toBe(true)
      expect(answer).toBe(false)
    },
  )

  it('holds nothing: to release it is to do nothing', () => {
    const { rig, a } = warm(gear)
    const held = rig.call(function* (k) {
      const vmf = snapshot(k, rig, a + 1)
      yield* rig.mm.mmapLock.downRead(k)
      vmf.guard?.release(k, vmf)
      const isHeld = rig.mm.mmapLock.isHeld
      rig.mm.mmapLock.upRead(k)
      return isHeld
    })
    expect(held).toBe(true)
  })
})

describe('changed', () => {
  it('is dead or another count, each unless its protection is left out: all 16 cases', () => {
    for (let n = 0; n < 16; n++) {
      const [dead, counted, noDead, noCount] = [1, 2, 4, 8].map((bit) => (n & bit) !== 0)
      const without: ProtectionName[] = []
      if (noDead) without.push('spec-dead-check')
      if (noCount) without.push('spec-seq-recheck')
      const { rig, a } = warm('step', 'speculative', without)
      const vma = rig.vma(a)
      const seen = vma.sequence.sequence
      if (dead) rig.mm.tree.remove(vma)
      if (counted) vma.sequence.sequence += 2
      const changed = rig.act((k) => vmaHasChanged(k, { mm: rig.mm, vma }, seen, 0))
      expect(changed, `case ${n}`).toBe((dead && !noDead) || (counted && !noCount))
    }
  })

  it('may only be asked of an area that something keeps: without a reference it is a use after free', () => {
    const { rig, a } = warm('step')
    const vma = rig.vma(a)
    rig.call((k) => munmap(k, rig.mm, at(a), 4 * P))
    expect(() => rig.act((k) => vmaHasChanged(k, { mm: rig.mm, vma }, 0, 0))).toThrow(/use after free: vma_is_dead/)
  })

  it('in the clock gear a section counts that began before the lock was free, though it was begun after the count was read', () => {
    const { rig, a } = warm('clock')
    const answer = rig.call(function* (k) {
      const vmf = snapshot(k, rig, a + 1)
      const { sequence } = vmf.vma
      const lock = rig.kernel.pteLock(vmf.slot)
      // Another CPU holds the lock until 500 ns from now, and writes the area from 100 ns to 400 ns.
      const other = rig.machine.makeThread('other', rig.cpu(5))
      lock.lock(other)
      other.cpu.nowNs = k.nowNs + 500
      lock.unlock(other)
      sequence.beganNs = k.nowNs + 100
      sequence.endedNs = k.nowNs + 400
      return yield* vmf.guard?.lockPte(k, vmf) ?? fails()
    })
    expect(answer).toBe(false)
  })
})

/** A speculation commits while another thread unmaps: the first thing wrong with what it committed to, or null. */
function commitAgainstMunmap(without: ProtectionName[], seed: number): string | null {
  const { rig, a } = warm('step', 'speculative', without, seed)
  // The table stays when the area goes.
  rig.map(1, RW | VM_DONTCOPY)
  let wrong: string | null = null
  rig.spawn('fault', 1, function* (k) {
    const vmf = snapshot(k, rig, a + 1)
    const leaf = rig.mm.table.node(a, 1)
    vmf.vma.refs.get()
    yield read(0, 'the work before the lock')
    if (yield* vmf.guard?.lockPte(k, vmf) ?? fails()) {
      if (!vmf.vma.linked) wrong = 'the area is gone'
      for (let i = 0; i < 12; i++) {
        if (rig.mm.table.node(a, 1) !== leaf) wrong ??= 'the table is gone'
        yield read(0, 'the work under the lock')
      }
      rig.kernel.pteLock(vmf.slot).unlock(k)
    }
    putVma(vmf.vma)
  })
  rig.spawn('munmap', 2, (k) => munmap(k, rig.mm, at(a), 4 * P))
  const outcome = rig.run()
  return outcome === 'done' ? wrong : `${outcome}: ${rig.waits().join('; ')}`
}

describe('against munmap', () => {
  it('a commitment finds a living area, and its table stays until the lock is given back (1000 schedules)', () => {
    expect(seedsWhere(1000, (seed) => commitAgainstMunmap([], seed) !== null)).toEqual([])
  })

  it('without both checks some schedule commits to an area that is gone', () => {
    const without: ProtectionName[] = ['spec-seq-recheck', 'spec-dead-check']
    expect(seedsWhere(200, (seed) => commitAgainstMunmap(without, seed) !== null).length).toBeGreaterThan(0)
  })
})
