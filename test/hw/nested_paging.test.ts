/**
 * Nested paging: how many entries a two-dimensional walk reads, what its caches save, how large its TLB entries are, and that it
 * finds the frames that a plain walk finds.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { Cpu } from '../../core/hw/cpu.ts'
import { type Accesses, translateBlock } from '../../core/hw/mmu_block.ts'
import { type GuestPageSize, NestedPaging } from '../../core/hw/nested_paging.ts'
import { PageTable, PageTablePool } from '../../core/hw/page_table.ts'
import type { CpuPreset, Sourced } from '../../core/hw/preset.ts'
import { CPU_PRESETS } from '../../core/hw/presets/catalog.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { HUGE_PAGES, makePte, PTE_A, PTE_D, PTE_P, PTE_PS, PTE_U, PTE_W } from '../../core/hw/pte.ts'
import { SMALL } from './threads.ts'

const RW = PTE_P | PTE_U | PTE_W
const RAM_PAGES = 8 * HUGE_PAGES
/** RAM does not begin at page 0 of the window. */
const RAM_PAGE = HUGE_PAGES
const WINDOW = RAM_PAGE + RAM_PAGES
const HEAD = 1 << 20
const MIB_2 = 2 ** 21
const GIB = 2 ** 30

const none: Sourced = { value: 0, kind: 'ours', source: 'a CPU that walks without a nested cache' }
const BARE: CpuPreset = { ...ZEN5, nestedPwcEntries: [none, none, none], nestedTlbEntries: none }

/** A guest on a host that maps all of RAM in pages of 4 KiB or 2 MiB; null: a guest without tables of its own. */
function guest(preset: CpuPreset, guestPageBytes: GuestPageSize | null, hostIsHuge: boolean, flags = RW): Cpu {
  const table = new PageTable(new PageTablePool())
  for (let page = RAM_PAGE; page < WINDOW; page++) {
    if (!hostIsHuge) table.pool.set(table.walkAllocate(page), makePte(HEAD + page, flags))
    else if (page % HUGE_PAGES === 0) table.pool.set(table.pmdSlotAllocate(page), makePte(HEAD + page, flags | PTE_PS))
  }
  const cpu = new Cpu(0, preset, WINDOW)
  cpu.mmu.load(table)
  if (guestPageBytes !== null) {
    cpu.mmu.nest(new NestedPaging(preset, WINDOW, { ramPage: RAM_PAGE, pages: RAM_PAGES, guestPageBytes, hostIsHuge }))
  }
  return cpu
}

/** Entries that the walk for RAM page `page` reads: all, and those that nesting adds. */
function refs(cpu: Cpu, page: number): [number, number] {
  const { walkRefs, nestedRefs } = cpu.mmu.counters
  cpu.mmu.translate(RAM_PAGE + page, false)
  return [cpu.mmu.counters.walkRefs - walkRefs, cpu.mmu.counters.nestedRefs - nestedRefs]
}

describe('a walk without nested caches', () => {
  // Guest levels, each read once and found by a host walk of 4 (3 on 2 MiB); then the host walk for the page.
  it.each<[GuestPageSize, boolean, number]>([
    [4096, false, 4 * (4 + 1) + 4],
    [MIB_2, false, 3 * (4 + 1) + 4],
    [GIB, false, 2 * (4 + 1) + 4],
    [4096, true, 4 * (3 + 1) + 3],
    [MIB_2, true, 3 * (3 + 1) + 3],
    [GIB, true, 2 * (3 + 1) + 3],
  ])('of guest pages of %i bytes, host in 2 MiB: %s, reads %i entries', (guestPageBytes, hostIsHuge, expected) => {
    const cpu = guest(BARE, guestPageBytes, hostIsHuge)
    expect(refs(cpu, 5)).toEqual([expected, expected - (hostIsHuge ? 3 : 4)])
  })

  it('reads 24 entries at most, of which the guest walk caches save what lies above a table they know', () => {
    const cpu = guest(BARE, 4096, false)
    // Same guest leaf table: its PTE, and the host's walk. Its neighbour's table: one more guest level of 5.
    expect([refs(cpu, 5), refs(cpu, 6), refs(cpu, HUGE_PAGES)]).toEqual([
      [24, 20],
      [1 + 4, 1],
      [1 + 5 + 4, 6],
    ])
  })

  it('takes the time of each read', () => {
    const one = guest(BARE, 4096, false)
    const plain = guest(BARE, null, false)
    one.mmu.translate(RAM_PAGE, false)
    plain.mmu.translate(RAM_PAGE, false)
    expect(one.nowNs).toBeGreaterThan(plain.nowNs)
    one.mmu.flushAll()
    plain.mmu.flushAll()
    const [oneNs, plainNs] = [one.nowNs, plain.nowNs]
    one.mmu.translate(RAM_PAGE, false)
    plain.mmu.translate(RAM_PAGE, false)
    // All lines are near by now.
    const nearNs = BARE.nearReadCycles.value / BARE.clockGHz.value
    expect([one.nowNs - oneNs, plain.nowNs - plainNs]).toEqual([24 * nearNs, 4 * nearNs])
  })
})

