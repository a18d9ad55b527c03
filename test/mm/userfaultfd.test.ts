/**
 * userfaultfd as a whole: ranges of any shape, messages in order, who is woken by what, and that nobody who waits is forgotten,
 * neither by a wake, nor by a page placed meanwhile, nor by close. The rows of the assertions are in the uffd_*.test.ts.
 */
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { uffdCopy, uffdZeropage } from '../../core/mm/mfill_atomic.ts'
import { pageOfAddress } from '../../core/mm/mm.ts'
import { UFFD_EVENT_PAGEFAULT, UFFD_PAGEFAULT_FLAG_WRITE } from '../../core/mm/uffd_abi.ts'
import { userfaultfdMissing } from '../../core/mm/uffd_fault.ts'
import { nextMessage } from '../../core/mm/uffd_read.ts'
import { userfaultfdRegister, userfaultfdRelease, userfaultfdUnregister } from '../../core/mm/uffd_register.ts'
import { wakeUserfault } from '../../core/mm/uffd_wake.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { at, GEARS, P, Rig, type RigOptions, seedsWhere } from './rig.ts'

function descriptor(rig: Rig): Userfaultfd {
  return new Userfaultfd(rig.mm, rig.kernel.newId(), 'ioctl')
}

/** Reads one fault, asleep until there is one; null once the descriptor is closed. */
function* readFault(k: Thread, uffd: Userfaultfd): Proc<{ page: number; store: boolean } | null> {
  const message = yield* nextMessage(k, uffd, false)
  if (message === ERRNO.EBADF) return null
  if (typeof message === 'number' || message.event !== UFFD_EVENT_PAGEFAULT) throw new Error('not a fault')
  return { page: pageOfAddress(message.address), store: (message.flags & UFFD_PAGEFAULT_FLAG_WRITE) !== 0 }
}

function register(rig: Rig, uffd: Userfaultfd, page: number, pages: number, mode = 1): number {
  return rig.call((k) => userfaultfdRegister(k, uffd, at(page), pages * P, mode))
}

function unregister(rig: Rig, uffd: Userfaultfd, page: number, pages: number): number {
  return rig.call((k) => userfaultfdUnregister(k, uffd, at(page), pages * P))
}

/** A registered area of 4 pages at page 20, and a source page at 4 that holds 7. */
function registered(options: RigOptions = {}): { rig: Rig; uffd: Userfaultfd } {
  const rig = new Rig(options)
  rig.place(4, 1)
  rig.place(20, 4)
  rig.store(4, 7)
  const uffd = descriptor(rig)
  expect(register(rig, uffd, 20, 4)).toBe(0)
  return { rig, uffd }
}

describe('register', () => {
  it('through a closed descriptor is EBADF', () => {
    const { rig, uffd } = registered()
    rig.call((k) => userfaultfdRelease(k, uffd))
    expect(register(rig, uffd, 20, 4)).toBe(ERRNO.EBADF)
    expect(rig.vma(20).uffd).toBeNull()
  })

  it('the middle page of 3: 1, 3 and, unregistered, 1 areas; written pages stay findable', () => {
    const rig = new Rig()
    rig.place(20, 3)
    for (let p = 20; p < 23; p++) rig.store(p, p)
    const uffd = descriptor(rig)
    register(rig, uffd, 21, 1)
    expect(rig.areas()).toEqual([
      [20, 21],
      [21, 22],
      [22, 23],
    ])
    expect(rig.audit()).toBeNull()
    unregister(rig, uffd, 21, 1)
    expect(rig.areas()).toEqual([[20, 23]])
    expect(rig.audit()).toBeNull()
  })

  it('two halves registered one after the other are one area', () => {
    const rig = new Rig()
    rig.place(20, 4)
    const uffd = descriptor(rig)
    register(rig, uffd, 20, 2)
    register(rig, uffd, 22, 2)
    expect(rig.areas()).toEqual([[20, 24]])
  })

  it('every range in an area of 5 pages: registered inside, not outside (15 ranges: 5 * 6 / 2)', () => {
    for (let from = 0; from < 5; from++) {
      for (let to = from + 1; to <= 5; to++) {
        const rig = new Rig()
        rig.place(20, 5)
        const uffd = descriptor(rig)
        register(rig, uffd, 20 + from, to - from)
        for (let p = 0; p < 5; p++) {
          const inside = p >= from && p < to
          expect(userfaultfdMissing(rig.vma(20 + p))).toBe(inside)
          expect(rig.vma(20 + p).uffd).toBe(inside ? uffd : null)
        }
        expect(rig.areas()).toHaveLength(1 + (from > 0 ? 1 : 0) + (to < 5 ? 1 : 0))
      }
    }
  })
})

