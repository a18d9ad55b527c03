/**
 * Merging equal pages: two address spaces share one frame until one writes; the reverse map finds both and their children;
 * nothing that is written meanwhile is lost, and a remap cannot carry a page off while it is being merged.
 */
import { describe, expect, it } from 'vitest'
import { PTE_W } from '../../core/hw/pte.ts'
import type { Process } from '../../core/machine/process.ts'
import { ksmMerge, type MergeResult } from '../../core/mm/ksm.ts'
import { exitMmap } from '../../core/mm/mmap.ts'
import { remapAnonPages } from '../../core/mm/remap_anon_pages.ts'
import { pageReferenced } from '../../core/mm/rmap_walk.ts'
import { at, GEARS, P, Rig, type RigOptions } from './rig.ts'
import { firstBreak, type Scenario } from './search.ts'

const A = 4

/** Two unrelated processes, each with a page of its own at A. */
function two(options: RigOptions, first: number, second: number): { rig: Rig; other: Process } {
  const rig = new Rig(options)
  return { rig, other: strangerWith(rig, first, second) }
}

function strangerWith(rig: Rig, first: number, second: number): Process {
  rig.place(A, 1)
  const other = rig.fork()
  rig.store(A, first)
  rig.store(A, second, 0, other)
  return other
}

function merge(rig: Rig, other: Process): MergeResult {
  return rig.call((k) => ksmMerge(k, rig.kernel, { mm: rig.mm, page: A }, { mm: other.mm, page: A }))
}

describe.each(GEARS)('in the %s gear', (gear) => {
  it('two equal pages become one, read-only, found from both sides', () => {
    const { rig, other } = two({ gear }, 5, 5)
    expect(merge(rig, other)).toBe('merged')
    expect(rig.frame(A)).toBe(rig.frame(A, other.mm))
    expect((rig.pte(A) | rig.pte(A, other.mm)) & PTE_W).toBe(0)
    expect(rig.kernel.pages.isKsm(rig.frame(A))).toBe(true)
    expect(rig.kernel.pages.used).toBe(1)
    expect(rig.audit()).toBeNull()
    expect(rig.call((k) => pageReferenced(k, rig.kernel, rig.frame(A), false)).found).toBe(2)
  })

  it('a store copies, and the other still sees what was merged', () => {
    const { rig, other } = two({ gear }, 5, 5)
    merge(rig, other)
    rig.store(A, 6, 1, other)
    expect([rig.load(A), rig.load(A, 1, other)]).toEqual([5, 6])
    rig.store(A, 7)
    expect([rig.load(A), rig.load(A, 1, other)]).toEqual([7, 6])
    expect(rig.audit()).toBeNull()
  })

  it('different pages stay two and keep their content', () => {
    const { rig, other } = two({ gear }, 5, 6)
    expect(merge(rig, other)).toBe('differ')
    expect([rig.load(A), rig.load(A, 1, other)]).toEqual([5, 6])
    rig.store(A, 7)
    expect(rig.load(A)).toBe(7)
    expect(rig.audit()).toBeNull()
  })

  it('a child that forks a merged page is found too; everything is freed in the end', () => {
    const { rig, other } = two({ gear }, 5, 5)
    merge(rig, other)
    const child = rig.fork(0, other)
    expect(rig.call((k) => pageReferenced(k, rig.kernel, rig.frame(A), false)).found).toBe(3)
    for (const { mm } of [rig.process, other, child]) rig.call((k) => exitMmap(k, mm))
    expect(rig.kernel.pages.used).toBe(0)
    rig.call((k) => rig.kernel.ksm.prune(k, rig.kernel))
    expect([rig.kernel.ksm.nodes.size, rig.kernel.anonVmas.live]).toEqual([0, 0])
  })
})

it('a page that somebody has a reference on is not merged', () => {
  const { rig, other } = two({}, 5, 5)
  rig.kernel.pages.get(rig.frame(A))
  expect(merge(rig, other)).toBe('busy')
  rig.kernel.pages.put(rig.frame(A))
  expect(merge(rig, other)).toBe('merged')
})

it('a place without a page answers so', () => {
  const rig = new Rig()
  rig.place(A, 1)
  expect(merge(rig, rig.process)).toBe('no page')
})

describe('a store during the merge', () => {
  const scenario: Scenario = (rig) => {
    const other = strangerWith(rig, 5, 5)
    rig.spawn('ksmd', 0, (k) => ksmMerge(k, rig.kernel, { mm: rig.mm, page: A }, { mm: other.mm, page: A }))
    rig.spawn('store', 1, (k) => other.writePage(k, A, { word0: 6, word1: 6, version: 6 }), other)
    return () => rig.audit() ?? (rig.load(A, 1, other) === 6 && rig.load(A) === 5 ? null : 'the store is lost')
  }

  it('is never lost (1000 schedules)', () => {
    expect(firstBreak(1000, {}, scenario)).toBeNull()
  })

  it('is lost if the pages are compared before they are write-protected', () => {
    expect(firstBreak(3000, { without: ['ksm-write-protect'] }, scenario)?.why).toBe('the store is lost')
  })
})

describe('a remap during the merge (R29)', () => {
  const scenario: Scenario = (rig) => {
    const other = strangerWith(rig, 5, 5)
    rig.place(A + 4, 1)
    rig.spawn('ksmd', 0, (k) => ksmMerge(k, rig.kernel, { mm: rig.mm, page: A }, { mm: other.mm, page: A }))
    rig.spawn('remap', 1, function* (k) {
      if ((yield* remapAnonPages(k, rig.mm, at(A + 4), at(A), P, 0)) !== P) return
      yield* rig.process.writePage(k, A + 4, { word0: 9, word1: 9, version: 9 })
    })
    return () => (rig.load(A, 2, other) === 5 ? rig.audit() : 'a stranger sees the store')
  }

  it('moves the page or finds it busy, and no stranger sees a store (1500 schedules)', () => {
    expect(firstBreak(1500, {}, scenario)).toBeNull()
  })

  it('breaks without the page lock', () => {
    expect(firstBreak(4000, { without: ['remap-page-lock'] }, scenario)).not.toBeNull()
  })
})
