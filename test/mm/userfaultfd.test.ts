/**
 * userfaultfd: registration and its errors, one message a waiting thread, who is woken by what, and that nobody who waits is
 * forgotten, neither by a wake, nor by a page placed meanwhile, nor by close.
 */
import { describe, expect, it } from 'vitest'
import type { Proc } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { MADV_DONTNEED, madvise } from '../../core/mm/madvise.ts'
import { uffdCopy, uffdZeropage } from '../../core/mm/mfill_atomic.ts'
import { pageOfAddress } from '../../core/mm/mm.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { UFFD_EVENT_PAGEFAULT, UFFD_PAGEFAULT_FLAG_WRITE } from '../../core/mm/uffd_abi.ts'
import { userfaultfdMissing } from '../../core/mm/uffd_fault.ts'
import { nextMessage } from '../../core/mm/uffd_read.ts'
import { userfaultfdRegister, userfaultfdRelease, userfaultfdUnregister } from '../../core/mm/uffd_register.ts'
import { userfaultfdWake, wakeUserfault } from '../../core/mm/uffd_wake.ts'
import { Userfaultfd } from '../../core/mm/userfaultfd.ts'
import { VM_UFFD_MISSING } from '../../core/mm/vma.ts'
import { at, GEARS, P, Rig, type RigOptions, RW, seedsWhere } from './rig.ts'

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
  it.each([0, 4, 5, 8, 32])('mode %i is EINVAL for anonymous memory', (mode) => {
    const rig = new Rig()
    rig.place(20, 4)
    expect(register(rig, descriptor(rig), 20, 4, mode)).toBe(ERRNO.EINVAL)
  })

  it.each([
    ['an unaligned start', at(20) + 1, P],
    ['no length', at(20), 0],
    ['an unaligned length', at(20), 100],
    ['a negative length', at(20), -P],
    ['a range beyond the window', at(20), 2000 * P],
    ['a range without any area', at(40), P],
  ])('%s is EINVAL, for unregister too', (_what, address, length) => {
    const rig = new Rig()
    rig.place(20, 4)
    const uffd = descriptor(rig)
    expect(rig.call((k) => userfaultfdRegister(k, uffd, address, length, 1))).toBe(ERRNO.EINVAL)
    expect(rig.call((k) => userfaultfdUnregister(k, uffd, address, length))).toBe(ERRNO.EINVAL)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it('a file area is EINVAL; a page of another descriptor is EBUSY and changes nothing; again with the same is 0', () => {
    const rig = new Rig()
    rig.place(10, 1, RW, 'file')
    rig.place(20, 4)
    const [one, two] = [descriptor(rig), descriptor(rig)]
    expect(register(rig, one, 10, 1)).toBe(ERRNO.EINVAL)
    expect(register(rig, one, 21, 1)).toBe(0)
    expect(register(rig, two, 20, 4)).toBe(ERRNO.EBUSY)
    expect(rig.vma(20).uffd).toBeNull()
    expect(register(rig, one, 21, 1)).toBe(0)
    expect(register(rig, one, 20, 4)).toBe(0)
  })

  it('holes before and between areas are fine', () => {
    const rig = new Rig()
    rig.place(20, 2)
    rig.place(24, 2)
    const uffd = descriptor(rig)
    expect(register(rig, uffd, 18, 8)).toBe(0)
    expect([20, 25].every((p) => rig.vma(p).uffd === uffd)).toBe(true)
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

  it('keeps pages that are there: no message, same values', () => {
    const { rig, uffd } = registered()
    rig.call((k) => uffdCopy(k, uffd, at(20), at(4), P, 0))
    rig.store(20, 8)
    expect(rig.load(20)).toBe(8)
    expect(uffd.pending.length + uffd.fault.length).toBe(0)
  })

  it('munmap and mmap of the same place is not registered', () => {
    const { rig, uffd } = registered()
    rig.call((k) => munmap(k, rig.mm, at(20), 4 * P))
    rig.place(20, 4)
    expect(rig.load(20)).toBe(0)
    expect(uffd.pending.length).toBe(0)
  })
})

describe('unregister', () => {
  it('through a foreign descriptor is EINVAL; of an unregistered area 0', () => {
    const { rig } = registered()
    expect(unregister(rig, descriptor(rig), 20, 4)).toBe(ERRNO.EINVAL)
    expect(rig.vma(20).flags & VM_UFFD_MISSING).not.toBe(0)
    expect(unregister(rig, descriptor(rig), 4, 1)).toBe(0)
  })

  it.each(GEARS)('lets a waiting thread go on and read zeros, in the %s gear', (gear) => {
    const { rig, uffd } = registered({ gear })
    const reader = rig.spawn('reader', 1, (k) => rig.process.touch(k, 20, false))
    rig.run()
    expect(reader.done).toBe(false)
    expect(unregister(rig, uffd, 20, 4)).toBe(0)
    expect(reader.done).toBe(true)
    expect(rig.load(20)).toBe(0)
    expect(uffd.pending.length).toBe(0)
  })
})

describe.each(GEARS)('messages in the %s gear', (gear) => {
  it('three threads on one page are three messages; one COPY wakes all', () => {
    const { rig, uffd } = registered({ gear })
    const threads = [0, 1, 2].map((n) => rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, 21, n === 2)))
    rig.run()
    expect(uffd.pending.length).toBe(3)
    rig.call((k) => uffdCopy(k, uffd, at(21), at(4), P, 0))
    expect(threads.every((t) => t.done)).toBe(true)
    expect(uffd.pending.length + uffd.fault.length).toBe(0)
  })

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

  it('a page placed and woken before the message was read takes the message away', () => {
    const { rig, uffd } = registered({ gear })
    const toucher = rig.spawn('toucher', 1, (k) => rig.process.touch(k, 20, false))
    rig.run()
    rig.call((k) => uffdCopy(k, uffd, at(20), at(4), P, 0))
    expect(toucher.done).toBe(true)
    const reader = rig.spawn('reader', 2, (k) => readFault(k, uffd))
    rig.run()
    expect(reader.done).toBe(false)
  })

  it('a wake without placing sends a second message, and the thread waits on', () => {
    const { rig, uffd } = registered({ gear })
    const toucher = rig.spawn('toucher', 1, (k) => rig.process.touch(k, 20, false))
    const first = rig.spawn('reader', 2, (k) => readFault(k, uffd))
    rig.run()
    expect(first.value?.page).toBe(20)
    const waiter = uffd.fault.entries[0]
    expect(waiter?.page).toBe(20)
    rig.call((k) => wakeUserfault(k, uffd, 20, 21))
    expect(toucher.done).toBe(false)
    expect([uffd.pending.length, uffd.fault.length]).toEqual([1, 0])
    expect(uffd.pending.entries[0]).not.toBe(waiter)
  })

  it('DONTNEED after COPY makes the next touch a new message', () => {
    const { rig, uffd } = registered({ gear })
    rig.call((k) => uffdCopy(k, uffd, at(20), at(4), P, 0))
    rig.call((k) => madvise(k, rig.mm, at(20), P, MADV_DONTNEED))
    rig.spawn('toucher', 1, (k) => rig.process.touch(k, 20, false))
    rig.run()
    expect(uffd.pending.length).toBe(1)
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

  it('of nobody by UFFDIO_WAKE is 0', () => {
    const { rig, uffd } = registered()
    expect(rig.call((k) => userfaultfdWake(k, uffd, at(20), 4 * P))).toBe(0)
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
