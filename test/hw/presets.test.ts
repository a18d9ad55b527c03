/**
 * The presets: every field says where it comes from, and a pointer chase over each CPU has its knees where the levels end.
 */
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { Cpu } from '../../core/hw/cpu.ts'
import { PageTable, PageTablePool } from '../../core/hw/page_table.ts'
import { type CpuPreset, PROVENANCES, type Sourced } from '../../core/hw/preset.ts'
import { CPU_PRESETS } from '../../core/hw/presets/catalog.ts'
import { makePte, PTE_A, PTE_D, PTE_P, PTE_U, PTE_W } from '../../core/hw/pte.ts'

const NAMES = ['zen5', 'zen2', 'skylake', 'golden-cove', 'neoverse-v2', 'apple-m1', 'this-vm']
const WINDOW = 16_384

function preset(id: string): CpuPreset {
  const found = CPU_PRESETS.find((p) => p.id === id)
  if (found === undefined) throw new Error(`no preset ${id}`)
  return found
}

function fields(p: CpuPreset): [string, Sourced][] {
  return Object.entries(p).flatMap(([name, value]): [string, Sourced][] =>
    typeof value === 'string'
      ? []
      : Array.isArray(value)
        ? value.map((v, i): [string, Sourced] => [`${name} ${i}`, v])
        : [[name, value]],
  )
}

/** Cycles of a dependent load, its translation included, over so many pages in an order drawn once. */
function chaseCycles(p: CpuPreset, pages: number): number {
  const table = new PageTable(new PageTablePool())
  for (let page = 0; page < pages; page++) {
    table.pool.set(table.walkAllocate(page), makePte(page + 1, PTE_P | PTE_W | PTE_U | PTE_A | PTE_D))
  }
  const cpu = new Cpu(0, p, WINDOW)
  cpu.mmu.load(table)
  const order = Array.from({ length: pages }, (_, page) => page)
  const prng = new Prng(1)
  for (let i = pages - 1; i > 0; i--) {
    const j = prng.below(i + 1)
    ;[order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0]
  }
  const lap = () => {
    const from = cpu.nowNs
    for (const page of order) cpu.mmu.translate(page, false)
    return cpu.nowNs - from
  }
  lap()
  lap()
  return p.accessCycles.value + (lap() / pages) * p.clockGHz.value
}

describe('the presets', () => {
  it('are the seven that the contract of the command line names', () => {
    expect(CPU_PRESETS.map(({ id }) => id)).toEqual(NAMES)
    expect(new Set(CPU_PRESETS.map(({ name }) => name)).size).toBe(NAMES.length)
  })

  it.each(NAMES)('%s has a number, a kind and a source in every field', (id) => {
    for (const [name, { value, kind, source }] of fields(preset(id))) {
      expect(Number.isFinite(value) && value >= 0, name).toBe(true)
      expect(PROVENANCES, name).toContain(kind)
      expect(source.length, name).toBeGreaterThan(3)
    }
  })

  it.each(NAMES)('%s: what fits L1 costs an access, what fits L2 the penalty more, what fits neither a walk', (id) => {
    const p = preset(id)
    const [inL1, inL2, beyond] = [Math.floor(p.l1Entries.value * 0.9), p.l2Entries.value / 2, p.l2Entries.value * 2]
    expect(chaseCycles(p, inL1)).toBeCloseTo(p.accessCycles.value)
    expect(chaseCycles(p, inL2)).toBeCloseTo(p.accessCycles.value + p.l2PenaltyCycles.value, 0)
    expect(chaseCycles(p, beyond)).toBeGreaterThan(p.accessCycles.value + p.nearReadCycles.value * 0.9)
  })

  it('Zen 5 goes from 4 to 11 cycles between 88 and 104 pages, as measured', () => {
    expect(chaseCycles(preset('zen5'), 88)).toBe(4)
    expect(chaseCycles(preset('zen5'), 104)).toBeCloseTo(11)
    expect(chaseCycles(preset('zen5'), 256)).toBeCloseTo(11)
  })

  it('128 pages fit the first level of Apple alone', () => {
    const hits = NAMES.filter((id) => Math.abs(chaseCycles(preset(id), 128) - preset(id).accessCycles.value) < 0.1)
    expect(hits).toEqual(['apple-m1'])
  })

  it('a virtual machine pays more for an IPI and a wake-up than the same CPU without', () => {
    const [vm, metal] = [preset('this-vm'), preset('zen5')]
    expect(vm.ipiSendNs.value + vm.ipiHandleNs.value).toBe(12_000)
    expect(vm.wakeupNs.value).toBeGreaterThan(10 * metal.wakeupNs.value)
    expect(vm.faultNs.value + vm.allocPageNs.value + vm.clearPageNs.value).toBe(1400)
  })
})
