/**
 * The rest of the 2014 protocol, as user code meets it: sizes of reads and writes, flags, one descriptor a process, exact
 * addresses, poll, and the lock that the posted registration kept (kernel.md 1.3).
 */
import { describe, expect, it } from 'vitest'
import {
  ERRNO,
  MADV_USERFAULT,
  O_CLOEXEC,
  O_NONBLOCK,
  sys,
  UFFD_USER_MODE_ONLY,
  Userfaultfd2014,
} from '../../core/machine/syscall.ts'
import { at, GEARS, P, type RigOptions } from './rig.ts'
import { UffdRig } from './uffd_rig.ts'

const POLLIN = 1
const POLLOUT = 4

function open(rig: UffdRig, flags = O_NONBLOCK): Userfaultfd2014 {
  const uffd = sys.openUserfaultfd2014(rig.process, flags)
  if (typeof uffd === 'number') throw new Error(`userfaultfd answered ${uffd}`)
  return uffd
}

/** Userfault memory at 20 to 23, registered with a descriptor after its handshake; a page with 7 at 4. */
function armed(options: RigOptions = {}): { rig: UffdRig; uffd: Userfaultfd2014 } {
  const rig = new UffdRig(options)
  rig.map(1, 3, 4)
  rig.store(4, 7)
  rig.map(4, 3, 20)
  rig.do((k) => sys.madvise(k, rig.process, at(20), 4 * P, MADV_USERFAULT))
  const uffd = open(rig)
  rig.do((k) => uffd.write(k, 8, 0xaa))
  rig.do((k) => uffd.read(k, 8))
  expect(rig.do((k) => uffd.write(k, 16, ...Userfaultfd2014.range(20, 4, 'register')))).toBe(16)
  return { rig, uffd }
}

describe('sizes', () => {
  it('a read of fewer than 8 bytes and a write of fewer than 8, or 16 for a range, are EINVAL', () => {
    const rig = new UffdRig()
    const uffd = open(rig)
    expect(rig.do((k) => uffd.write(k, 7, 0xaa))).toBe(ERRNO.EINVAL)
    expect(rig.do((k) => uffd.write(k, 8, 0xaa))).toBe(8)
    expect(rig.do((k) => uffd.read(k, 7)).ret).toBe(ERRNO.EINVAL)
    expect(rig.do((k) => uffd.read(k, 8))).toEqual({ ret: 8, value: 0xaa })
    expect(rig.do((k) => uffd.write(k, 15, at(20), at(21)))).toBe(ERRNO.EINVAL)
  })

  it('nothing to read is EAGAIN on a nonblocking descriptor', () => {
    const { rig, uffd } = armed()
    expect(rig.do((k) => uffd.read(k, 8)).ret).toBe(ERRNO.EAGAIN)
  })
})

describe('opening', () => {
  it('knows O_CLOEXEC and O_NONBLOCK; any other flag is EINVAL', () => {
    const rig = new UffdRig()
    expect(typeof sys.openUserfaultfd2014(rig.process, O_CLOEXEC | O_NONBLOCK)).toBe('object')
    expect(sys.openUserfaultfd2014(rig.process, UFFD_USER_MODE_ONLY)).toBe(ERRNO.EINVAL)
  })

  it('in July a second one is EBUSY until the first is closed; in October there may be several', () => {
    const rig = new UffdRig()
    const first = sys.openUserfaultfd2014(rig.process, 0, 'july')
    if (typeof first === 'number') throw new Error('refused')
    expect(sys.openUserfaultfd2014(rig.process, 0, 'july')).toBe(ERRNO.EBUSY)
    expect(typeof sys.openUserfaultfd2014(rig.process, 0, 'october')).toBe('object')
    rig.do((k) => sys.close(k, first))
    expect(typeof sys.openUserfaultfd2014(rig.process, 0, 'july')).toBe('object')
  })
})

describe.each(GEARS)('faults in the %s gear', (gear) => {
  it('are read as the exact address; poll says POLLIN before and POLLOUT after the read', () => {
    const { rig, uffd } = armed({ gear })
    expect(uffd.poll()).toBe(0)
    const toucher = rig.start('toucher', 1, (k) => sys.load(k, rig.process, at(21) + 123))
    expect(uffd.poll()).toBe(POLLIN)
    expect(rig.do((k) => uffd.read(k, 8))).toEqual({ ret: 8, value: at(21) + 123 })
    expect(uffd.poll()).toBe(POLLOUT)
    rig.do((k) => sys.remapAnonPages(k, rig.process, at(21), at(4), P, 0))
    expect(rig.do((k) => uffd.write(k, 16, at(21), at(22)))).toBe(16)
    expect(toucher.value?.value).toBe(7)
    expect(uffd.poll()).toBe(0)
  })
})

describe('registering where no area is', () => {
  it('is ENOMEM, and the process goes on', () => {
    const { rig, uffd } = armed()
    expect(rig.do((k) => uffd.write(k, 16, at(90) + 1, at(91)))).toBe(ERRNO.ENOMEM)
    expect(rig.map(1)).toBeGreaterThan(0)
  })

  it('without uffd-2014-unlock it leaves mmap_lock held, as the series did', () => {
    const { rig, uffd } = armed({ without: ['uffd-2014-unlock'] })
    const register = () => rig.do((k) => uffd.write(k, 16, at(90) + 1, at(91)))
    // The lock checker may object at once; without it the next writer hangs.
    try {
      expect(register()).toBe(ERRNO.ENOMEM)
    } catch (e) {
      expect(String(e)).toMatch(/mmap_lock/)
    }
    expect(rig.mm.mmapLock.isHeld).toBe(true)
  })
})
