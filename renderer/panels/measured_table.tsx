/**
 * Measured and predicted, one over the other: under each name a bar for what the real kernel did, and a mark on it where
 * the model had said.
 *
 * The numbers stand beside the bars, so the table says all of it without them. Rows: measured.ts.
 */
import type { KernelRunView } from '../../core/api/protocol.ts'
import { measuredRows } from './measured.ts'

export function MeasuredTable({ run }: { run: KernelRunView }) {
  const rows = measuredRows(run)
  const what = run.report.predicted === null ? 'not predicted' : 'predicted by the model'
  return (
    <table className="measured" aria-label={`Measured on the real kernel, ${what}`}>
      <thead>
        <tr>
          <th scope="col">figure</th>
          <th scope="col">measured</th>
          <th scope="col">predicted</th>
          <th scope="col">off</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ name, measured, predicted, measuredShare, predictedShare, off }) => (
          <tr key={name}>
            <th scope="row">
              {name}
              <span className="measured-bars" aria-hidden="true">
                <span className="measured-bar" style={{ inlineSize: `${measuredShare * 100}%` }} />
                {predicted !== null && (
                  <span className="predicted-mark" style={{ insetInlineStart: `${predictedShare * 100}%` }} />
                )}
              </span>
            </th>
            <td className="number">{measured}</td>
            <td className="number">{predicted ?? '–'}</td>
            <td className="number">{off ?? '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
