import { describe, expect, it } from 'vitest'
import { Cpu } from '../../core/hw/cpu.ts'
import { PageTable, PageTablePool } from '../../core/hw/page_table.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { HUGE_PAGES, makePte, PTE_A, PTE_D, PTE_P, PTE_PS, PTE_U, PTE_W } from '../../core/hw/pte.ts'

const RIGHTS = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D
const WINDOW = 8 * HUGE_PAGES
const HEAD = 10 * HUGE_PAGES

/** 2 MiB at once from page 512 on, and small pages from page 0 on, up to 512. */
function machine(flags = RIGHTS): { cpu: Cpu; table: PageTable } {
  const table = new PageTable(new PageTablePool())
  for (let page = 0; page < HUGE_PAGES; page++) table.pool.set(table.walkAllocate(page), makePte(page + 1, RIGHTS))
  table.pool.set(table.pmdSlotAllocate(HUGE_PAGES), makePte(HEAD, flags | PTE_PS))
  const cpu = new Cpu(0, ZEN5, WINDOW)
  cpu.mmu.load(table)
  return { cpu, table }
}

describe('a walk of a huge PMD', () => {
  it('reads one table fewer than that of a small page', () => {
    const { cpu } = machine()
    const refs = (page: number) => {
      cpu.mmu.flushAll()
      const before = cpu.mmu.counters.walkRefs
      cpu.mmu.translate(page, false)
      return cpu.mmu.counters.walkRefs - before
    }
    expect([refs(5), refs(HUGE_PAGES + 5)]).toEqual([4, 3])
  })

  it('answers with the frame inside the 2 MiB', () => {
    const { cpu } = machine()
    expect([0, 1, 511].map((i) => cpu.mmu.translate(HUGE_PAGES + i, true))).toEqual([HEAD, HEAD + 1, HEAD + 511])
  })

  it('sets A, and D at the first store only, and tells of all 512 pages', () => {
    const { cpu, table } = machine(PTE_P | PTE_W | PTE_U)
    const slot = table.pmdSlot(HUGE_PAGES)
    const told: number[][] = []
    cpu.mmu.onDirty = (page, pages) => told.push([page, pages])
    cpu.mmu.translate(HUGE_PAGES + 9, false)
    expect(table.pool.get(slot) & (PTE_A | PTE_D)).toBe(PTE_A)
    cpu.mmu.translate(HUGE_PAGES + 9, true)
    cpu.mmu.translate(HUGE_PAGES + 10, true)
    expect([table.pool.get(slot) & PTE_D, told]).toEqual([PTE_D, [[HUGE_PAGES, HUGE_PAGES]]])
  })

  it('faults where the PMD forbids the store, or lost its P bit', () => {
    const { cpu, table } = machine(PTE_P | PTE_U | PTE_A)
    expect([cpu.mmu.translate(HUGE_PAGES, false), cpu.mmu.translate(HUGE_PAGES, true)]).toEqual([HEAD, -1])
    table.pool.set(table.pmdSlot(HUGE_PAGES), makePte(HEAD, PTE_PS))
    cpu.mmu.flushAll()
    expect(cpu.mmu.translate(HUGE_PAGES, false)).toBe(-1)
  })
})

describe('a TLB entry of 2 MiB', () => {
  it('serves all of its pages', () => {
    const { cpu } = machine()
    for (let i = 0; i < HUGE_PAGES; i++) cpu.mmu.translate(HUGE_PAGES + i, true)
    expect([cpu.mmu.counters.walks, cpu.mmu.counters.l1Hits]).toEqual([1, HUGE_PAGES - 1])
  })

  it('is dropped by a flush of any of its pages, and of no other', () => {
    const { cpu } = machine()
    cpu.mmu.translate(HUGE_PAGES, true)
    expect([cpu.mmu.flushPage(511), cpu.mmu.flushPage(2 * HUGE_PAGES)]).toEqual([false, false])
    expect([cpu.mmu.flushPage(HUGE_PAGES + 77), cpu.mmu.flushPage(HUGE_PAGES)]).toEqual([true, false])
  })

  it('is left stale by a flush that is forgotten', () => {
    const { cpu, table } = machine()
    cpu.mmu.translate(HUGE_PAGES, true)
    table.pool.set(table.pmdSlot(HUGE_PAGES), 0)
    expect(cpu.mmu.translate(HUGE_PAGES + 3, true)).toBe(HEAD + 3)
  })

  it('shares the slots of L1 with small ones, least recently used first', () => {
    const { cpu } = machine()
    cpu.mmu.translate(HUGE_PAGES, false)
    for (let page = 0; page < ZEN5.l1Entries.value; page++) cpu.mmu.translate(page, false)
    const { walks, l2Hits } = cpu.mmu.counters
    cpu.mmu.translate(HUGE_PAGES + 1, false)
    expect([cpu.mmu.counters.walks - walks, cpu.mmu.counters.l2Hits - l2Hits]).toEqual([0, 1])
  })
})

describe('tables with a huge PMD', () => {
  it('have no slot there, and say what maps each page', () => {
    const { table } = machine()
    expect([table.walk(HUGE_PAGES), table.walkAllocate(HUGE_PAGES), table.node(HUGE_PAGES, 1)]).toEqual([-1, -1, 0])
    expect([table.lookup(HUGE_PAGES + 3), table.lookup(3), table.lookup(3 * HUGE_PAGES)]).toEqual([
      makePte(HEAD + 3, RIGHTS),
      makePte(4, RIGHTS),
      0,
    ])
  })

  it('are visited apart from leaf tables', () => {
    const { table } = machine()
    const leaves: number[] = []
    const huge: number[] = []
    table.forEachLeaf((_node, first) => leaves.push(first))
    table.forEachHuge((_pmd, _slot, first) => huge.push(first))
    expect([leaves, huge]).toEqual([[0], [HUGE_PAGES]])
  })
})
