/**
 * What a conformance run found, as the promise to scripts: schema pageferry.conform/1.
 *
 * `kernel` is the release that the cases ran on besides the model, or null; a disagreement's `kernel` is what it answered.
 */
import type { ConformCase } from './case.ts'
import { type MakeWorld, runCase } from './runner.ts'

export interface ConformReport {
  readonly schema: 'pageferry.conform/1'
  readonly on: 'model'
  readonly kernel: string | null
  /** Cases run. */
  readonly cases: number
  readonly agreed: number
  readonly disagreed: readonly ReportedDisagreement[]
  readonly skipped: readonly { readonly case: string; readonly why: string }[]
}

export interface ReportedDisagreement {
  readonly case: string
  readonly step: number
  readonly expected: string
  readonly model: string | null
  readonly kernel: string | null
}

/** Runs cases one by one and tells after each how many are done; the report is the generator's result. */
export function* conformOnModel(cases: readonly ConformCase[], makeWorld: MakeWorld): Generator<number, ConformReport, void> {
  const disagreed: ReportedDisagreement[] = []
  for (const [i, one] of cases.entries()) {
    const found = runCase(one, makeWorld)
    if (found !== null)
      disagreed.push({ case: one.id, step: found.step, expected: found.expected, model: found.found, kernel: null })
    yield i + 1
  }
  return {
    schema: 'pageferry.conform/1',
    on: 'model',
    kernel: null,
    cases: cases.length,
    agreed: cases.length - disagreed.length,
    disagreed,
    skipped: [],
  }
}
