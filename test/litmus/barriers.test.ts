/**
 * The memory barriers, model by model: which memory shows that one is missing, and which does not.
 *
 * Every search covers all interleavings, so "verified" without a barrier says that this memory never needs it.
 */
import { describe, expect, it } from 'vitest'
import { searchDpor } from '../../core/explore/dpor.ts'
import { finish } from '../../core/explore/search.ts'
import { programOf } from '../../core/litmus/program.ts'
import { BARRIERS } from '../../core/litmus/tests/barriers.ts'
import { BARRIER_PROTECTIONS } from '../../core/mm/kconfig_barriers.ts'
import type { MemoryModel } from '../../core/sync/weak_memory.ts'

const MODELS: readonly MemoryModel[] = ['sc', 'tso', 'pso', 'pso+rl']

/** What is broken in one memory: an invariant, or null where every interleaving is clean. */
function broken(
  name: string,
  without: readonly (typeof BARRIER_PROTECTIONS)[number]['name'][],
  model: MemoryModel,
): string | null {
  const litmus = BARRIERS.find((l) => l.name === name)
  if (litmus === undefined) throw new Error(`no litmus test ${name}`)
  const verdict = finish(searchDpor(programOf(litmus, new Set(without), model)))
  expect(verdict.verdict).toBe(verdict.counterexample === null ? 'verified' : 'violation')
  return verdict.counterexample?.violation.invariant ?? null
}

describe('a barrier that is left out', () => {
  // In the order of MODELS.
  it.each([
    ['fault-against-split-pso', 'seq-begin-wmb', [null, null, 'I-RMAP', 'I-RMAP']],
    ['fault-against-mprotect-pso', 'seq-end-wmb', [null, null, 'I-PERM', 'I-PERM']],
    ['fault-against-split-rl', 'seq-rmb', [null, null, null, 'I-RMAP']],
    ['fault-against-placing-tso', 'uffd-sleep-mb', [null, 'I-WAIT', 'I-WAIT', 'I-WAIT']],
    ['fault-against-placing-pso', 'uffd-wake-mb', [null, null, 'I-WAIT', 'I-WAIT']],
  ] as const)('%s, %s: sc, tso, pso, pso+rl show %j', (name, without, expected) => {
    expect(MODELS.map((model) => broken(name, [without], model))).toEqual(expected)
  })

  it('is one of those tests for each barrier there is', () => {
    const tested = new Set(BARRIERS.flatMap((l) => l.protections))
    for (const { name } of BARRIER_PROTECTIONS) expect(tested).toContain(name)
  })
})

describe('with every barrier', () => {
  it.each(BARRIERS.map((l) => l.name))('%s is clean in its own memory and in every stronger one', (name) => {
    const own = BARRIERS.find((l) => l.name === name)?.memoryModel ?? 'sc'
    for (const model of MODELS.slice(0, MODELS.indexOf(own) + 1)) expect(broken(name, [], model)).toBeNull()
  })
})
