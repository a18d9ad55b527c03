/**
 * Write sections of areas: the traps of the patch of 2014 break at once where their cure is left out, and every call leaves
 * the counts of living areas even.
 */
import { describe, expect, it } from 'vitest'
import type { ProtectionName } from '../../core/mm/kconfig.ts'
import type { FaultPath } from '../../core/mm/kernel.ts'
import { mprotect, PROT_READ, PROT_WRITE } from '../../core/mm/mprotect.ts'
import { handlePageFault } from '../../core/mm/page_fault.ts'
import { VM_READ } from '../../core/mm/vma.ts'
import { at, failure, GEARS, P, Rig } from './rig.ts'

function rigWith(path: FaultPath, without: ProtectionName[] = [], gear: (typeof GEARS)[number] = 'step'): Rig {
  const rig = new Rig({ gear, without })
  rig.kernel.faultPath = path
  return rig
}

/** Splits an area, then merges it: the last merge has nothing behind it. */
function splitAndMerge(rig: Rig): void {
  const a = rig.map(4)
  rig.call((k) => mprotect(k, rig.mm, at(a + 2), 2 * P, PROT_READ))
  rig.call((k) => mprotect(k, rig.mm, at(a + 2), 2 * P, PROT_READ | PROT_WRITE))
}

const oddAreas = (rig: Rig) => rig.mm.tree.areas.filter((v) => (v.sequence.sequence & 1) !== 0 || v.sequence.writers > 0).length

describe('write sections', () => {
  it.each(GEARS)('leave every living area even, in the %s gear', (gear) => {
    for (const path of ['speculative', 'speculative-2014'] as const) {
      const rig = rigWith(path, [], gear)
      splitAndMerge(rig)
      expect(oddAreas(rig), path).toBe(0)
      expect(rig.areas()).toHaveLength(1)
      expect(rig.mm.tree.areas[0]?.sequence.sequence, path).toBeGreaterThan(0)
    }
  })

  it('cost nothing without speculation: the counts stand still', () => {
    const rig = rigWith('classic')
    splitAndMerge(rig)
    expect(rig.mm.tree.areas[0]?.sequence.sequence).toBe(0)
  })

  it('trap 1: ended after the area was freed, the end is a use after free', () => {
    expect(failure(() => splitAndMerge(rigWith('speculative-2014', ['vma-seq-end-before-free'])))).toMatch('use after free')
  })

  it('trap 2: without asking whether there is a next area, a section begins on none', () => {
    expect(failure(() => splitAndMerge(rigWith('speculative-2014', ['vma-seq-null-next'])))).toMatch('write section of no area')
  })

  it('trap 3: initialised when linked, an area that was linked odd stays odd with no writer', () => {
    const rig = rigWith('speculative', ['vma-seq-init-early'])
    rig.map(4)
    expect(oddAreas(rig)).toBe(1)
  })

  it('the handler of 2014 without a test of rights answers ok to a store that may not be', () => {
    const answers = ([] as ProtectionName[][]).concat([[], ['spec-access-check']]).map((without) => {
      const rig = rigWith('speculative-2014', without)
      const a = rig.map(2)
      rig.store(a, 1)
      rig.call((k) => mprotect(k, rig.mm, at(a), 2 * P, PROT_READ))
      expect(rig.vma(a).flags & VM_READ).not.toBe(0)
      return rig.call((k) => handlePageFault(k, rig.mm, a + 1, true))
    })
    expect(answers).toEqual(['sigsegv', 'ok'])
  })
})
