/**
 * translateBlock against translate: the same accesses, one by one and in blocks, must leave two MMUs in the same state.
 *
 * Streams meet every way out of the straight code: absent pages, read-only ones, clean ones, 2 MiB, tables no walk cache knows,
 * the end of the list and the end of the time.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../../core/base/prng.ts'
import { Cpu } from '../../core/hw/cpu.ts'
import { type Accesses, translateBlock } from '../../core/hw/mmu_block.ts'
import { PageTable, PageTablePool } from '../../core/hw/page_table.ts'
import type { CpuPreset } from '../../core/hw/preset.ts'
import { ZEN5 } from '../../core/hw/presets/zen5.ts'
import { HUGE_PAGES, makePte, PTE_A, PTE_D, PTE_P, PTE_PS, PTE_U, PTE_W } from '../../core/hw/pte.ts'
import { SMALL, WINDOW_PAGES } from './threads.ts'

/** SMALL with one way in both levels, and with sets in L1 and one set in L2. */
const DIRECT: CpuPreset = { ...SMALL, l1Ways: { ...SMALL.l1Ways, value: 1 }, l2Ways: { ...SMALL.l2Ways, value: 1 } }
const SETS: CpuPreset = { ...SMALL, l1Ways: { ...SMALL.l1Ways, value: 2 }, l2Ways: { ...SMALL.l2Ways, value: 16 } }

const RW = PTE_P | PTE_U | PTE_W

/** A CPU with a space of pages of every kind, `seed` says which; `huge`: some of it in pages of 2 MiB. */
function setUp(preset: CpuPreset, seed: number, huge: boolean): { cpu: Cpu; dirtied: number[] } {
  const table = new PageTable(new PageTablePool())
  const prng = new Prng(seed)
  const kinds = [RW | PTE_A | PTE_D, RW | PTE_A | PTE_D, RW, PTE_P | PTE_U | PTE_A, 0]
  for (let page = 0; page < WINDOW_PAGES; page++) {
    if (huge && page >>> 9 === 2) {
      if (page % HUGE_PAGES === 0) table.pool.set(table.pmdSlotAllocate(page), makePte(8192, RW | PTE_PS))
      continue
    }
    table.pool.set(table.walkAllocate(page), makePte(page + 1, kinds[prng.below(kinds.length)] ?? 0))
  }
  const cpu = new Cpu(0, preset, WINDOW_PAGES)
  const dirtied: number[] = []
  cpu.mmu.onDirty = (page) => dirtied.push(page)
  cpu.mmu.load(table)
  cpu.mmu.walked = new Uint8Array(WINDOW_PAGES)
  return { cpu, dirtied }
}

function runOneByOne(cpu: Cpu, list: Int32Array, stepNs: number): number[] {
  return Array.from(list, (access) => {
    const pfn = cpu.mmu.translate(access >>> 2, (access & 1) !== 0)
    if (pfn >= 0) cpu.nowNs += stepNs
    return pfn
  })
}

/** The first place of the TLB's columns in which two CPUs differ, or -1: contents, rings, ways used lately. */
function tlbDifference(a: Cpu, b: Cpu): number {
  return a.mmu.tlb.columns.findIndex((value, at) => value !== b.mmu.tlb.columns[at])
}

/** The first slot in which the page tables of two CPUs differ, or -1. */
function firstDifference(a: Cpu, b: Cpu): number {
  const other = b.mmu.space?.pool.entries
  return a.mmu.space?.pool.entries.findIndex((pte, slot) => pte !== other?.[slot]) ?? 0
}

/** A fault is skipped; a slice of time is followed by the next. */
function runInBlocks(cpu: Cpu, list: Int32Array, stepNs: number, sliceNs: number): number[] {
  const frames = new Int32Array(list.length)
  const accesses: Accesses = { list, frames, firstPage: 0, stepNs, isFault: false }
  let at = 0
  while (at < list.length) {
    at = translateBlock(cpu.mmu, accesses, at, list.length, cpu.nowNs + sliceNs)
    if (accesses.isFault) frames[at++] = -1
  }
  return Array.from(frames)
}

describe('a block of accesses', () => {
  it('does to TLBs, page tables, counters and clock what one access after the other does', () => {
    const stream = fc.array(fc.tuple(fc.nat(WINDOW_PAGES - 1), fc.nat(40), fc.boolean(), fc.boolean()), { maxLength: 300 })
    const presets = fc.constantFrom(SMALL, DIRECT, SETS)
    fc.assert(
      fc.property(stream, fc.nat(1000), fc.boolean(), presets, fc.constantFrom(3, 1000), (drawn, seed, huge, preset, sliceNs) => {
        const list = Int32Array.from(drawn, ([far, near, isNear, store]) => (isNear ? near : far) * 4 + (store ? 1 : 0))
        const a = setUp(preset, seed, huge)
        const b = setUp(preset, seed, huge)
        expect(runInBlocks(b.cpu, list, 2, sliceNs)).toEqual(runOneByOne(a.cpu, list, 2))
        expect(b.cpu.mmu.counters).toEqual(a.cpu.mmu.counters)
        expect(b.cpu.nowNs).toBe(a.cpu.nowNs)
        expect(tlbDifference(a.cpu, b.cpu)).toBe(-1)
        expect(b.dirtied).toEqual(a.dirtied)
        expect(b.cpu.mmu.walked).toEqual(a.cpu.mmu.walked)
        expect(firstDifference(a.cpu, b.cpu)).toBe(-1)
      }),
      { numRuns: 60 },
    )
  })

  it('agrees on 200,000 uniform accesses on a whole CPU', () => {
    const prng = new Prng(7)
    const list = Int32Array.from({ length: 200_000 }, () => prng.below(WINDOW_PAGES) * 4 + (prng.uint32() & 1))
    const a = setUp(ZEN5, 1, false)
    const b = setUp(ZEN5, 1, false)
    runOneByOne(a.cpu, list, 1)
    runInBlocks(b.cpu, list, 1, 10_000)
    expect(b.cpu.mmu.counters).toEqual(a.cpu.mmu.counters)
    expect(tlbDifference(a.cpu, b.cpu)).toBe(-1)
    expect(b.cpu.nowNs).toBe(a.cpu.nowNs)
  })

  it('stops after the access that ends the time, and does at least one', () => {
    const { cpu } = setUp(SMALL, 3, false)
    const table = cpu.mmu.space
    for (let page = 0; page < 4; page++) table?.pool.set(table.walkAllocate(page), makePte(page + 1, RW | PTE_A | PTE_D))
    const list = Int32Array.from([0, 1, 2, 3, 0, 1, 2, 3], (page) => page * 4)
    const accesses: Accesses = { list, frames: new Int32Array(8), firstPage: 0, stepNs: 100, isFault: false }
    // Once, so that only time between accesses passes afterwards.
    for (let page = 0; page < 4; page++) cpu.mmu.translate(page, false)
    const untilNs = cpu.nowNs + 250
    expect(translateBlock(cpu.mmu, accesses, 0, 8, untilNs)).toBe(3)
    expect(translateBlock(cpu.mmu, accesses, 3, 8, untilNs)).toBe(4)
    expect(translateBlock(cpu.mmu, accesses, 4, 8, Number.POSITIVE_INFINITY)).toBe(8)
    expect([...accesses.frames]).toEqual([1, 2, 3, 4, 1, 2, 3, 4])
  })
})
