/**
 * The protocol of 2014: handshake, faults by address, registration and acknowledgement by the low bits of a range, and its
 * hazard: an acknowledgement finds only faults that were read.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { MADV_USERFAULT, madvise } from '../../core/mm/madvise.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { userfaultfdRelease } from '../../core/mm/uffd_register.ts'
import { ALL_ONES, USERFAULTFD_PROTOCOL, Userfaultfd2014 } from '../../core/mm/userfaultfd_2014.ts'
import { at, GEARS, P, Rig, type RigOptions, seedsWhere } from './rig.ts'

function open(rig: Rig): Userfaultfd2014 {
  const uffd = new Userfaultfd2014(rig.mm, rig.kernel.newId())
  expect(uffd.writeProtocol(USERFAULTFD_PROTOCOL)).toBe(8)
  expect(rig.call((k) => uffd.readAddress(k))).toBe(USERFAULTFD_PROTOCOL)
  return uffd
}

function send(
  rig: Rig,
  uffd: Userfaultfd2014,
  page: number,
  pages: number,
  verb: 'ack' | 'register' | 'unregister',
  n = 0,
): number {
  const [start, end] = Userfaultfd2014.range(page, pages, verb)
  return rig.call((k) => uffd.writeRange(k, start, end), n)
}

/** Userfault memory at pages 20 to 23, registered; a page with 7 at 4. */
function armed(options: RigOptions = {}): { rig: Rig; uffd: Userfaultfd2014 } {
  const rig = new Rig(options)
  rig.place(4, 1)
  rig.place(20, 4)
  rig.store(4, 7)
  rig.call((k) => madvise(k, rig.mm, at(20), 4 * P, MADV_USERFAULT))
  const uffd = open(rig)
  expect(send(rig, uffd, 20, 4, 'register')).toBe(16)
  return { rig, uffd }
}

describe('handshake', () => {
  it('a read before the write is EINVAL, ranges before the handshake too', () => {
    const rig = new Rig()
    rig.place(20, 4)
    const uffd = new Userfaultfd2014(rig.mm, 1)
    expect(rig.call((k) => uffd.readAddress(k))).toBe(ERRNO.EINVAL)
    expect(send(rig, uffd, 20, 1, 'register')).toBe(ERRNO.EINVAL)
    uffd.writeProtocol(USERFAULTFD_PROTOCOL)
    expect(send(rig, uffd, 20, 1, 'register')).toBe(ERRNO.EINVAL)
  })

  it('a wrong number is taken, the read answers all ones, and then it asks again', () => {
    const rig = new Rig()
    const uffd = new Userfaultfd2014(rig.mm, 1)
    expect(uffd.writeProtocol(0xab)).toBe(8)
    expect(rig.call((k) => uffd.readAddress(k))).toBe(ALL_ONES)
    expect(rig.call((k) => uffd.readAddress(k))).toBe(ERRNO.EINVAL)
    uffd.writeProtocol(USERFAULTFD_PROTOCOL)
    expect(rig.call((k) => uffd.readAddress(k))).toBe(USERFAULTFD_PROTOCOL)
    expect(uffd.writeProtocol(USERFAULTFD_PROTOCOL)).toBe(ERRNO.EINVAL)
  })
})

describe('ranges', () => {
  it.each([
    ['both bits', at(20) + 3, at(21), ERRNO.EINVAL],
    ['an unaligned start', at(20) + 8, at(21), ERRNO.EINVAL],
    ['an unaligned end', at(20), at(21) + 1, ERRNO.EINVAL],
    ['an empty range', at(21), at(21), ERRNO.ERANGE],
    ['a range backwards', at(22), at(21), ERRNO.ERANGE],
    ['an empty range to register', at(21) + 1, at(21), ERRNO.ERANGE],
    ['a range of nobody', at(20), at(21), ERRNO.ENOENT],
    ['no area, to register', at(40) + 1, at(41), ERRNO.ENOMEM],
  ])('%s', (_what, start, end, errno) => {
    const { rig, uffd } = armed()
    expect(rig.call((k) => uffd.writeRange(k, start, end))).toBe(errno)
    expect(rig.mm.mmapLock.isHeld).toBe(false)
  })

  it('a range before the first area is EINVAL, one behind the last ENOMEM', () => {
    const { rig, uffd } = armed()
    expect(send(rig, uffd, 10, 2, 'register')).toBe(ERRNO.EINVAL)
    expect(send(rig, uffd, 40, 2, 'register')).toBe(ERRNO.ENOMEM)
  })

  it('overlap with another descriptor is EBUSY', () => {
    const { rig } = armed()
    expect(send(rig, open(rig), 21, 1, 'register')).toBe(ERRNO.EBUSY)
  })
})

