/**
 * A frame that fails: everybody who maps it loses it, gets a signal at the next touch, and nobody is ever given it again.
 */
import { describe, expect, it } from 'vitest'
import { SignalError } from '../../core/machine/process.ts'
import { ERRNO } from '../../core/mm/errno.ts'
import { memoryFailure } from '../../core/mm/memory_failure.ts'
import { zapPageRange } from '../../core/mm/zap.ts'
import { Rig } from './rig.ts'

const fails = (rig: Rig, page: number) => rig.call((k) => memoryFailure(k, rig.mm, page))

describe('memory that fails', () => {
  it('is SIGBUS for a load and for a store, also where the TLB still had it', () => {
    const rig = new Rig()
    const page = rig.map(2)
    rig.store(page, 7)
    rig.store(page + 1, 8)
    expect(fails(rig, page)).toBe(0)
    expect(() => rig.load(page)).toThrow(SignalError)
    expect(() => rig.store(page, 9)).toThrow(/SIGBUS/)
    expect(rig.load(page + 1)).toBe(8)
    expect(rig.audit()).toBeNull()
  })

  it('is taken from a child that shares it, too', () => {
    const rig = new Rig()
    const page = rig.map(1)
    rig.store(page, 7)
    const child = rig.fork()
    expect(fails(rig, page)).toBe(0)
    expect(() => rig.load(page, 1, child)).toThrow(/SIGBUS/)
    expect([rig.mm.rss, child.mm.rss]).toEqual([0, 0])
  })

  it('is given to nobody again: once unmapped, the page is another frame', () => {
    const rig = new Rig({ frames: 16 })
    const page = rig.map(8)
    rig.store(page, 7)
    const broken = rig.frame(page)
    expect(fails(rig, page)).toBe(0)
    rig.call(function* (k) {
      yield* rig.mm.mmapLock.downRead(k)
      yield* zapPageRange(k, rig.mm, rig.vma(page), page, page + 1)
      rig.mm.mmapLock.upRead(k)
    })
    for (let p = 0; p < 8; p++) rig.store(page + p, p)
    const frames = [0, 1, 2, 3, 4, 5, 6, 7].map((p) => rig.frame(page + p))
    expect(frames).not.toContain(broken)
    expect(rig.audit()).toBeNull()
  })

  it('needs a frame: EFAULT where nothing is mapped, EBUSY for the shared zero page', () => {
    const rig = new Rig()
    const page = rig.map(1)
    expect(fails(rig, page)).toBe(ERRNO.EFAULT)
    rig.load(page)
    expect(fails(rig, page)).toBe(ERRNO.EBUSY)
  })
})
