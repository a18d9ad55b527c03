/**
 * Layout events: who is told what and when, who is blocked until it is read, what becomes of registrations without the
 * feature. Rows 71 to 76 of the assertions (kernel.md 7.5); races R72, R74.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO, MADV_DONTNEED, MREMAP_MAYMOVE, sys, UFFD_FEATURE, type Userfaultfd } from '../../core/machine/syscall.ts'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import { at, firstSeed, GEARS, P, type RigOptions, seedsWhere } from './rig.ts'
import { all, refused, UffdRig } from './uffd_rig.ts'

/** Pages 4 to 7 hold 1 to 4; pages 20 to 23 are watched. */
function eventful(features: number, options: RigOptions = {}): UffdRig {
  const rig = new UffdRig(options, features)
  rig.map(4, 3, 4)
  for (let p = 0; p < 4; p++) rig.store(4 + p, p + 1)
  rig.watch(20, 4)
  return rig
}

function childOf(rig: UffdRig): Userfaultfd {
  const message = rig.message()
  if (typeof message === 'number' || message.event !== 0x13) throw new Error('no FORK message')
  return message.ufd
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('REMOVE: DONTNEED waits; COPY, MOVE and ZEROPAGE are EAGAIN; read, it is 0 and COPY works (row 71)', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_REMOVE, { gear })
    const remover = rig.start('remover', 1, (k) => sys.madvise(k, rig.process, at(20), 2 * P, MADV_DONTNEED))
    expect(remover.done).toBe(false)
    expect(rig.copy(20, 4)).toEqual(refused('copy', ERRNO.EAGAIN))
    expect(rig.move(20, 4)).toEqual(refused('move', ERRNO.EAGAIN))
    expect(rig.zero(20)).toEqual(refused('zeropage', ERRNO.EAGAIN))
    expect(rig.message()).toEqual({ event: 0x15, start: at(20), end: at(22) })
    rig.run()
    expect(remover.value).toBe(0)
    expect(rig.copy(20, 4)).toEqual(all('copy', 1))
  })

  it('without EVENT_REMOVE a page just becomes missing again', () => {
    const rig = eventful(0, { gear })
    rig.copy(20, 4)
    expect(rig.start('remover', 1, (k) => sys.madvise(k, rig.process, at(20), P, MADV_DONTNEED)).value).toBe(0)
    rig.reader(20)
    expect(rig.message()).toMatchObject({ event: 0x12 })
  })

  it('UNMAP: munmap waits; COPY is EAGAIN before and ENOENT after the read (row 72)', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_UNMAP, { gear })
    const unmapper = rig.start('unmapper', 1, (k) => sys.munmap(k, rig.process, at(20), 4 * P))
    expect(unmapper.done).toBe(false)
    expect(rig.copy(20, 4)).toEqual(refused('copy', ERRNO.EAGAIN))
    expect(rig.message()).toEqual({ event: 0x16, start: at(20), end: at(24) })
    rig.run()
    expect(unmapper.value).toBe(0)
    expect(rig.copy(20, 4)).toEqual(refused('copy', ERRNO.ENOENT))
  })

  it('UNMAP is sent for what MAP_FIXED replaces, too', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_UNMAP, { gear })
    const mapper = rig.start('mapper', 1, (k) => sys.mmap(k, rig.process, 2 * P, 3, 0x32, at(21)))
    expect(rig.message()).toEqual({ event: 0x16, start: at(21), end: at(23) })
    rig.run()
    expect(mapper.value).toBe(at(21))
  })

  it('REMAP: from, to and length; COPY to the old place is ENOENT, to the new one 0 (row 73)', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_REMAP, { gear })
    const mover = rig.start('mover', 1, (k) => sys.mremap(k, rig.process, at(20), 4 * P, 4 * P, 3, at(40)))
    expect(mover.done).toBe(false)
    expect(rig.copy(40, 4)).toEqual(refused('copy', ERRNO.EAGAIN))
    expect(rig.message()).toEqual({ event: 0x14, from: at(20), to: at(40), len: 4 * P })
    rig.run()
    expect(mover.value).toBe(at(40))
    expect(rig.copy(20, 4)).toEqual(refused('copy', ERRNO.ENOENT))
    expect(rig.copy(40, 4)).toEqual(all('copy', 1))
  })

  it('without EVENT_REMAP the moved area is not registered: COPY ENOENT, a touch reads 0 (row 74)', () => {
    const rig = eventful(0, { gear })
    rig.do((k) => sys.mremap(k, rig.process, at(20), 4 * P, 4 * P, 3, at(40)))
    expect(rig.copy(40, 4)).toEqual(refused('copy', ERRNO.ENOENT))
    expect(rig.reader(40).value?.value).toBe(0)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
  })

  it('REMAP comes before the UNMAP of the old place', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_REMAP | UFFD_FEATURE.EVENT_UNMAP, { gear })
    rig.start('mover', 1, (k) => sys.mremap(k, rig.process, at(20), 4 * P, 4 * P, MREMAP_MAYMOVE | 2, at(40)))
    const events = [rig.message(), rig.message()].map((m) => (typeof m === 'number' ? m : m.event))
    expect(events).toEqual([0x14, 0x16])
  })

  it('a shrinking mremap is an UNMAP of the tail, a growing one says nothing', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_REMAP | UFFD_FEATURE.EVENT_UNMAP, { gear })
    rig.start('shrinker', 1, (k) => sys.mremap(k, rig.process, at(20), 4 * P, 2 * P, 0))
    expect(rig.message()).toEqual({ event: 0x16, start: at(22), end: at(24) })
    rig.run()
    expect(rig.do((k) => sys.mremap(k, rig.process, at(20), 2 * P, 3 * P, 0))).toBe(at(20))
    rig.reader(22)
    expect(rig.message()).toMatchObject({ event: 0x12, address: at(22) })
  })

  it('without EVENT_FORK the child reads 0 and nobody is told (row 75)', () => {
    const rig = eventful(0, { gear })
    const child = rig.fork()
    expect(rig.reader(20, 1, child).value?.value).toBe(0)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
  })

  it('FORK: fork waits; the child’s touch comes on the child’s descriptor, COPY there fills the child only (row 76)', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_FORK, { gear })
    const forker = rig.start('forker', 1, (k) => sys.fork(k, rig.process))
    expect(forker.done).toBe(false)
    expect(rig.copy(20, 4)).toEqual(refused('copy', ERRNO.EAGAIN))
    const uffd = childOf(rig)
    rig.run()
    const child = forker.value
    if (child === undefined) throw new Error('fork did not return')
    const reader = rig.reader(21, 2, child)
    expect(rig.message(uffd)).toMatchObject({ event: 0x12, address: at(21) })
    expect(rig.copy(21, 5, 1, 0, uffd)).toEqual(all('copy', 1))
    expect(reader.value?.value).toBe(2)
    expect(rig.pte(21)).toBe(0)
    expect(rig.audit()).toBeNull()
  })

  it('close lets every mutator go on, and a child whose descriptor nobody read has none', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_FORK, { gear })
    const forker = rig.start('forker', 1, (k) => sys.fork(k, rig.process))
    rig.do((k) => sys.close(k, rig.uffd))
    rig.run()
    const child = forker.value
    if (child === undefined) throw new Error('fork did not return')
    expect(rig.reader(20, 2, child).value?.value).toBe(0)
  })

  it('a fatal signal lets the mutator go on, and COPY works again', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_REMOVE, { gear })
    const remover = rig.start('remover', 1, (k) => sys.madvise(k, rig.process, at(20), P, MADV_DONTNEED))
    rig.act((k) => sys.kill(k, remover.thread))
    rig.run()
    expect(remover.done).toBe(true)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
    expect(rig.copy(20, 4)).toEqual(all('copy', 1))
  })

  it('two mutators at once: mmap_changing counts both', () => {
    const rig = eventful(UFFD_FEATURE.EVENT_REMOVE, { gear })
    for (const n of [1, 2]) rig.start(`r${n}`, n, (k) => sys.madvise(k, rig.process, at(19 + n), P, MADV_DONTNEED))
    rig.message()
    expect(rig.copy(20, 4).ret).toBe(ERRNO.EAGAIN)
    rig.message()
    rig.run()
    expect(rig.copy(20, 4).ret).toBe(0)
  })
})

