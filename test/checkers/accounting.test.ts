/**
 * The accounting checks find what they are for: each planted fault of the books is named with its frame, by the check that
 * should, and right books pass all three.
 */
import { describe, expect, it } from 'vitest'
import { mapcountEqualsPtes, noFrameLeaks, rmapFindsEveryMapping } from '../../core/checkers/accounting.ts'
import { makePte, PTE_P } from '../../core/hw/pte.ts'
import { Rig } from '../mm/rig.ts'

function written(): { rig: Rig; a: number; pfn: number } {
  const rig = new Rig()
  const a = rig.map(4)
  for (let p = 0; p < 3; p++) rig.store(a + p, p + 1)
  rig.load(a + 3)
  return { rig, a, pfn: rig.frame(a + 1) }
}

function put(column: Int32Array, pfn: number, value: number): void {
  column[pfn] = value
}

const CHECKS = { mapcountEqualsPtes, rmapFindsEveryMapping, noFrameLeaks }

/** Which checks fail after `plant`, and what they say. */
function verdicts(plant: (rig: Rig, a: number, pfn: number) => void): Partial<Record<keyof typeof CHECKS, string>> {
  const { rig, a, pfn } = written()
  plant(rig, a, pfn)
  const wrong: Partial<Record<keyof typeof CHECKS, string>> = {}
  for (const [name, check] of Object.entries(CHECKS)) {
    const said = check([rig.process])
    if (said !== null) wrong[name as keyof typeof CHECKS] = said
  }
  return wrong
}

describe('right books', () => {
  it('pass, with written pages, zero pages, forks and copies', () => {
    expect(verdicts(() => {})).toEqual({})
    const { rig, a } = written()
    const child = rig.fork()
    rig.store(a, 9, 1, child)
    for (const check of Object.values(CHECKS)) expect(check([rig.process, child])).toBeNull()
  })

  it('of one process alone are wrong when another shares its pages', () => {
    const { rig } = written()
    rig.fork()
    expect(mapcountEqualsPtes([rig.process])).toMatch(/mapcount 2 != 1 ptes/)
  })
})

describe('planted', () => {
  it('a mapcount too high or too low is named with the frame', () => {
    for (const by of [1, -1]) {
      const wrong = verdicts((rig, _a, pfn) => {
        rig.kernel.pages.mapcount[pfn] = 1 + by
        rig.kernel.pages.refcount[pfn] = 5
      })
      expect(wrong.mapcountEqualsPtes).toBe(`mapcount ${1 + by} != 1 ptes (pfn 2)`)
    }
  })

  it('a refcount below the mapcount', () => {
    expect(verdicts((rig, _a, pfn) => put(rig.kernel.pages.refcount, pfn, 0)).mapcountEqualsPtes).toMatch(
      /refcount 0 < mapcount 1 \(pfn 2\)/,
    )
  })

  it('a second PTE of a page', () => {
    const wrong = verdicts((rig, a, pfn) => rig.kernel.tables.set(rig.mm.table.walkAllocate(a + 3), makePte(pfn, PTE_P)))
    expect(wrong.mapcountEqualsPtes).toMatch(/mapcount 1 != 2 ptes \(pfn 2\)/)
    expect(wrong.rmapFindsEveryMapping).toMatch(/index/)
  })

  it('a PTE that was lost', () => {
    const wrong = verdicts((rig, a) => rig.kernel.tables.set(rig.mm.table.walk(a + 1), 0))
    expect(wrong.mapcountEqualsPtes).toMatch(/mapcount 1 != 0 ptes \(pfn 2\)/)
  })

  it('an index that names another page', () => {
    const wrong = verdicts((rig, _a, pfn) => put(rig.kernel.pages.index, pfn, 77))
    expect(wrong).toEqual({ rmapFindsEveryMapping: expect.stringMatching(/index 77 != 2 \(pfn 2, page 2\)/) })
  })

  it('a page without an anon_vma', () => {
    const wrong = verdicts((rig, _a, pfn) => put(rig.kernel.pages.mapping, pfn, 0))
    expect(wrong.rmapFindsEveryMapping).toMatch(/without an anon_vma/)
  })

  it('an anon_vma that does not lead back', () => {
    const wrong = verdicts((rig, _a, pfn) => put(rig.kernel.pages.mapping, pfn, rig.kernel.anonVmas.allocate().index * 2 + 1))
    expect(wrong.rmapFindsEveryMapping).toMatch(/does not lead to the area/)
  })

  it('an edge that was dropped', () => {
    const wrong = verdicts((rig, a) => void rig.vma(a).anonVma?.chains.pop())
    expect(wrong.rmapFindsEveryMapping).toMatch(/does not lead to the area/)
  })

  it('a page mapped where there is no area', () => {
    const wrong = verdicts((rig, a) => rig.mm.tree.remove(rig.vma(a)))
    expect(wrong.rmapFindsEveryMapping).toMatch(/where there is no area/)
  })

  it('a frame that nobody maps', () => {
    const wrong = verdicts((rig) => void rig.kernel.pages.allocate(0))
    expect(wrong).toEqual({ noFrameLeaks: expect.stringMatching(/refcount 1 and no mapping/) })
  })

  it('a frame freed behind the allocator’s back', () => {
    const wrong = verdicts((rig, a, pfn) => {
      rig.kernel.tables.set(rig.mm.table.walk(a + 1), 0)
      rig.kernel.pages.mapcount[pfn] = 0
      rig.kernel.pages.refcount[pfn] = 0
    })
    expect(wrong).toEqual({ noFrameLeaks: '3 frames in use != 2 mapped' })
  })
})
