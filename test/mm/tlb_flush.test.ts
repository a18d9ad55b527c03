/**
 * TLB shootdown: after it returns no CPU that runs the mm has the translation; CPUs of other spaces are left alone; and in
 * the step gear it waits for CPUs with interrupts off.
 */
import { describe, expect, it } from 'vitest'
import { irqDisable, irqEnable } from '../../core/hw/ipi.ts'
import { Process } from '../../core/machine/process.ts'
import { mmapAnonymous } from '../../core/mm/mmap.ts'
import { FLUSH_CEILING, flushTlbPage, flushTlbRange } from '../../core/mm/tlb_flush.ts'
import { GEARS, P, Rig } from './rig.ts'

function cached(rig: Rig, n: number, page: number): boolean {
  return rig.cpu(n).mmu.tlb.where[page] !== 0
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a page is gone from the TLBs of all 4 CPUs of the mm, its neighbour is not', () => {
    const rig = new Rig({ gear })
    const a = rig.map(2)
    for (let n = 0; n < 4; n++) for (const p of [a, a + 1]) rig.store(p, n, n)
    rig.wakeCpus()
    rig.call((k) => flushTlbPage(k, rig.mm, a), 2)
    for (let n = 0; n < 4; n++) {
      expect(cached(rig, n, a)).toBe(false)
      expect(cached(rig, n, a + 1)).toBe(true)
    }
    expect(rig.kernel.ipis).toBe(3)
    expect(rig.kernel.shootdowns).toBe(1)
  })

  it.each([1, FLUSH_CEILING, FLUSH_CEILING + 1])(
    'a range of %i pages is gone everywhere; only above the ceiling is everything',
    (pages) => {
      const rig = new Rig({ gear })
      const a = rig.map(FLUSH_CEILING + 3)
      for (let n = 0; n < 2; n++) for (let p = 0; p < FLUSH_CEILING + 3; p++) rig.store(a + p, 1, n)
      rig.wakeCpus()
      rig.call((k) => flushTlbRange(k, rig.mm, a, a + pages))
      for (let n = 0; n < 2; n++) {
        for (let p = 0; p < pages; p++) expect(cached(rig, n, a + p)).toBe(false)
        expect(cached(rig, n, a + FLUSH_CEILING + 2)).toBe(pages <= FLUSH_CEILING)
      }
    },
  )

  it('an empty range costs nothing', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 1)
    rig.call((k) => flushTlbRange(k, rig.mm, a, a))
    expect(rig.kernel.shootdowns).toBe(0)
    expect(cached(rig, 0, a)).toBe(true)
  })

  it('a CPU that runs another space meanwhile keeps that space’s entry of the same page number', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.store(a, 1, 0)
    rig.store(a, 2, 1)
    const other = new Process(rig.machine)
    rig.call((k) => mmapAnonymous(k, other.mm, P), 1, other)
    rig.store(a, 3, 1, other)
    rig.call((k) => flushTlbPage(k, rig.mm, a), 0)
    expect(cached(rig, 1, a)).toBe(true)
    expect(rig.load(a, 1, other)).toBe(3)
    expect(rig.load(a, 1)).toBe(2)
  })
})

describe('acknowledgement', () => {
  it('the caller waits for a CPU with interrupts off, which keeps its entry until then', () => {
    const rig = new Rig({ gear: 'step' })
    const a = rig.map(1)
    rig.store(a, 1, 1)
    irqDisable(rig.cpu(1))
    const flush = rig.spawn('flush', 0, (k) => flushTlbPage(k, rig.mm, a))
    expect(rig.run()).toBe('deadlock')
    expect(flush.done).toBe(false)
    expect(cached(rig, 1, a)).toBe(true)
    irqEnable(rig.cpu(1))
    expect(rig.run()).toBe('done')
    expect(cached(rig, 1, a)).toBe(false)
  })

  it('in the clock gear the caller pays for sending and for the answer, each target for handling', () => {
    const rig = new Rig()
    const a = rig.map(1)
    for (let n = 0; n < 3; n++) rig.store(a, n, n)
    const { ipiSendNs, ipiHandleNs } = rig.cpu(0).preset
    rig.wakeCpus()
    const before = [0, 1, 2].map((n) => rig.cpu(n).nowNs)
    rig.call((k) => flushTlbPage(k, rig.mm, a), 0)
    const spent = [0, 1, 2].map((n) => rig.cpu(n).nowNs - (before[n] ?? 0))
    expect(spent[0]).toBeGreaterThanOrEqual(ipiSendNs.value + ipiHandleNs.value)
    expect(spent.slice(1)).toEqual([ipiHandleNs.value, ipiHandleNs.value])
  })
})
