/**
 * Lazy TLB mode, in the clock gear: a CPU whose threads all sleep is spared the interrupts of a shootdown, and flushes before user
 * code runs on it again, so that nobody ever uses a stale entry.
 */
import { describe, expect, it } from 'vitest'
import { tlbsMatchPageTables } from '../../core/checkers/tlb.ts'
import { type Proc, QUANTUM, SLEEP } from '../../core/engine/op.ts'
import type { Thread } from '../../core/hw/cpu.ts'
import { NEOVERSE_V2 } from '../../core/hw/presets/neoverse_v2.ts'
import { PTE_NONE } from '../../core/hw/pte.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { flushTlbPage } from '../../core/mm/tlb_flush.ts'
import { at, P, Rig } from './rig.ts'

const LONG_NS = 1_000_000

function* sleeps(k: Thread, ns: number): Proc<void> {
  k.wakeAtNs = k.nowNs + ns
  yield SLEEP
}

function isCached(rig: Rig, n: number, page: number): boolean {
  return rig.cpu(n).mmu.tlb.where[page] !== 0
}

/** What CPU 1 has of the page while its thread sleeps and when it goes on; CPU 0 does `body` in between. */
function acrossASleep(rig: Rig, page: number, body: (k: Thread) => Proc<unknown>) {
  const seen = { asleep: false, awake: false, ipis: 0, audit: '' as string | null }
  rig.spawn('sleeper', 1, function* (k) {
    yield* rig.process.writePage(k, page, { word0: 7, word1: 7, version: 1 })
    yield* sleeps(k, LONG_NS)
    seen.awake = isCached(rig, 1, page)
  })
  rig.spawn('flusher', 0, function* (k) {
    yield* sleeps(k, LONG_NS / 2)
    const before = rig.kernel.ipis
    yield* body(k)
    seen.asleep = isCached(rig, 1, page)
    seen.ipis = rig.kernel.ipis - before
    seen.audit = rig.audit()
  })
  expect(rig.run()).toBe('done')
  return seen
}

describe('a CPU whose thread sleeps', () => {
  it('is not interrupted, keeps its entry, and has none when the thread goes on', () => {
    const rig = new Rig()
    const a = rig.map(1)
    expect(acrossASleep(rig, a, (k) => flushTlbPage(k, rig.mm, a))).toEqual({ asleep: true, awake: false, ipis: 0, audit: null })
  })

  it('and that was spared nothing has kept its entry', () => {
    const rig = new Rig()
    const a = rig.map(1)
    expect(acrossASleep(rig, a, (k) => sleeps(k, 1)).awake).toBe(true)
  })

  it('is interrupted where page tables are freed: it could still walk into them', () => {
    const rig = new Rig()
    const a = rig.map(1)
    expect(acrossASleep(rig, a, (k) => munmap(k, rig.mm, at(a), P))).toEqual({
      asleep: false,
      awake: false,
      ipis: 1,
      audit: null,
    })
  })

  it('is reached all the same where the hardware needs no interrupts', () => {
    const rig = new Rig({ preset: NEOVERSE_V2 })
    const a = rig.map(1)
    expect(acrossASleep(rig, a, (k) => flushTlbPage(k, rig.mm, a))).toMatchObject({ asleep: false, ipis: 1 })
  })

  it('is not in lazy mode while another thread is ready there', () => {
    const rig = new Rig()
    const a = rig.map(1)
    rig.spawn('busy', 1, function* (k) {
      while (k.nowNs < 2 * LONG_NS) {
        k.cpu.nowNs += 1000
        yield QUANTUM
      }
    })
    expect(acrossASleep(rig, a, (k) => flushTlbPage(k, rig.mm, a))).toMatchObject({ asleep: false, awake: false, ipis: 1 })
  })
})

it('the checker leaves out a CPU that was spared a flush, and no other', () => {
  const rig = new Rig()
  const a = rig.map(1)
  rig.store(a, 1, 1)
  rig.call((k) => flushTlbPage(k, rig.mm, a), 0)
  rig.kernel.tables.set(rig.mm.table.walk(a), PTE_NONE)
  expect(tlbsMatchPageTables(rig.kernel)).toBeNull()
  rig.cpu(1).missedFlush = false
  expect(tlbsMatchPageTables(rig.kernel)).toBe(`CPU 1 has a stale entry for page ${a}`)
})
