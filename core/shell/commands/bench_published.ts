/**
 * `bench published`: each cell of the published tables beside what the simulator makes of it.
 *
 * A cell's value is the median over the table's seeds. Nothing is judged by the exit code: what is outside its band is said, and
 * docs/fidelity.md says why. Pairs with core/run/published.
 */
import { PUBLISHED_TABLES } from '../../run/published/catalog.ts'
import type { PublishedTable, Values } from '../../run/published/table.ts'
import { summary } from '../../run/statistics.ts'
import type { CommandContext } from '../command.ts'
import { ExitCode } from '../host.ts'
import { wrap } from '../layout.ts'
import { drive, type Suite } from './bench_suite.ts'

export const publishedSuite: Suite = {
  word: 'published',
  meaning: 'tables that others measured, cell by cell',
  run: published,
}

interface Row {
  readonly table: string
  readonly cell: string
  readonly unit: string
  readonly expected: number
  readonly low: number
  readonly high: number
  readonly got: number
  /** Relative: 0.1 is a tenth more than published; absolute where 0 was published. */
  readonly error: number
  readonly seeds: readonly number[]
  /** Bounds of the median over the seeds. */
  readonly spread: readonly [low: number, high: number]
}

async function published(context: CommandContext): Promise<number> {
  const { arguments: given, terminal, program } = context
  const word = given.text('table')
  const tables = PUBLISHED_TABLES.filter(({ id }) => word === null || id === word)
  const rows: Row[] = []
  for (const table of tables) {
    const seeds = Array.from({ length: given.has('quick') ? 1 : table.seeds }, (_, i) => i + 1)
    const runs: Values[] = []
    for (const seed of seeds) {
      const values = await drive(context, table.measure(seed), `${table.id}, seed ${seed} of ${seeds.length}: `)
      if (values === null) {
        terminal.status?.('')
        terminal.err(`${program}bench: interrupted in ${table.id}, after ${rows.length} cells.\n`)
        return ExitCode.interrupted
      }
      runs.push(values)
    }
    rows.push(...rowsOf(table, seeds, runs))
  }
  terminal.status?.('')
  if (given.has('json')) terminal.out(`${JSON.stringify(report(tables, rows), null, 2)}\n`)
  else for (const table of tables) terminal.out(text(table, rows, terminal.columns))
  if (!given.has('json'))
    terminal.out(
      `${inside(rows)} of ${rows.length} cells are inside their bands; docs/fidelity.md says why the others are not.\n`,
    )
  return ExitCode.good
}

function rowsOf(table: PublishedTable, seeds: readonly number[], runs: readonly Values[]): Row[] {
  return table.cells.map(({ name, unit, expected, low, high }) => {
    const values = runs.map((run) => {
      const value = run[name]
      if (value === undefined) throw new Error(`${table.id} measured no "${name}"`)
      return value
    })
    const metric = summary(values)
    const error = (metric.median - expected) / (expected === 0 ? 1 : Math.abs(expected))
    return {
      table: table.id,
      cell: name,
      unit,
      expected,
      low,
      high,
      got: metric.median,
      error,
      seeds,
      spread: [metric.low, metric.high],
    }
  })
}

function isInside({ got, low, high }: Row): boolean {
  return got >= low && got <= high
}

function inside(rows: readonly Row[]): number {
  return rows.filter(isInside).length
}

function report(tables: readonly PublishedTable[], rows: readonly Row[]) {
  return {
    schema: 'pageferry.bench/1',
    suite: 'published',
    inside: inside(rows),
    tables: tables.map(({ id, title, source, stated, ours, band }) => ({ table: id, title, source, stated, ours, band })),
    rows,
  }
}

function text(table: PublishedTable, all: readonly Row[], columns: number): string {
  const rows = all.filter((row) => row.table === table.id)
  const heads = ['', 'published', 'band', 'ours', 'error', '']
  const lines = rows.map((row) => [
    row.cell,
    `${short(row.expected)} ${row.unit}`.trim(),
    `${short(row.low)} to ${short(row.high)}`,
    short(row.got),
    `${row.error >= 0 ? '+' : ''}${(100 * row.error).toFixed(0)} %`,
    isInside(row) ? '' : 'outside',
  ])
  const widths = heads.map((head, i) => Math.max(head.length, ...lines.map((line) => line[i].length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd()
  const notes = [`Source: ${table.source}.`, `Ours: ${table.ours.join('; ')}.`, `Band: ${table.band}.`]
  return [
    `${table.id}  ${table.title}`,
    line(heads),
    ...lines.map(line),
    ...notes.map((note) => wrap(note, columns, '  ')),
    '',
    '',
  ].join('\n')
}

/** Three figures or so. */
function short(value: number): string {
  const size = Math.abs(value)
  if (size >= 100 || Number.isInteger(value)) return String(Math.round(value))
  return value.toFixed(size >= 10 ? 1 : size >= 1 ? 2 : 3)
}
