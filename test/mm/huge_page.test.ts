import { describe, expect, it } from 'vitest'
import { PTE_D, PTE_P, PTE_W, pmdHuge, ptePfn } from '../../core/hw/pte.ts'
import { clearHugePage, copyHugePage, hugeFirst, makeHugePmd } from '../../core/mm/huge_page.ts'
import { H, hugeRig } from './huge_rig.ts'

describe('a huge page', () => {
  it('begins at the multiple of 512 below', () => {
    expect([0, 511, 512, 1300].map(hugeFirst)).toEqual([0, 0, 512, 1024])
  })

  it('is mapped dirty, with the rights of its area', () => {
    const pmd = makeHugePmd(3 * H, PTE_P)
    expect([pmdHuge(pmd), ptePfn(pmd), pmd & (PTE_P | PTE_W | PTE_D)]).toEqual([true, 3 * H, PTE_P | PTE_D])
  })

  it('is copied and cleared page by page, and that costs what 512 pages cost', () => {
    const rig = hugeRig()
    const { phys } = rig.kernel
    for (let i = 0; i < H; i++) phys.words[(2 * H + i) * 2] = i + 1
    const spent = rig.call(function* (k) {
      yield* []
      const before = k.cpu.nowNs
      copyHugePage(k, rig.kernel, 3 * H, 2 * H)
      clearHugePage(k, rig.kernel, 2 * H)
      return k.cpu.nowNs - before
    })
    expect([phys.words[(3 * H + 300) * 2], phys.words[(2 * H + 300) * 2]]).toEqual([301, 0])
    const { clearPageNs, copyPageNs } = rig.kernel.preset
    expect(spent).toBe(H * (clearPageNs.value + copyPageNs.value))
  })
})
