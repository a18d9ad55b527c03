/**
 * Shared memory with a page cache: who sees what, what outlives a mapping, and userfaults on it: MISSING, MINOR with CONTINUE,
 * WP with markers. Rows 46 and 47 of the assertions (kernel.md 7.3).
 */
import { describe, expect, it } from 'vitest'
import { ERRNO, MADV_DONTNEED, MAP_PRIVATE, MAP_SHARED, type OpenFile, sys } from '../../core/machine/syscall.ts'
import { MARKER_UFFD_WP, makeMarker } from '../../core/mm/swapops.ts'
import { at, GEARS, P, seedsWhere } from './rig.ts'
import { all, MINOR, MISSING, refused, UffdRig, untouched, WP } from './uffd_rig.ts'

/** A file of 4 pages mapped at 20 as `mode` says, and once more at 40, shared and not watched. */
function sharing(gear: 'clock' | 'step', mode: number, features = 0): { rig: UffdRig; file: OpenFile } {
  const rig = new UffdRig({ gear }, features)
  const file = sys.memfdCreate(rig.process, 4 * P)
  for (const page of [20, 40]) rig.do((k) => sys.mmap(k, rig.process, 4 * P, 3, MAP_SHARED | 0x10, at(page), file))
  rig.map(2, 3, 4)
  rig.store(4, 7)
  if (mode !== 0) rig.register(20, 4, mode)
  return { rig, file }
}

