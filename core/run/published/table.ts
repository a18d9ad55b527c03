/**
 * A published table: what somebody measured, what is known of how, and how the simulator is asked for the same.
 *
 * Rules: one parameter set a table, never one for a cell. What the source states is `stated`; what it leaves open is chosen once
 * and said in `ours`. A cell's band is given with the table, with its reason, before anything is compared. A value is inside
 * if low <= got <= high. What stays outside is explained in docs/fidelity.md.
 */

export interface PublishedCell {
  readonly name: string
  readonly unit: string
  readonly expected: number
  readonly low: number
  readonly high: number
}

/** What one seed gave, by the cell's name. */
export type Values = Readonly<Record<string, number>>

export interface PublishedTable {
  /** T5. */
  readonly id: string
  readonly title: string
  readonly source: string
  /** Parameters that the source states. */
  readonly stated: readonly string[]
  /** Parameters that it does not state, or that are scaled down here. */
  readonly ours: readonly string[]
  /** Why the bands are as wide as they are. */
  readonly band: string
  /** Seeds of a full run; with --quick the first alone. */
  readonly seeds: number
  readonly cells: readonly PublishedCell[]
  /** Measures all cells with one seed; yields often, with what it is at. */
  measure(seed: number): Generator<string, Values, void>
}

/** Cells whose band is the same factor either way. */
export function within(
  factor: number,
  unit: string,
  cells: readonly (readonly [name: string, expected: number])[],
): PublishedCell[] {
  return cells.map(([name, expected]) => ({ name, unit, expected, low: expected / factor, high: expected * factor }))
}
