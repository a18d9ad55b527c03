/**
 * What a conformance run found, as the promise to scripts: schema pageferry.conform/1.
 *
 * Cases run on the model, on a kernel, or on both, and each answer is held against what the case expects. A case that disagrees is
 * reported at its first wrong step, with what each side answered there. What does not apply to a side is skipped on it, with the reason.
 */
import { whyNotOnModel } from './applies.ts'
import type { ConformCase } from './case.ts'
import { type CaseResult, type MakeWorld, runningCase } from './runner.ts'

export type Side = 'model' | 'kernel' | 'both'

export interface ConformReport {
  readonly schema: 'pageferry.conform/1'
  readonly on: Side
  /** The release that the cases ran on besides the model, or null. */
  readonly kernel: string | null
  /** Cases looked at, the skipped ones too. */
  readonly cases: number
  readonly agreed: number
  readonly disagreed: readonly ReportedDisagreement[]
  readonly skipped: readonly Skipped[]
}

export interface Skipped {
  readonly case: string
  readonly why: string
}

export interface ReportedDisagreement {
  readonly case: string
  readonly step: number
  readonly expected: string
  /** What each answered at that step; null where it did not run, or was broken off before. */
  readonly model: string | null
  readonly kernel: string | null
}

/** A case on a kernel, as plain data: it may come from another process. */
export interface KernelRun extends CaseResult {
  readonly case: string
  /** Why it was not run, or null. */
  readonly skipped: string | null
}

export type CaseVerdict =
  | { readonly kind: 'agreed' }
  | { readonly kind: 'disagreed'; readonly disagreement: ReportedDisagreement }
  | { readonly kind: 'skipped'; readonly skipped: Skipped }

/** Null: it does not apply to the model. */
export function* runningOnModel(one: ConformCase, makeWorld: MakeWorld): Generator<void, CaseResult | null> {
  return whyNotOnModel(one) === null ? yield* runningCase(one, makeWorld) : null
}

/** Of a case that ran on one side or both. */
export function verdictOf(one: ConformCase, model: CaseResult | null, kernel: KernelRun | null): CaseVerdict {
  const found = [model, kernel].flatMap((result) => (result?.disagreement ? [result.disagreement] : []))
  const [first] = found.sort((a, b) => a.step - b.step)
  if (first === undefined) {
    // What one side skips was not compared, whatever the other says of it.
    const why = kernel?.skipped ?? (model === null ? whyNotOnModel(one) : null)
    return why === null ? { kind: 'agreed' } : { kind: 'skipped', skipped: { case: one.id, why } }
  }
  const { step, expected } = first
  const answerOf = (result: CaseResult | null) => {
    if (result === null) return null
    if (result.disagreement?.step === step) return result.disagreement.found
    return result.told.at(-1)?.[step - 1] ?? null
  }
  return {
    kind: 'disagreed',
    disagreement: { case: one.id, step, expected, model: answerOf(model), kernel: answerOf(kernel) },
  }
}

export function reportOf(on: Side, kernel: string | null, verdicts: readonly CaseVerdict[]): ConformReport {
  return {
    schema: 'pageferry.conform/1',
    on,
    kernel,
    cases: verdicts.length,
    agreed: verdicts.filter(({ kind }) => kind === 'agreed').length,
    disagreed: verdicts.flatMap((one) => (one.kind === 'disagreed' ? [one.disagreement] : [])),
    skipped: verdicts.flatMap((one) => (one.kind === 'skipped' ? [one.skipped] : [])),
  }
}
