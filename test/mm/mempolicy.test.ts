/**
 * Policies: each area holds a reference, copies of an area share it, and it is freed with the last area that has it, on
 * every fault path.
 */
import { describe, expect, it } from 'vitest'
import { ERRNO } from '../../core/mm/errno.ts'
import { MADV_DONTFORK, madvise } from '../../core/mm/madvise.ts'
import { MPOL_BIND, MPOL_DEFAULT, MPOL_INTERLEAVE, mbind } from '../../core/mm/mempolicy.ts'
import { munmap } from '../../core/mm/mmap.ts'
import { at, GEARS, P, Rig } from './rig.ts'

describe.each(GEARS)('in the %s gear', (gear) => {
  it('mbind of a part splits the area; the default merges it again and frees the policy', () => {
    const rig = new Rig({ gear })
    const a = rig.map(6)
    rig.store(a + 2, 5)
    expect(rig.call((k) => mbind(k, rig.mm, at(a + 2), 2 * P, MPOL_BIND))).toBe(0)
    expect(rig.areas()).toEqual([
      [a, a + 2],
      [a + 2, a + 4],
      [a + 4, a + 6],
    ])
    const { policy } = rig.vma(a + 2)
    expect([policy?.refs, rig.vma(a).policy]).toEqual([1, null])
    expect(rig.call((k) => mbind(k, rig.mm, at(a), 6 * P, MPOL_DEFAULT))).toBe(0)
    expect(rig.areas()).toEqual([[a, a + 6]])
    expect(policy?.freed).toBe(true)
    expect(rig.load(a + 2)).toBe(5)
  })

  it('a split area shares its policy, which goes with the last part', () => {
    const rig = new Rig({ gear })
    const a = rig.map(2)
    rig.call((k) => mbind(k, rig.mm, at(a), 2 * P, MPOL_INTERLEAVE))
    const { policy } = rig.vma(a)
    rig.call((k) => madvise(k, rig.mm, at(a), P, MADV_DONTFORK))
    expect(rig.vma(a + 1).policy).toBe(policy)
    expect(policy?.refs).toBe(2)
    rig.call((k) => munmap(k, rig.mm, at(a), P))
    expect([policy?.refs, policy?.freed]).toEqual([1, false])
    rig.call((k) => munmap(k, rig.mm, at(a + 1), P))
    expect(policy?.freed).toBe(true)
  })

  it('two areas given equal policies by two calls are one again', () => {
    const rig = new Rig({ gear })
    const a = rig.map(2)
    rig.call((k) => mbind(k, rig.mm, at(a), P, MPOL_BIND))
    expect(rig.areas()).toHaveLength(2)
    rig.call((k) => mbind(k, rig.mm, at(a + 1), P, MPOL_BIND))
    expect(rig.areas()).toEqual([[a, a + 2]])
    expect(rig.vma(a).policy?.refs).toBe(1)
  })

  it('a child has its own reference', () => {
    const rig = new Rig({ gear })
    const a = rig.map(1)
    rig.call((k) => mbind(k, rig.mm, at(a), P, MPOL_BIND))
    const child = rig.fork()
    const { policy } = rig.vma(a)
    expect([rig.vma(a, child.mm).policy === policy, policy?.refs]).toEqual([true, 2])
  })
})

it.each([
  ['an unknown mode', 1, 1, 9, ERRNO.EINVAL],
  ['a hole in the range', 1, 4, MPOL_BIND, ERRNO.EFAULT],
  ['an empty range', 1, 0, MPOL_BIND, 0],
])('%s answers so and changes nothing', (_what, page, pages, mode, result) => {
  const rig = new Rig()
  rig.map(2)
  expect(rig.call((k) => mbind(k, rig.mm, at(page), pages * P, mode))).toBe(result)
  expect(rig.vma(1).policy).toBeNull()
})
