/**
 * The kernel's own reach for user pages: it faults them in like user code, but what would be a signal is EFAULT.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO, MADV_POPULATE_READ, MADV_POPULATE_WRITE, sys } from '../../core/machine/syscall.ts'
import { at, GEARS, P } from './rig.ts'
import { UffdRig } from './uffd_rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('write(2) counts whole buffers, stops at the first page it cannot read, and is EFAULT if that is the first', () => {
    const rig = new UffdRig({ gear })
    rig.map(2, 3, 20)
    rig.map(1, 0, 22)
    const write = (address: number, length: number) => rig.do((k) => sys.write(k, rig.process, address, length))
    expect(write(at(20) + 100, P)).toBe(P)
    expect(write(at(20) + 100, 4 * P)).toBe(2 * P - 100)
    expect(write(at(22), 1)).toBe(ERRNO.EFAULT)
    expect(write(at(40), 1)).toBe(ERRNO.EFAULT)
    expect(write(0, 1)).toBe(ERRNO.EFAULT)
    expect(write(at(1023), 2 * P)).toBe(ERRNO.EFAULT)
  })

  it('process_vm_readv reads another process without a thread there', () => {
    const rig = new UffdRig({ gear })
    rig.map(2, 3, 20)
    const child = rig.fork()
    expect(rig.do((k) => sys.processVmReadv(k, child, at(20), 2 * P))).toBe(2 * P)
    expect(rig.do((k) => sys.processVmReadv(k, child, at(21), 2 * P))).toBe(P)
    expect(rig.audit()).toBeNull()
  })

  it('POPULATE_READ maps the zero page, POPULATE_WRITE pages of one’s own', () => {
    const rig = new UffdRig({ gear })
    rig.map(2, 3, 20)
    const advise = (page: number, advice: number) => rig.do((k) => sys.madvise(k, rig.process, at(page), P, advice))
    expect([advise(20, MADV_POPULATE_READ), advise(21, MADV_POPULATE_WRITE)]).toEqual([0, 0])
    expect([rig.frame(20), rig.frame(21) > 0]).toEqual([0, true])
    expect(advise(40, MADV_POPULATE_READ)).toBe(ERRNO.ENOMEM)
    rig.map(1, 1, 30)
    expect(advise(30, MADV_POPULATE_WRITE)).toBe(ERRNO.EINVAL)
  })

  it('a page that a userfault descriptor owes is waited for', () => {
    const rig = new UffdRig({ gear })
    rig.watch(20, 1)
    const populate = rig.start('populate', 1, (k) => sys.madvise(k, rig.process, at(20), P, MADV_POPULATE_READ))
    expect(populate.done).toBe(false)
    rig.zero(20)
    expect(populate.value).toBe(0)
  })
})
