/**
 * Going to sleep on a page: what the message says, when there is none, and who is woken by what. Rows 51 to 58 and 63 to 67 of
 * the assertions (kernel.md 7.4); races R50, R52, R57.
 */
import { describe, expect, it } from 'vitest'
import {
  ERRNO,
  MADV_POPULATE_READ,
  O_NONBLOCK,
  sys,
  UFFD_FEATURE,
  UFFD_USER_MODE_ONLY,
  UFFDIO_COPY_MODE_DONTWAKE,
} from '../../core/machine/syscall.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import { at, firstSeed, GEARS, P, seedsWhere } from './rig.ts'
import { all, UffdRig, untouched } from './uffd_rig.ts'

/** Page 4 holds 7; pages 20 to 23 are watched. */
function watched(gear: 'clock' | 'step', features = 0, flags = O_NONBLOCK): UffdRig {
  const rig = new UffdRig({ gear }, features, flags)
  rig.map(1, 3, 4)
  rig.store(4, 7)
  rig.watch(20, 4)
  return rig
}

describe.each(GEARS)('messages in the %s gear', (gear) => {
  it('say 0 for a load and 1 for a store, and the page (row 51)', () => {
    const rig = watched(gear)
    rig.start('loader', 1, (k) => sys.load(k, rig.process, at(20) + 100))
    rig.start('storer', 2, (k) => sys.store(k, rig.process, at(21) + 200, 1))
    expect(rig.messages()).toEqual([
      { event: 0x12, flags: 0, address: at(20), ptid: 0 },
      { event: 0x12, flags: 1, address: at(21), ptid: 0 },
    ])
  })

  it('keep the offset with EXACT_ADDRESS, and name the thread with THREAD_ID (row 52)', () => {
    const rig = watched(gear, UFFD_FEATURE.EXACT_ADDRESS | UFFD_FEATURE.THREAD_ID)
    const loader = rig.start('loader', 1, (k) => sys.load(k, rig.process, at(20) + 100))
    expect(rig.message()).toEqual({ event: 0x12, flags: 0, address: at(20) + 100, ptid: loader.thread.id + 1 })
  })

  it('are one a thread; one COPY wakes all (row 53)', () => {
    const rig = watched(gear)
    const readers = [1, 2, 3].map((n) => rig.reader(20, n))
    expect(rig.messages()).toHaveLength(3)
    expect(rig.copy(20, 4)).toEqual(all('copy', 1))
    expect(readers.map((r) => r.value?.value)).toEqual([7, 7, 7])
  })
})

describe.each(GEARS)('waking in the %s gear', (gear) => {
  it('without placing sends a second message (row 54)', () => {
    const rig = watched(gear)
    const reader = rig.reader(20)
    expect(rig.message()).toMatchObject({ address: at(20) })
    expect(rig.wake(20)).toEqual(untouched(0))
    expect(reader.done).toBe(false)
    expect(rig.message()).toMatchObject({ address: at(20) })
  })

  it('is left to WAKE by COPY with DONTWAKE (row 55); EEXIST wakes nobody (R57)', () => {
    const rig = watched(gear)
    const reader = rig.reader(20)
    expect(rig.copy(20, 4, 1, UFFDIO_COPY_MODE_DONTWAKE)).toEqual(all('copy', 1))
    expect(rig.copy(20, 4).ret).toBe(ERRNO.EEXIST)
    expect(reader.done).toBe(false)
    rig.wake(20)
    expect(reader.value?.value).toBe(7)
  })

  it('of nobody is 0, also of what is not registered; misaligned or empty is EINVAL (row 58)', () => {
    const rig = watched(gear)
    expect(rig.wake(20)).toEqual(untouched(0))
    expect(rig.wake(100)).toEqual(untouched(0))
    expect(rig.do((k) => sys.uffdioWake(k, rig.uffd, at(20) + 1, P))).toEqual(untouched(ERRNO.EINVAL))
    expect(rig.do((k) => sys.uffdioWake(k, rig.uffd, at(20), 0))).toEqual(untouched(ERRNO.EINVAL))
  })

  it('reaches those in the range only', () => {
    const rig = watched(gear)
    const readers = [20, 21, 22].map((page, n) => rig.reader(page, n + 1))
    rig.messages()
    rig.zero(20, 3, 1)
    rig.wake(21)
    expect(readers.map((r) => r.done)).toEqual([false, true, false])
  })

  it('a fatal signal ends the sleep, and the queues are clean', () => {
    const rig = watched(gear)
    const [unread, read] = [rig.reader(20, 1), rig.reader(21, 2)]
    rig.message()
    rig.act((k) => sys.kill(k, unread.thread))
    rig.act((k) => sys.kill(k, read.thread))
    rig.run()
    expect([unread.value?.signal, read.value?.signal]).toEqual(['SIGKILL', 'SIGKILL'])
    expect([rig.uffd.pending.length, rig.uffd.fault.length]).toEqual([0, 0])
  })
})

