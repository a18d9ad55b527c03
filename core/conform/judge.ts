/**
 * Does a kernel's run of a random sequence agree with the model?
 *
 * One call after the other: each answer is the one that the case expects, which is the model's. Two at once: what the kernel showed in each
 * round is among what the model allows.
 */
import { AllowedOutcomes } from './allowed_outcomes.ts'
import { type ConformCase, isTogether } from './case.ts'
import type { ModelOptions } from './model_world.ts'
import type { CaseVerdict, KernelRun } from './report.ts'
import { toEnd } from './runner.ts'

export function judge(one: ConformCase, run: KernelRun, options: ModelOptions = {}): CaseVerdict {
  return toEnd(judging(one, run, options))
}

/** Yields now and then: to run all interleavings of two calls takes a while. */
export function* judging(one: ConformCase, run: KernelRun, options: ModelOptions = {}): Generator<void, CaseVerdict> {
  if (run.skipped !== null) return { kind: 'skipped', skipped: { case: one.id, why: run.skipped } }
  const { disagreement } = run
  if (disagreement !== null) {
    const { step, expected, found } = disagreement
    return disagreed(one, step, expected, `as expected`, found)
  }
  const pairAt = one.steps.findIndex(isTogether)
  if (pairAt < 0) return { kind: 'agreed' }
  const allowed = new AllowedOutcomes(one, options)
  for (const outcome of new Set(run.told.map((round) => allowed.outcomeOf(round)))) {
    const answer = yield* allowed.answering(outcome)
    if (answer === 'allowed') continue
    if (answer === 'unknown')
      return { kind: 'skipped', skipped: { case: one.id, why: `not all interleavings could be run in search of: ${outcome}` } }
    const [first = '', ...others] = allowed.seen
    return disagreed(one, pairAt + 1, 'an outcome of the model', [first, ...others.slice(0, 3)].join(' or '), outcome)
  }
  return { kind: 'agreed' }
}

function disagreed({ id }: ConformCase, step: number, expected: string, model: string, kernel: string): CaseVerdict {
  return { kind: 'disagreed', disagreement: { case: id, step, expected, model, kernel } }
}
