/**
 * What `conform` prints for people: a line for each disagreement, and one that sums up.
 *
 * Pairs with core/conform/report.ts, whose report is what scripts read.
 */
import type { ConformReport } from '../../conform/report.ts'

export function reportText({ on, kernel, cases, agreed, disagreed, skipped }: ConformReport, what = 'case'): string {
  const lines = disagreed.map(({ case: id, step, expected, model, kernel: answer }) => {
    const answers = [...(model === null ? [] : [`the model: ${model}`]), ...(answer === null ? [] : [`the kernel: ${answer}`])]
    return `${id} step ${step}: expected ${expected}; ${answers.join('; ')}\n`
  })
  const where = kernel === null ? '' : ` on ${on === 'both' ? 'the model and ' : ''}Linux ${kernel}`
  const parts = [
    `${agreed} of ${cases} ${what}${cases === 1 ? '' : 's'} agree${where}`,
    ...(disagreed.length > 0 ? [`${disagreed.length} disagree`] : []),
    ...(skipped.length > 0 ? [`${skipped.length} skipped (--json says why)`] : []),
  ]
  return `${lines.join('')}${parts.join(', ')}.\n`
}
