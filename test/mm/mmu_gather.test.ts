/**
 * mmu_gather: frames go back only when no TLB can reach them, a batch that is full is flushed in the middle, and one munmap
 * of many areas flushes once.
 */
import { describe, expect, it } from 'vitest'
import { MADV_DONTFORK, MADV_DONTNEED, madvise } from '../../core/mm/madvise.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { MmuGather } from '../../core/mm/mmu_gather.ts'
import { unmapPageRange } from '../../core/mm/zap.ts'
import { at, GEARS, P, Rig } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('a munmap of three areas flushes once', () => {
    const rig = new Rig({ gear })
    const a = rig.map(3)
    for (let p = 0; p < 3; p++) rig.store(a + p, p)
    rig.call((k) => madvise(k, rig.mm, at(a + 1), P, MADV_DONTFORK))
    expect(rig.areas()).toHaveLength(3)
    const before = rig.kernel.shootdowns
    rig.call((k) => munmap(k, rig.mm, at(a), 3 * P))
    expect(rig.kernel.shootdowns - before).toBe(1)
    expect(rig.kernel.pages.used).toBe(0)
  })

  it('a full batch is flushed and freed before more is unmapped', () => {
    const rig = new Rig({ gear, frames: 64 })
    const a = rig.map(10)
    for (let p = 0; p < 10; p++) rig.store(a + p, p, p % 2)
    const before = rig.kernel.shootdowns
    rig.call(function* (k) {
      yield* rig.mm.mmapLock.downRead(k)
      const gather = new MmuGather(rig.mm, 4)
      yield* unmapPageRange(k, gather, rig.vma(a), a, a + 10)
      expect(rig.kernel.pages.used).toBe(2)
      yield* gather.finish(k)
      rig.mm.mmapLock.upRead(k)
    })
    expect(rig.kernel.shootdowns - before).toBe(3)
    expect([rig.kernel.pages.used, rig.mm.rss]).toEqual([0, 0])
    expect(rig.audit()).toBeNull()
  })

  it('frees a page that only the swap cache would keep', () => {
    const rig = new Rig({ gear, swap: 4 })
    const a = rig.map(1)
    rig.store(a, 1)
    rig.evict(a)
    rig.load(a)
    expect(rig.kernel.swap.isCached(rig.frame(a))).toBe(true)
    rig.call((k) => madvise(k, rig.mm, at(a), P, MADV_DONTNEED))
    expect([rig.kernel.swap.used, rig.kernel.pages.used]).toEqual([0, 0])
  })
})

describe('a frame freed and given away while another CPU could write to it (R49)', () => {
  /** One thread writes all the time, one discards, and a stranger gets the frame. */
  const scenario: Scenario = (rig) => {
    const a = rig.map(1)
    rig.store(a, 1, 1)
    const other = rig.fork(2)
    const { pages, phys } = rig.kernel
    rig.call((k) => madvise(k, other.mm, at(a), P, MADV_DONTNEED), 2, other)
    rig.store(a, 1, 1)
    let wrong: string | null = null
    rig.spawn('writer', 1, function* (k) {
      for (let i = 0; i < 4; i++) yield* rig.process.writePage(k, a, { word0: 100 + i, word1: 100 + i, version: 1 })
    })
    rig.spawn('discard', 0, (k) => madvise(k, rig.mm, at(a), P, MADV_DONTNEED))
    rig.spawn(
      'stranger',
      2,
      function* (k) {
        const pfn = yield* other.touch(k, a, true)
        for (let i = 0; i < 12; i++) {
          phys.words[pfn * 2] = 5
          yield { kind: 'access', mode: 0, object: pfn, label: 'page.content' }
          if (phys.words[pfn * 2] !== 5) wrong = 'a stranger’s page was written'
        }
      },
      other,
    )
    return () => (pages.used > 0 ? wrong : 'no page')
  }

  it('does not happen (1000 schedules)', () => {
    expect(firstBreak(1000, {}, scenario)).toBeNull()
  })

  it('happens if frames are freed before the flush', () => {
    expect(firstBreak(4000, { without: ['zap-flush-before-free'] }, scenario)?.why).toContain('stranger')
  })
})