describe('nested caches', () => {
  it('serve a cold walk from its second host walk on', () => {
    const cpu = guest(ZEN5, 4096, false)
    // PML4: 4 + 1. PDPT, PD and PT beside it, in one host leaf table: 1 + 1 each. The page, another GiB of the host: 3.
    expect(refs(cpu, 5)).toEqual([5 + 3 * 2 + 3, 11])
  })

  it('leave two reads of a walk that all of them know: the guest PTE and the host PTE', () => {
    const cpu = guest(ZEN5, 4096, false)
    refs(cpu, 5)
    expect(refs(cpu, 6)).toEqual([2, 1])
  })

  it('remember where a guest table is, when the guest walk caches have forgotten it', () => {
    const cpu = guest(SMALL, 4096, false)
    for (const table of [0, 1, 2]) refs(cpu, table * HUGE_PAGES)
    // SMALL knows two leaf tables: the PD is read again, and the nested TLB has the table's page.
    expect(refs(cpu, 1)).toEqual([1 + 1 + 1, 2])
  })

  it('know nothing after a full flush', () => {
    const cpu = guest(ZEN5, 4096, false)
    const cold = refs(cpu, 5)
    cpu.mmu.flushAll()
    expect(refs(cpu, 5)).toEqual(cold)
  })
})

describe('a TLB entry covers the smaller of the two pages', () => {
  const walksOf = (guestPageBytes: GuestPageSize, hostIsHuge: boolean) => {
    const cpu = guest(ZEN5, guestPageBytes, hostIsHuge)
    for (let page = 0; page < HUGE_PAGES; page++) cpu.mmu.translate(RAM_PAGE + page, false)
    return cpu.mmu.counters.walks
  }

  it.each<[GuestPageSize, boolean, number]>([
    [4096, false, 512],
    [4096, true, 512],
    [MIB_2, false, 512],
    [GIB, false, 512],
    [MIB_2, true, 1],
    [GIB, true, 1],
  ])('guest pages of %i bytes, host in 2 MiB: %s: %i walks for 2 MiB', (guestPageBytes, hostIsHuge, walks) => {
    expect(walksOf(guestPageBytes, hostIsHuge)).toBe(walks)
  })

  it('a flush of 2 MiB drops every part of it, and nothing else', () => {
    const cpu = guest(ZEN5, 4096, true)
    const pages = [0, 7, 511, 512]
    for (const page of pages) cpu.mmu.translate(RAM_PAGE + page, true)
    cpu.mmu.flushPage(RAM_PAGE)
    const left: number[] = []
    cpu.mmu.tlb.entries((unit, _entry, level) => level === 1 && left.push(unit - RAM_PAGE))
    expect(left).toEqual([512])
  })

  it('a store to one part of a clean 2 MiB dirties it once', () => {
    const cpu = guest(ZEN5, 4096, true)
    const told: number[][] = []
    cpu.mmu.onDirty = (page, pages) => told.push([page - RAM_PAGE, pages])
    for (const page of [3, 4]) cpu.mmu.translate(RAM_PAGE + page, false)
    for (const page of [3, 4]) cpu.mmu.translate(RAM_PAGE + page, true)
    expect(told).toEqual([[0, HUGE_PAGES]])
  })
})

describe('a guest with tables of its own', () => {
  it.each(CPU_PRESETS.map((preset) => [preset.id, preset] as const))('on %s finds what one without finds', (_id, preset) => {
    const access = fc.tuple(fc.nat(RAM_PAGES - 1), fc.nat(9), fc.boolean())
    const sizes = fc.constantFrom<GuestPageSize>(4096, MIB_2, GIB)
    fc.assert(
      fc.property(fc.array(access, { maxLength: 60 }), sizes, fc.boolean(), fc.nat(99), (drawn, bytes, hostIsHuge, seed) => {
        const [nested, plain] = [guest(preset, bytes, hostIsHuge), guest(preset, null, hostIsHuge)]
        const prng = new Prng(seed)
        for (const [page, what, store] of drawn) {
          if (what === 9) for (const { mmu } of [nested, plain]) mmu.flushPage(RAM_PAGE + page)
          if (what === 8 && !hostIsHuge) {
            const flags = prng.below(2) === 0 ? 0 : PTE_P | PTE_U
            for (const { mmu } of [nested, plain]) {
              mmu.space?.pool.set(mmu.space.walk(RAM_PAGE + page), makePte(prng.below(HEAD), flags))
              mmu.flushAll()
            }
          }
          expect(nested.mmu.translate(RAM_PAGE + page, store) < 0).toBe(plain.mmu.translate(RAM_PAGE + page, store) < 0)
          if (what < 8) expect(nested.mmu.translate(RAM_PAGE + page, store)).toBe(plain.mmu.translate(RAM_PAGE + page, store))
        }
        expect(nested.mmu.counters.walkRefs).toBeGreaterThanOrEqual(plain.mmu.counters.walkRefs)
        expect(plain.mmu.counters.nestedRefs).toBe(0)
      }),
      { numRuns: 12 },
    )
  })

  it('runs in blocks as it does access by access', () => {
    const prng = new Prng(3)
    const list = Int32Array.from({ length: 20_000 }, () => prng.below(RAM_PAGES) * 4 + (prng.uint32() & 1))
    for (const hostIsHuge of [false, true]) {
      const [a, b] = [guest(SMALL, 4096, hostIsHuge, RW | PTE_A | PTE_D), guest(SMALL, 4096, hostIsHuge, RW | PTE_A | PTE_D)]
      const frames = new Int32Array(list.length)
      const accesses: Accesses = { list, frames, firstPage: RAM_PAGE, stepNs: 0, isFault: false }
      expect(translateBlock(a.mmu, accesses, 0, list.length, Number.POSITIVE_INFINITY)).toBe(list.length)
      expect([...frames]).toEqual(Array.from(list, (x) => b.mmu.translate(RAM_PAGE + (x >>> 2), (x & 1) !== 0)))
      expect([a.mmu.counters, a.nowNs]).toEqual([b.mmu.counters, b.nowNs])
    }
  })
})
