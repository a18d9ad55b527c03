/**
 * An address space: addresses and pages convert both ways, and a CPU that runs it is in its mask once and sees its pages,
 * not those of the space it ran before.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Process } from '../../core/machine/process.ts'
import { addressOf, Mm, pageOfAddress, WINDOW_BASE } from '../../core/mm/mm.ts'
import { mmapAnonymous } from '../../core/mm/mmap.ts'
import { P, Rig } from './rig.ts'

describe('addresses', () => {
  it('of pages convert back to the page; all others are NaN', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 27 - 1), fc.integer({ min: 1, max: 4095 }), (page, offset) => {
        expect(pageOfAddress(addressOf(page))).toBe(page)
        expect(pageOfAddress(addressOf(page) + offset)).toBeNaN()
      }),
    )
    expect(pageOfAddress(WINDOW_BASE - P)).toBeNaN()
    expect(pageOfAddress(0)).toBeNaN()
  })
})

describe('CPUs', () => {
  it('are in the mask once, however often they run the mm', () => {
    const rig = new Rig()
    const k = rig.machine.makeThread('t')
    for (let i = 0; i < 3; i++) rig.mm.runOn(k)
    expect(rig.mm.cpus).toEqual([k.cpu])
    expect(k.cpu.mmu.space).toBe(rig.mm.table)
  })

  it('do not see the pages of the space they ran before', () => {
    const rig = new Rig()
    const page = rig.map(1)
    rig.store(page, 7)
    const other = new Process(rig.machine)
    rig.call((k) => mmapAnonymous(k, other.mm, P), 0, other)
    expect(rig.load(page, 0, other)).toBe(0)
    expect(rig.load(page, 0)).toBe(7)
  })

  it('two spaces have different ids, locks and tables', () => {
    const { kernel } = new Rig()
    const [a, b] = [new Mm(kernel, 16), new Mm(kernel, 16)]
    expect(a.id).not.toBe(b.id)
    expect(a.table.pgd).not.toBe(b.table.pgd)
    expect(a.mmapLock).not.toBe(b.mmapLock)
  })
})
