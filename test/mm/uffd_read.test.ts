/**
 * read(2) and poll(2): what they answer when, several messages in one call, faults before events, and that a wake-up is never
 * lost between the two queues. Rows 6 to 8, 56 and 57 of the assertions (kernel.md 7.1, 7.4); race R53.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO, POLLERR, POLLIN, sys, UFFD_FEATURE } from '../../core/machine/syscall.ts'
import { at, firstSeed, GEARS, P, seedsWhere } from './rig.ts'
import { UffdRig } from './uffd_rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('nothing pending is EAGAIN, a buffer of 16 bytes EINVAL (row 8)', () => {
    const rig = new UffdRig({ gear })
    expect(rig.message()).toBe(ERRNO.EAGAIN)
    expect(rig.do((k) => sys.uffdRead(k, rig.uffd, 16)).ret).toBe(ERRNO.EINVAL)
    rig.watch(20, 1)
    rig.reader(20)
    expect(rig.do((k) => sys.uffdRead(k, rig.uffd, 31)).ret).toBe(ERRNO.EINVAL)
    expect(rig.do((k) => sys.uffdRead(k, rig.uffd, 33)).ret).toBe(32)
  })

  it('poll on a blocking descriptor is POLLERR, on another 0, and POLLIN once there is a message (row 7)', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1)
    expect(sys.uffdPoll(rig.open(0, 0))).toBe(POLLERR)
    expect(sys.uffdPoll(rig.uffd)).toBe(0)
    rig.reader(20)
    expect(sys.uffdPoll(rig.uffd)).toBe(POLLIN)
    rig.message()
    expect(sys.uffdPoll(rig.uffd)).toBe(0)
  })

  it('a poll without timeout sleeps until a fault; a blocking read too', () => {
    const rig = new UffdRig({ gear }, 0, 0)
    rig.watch(20, 2)
    const other = rig.open()
    rig.map(1, 3, 30)
    rig.register(30, 1, 1, other)
    const poller = rig.start('poller', 5, (k) => sys.uffdPollWait(k, other))
    const blocked = rig.start('blocked', 6, (k) => sys.uffdRead(k, rig.uffd, 64))
    expect([poller.done, blocked.done]).toEqual([false, false])
    rig.reader(20, 1)
    rig.reader(30, 2)
    expect(poller.value).toBe(POLLIN)
    expect(blocked.value?.ret).toBe(32)
  })

  it('2 pending and room for 4 is 64 bytes, first in, first out (row 57)', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 4)
    rig.reader(22, 1)
    rig.reader(21, 2)
    const { ret, messages } = rig.do((k) => sys.uffdRead(k, rig.uffd, 128))
    expect(ret).toBe(64)
    expect(messages.map((m) => ('address' in m ? m.address : 0))).toEqual([at(22), at(21)])
    expect([rig.uffd.pending.length, rig.uffd.fault.length]).toEqual([0, 2])
  })

  it('room for 1 of 2 leaves the other', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 4)
    rig.reader(20, 1)
    rig.reader(21, 2)
    expect(rig.do((k) => sys.uffdRead(k, rig.uffd, 63)).ret).toBe(32)
    expect(rig.messages()).toHaveLength(1)
  })

  it('a page placed before the message was read takes the message away (row 56)', () => {
    const rig = new UffdRig({ gear })
    rig.map(1, 3, 4)
    rig.store(4, 7)
    rig.watch(20, 1)
    const reader = rig.reader(20)
    rig.copy(20, 4)
    expect(reader.value?.value).toBe(7)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
  })

  it('faults come before events', () => {
    const rig = new UffdRig({ gear }, UFFD_FEATURE.EVENT_REMOVE)
    rig.watch(20, 2)
    rig.start('remover', 1, (k) => sys.madvise(k, rig.process, at(21), P, 4))
    rig.reader(20, 2)
    expect(rig.messages().map((m) => m.event)).toEqual([0x12, 0x15])
  })

  it('a fatal signal ends a blocking read with EINTR, a closed descriptor with EBADF', () => {
    const rig = new UffdRig({ gear }, 0, 0)
    const killed = rig.start('reader', 5, (k) => sys.uffdRead(k, rig.uffd, 32))
    const closed = rig.start('reader', 6, (k) => sys.uffdRead(k, rig.uffd, 32))
    rig.act((k) => sys.kill(k, killed.thread))
    rig.run()
    expect(killed.value?.ret).toBe(ERRNO.EINTR)
    expect(closed.done).toBe(false)
    rig.do((k) => sys.close(k, rig.uffd))
    rig.run()
    expect(closed.value?.ret).toBe(ERRNO.EBADF)
  })

  it('two blocked readers: one gets the message, the other sleeps on', () => {
    const rig = new UffdRig({ gear }, 0, 0)
    rig.watch(20, 1)
    const readers = [5, 6].map((n) => rig.start(`reader ${n}`, n, (k) => sys.uffdRead(k, rig.uffd, 32)))
    rig.reader(20)
    expect(readers.filter((r) => r.done)).toHaveLength(1)
  })
})

/** A toucher, a reader of one message, a placer: the toucher goes on. */
function refileRace(without: readonly 'uffd-refile-seq'[], seed: number): boolean {
  const rig = new UffdRig({ gear: 'step', seed, without })
  rig.watch(20, 1)
  rig.reader(20)
  rig.spawn('reader of messages', 2, (k) => sys.uffdRead(k, rig.uffd, 32))
  rig.spawn('placer', 3, (k) => sys.uffdioZeropage(k, rig.uffd, at(20), P, 0))
  return rig.run() === 'done'
}

describe('R53', () => {
  it('nobody is left asleep while a reader moves the fault from queue to queue', () => {
    expect(seedsWhere(500, (seed) => !refileRace([], seed))).toEqual([])
  })

  it('without refile_seq somebody is', () => {
    expect(firstSeed(500, (seed) => !refileRace(['uffd-refile-seq'], seed))).toBeGreaterThan(0)
  })
})
