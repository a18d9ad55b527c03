/**
 * What fault code is told, and how it takes the PTE lock: through whatever guards the fault, and without a generator where
 * the lock is free. And what the flags of a fault allow when its page is somebody's to bring (section 2.4, items 3 to 7).
 */
import { describe, expect, it } from 'vitest'
import { NOTHING, type Proc, read } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { handlePteFault } from '../../core/mm/pte_fault.ts'
import { O_NONBLOCK, UFFD_USER_MODE_ONLY } from '../../core/mm/uffd_abi.ts'
import {
  FAULT_FLAG_ALLOW_RETRY,
  FAULT_FLAG_RETRY_NOWAIT,
  FAULT_FLAG_USER,
  FAULT_KERNEL,
  FAULT_USER,
  type FaultGuard,
  INDEX_NOW,
  LOCKED,
  NOT_LOCKED,
  pteLock,
  pteMapLock,
  releaseFaultLock,
  type Vmf,
} from '../../core/mm/vm_fault.ts'
import { GEARS, Rig, seedsWhere } from './rig.ts'
import { UffdRig } from './uffd_rig.ts'

/** A load of `page`, as fault code sees it. */
function fault(rig: Rig, page: number, guard: FaultGuard | null = null, flags = FAULT_USER): Vmf {
  const slot = rig.mm.table.walkAllocate(page)
  const vma = rig.vma(page)
  const pte = rig.kernel.tables.get(slot)
  return { mm: rig.mm, vma, page, store: false, slot, pte, prot: vma.pageProt, guard, index: INDEX_NOW, flags, offset: 0 }
}

/** Answers as told, and remembers what it was asked. */
function guardThat(answer: Proc<boolean>): FaultGuard & { readonly asked: Vmf[]; readonly released: Vmf[] } {
  const asked: Vmf[] = []
  const released: Vmf[] = []
  return {
    asked,
    released,
    speculative: false,
    settlesUserfault: false,
    lockPte(_k, vmf) {
      asked.push(vmf)
      return answer
    },
    release(_k, vmf) {
      released.push(vmf)
    },
  }
}

describe('an answer that is over', () => {
  it('says its value to everyone who asks, as often as they ask, and cannot be broken by a return or a throw', () => {
    for (const [proc, value] of [
      [LOCKED, true],
      [NOT_LOCKED, false],
    ] as const) {
      for (let i = 0; i < 2; i++) {
        expect(proc.next()).toEqual({ done: true, value })
        expect(proc.return(!value)).toEqual({ done: true, value })
        expect(proc.throw(new Error('ignored'))).toEqual({ done: true, value })
        expect([...proc]).toEqual([])
      }
    }
  })
})

describe('the PTE lock', () => {
  it('is taken without a generator in the clock gear', () => {
    const rig = new Rig()
    const vmf = fault(rig, rig.map(1))
    rig.act((k) => {
      expect(pteLock(k, vmf)).toBe(LOCKED)
      rig.kernel.pteLock(vmf.slot).unlock(k)
      expect(pteMapLock(k, vmf)).toBe(LOCKED)
      rig.kernel.pteLock(vmf.slot).unlock(k)
    })
  })

  it.each(GEARS)('is held by the thread when a fault without a guard is told so, in the %s gear', (gear) => {
    const rig = new Rig({ gear })
    const vmf = fault(rig, rig.map(1))
    const lock = rig.kernel.pteLock(vmf.slot)
    for (const take of [pteLock, pteMapLock]) {
      const held = rig.call(function* (k) {
        const taken = yield* take(k, vmf)
        const mine = lock.holder === k
        lock.unlock(k)
        return taken && mine
      })
      expect(held).toBe(true)
    }
  })

  it.each(GEARS)('is the guard’s to take where there is one, whatever it answers, in the %s gear', (gear) => {
    for (const answer of [LOCKED, NOT_LOCKED]) {
      const rig = new Rig({ gear })
      const guard = guardThat(answer)
      const vmf = fault(rig, rig.map(1), guard)
      expect(rig.call((k) => pteMapLock(k, vmf))).toBe(answer === LOCKED)
      expect(guard.asked).toEqual([vmf])
      expect(rig.kernel.pteLock(vmf.slot).holder).toBeNull()
    }
  })

  it('lets one fault in at a time, in each of 200 schedules', () => {
    const wrong = seedsWhere(200, (seed) => {
      const rig = new Rig({ gear: 'step', seed })
      const vmf = fault(rig, rig.map(1))
      let inside = 0
      let most = 0
      for (let n = 0; n < 3; n++) {
        rig.spawn(`t${n}`, n, function* (k) {
          yield* pteMapLock(k, vmf)
          most = Math.max(most, ++inside)
          yield read(vmf.slot, 'pte')
          inside--
          rig.kernel.pteLock(vmf.slot).unlock(k)
        })
      }
      return rig.run() !== 'done' || most !== 1
    })
    expect(wrong).toEqual([])
  })
})