describe.each(GEARS)('messages in the %s gear', (gear) => {
  it('say page and kind of access, and come first in, first out', () => {
    const { rig, uffd } = registered({ gear })
    for (const [page, store] of [
      [22, false],
      [20, true],
      [23, false],
    ] as const) {
      rig.spawn(`t${page}`, page, (k) => rig.process.touch(k, page, store))
      rig.run()
    }
    const seen: [number, boolean][] = []
    rig.spawn('reader', 0, function* (k) {
      for (let i = 0; i < 3; i++) {
        const w = yield* readFault(k, uffd)
        if (w !== null) seen.push([w.page, w.store])
      }
    })
    rig.run()
    expect(seen).toEqual([
      [22, false],
      [20, true],
      [23, false],
    ])
    expect([uffd.pending.length, uffd.fault.length]).toEqual([0, 3])
  })
})

describe('waking', () => {
  it('wakes exactly the waiters in the range, read or not: all 10 ranges of 4 pages (4 * 5 / 2)', () => {
    for (let from = 20; from < 24; from++) {
      for (let to = from + 1; to <= 24; to++) {
        const { rig, uffd } = registered()
        const threads = [20, 21, 22, 23].map((page) => rig.spawn(`t${page}`, page - 20, (k) => rig.process.touch(k, page, false)))
        rig.run()
        rig.call((k) => readFault(k, uffd), 9)
        rig.call((k) => readFault(k, uffd), 9)
        rig.spawn('placer', 8, function* (k) {
          for (let p = from; p < to; p++) yield* uffdZeropage(k, uffd, at(p), P, 1)
          yield* wakeUserfault(k, uffd, from, to)
        })
        rig.run()
        expect(threads.map((t) => t.done)).toEqual([20, 21, 22, 23].map((p) => p >= from && p < to))
      }
    }
  })
})

describe('close', () => {
  it.each(GEARS)('lets all waiters go on with zeros and the reader end, and frees the areas, in the %s gear', (gear) => {
    const { rig, uffd } = registered({ gear })
    const reader = rig.spawn('reader', 9, function* (k) {
      const seen: (number | null)[] = []
      for (;;) {
        const w = yield* readFault(k, uffd)
        seen.push(w?.page ?? null)
        if (w === null) return seen
      }
    })
    const threads = [20, 21].map((page) => rig.spawn(`t${page}`, page - 20, (k) => rig.process.touch(k, page, false)))
    rig.run()
    rig.call((k) => userfaultfdRelease(k, uffd), 5)
    expect(threads.every((t) => t.done)).toBe(true)
    expect(reader.value?.sort()).toEqual([20, 21, null])
    expect([rig.load(20), rig.load(23)]).toEqual([0, 0])
    expect(rig.vma(20).uffd).toBeNull()
    expect(rig.areas().filter(([start]) => start >= 20)).toEqual([[20, 24]])
  })

  it('twice is refused', () => {
    const { rig, uffd } = registered()
    rig.call((k) => userfaultfdRelease(k, uffd))
    expect(() => rig.call((k) => userfaultfdRelease(k, uffd))).toThrow(/twice/)
  })
})

describe('nobody is forgotten in random schedules', () => {
  it('three threads, a placer of each page and a reader: all go on (1000)', () => {
    const wrong = seedsWhere(1000, (seed) => {
      const { rig, uffd } = registered({ gear: 'step', seed })
      rig.daemon('reader', 9, function* (k) {
        while ((yield* readFault(k, uffd)) !== null);
      })
      for (let n = 0; n < 3; n++) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, 20 + (n >> 1), n === 1))
      for (let n = 0; n < 2; n++) rig.spawn(`p${n}`, 5 + n, (k) => uffdCopy(k, uffd, at(20 + n), at(4), P, 0))
      return rig.run() !== 'done' || uffd.pending.length + uffd.fault.length > 0 || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })

  it('threads beside close go on (1000)', () => {
    const wrong = seedsWhere(1000, (seed) => {
      const { rig, uffd } = registered({ gear: 'step', seed })
      for (let n = 0; n < 2; n++) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, 20 + n, n === 1))
      rig.spawn('closer', 4, (k) => userfaultfdRelease(k, uffd))
      return rig.run() !== 'done' || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })

  it('threads beside unregister go on (1000)', () => {
    const wrong = seedsWhere(1000, (seed) => {
      const { rig, uffd } = registered({ gear: 'step', seed })
      for (let n = 0; n < 2; n++) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, 20 + n, n === 1))
      rig.spawn('unregister', 4, (k) => userfaultfdUnregister(k, uffd, at(20), 4 * P))
      return rig.run() !== 'done' || rig.audit() !== null
    })
    expect(wrong).toEqual([])
  })
})
