/**
 * What was measured on the real kernel beside what the model had predicted: same units, bars to one scale, and how far off.
 */
import { describe, expect, it } from 'vitest'
import type { KernelRunView } from '../../../core/api/protocol.ts'
import { measuredRows } from '../../../renderer/panels/measured.ts'

const migration = (total: number, requests: number) => ({
  'total-time': total,
  downtime: 5,
  ram: { transferred: 2 ** 20, 'postcopy-requests': requests, 'dirty-sync-count': 1 },
})

function run(predicted: ReturnType<typeof migration> | null): KernelRunView {
  const report = { migration: migration(80, 40), predicted: predicted && { migration: predicted } }
  return { command: 'kernel migrate', report } as unknown as KernelRunView
}

describe('the table of measured and predicted', () => {
  it('says both, to one scale, and by how much the prediction is off', () => {
    const [total, downtime, , requests] = measuredRows(run(migration(100, 10)))
    expect(total).toMatchObject({ name: 'total-time', measuredShare: 0.8, predictedShare: 1, off: '+25 %' })
    expect(total?.measured).toContain('80')
    expect(total?.predicted).toContain('100')
    expect(downtime).toMatchObject({ measuredShare: 1, predictedShare: 1, off: '±0 %' })
    expect(requests).toMatchObject({ measured: '40', predicted: '10', off: '−75 %' })
  })

  it('says what was measured alone where nothing was predicted', () => {
    const rows = measuredRows(run(null))
    expect(rows.map(({ predicted, off, predictedShare }) => [predicted, off, predictedShare])).toEqual(
      rows.map(() => [null, null, 0]),
    )
    expect(rows[0]?.measuredShare).toBe(1)
  })

  it('has no figure for how far off where nothing was measured', () => {
    const none = run(migration(100, 10))
    const rows = measuredRows({ ...none, report: { ...none.report, migration: { ...none.report.migration, downtime: 0 } } })
    expect(rows[1]).toMatchObject({ off: null, measuredShare: 0, predictedShare: 1 })
  })
})