describe('R74', () => {
  /** The event was read; is the page gone? The answer of ZEROPAGE, tried until it is not EAGAIN. */
  function afterRemove(seed: number): { ret: number; missing: boolean } {
    const rig = eventful(UFFD_FEATURE.EVENT_REMOVE, { gear: 'step', seed })
    rig.copy(20, 4)
    rig.spawn('remover', 1, (k) => sys.madvise(k, rig.process, at(20), P, MADV_DONTNEED))
    const manager = rig.spawn('manager', 2, function* (k) {
      while ((yield* sys.uffdRead(k, rig.uffd, 32)).ret < 0) yield { kind: 'quantum' }
      for (;;) {
        const { ret } = yield* sys.uffdioZeropage(k, rig.uffd, at(20), P, 0)
        if (ret !== ERRNO.EAGAIN) return ret
        yield { kind: 'quantum' }
      }
    })
    rig.run()
    return { ret: manager.value ?? 1, missing: rig.pte(20) === 0 }
  }

  it('reading REMOVE does not mean removed: 0 and EEXIST both happen, and after EEXIST the page is missing (row 71b)', () => {
    const results = Array.from({ length: 300 }, (_, i) => afterRemove(i + 1))
    expect(new Set(results.map((r) => r.ret))).toEqual(new Set([0, ERRNO.EEXIST]))
    expect(results.every((r) => r.ret === 0 || r.missing)).toBe(true)
  })
})

describe('R72', () => {
  /** The registered area moves away and another registered one comes to its place; a manager that knows of neither places. */
  function misplaced(without: readonly ProtectionName[], seed: number): boolean {
    const rig = eventful(UFFD_FEATURE.EVENT_REMAP, { gear: 'step', seed, without })
    rig.spawn('mutator', 1, (k) => sys.mremap(k, rig.process, at(20), 4 * P, 4 * P, 3, at(40)))
    rig.spawn('newcomer', 3, function* (k) {
      if ((yield* sys.mmap(k, rig.process, P, 3, 0x100022, at(20))) < 0) return
      yield* sys.uffdioRegister(k, rig.uffd, at(20), P, 1)
    })
    const manager = rig.spawn('manager', 2, (k) => sys.uffdioCopy(k, rig.process, rig.uffd, at(20), at(4), P, 0))
    rig.run()
    // The event is unread: the manager cannot know what page 20 is now.
    return manager.value?.ret === 0 && rig.frame(20) > 0 && rig.vma(20).uffd === rig.uffd
  }

  it('nothing is placed at an address whose meaning changed and was not read', () => {
    expect(seedsWhere(500, (seed) => misplaced([], seed))).toEqual([])
  })

  it('without uffd-mmap-changing it is', () => {
    expect(firstSeed(500, (seed) => misplaced(['uffd-mmap-changing'], seed))).toBeGreaterThan(0)
  })
})
