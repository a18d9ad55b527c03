/**
 * Any few calls of the memory manager side by side, in random schedules of the step gear: nobody sleeps for ever, no
 * assertion of the model fails, and when all are done the books and the TLBs are right.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { Process, SignalError } from '../../core/machine/process.ts'
import { fork } from '../../core/mm/fork.ts'
import { MADV_DOFORK, MADV_DONTFORK, MADV_DONTNEED, madvise } from '../../core/mm/madvise.ts'
import { uffdCopy, uffdZeropage } from '../../core/mm/mfill_atomic.ts'
import { exitMmap, mmapAnonymous, munmap } from '../../core/mm/mmap.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../../core/mm/mprotect.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { uffdMove } from '../../core/mm/uffd_move.ts'
import { userfaultfdRegister, userfaultfdRelease, userfaultfdUnregister } from '../../core/mm/uffd_register.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { at, P, Rig } from './rig.ts'
import { walkAndCount } from './scenarios.ts'

const PAGES = 6
const CALLS = [
  'load',
  'store',
  'dontneed',
  'dontfork',
  'dofork',
  'readonly',
  'readwrite',
  'munmap',
  'mmap',
  'remap',
  'fork',
  'walk',
] as const

interface Call {
  readonly call: (typeof CALLS)[number]
  readonly page: number
  readonly pages: number
  readonly to: number
}

function* perform(k: Thread, rig: Rig, c: Call, children: Process[]): Proc<unknown> {
  const { mm, process } = rig
  const address = at(c.page)
  const length = c.pages * P
  switch (c.call) {
    case 'load':
      return yield* process.touch(k, c.page, false)
    case 'store':
      return yield* process.touch(k, c.page, true)
    case 'dontneed':
      return yield* madvise(k, mm, address, length, MADV_DONTNEED)
    case 'dontfork':
      return yield* madvise(k, mm, address, length, MADV_DONTFORK)
    case 'dofork':
      return yield* madvise(k, mm, address, length, MADV_DOFORK)
    case 'readonly':
      return yield* mprotect(k, mm, address, length, PROT_READ)
    case 'readwrite':
      return yield* mprotect(k, mm, address, length, PROT_READ | PROT_WRITE)
    case 'munmap':
      return yield* munmap(k, mm, address, length)
    case 'mmap':
      return yield* mmapAnonymous(k, mm, length)
    case 'remap':
      return yield* remapAnonPages(k, mm, at(c.to), address, P, 1)
    case 'walk': {
      const { pages } = rig.kernel
      const pfn = rig.frame(c.page)
      if (pfn <= 0) return 0
      // As reclaim does: without a reference the frame may be freed on the way, and be another page of the same anon_vma.
      pages.get(pfn)
      const found = yield* walkAndCount(k, rig, pfn)
      pages.put(pfn)
      return found
    }
    case 'fork': {
      children.push(new Process(rig.machine, yield* fork(k, mm)))
      return 0
    }
  }
}

function* untilSignal(k: Thread, rig: Rig, list: readonly Call[], children: Process[]): Proc<void> {
  for (const c of list) {
    try {
      yield* perform(k, rig, c, children)
    } catch (e) {
      if (!(e instanceof SignalError)) throw e
    }
  }
}

const page = fc.integer({ min: 1, max: PAGES })
const call: fc.Arbitrary<Call> = fc.record({
  call: fc.constantFrom(...CALLS),
  page,
  pages: fc.integer({ min: 1, max: 4 }),
  to: page,
})

it('three threads with up to 4 calls each leave right books, and the end of all gives everything back', () => {
  fc.assert(
    fc.property(fc.array(fc.array(call, { maxLength: 4 }), { minLength: 3, maxLength: 3 }), fc.nat(1e6), (lists, seed) => {
      const rig = new Rig({ gear: 'step', seed, windowPages: 16, frames: 256 })
      const first = rig.map(PAGES)
      for (let p = 0; p < PAGES; p += 2) rig.store(first + p, p + 1)
      const children: Process[] = []
      lists.forEach((list, n) => {
        rig.spawn(`t${n}`, n, (k) => untilSignal(k, rig, list, children))
      })
      expect(rig.run(), rig.waits().join('; ')).toBe('done')
      const all = [rig.process, ...children]
      expect(rig.audit()).toBeNull()
      for (const { mm } of all) rig.call((k) => exitMmap(k, mm))
      expect([rig.kernel.pages.used, rig.kernel.anonVmas.live, rig.kernel.tables.nodesInUse]).toEqual([0, 0, 0])
    }),
    { numRuns: 1500 },
  )
})

const FILLS = ['load', 'store', 'source', 'copy', 'zero', 'move', 'dontneed', 'unregister'] as const
const RAM = 20
const SRC = 4

function* fill(k: Thread, rig: Rig, uffd: Userfaultfd, call: (typeof FILLS)[number], p: number): Proc<unknown> {
  switch (call) {
    case 'load':
      return yield* rig.process.touch(k, RAM + p, false)
    case 'store':
      return yield* rig.process.touch(k, RAM + p, true)
    case 'source':
      return yield* rig.process.touch(k, SRC + p, true)
    case 'copy':
      return yield* uffdCopy(k, uffd, at(RAM + p), at(SRC + p), P, 0)
    case 'zero':
      return yield* uffdZeropage(k, uffd, at(RAM + p), P, 0)
    case 'move':
      return yield* uffdMove(k, uffd, at(RAM + p), at(SRC + p), P, 0)
    case 'dontneed':
      return yield* madvise(k, rig.mm, at(RAM), 3 * P, MADV_DONTNEED)
    case 'unregister':
      return yield* userfaultfdUnregister(k, uffd, at(RAM + p), P)
  }
}

it('threads that touch, fill and empty registered memory sleep only on pages that are missing, and close ends all', () => {
  const one = fc.record({ call: fc.constantFrom(...FILLS), p: fc.nat(2) })
  fc.assert(
    fc.property(fc.array(fc.array(one, { maxLength: 3 }), { minLength: 3, maxLength: 4 }), fc.nat(1e6), (lists, seed) => {
      const rig = new Rig({ gear: 'step', seed, windowPages: 32, frames: 64 })
      rig.place(SRC, 3)
      rig.place(RAM, 3)
      for (let p = 0; p < 3; p++) rig.store(SRC + p, p + 1)
      const uffd = new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
      rig.call((k) => userfaultfdRegister(k, uffd, at(RAM), 3 * P, 1))
      lists.forEach((list, n) => {
        rig.spawn(`t${n}`, n, function* (k) {
          for (const { call: what, p } of list) yield* fill(k, rig, uffd, what, p)
        })
      })
      rig.run()
      for (const waits of rig.waits()) expect(waits).toContain('a wake-up for page')
      for (const { page: missing } of [...uffd.pending.entries, ...uffd.fault.entries]) expect(rig.pte(missing)).toBe(0)
      rig.call((k) => userfaultfdRelease(k, uffd), 9)
      expect(rig.run(), rig.waits().join('; ')).toBe('done')
      expect(rig.audit()).toBeNull()
    }),
    { numRuns: 1000 },
  )
})