describe.each(GEARS)('kernel code in the %s gear', (gear) => {
  it('write(2) of a missing page blocks and returns the full count (row 64)', () => {
    const rig = watched(gear)
    const writer = rig.start('writer', 1, (k) => sys.write(k, rig.process, at(20) + 10, P))
    expect(writer.done).toBe(false)
    rig.copy(20, 4)
    rig.copy(21, 4)
    expect(writer.value).toBe(P)
  })

  it('with USER_MODE_ONLY it is EFAULT, and a touch of user code a message (row 67)', () => {
    const rig = watched(gear, 0, O_NONBLOCK | UFFD_USER_MODE_ONLY)
    expect(rig.do((k) => sys.write(k, rig.process, at(20), P))).toBe(ERRNO.EFAULT)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
    rig.reader(20)
    expect(rig.message()).toMatchObject({ address: at(20) })
  })

  it('with FEATURE_SIGBUS a touch is SIGBUS with its exact address and no message; COPY works (row 65)', () => {
    const rig = watched(gear, UFFD_FEATURE.SIGBUS)
    const touch = rig.do((k) => sys.load(k, rig.process, at(20) + 12))
    expect(touch).toEqual({ signal: 'SIGBUS', code: 2, address: at(20) + 12, value: 0 })
    expect(rig.message()).toBe(ERRNO.EAGAIN)
    expect(rig.copy(20, 4)).toEqual(all('copy', 1))
    expect(rig.load(20)).toBe(7)
  })

  it('with FEATURE_SIGBUS write(2), process_vm_readv and MADV_POPULATE_READ are EFAULT (row 66)', () => {
    const rig = watched(gear, UFFD_FEATURE.SIGBUS)
    expect(rig.do((k) => sys.write(k, rig.process, at(20), P))).toBe(ERRNO.EFAULT)
    expect(rig.do((k) => sys.processVmReadv(k, rig.process, at(20), P))).toBe(ERRNO.EFAULT)
    expect(rig.do((k) => sys.madvise(k, rig.process, at(20), P, MADV_POPULATE_READ))).toBe(ERRNO.EFAULT)
  })

  it('mincore says what is missing and sends no message (row 63)', () => {
    const rig = watched(gear)
    rig.copy(21, 4)
    expect(rig.do((k) => sys.mincore(k, rig.process, at(20), 4 * P))).toEqual([false, true, false, false])
    expect(rig.message()).toBe(ERRNO.EAGAIN)
  })
})

/** A manager that answers each page once, a toucher, and a pusher that places without being asked. */
function race(without: readonly ProtectionName[], seed: number): boolean {
  const rig = new UffdRig({ gear: 'step', seed, without }, 0, 0)
  rig.watch(20, 1)
  rig.spawn('toucher', 1, (k) => sys.load(k, rig.process, at(20)))
  rig.spawn('placer', 2, (k) => sys.uffdioZeropage(k, rig.uffd, at(20), P, 0))
  return rig.run() === 'done'
}

describe('no wake-up is lost', () => {
  it('whatever the order of touch and placement', () => {
    expect(seedsWhere(1000, (seed) => !race([], seed))).toEqual([])
  })

  it.each([['uffd-must-wait'], ['uffd-place-before-wake']] as const)('without %s one is (R52, R50)', (name) => {
    expect(firstSeed(1000, (seed) => !race([name], seed))).toBeGreaterThan(0)
  })
})