function cont(rig: UffdRig, page: number, mode = 0) {
  return rig.do((k) => sys.uffdioContinue(k, rig.uffd, at(page), P, mode))
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('two mappings of one file share its pages; a child shares them too', () => {
    const { rig } = sharing(gear, 0)
    rig.store(20, 5)
    expect(rig.load(40)).toBe(5)
    const child = rig.fork()
    rig.store(40, 6, 2, child)
    expect(rig.load(20)).toBe(6)
    expect(rig.audit()).toBeNull()
  })

  it('MAP_SHARED|MAP_ANONYMOUS is shared with a child', () => {
    const rig = new UffdRig({ gear })
    rig.do((k) => sys.mmap(k, rig.process, P, 3, MAP_SHARED | 0x30, at(20)))
    const child = rig.fork()
    rig.store(20, 9, 2, child)
    expect(rig.load(20)).toBe(9)
  })

  it('a private mapping sees the file until it writes, and then its own copy', () => {
    const { rig, file } = sharing(gear, 0)
    rig.do((k) => sys.mmap(k, rig.process, 4 * P, 3, MAP_PRIVATE | 0x10, at(60), file))
    rig.store(20, 5)
    expect(rig.load(60)).toBe(5)
    rig.store(60, 6)
    rig.store(61, 7)
    expect([rig.load(20), rig.load(60), rig.load(21), rig.load(61)]).toEqual([5, 6, 0, 7])
    expect(rig.audit()).toBeNull()
  })

  it('the cache keeps a page after DONTNEED and after munmap, and drops it with the file', () => {
    const { rig, file } = sharing(gear, 0)
    rig.store(20, 5)
    rig.do((k) => sys.madvise(k, rig.process, at(20), P, MADV_DONTNEED))
    expect(rig.load(20)).toBe(5)
    for (const page of [20, 40]) rig.do((k) => sys.munmap(k, rig.process, at(page), 4 * P))
    expect(rig.kernel.pages.used).toBe(2)
    sys.closeFile(rig.process, file)
    expect(rig.kernel.pages.used).toBe(1)
  })

  it('beyond the end of the file is SIGBUS', () => {
    const { rig, file } = sharing(gear, 0)
    rig.do((k) => sys.mmap(k, rig.process, 8 * P, 3, MAP_SHARED | 0x10, at(60), file))
    expect(rig.reader(63).value?.signal).toBeNull()
    expect(rig.reader(64).value?.signal).toBe('SIGBUS')
  })

  it('MINOR: CONTINUE without a cached page is EFAULT, with one 0, again EEXIST; the message says 4 (row 46)', () => {
    const { rig } = sharing(gear, MINOR)
    expect(cont(rig, 20)).toEqual(refused('mapped', ERRNO.EFAULT))
    rig.store(40, 5)
    const reader = rig.reader(20)
    expect(rig.message()).toEqual({ event: 0x12, flags: 4, address: at(20), ptid: 0 })
    rig.store(40, 6)
    expect(cont(rig, 20)).toEqual(all('mapped', 1))
    expect(reader.value?.value).toBe(6)
    expect(cont(rig, 20)).toEqual(refused('mapped', ERRNO.EEXIST))
    rig.writer(21, 1)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
    expect(rig.load(41)).toBe(1)
    expect(rig.audit()).toBeNull()
  })

  it('CONTINUE with DONTWAKE leaves the waiter, with an unknown mode it is EINVAL', () => {
    const { rig } = sharing(gear, MINOR)
    rig.store(40, 5)
    const reader = rig.reader(20)
    expect(cont(rig, 20, 4)).toEqual(untouched(ERRNO.EINVAL))
    cont(rig, 20, 1)
    expect(reader.done).toBe(false)
    rig.wake(20)
    expect(reader.value?.value).toBe(5)
  })

  it('MISSING: ZEROPAGE 0, COPY EEXIST; after DONTNEED COPY is still EEXIST, because of the cache (row 47)', () => {
    const { rig } = sharing(gear, MISSING)
    const reader = rig.reader(20)
    expect(rig.message()).toMatchObject({ flags: 0 })
    expect(rig.zero(20)).toEqual(all('zeropage', 1))
    expect(reader.value?.value).toBe(0)
    expect(rig.frame(20)).not.toBe(0)
    expect(rig.copy(20, 4)).toEqual(refused('copy', ERRNO.EEXIST))
    expect(rig.copy(21, 4)).toEqual(all('copy', 1))
    expect(rig.load(41)).toBe(7)
    rig.do((k) => sys.madvise(k, rig.process, at(20), 2 * P, MADV_DONTNEED))
    expect(rig.pte(20)).toBe(0)
    expect(rig.copy(20, 4)).toEqual(refused('copy', ERRNO.EEXIST))
    expect(rig.reader(21).value?.value).toBe(7)
    expect(rig.audit()).toBeNull()
  })

  it('MISSING: a page that another mapping brought is there', () => {
    const { rig } = sharing(gear, MISSING)
    rig.store(40, 5)
    expect(rig.reader(20).value?.value).toBe(5)
    expect(rig.message()).toBe(ERRNO.EAGAIN)
  })

  it('COPY beyond the end of the file is EFAULT', () => {
    const { rig, file } = sharing(gear, 0)
    rig.do((k) => sys.mmap(k, rig.process, 8 * P, 3, MAP_SHARED | 0x10, at(60), file))
    rig.register(60, 8)
    expect(rig.copy(66, 4)).toEqual(refused('copy', ERRNO.EFAULT))
    expect(rig.audit()).toBeNull()
  })

  it('WP: protection of a page survives DONTNEED as a marker, which a munmap removes', () => {
    const { rig } = sharing(gear, WP)
    rig.store(20, 5)
    rig.protect(20, 2, 1)
    rig.do((k) => sys.madvise(k, rig.process, at(20), 2 * P, MADV_DONTNEED))
    expect([rig.pte(20), rig.pte(21)]).toEqual([makeMarker(MARKER_UFFD_WP), makeMarker(MARKER_UFFD_WP)])
    expect(rig.reader(20).value?.value).toBe(5)
    const writer = rig.writer(20, 6)
    expect(rig.message()).toMatchObject({ flags: 3 })
    rig.protect(20, 1, 0)
    expect(writer.done).toBe(true)
    expect(rig.load(40)).toBe(6)
    rig.do((k) => sys.munmap(k, rig.process, at(20), 4 * P))
    expect(rig.pte(21)).toBe(0)
  })
})

it('two first touches through two mappings meet in one page (300 schedules)', () => {
  const wrong = seedsWhere(300, (seed) => {
    const rig = new UffdRig({ gear: 'step', seed })
    const file = sys.memfdCreate(rig.process, P)
    for (const page of [20, 40]) rig.do((k) => sys.mmap(k, rig.process, P, 3, MAP_SHARED | 0x10, at(page), file))
    rig.spawn('a', 1, (k) => sys.store(k, rig.process, at(20), 1))
    rig.spawn('b', 2, (k) => sys.store(k, rig.process, at(40) + 4092, 2))
    if (rig.run() !== 'done' || rig.frame(20) !== rig.frame(40)) return true
    return rig.load(40) !== 1 || rig.kernel.pages.used !== 1 || rig.audit() !== null
  })
  expect(wrong).toEqual([])
})
