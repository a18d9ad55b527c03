/**
 * A migration on the real kernel as rows: what was measured, and what the model had predicted, in the same unit.
 *
 * Names are QEMU's. Without a prediction there is what was measured alone.
 */
import type { KernelRunView } from '../../core/api/protocol.ts'
import { formatBytes, formatCount, formatMs } from '../format.ts'

export interface MeasuredRow {
  readonly name: string
  readonly measured: string
  readonly predicted: string | null
  /** Lengths of both bars, 0 to 1: of the longer of the two. */
  readonly measuredShare: number
  readonly predictedShare: number
  /** By how much the prediction is off, `+12 %`; null where there is none, or nothing was measured. */
  readonly off: string | null
}

type Migration = KernelRunView['report']['migration']

const FIGURES: readonly {
  readonly name: string
  of(migration: Migration): number
  spell(value: number): string
}[] = [
  { name: 'total-time', of: (m) => m['total-time'], spell: formatMs },
  { name: 'downtime', of: (m) => m.downtime, spell: formatMs },
  { name: 'transferred', of: ({ ram }) => ram.transferred, spell: formatBytes },
  { name: 'requests', of: ({ ram }) => ram['postcopy-requests'], spell: formatCount },
  { name: 'passes', of: ({ ram }) => ram['dirty-sync-count'], spell: formatCount },
]

export function measuredRows({ report }: KernelRunView): MeasuredRow[] {
  return FIGURES.map(({ name, of, spell }) => {
    const measured = of(report.migration)
    const predicted = report.predicted === null ? null : of(report.predicted.migration)
    const most = Math.max(measured, predicted ?? 0)
    const share = (value: number) => (most > 0 ? value / most : 0)
    return {
      name,
      measured: spell(measured),
      predicted: predicted === null ? null : spell(predicted),
      measuredShare: share(measured),
      predictedShare: share(predicted ?? 0),
      off: predicted === null || measured === 0 ? null : percent(predicted / measured - 1),
    }
  })
}

function percent(share: number): string {
  const rounded = Math.round(share * 100)
  return `${rounded > 0 ? '+' : rounded < 0 ? '−' : '±'}${Math.abs(rounded)} %`
}
