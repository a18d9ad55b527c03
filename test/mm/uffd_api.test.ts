/**
 * The handshake: nothing works before it, a wrong one changes nothing and zeroes the struct, a right one reports everything
 * and works once. And who may have a descriptor at all. Rows 1 to 9 of the assertions (kernel.md 7.1).
 */
import { describe, expect, it } from 'vitest'
import { ERRNO, ioctlMask, O_CLOEXEC, O_NONBLOCK, POLLERR, sys, UFFD_FEATURE } from '../../core/machine/syscall.ts'
import { at, P } from './rig.ts'
import { UffdRig, untouched } from './uffd_rig.ts'

const ZEROED = { api: 0, features: 0n, ioctls: 0n }

function fresh(): { rig: UffdRig; uffd: ReturnType<UffdRig['raw']> } {
  const rig = new UffdRig()
  rig.map(4, 3, 20)
  return { rig, uffd: rig.raw() }
}

describe('before the handshake', () => {
  it('every ioctl is EINVAL and writes nothing (rows 1, 5)', () => {
    const { rig, uffd } = fresh()
    const p = rig.process
    const calls = [
      () => rig.do((k) => sys.uffdioRegister(k, uffd, at(20), P, 1)),
      () => rig.do((k) => sys.uffdioUnregister(k, uffd, at(20), P)),
      () => rig.do((k) => sys.uffdioWake(k, uffd, at(20), P)),
      () => rig.do((k) => sys.uffdioCopy(k, p, uffd, at(20), at(21), P, 0)),
      () => rig.do((k) => sys.uffdioZeropage(k, uffd, at(20), P, 0)),
      () => rig.do((k) => sys.uffdioContinue(k, uffd, at(20), P, 0)),
      () => rig.do((k) => sys.uffdioPoison(k, uffd, at(20), P, 0)),
      () => rig.do((k) => sys.uffdioWriteprotect(k, uffd, at(20), P, 1)),
      () => rig.do((k) => sys.uffdioMove(k, p, uffd, at(20), at(21), P, 0)),
    ]
    expect(calls.map((call) => call())).toEqual(calls.map(() => untouched(ERRNO.EINVAL)))
  })

  it('read is EINVAL and poll is POLLERR (row 6)', () => {
    const { rig, uffd } = fresh()
    expect(rig.message(uffd)).toBe(ERRNO.EINVAL)
    expect(sys.uffdPoll(uffd)).toBe(POLLERR)
  })
})

describe('UFFDIO_API', () => {
  it('with another number is EINVAL, the struct zeroed (row 2)', () => {
    const { rig, uffd } = fresh()
    expect(sys.uffdioApi(rig.process, uffd, 0xab, 0)).toEqual({ ret: ERRNO.EINVAL, fields: ZEROED })
  })

  it('with an unknown feature is EINVAL, and right afterwards works (row 3)', () => {
    const { rig, uffd } = fresh()
    expect(sys.uffdioApi(rig.process, uffd, 0xaa, 1n << 63n)).toEqual({ ret: ERRNO.EINVAL, fields: ZEROED })
    expect(sys.uffdioApi(rig.process, uffd, 0xaa, 1 << 17)).toEqual({ ret: ERRNO.EINVAL, fields: ZEROED })
    expect(sys.uffdioApi(rig.process, uffd, 0xaa, 0).ret).toBe(0)
  })

  it('reports all features, and REGISTER, UNREGISTER and API; only those asked for are on (row 4)', () => {
    const { rig, uffd } = fresh()
    const { ret, fields } = sys.uffdioApi(rig.process, uffd, 0xaa, UFFD_FEATURE.THREAD_ID)
    expect(ret).toBe(0)
    expect(fields).toEqual({ api: 0xaa, features: 0x1ffffn, ioctls: ioctlMask([0, 1, 63]) })
    expect(uffd.features).toBe(UFFD_FEATURE.THREAD_ID)
  })

  it('twice is EINVAL, and the first stays (row 5)', () => {
    const { rig } = fresh()
    expect(sys.uffdioApi(rig.process, rig.uffd, 0xaa, 0)).toEqual({ ret: ERRNO.EINVAL, fields: ZEROED })
    expect(rig.register(20, 4).ret).toBe(0)
  })

  it('with EVENT_FORK needs CAP_SYS_PTRACE', () => {
    const { rig, uffd } = fresh()
    rig.process.privileged = false
    expect(sys.uffdioApi(rig.process, uffd, 0xaa, UFFD_FEATURE.EVENT_FORK)).toEqual({ ret: ERRNO.EPERM, fields: ZEROED })
    rig.process.privileged = true
    expect(sys.uffdioApi(rig.process, uffd, 0xaa, UFFD_FEATURE.EVENT_FORK).ret).toBe(0)
  })

  it('with WP_ASYNC switches WP_UNPOPULATED on too', () => {
    const { rig, uffd } = fresh()
    sys.uffdioApi(rig.process, uffd, 0xaa, UFFD_FEATURE.WP_ASYNC)
    expect(uffd.wants(UFFD_FEATURE.WP_UNPOPULATED)).toBe(true)
  })
})

describe('userfaultfd(2)', () => {
  it('knows three flags; any other is EINVAL (row 9)', () => {
    const { rig } = fresh()
    for (let bit = 0; bit < 22; bit++) {
      const known = [1, O_NONBLOCK, O_CLOEXEC].includes(1 << bit)
      expect(typeof sys.userfaultfd(rig.process, 1 << bit)).toBe(known ? 'object' : 'number')
    }
    expect(sys.userfaultfd(rig.process, 2)).toBe(ERRNO.EINVAL)
  })

  it('without CAP_SYS_PTRACE is EPERM, but for user-mode-only, the sysctl, or the device', () => {
    const { rig } = fresh()
    rig.process.privileged = false
    expect(sys.userfaultfd(rig.process, 0)).toBe(ERRNO.EPERM)
    expect(typeof sys.userfaultfd(rig.process, 1)).toBe('object')
    expect(typeof sys.devUserfaultfd(rig.process, 0)).toBe('object')
    expect(sys.devUserfaultfd(rig.process, 2)).toBe(ERRNO.EINVAL)
    rig.kernel.unprivilegedUserfaultfd = true
    expect(typeof sys.userfaultfd(rig.process, 0)).toBe('object')
  })
})