describe.each(GEARS)('faults in the %s gear', (gear) => {
  it('a touch is read as its address; placed and acknowledged the thread goes on', () => {
    const { rig, uffd } = armed({ gear })
    const toucher = rig.spawn('toucher', 1, (k) => rig.process.touch(k, 21, false))
    rig.run()
    expect(rig.call((k) => uffd.readAddress(k), 2)).toBe(at(21))
    const placer = rig.spawn('placer', 3, (k) => remapAnonPages(k, rig.mm, at(21), at(4), P, 0))
    rig.run()
    expect(placer.value).toBe(P)
    expect(toucher.done).toBe(false)
    expect(send(rig, uffd, 21, 1, 'ack', 3)).toBe(16)
    expect(toucher.done).toBe(true)
    expect(rig.load(21)).toBe(7)
  })

  it('an acknowledgement before the fault was read is ENOENT and wakes nobody; after the read it wakes', () => {
    const { rig, uffd } = armed({ gear })
    const toucher = rig.spawn('toucher', 1, (k) => rig.process.touch(k, 21, false))
    const moves = rig.spawn('placer', 3, function* (k) {
      yield* remapAnonPages(k, rig.mm, at(22), at(4), P, 0)
    })
    rig.run()
    expect(moves.done).toBe(true)
    const early = rig.spawn('acker', 3, (k) => uffd.writeRange(k, ...Userfaultfd2014.range(21, 1, 'ack')))
    rig.run()
    expect(early.value).toBe(ERRNO.ENOENT)
    expect(toucher.done).toBe(false)
    const reader = rig.spawn('reader', 2, (k) => uffd.readAddress(k))
    rig.run()
    expect(reader.value).toBe(at(21))
    const late = rig.spawn('acker', 3, (k) => uffd.writeRange(k, ...Userfaultfd2014.range(21, 1, 'ack')))
    rig.run()
    expect(late.value).toBe(16)
  })

  it('registered memory without MADV_USERFAULT is ordinary memory', () => {
    const rig = new Rig({ gear })
    rig.place(20, 2)
    const uffd = open(rig)
    send(rig, uffd, 20, 2, 'register')
    expect(rig.load(20)).toBe(0)
    expect(uffd.pending.length).toBe(0)
  })

  it('userfault memory that is not registered is SIGBUS, as it is after unregister', () => {
    const { rig, uffd } = armed({ gear })
    expect(send(rig, uffd, 20, 1, 'unregister')).toBe(16)
    expect(() => rig.load(20)).toThrow('SIGBUS')
  })

  it('close wakes the waiters into SIGBUS, and later faults too', () => {
    const { rig, uffd } = armed({ gear })
    rig.spawn('toucher', 1, (k) => rig.process.touch(k, 21, false))
    rig.run()
    expect(() => rig.call((k) => userfaultfdRelease(k, uffd))).toThrow('SIGBUS at page 21')
    expect(() => rig.load(20)).toThrow('SIGBUS at page 20')
  })
})

describe('in random schedules', () => {
  it('a loader and a fault thread that acknowledge as they should leave nobody asleep (1000)', () => {
    const wrong = seedsWhere(1000, (seed) => {
      const { rig, uffd } = armed({ gear: 'step', seed })
      let received = false
      let requested = false
      for (let n = 0; n < 2; n++) rig.spawn(`t${n}`, n, (k) => rig.process.touch(k, 21, n === 1))
      rig.daemon('fault', 4, function* (k) {
        for (;;) {
          yield* uffd.readAddress(k)
          if (received) yield* uffd.writeRange(k, ...Userfaultfd2014.range(21, 1, 'ack'))
          else requested = true
        }
      })
      rig.spawn('loader', 3, function* (k) {
        yield* remapAnonPages(k, rig.mm, at(21), at(4), P, 0)
        received = true
        if (requested) yield* uffd.writeRange(k, ...Userfaultfd2014.range(21, 1, 'ack'))
      })
      return rig.run() !== 'done'
    })
    expect(wrong).toEqual([])
  })

  it('a loader that acknowledges without the fault thread’s second look leaves somebody asleep in some schedule (R51)', () => {
    const asleep = seedsWhere(500, (seed) => {
      const { rig, uffd } = armed({ gear: 'step', seed })
      rig.spawn('t', 0, (k) => rig.process.touch(k, 21, false))
      rig.daemon('fault', 4, function* (k) {
        for (;;) yield* uffd.readAddress(k)
      })
      rig.spawn('loader', 3, function* (k) {
        yield* remapAnonPages(k, rig.mm, at(21), at(4), P, 0)
        yield* uffd.writeRange(k, ...Userfaultfd2014.range(21, 1, 'ack'))
      })
      return rig.run() === 'deadlock'
    })
    expect(asleep.length).toBeGreaterThan(0)
  })
})