describe.each(GEARS)('letting go in the %s gear', (gear) => {
  function* release(k: Thread, rig: Rig, vmf: Vmf): Proc<boolean> {
    yield* rig.mm.mmapLock.downRead(k)
    releaseFaultLock(k, vmf)
    const held = rig.mm.mmapLock.isHeld
    if (held) rig.mm.mmapLock.upRead(k)
    return held
  }

  it('drops mmap_lock where there is no guard', () => {
    const rig = new Rig({ gear })
    const vmf = fault(rig, rig.map(1))
    expect(rig.call((k) => release(k, rig, vmf))).toBe(false)
  })

  it('tells the guard, once, and leaves mmap_lock alone', () => {
    const rig = new Rig({ gear })
    const guard = guardThat(LOCKED)
    const vmf = fault(rig, rig.map(1), guard)
    expect(rig.call((k) => release(k, rig, vmf))).toBe(true)
    expect(guard.released).toEqual([vmf])
  })

  it('a fault that sleeps under the area’s lock lets go of it: a writer of the area gets through meanwhile', () => {
    const rig = new UffdRig({ gear })
    rig.kernel.faultPath = 'vma-lock'
    rig.map(2, 3, 20)
    rig.store(20, 1)
    rig.register(20, 2)
    const toucher = rig.start('toucher', 1, (k) => handlePageFault(k, rig.mm, 21, false))
    expect([toucher.done, rig.uffd.pending.length]).toEqual([false, 1])
    const writer = rig.start('writer', 2, function* (k) {
      yield* rig.mm.mmapLock.downWrite(k)
      yield* rig.vma(21).lock?.startWrite(k, rig.mm.mmapLock) ?? NOTHING
      rig.mm.mmapLock.upWrite(k)
    })
    expect(writer.done).toBe(true)
    rig.zero(21)
    expect(toucher.value).toBe('ok')
  })
})

describe('the flags', () => {
  it('are the bits of the kernel; user code may be made to wait, and so may the kernel on its behalf', () => {
    expect([FAULT_FLAG_ALLOW_RETRY, FAULT_FLAG_RETRY_NOWAIT, FAULT_FLAG_USER]).toEqual([0x04, 0x08, 0x40])
    expect([FAULT_USER, FAULT_KERNEL]).toEqual([0x44, 0x04])
  })

  const bits = [FAULT_FLAG_ALLOW_RETRY, FAULT_FLAG_RETRY_NOWAIT, FAULT_FLAG_USER]
  const cases = [0, UFFD_USER_MODE_ONLY].flatMap((only) =>
    Array.from({ length: 8 }, (_, n) => [bits.reduce((flags, bit, i) => flags | (((n >> i) & 1) * bit), 0), only] as const),
  )

  it.each(GEARS)(
    'on a missing page that is somebody’s: no retry or the wrong mode is a signal, NOWAIT returns, else it waits (%s gear, all 16 cases)',
    (gear) => {
      for (const [flags, only] of cases) {
        const rig = new UffdRig({ gear }, 0, O_NONBLOCK | only)
        rig.watch(20, 1)
        const toucher = rig.start('toucher', 1, function* (k) {
          const vmf = fault(rig, 20, null, flags)
          yield* rig.mm.mmapLock.downRead(k)
          return yield* handlePteFault(k, vmf)
        })
        const has = (flag: number) => (flags & flag) !== 0
        const refused = !has(FAULT_FLAG_ALLOW_RETRY) || (only !== 0 && !has(FAULT_FLAG_USER))
        const waits = !refused && !has(FAULT_FLAG_RETRY_NOWAIT)
        const title = `flags ${flags}, user mode only ${only}`
        expect(toucher.value, title).toBe(refused ? 'sigbus' : waits ? undefined : 'retry')
        expect(rig.uffd.pending.length, title).toBe(waits ? 1 : 0)
        expect(rig.mm.mmapLock.isHeld, title).toBe(false)
        expect(rig.pte(20), title).toBe(0)
        rig.zero(20, 1, 0)
        expect(toucher.value, title).toBe(refused ? 'sigbus' : 'retry')
      }
    },
  )

  it('the kernel’s faults never go without mmap_lock: a look-up of its own could hold what a fall-back waits for', () => {
    for (const path of ['speculative', 'speculative-2014', 'vma-lock'] as const) {
      const counts = [FAULT_USER, FAULT_KERNEL].map((flags) => {
        const rig = new Rig()
        rig.kernel.faultPath = path
        const a = rig.map(4)
        rig.store(a, 1)
        const unlocked = () => rig.kernel.faults.speculative + rig.kernel.faults.vmaLock
        const before = unlocked()
        rig.spawn('another', 3, function* (k) {
          while (rig.pte(a + 1) === 0) {
            k.wakeAtNs = k.nowNs + 1000
            yield { kind: 'sleep' }
          }
        })
        expect(rig.call((k) => handlePageFault(k, rig.mm, a + 1, true, flags))).toBe('ok')
        return unlocked() - before
      })
      expect(counts, path).toEqual([1, 0])
    }
  })
})
