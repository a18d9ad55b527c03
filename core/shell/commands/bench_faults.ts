/**
 * `bench faults`: how much it is worth that page faults do not wait for mmap_lock (core/run/bench_faults.ts).
 *
 * Without --faults every path is run; with it, one. Published figures stand beside ours for comparison.
 */
import { formatCount } from '../../base/units.ts'
import type { FaultCounters } from '../../mm/kernel.ts'
import { FAULT_LOADS, FaultBench, type FaultBenchResult, type FaultLoad } from '../../run/bench_faults.ts'
import { FAULT_PATHS, type FaultPathOption } from '../../run/options.ts'
import { type Metric, summary } from '../../run/statistics.ts'
import type { CommandContext } from '../command.ts'
import { columnsOf, wrap } from '../layout.ts'
import { benchRows, drive, type Job, type Suite } from './bench_suite.ts'

interface BenchRow {
  readonly name: FaultLoad
  readonly options: { readonly faults: FaultPathOption; readonly cpus: number; readonly 'duration-ms': number }
  readonly seeds: readonly number[]
  readonly unit: string
  readonly metric: Metric
  readonly faults: Readonly<Record<'total' | 'speculative' | 'vmaLock' | 'classic', number>>
  /** Of the tries without mmap_lock, those that needed no fall-back; null where nothing was tried. */
  readonly withoutMmapLock: number | null
  readonly aborted: Readonly<Record<string, number>>
}

const QUICK = { seeds: 3, durationNs: 5e6 }
const FULL = { seeds: 7, durationNs: 20e6 }
const UNIT: Record<FaultLoad, string> = { ebizzy: 'records/s', compile: 'faults/s' }

const PUBLISHED =
  'Published for the series of 2019: ebizzy on 24 CPUs 5,493 records/s under mmap_lock and 9,383 with speculative faults (+70.8 %), ' +
  '91.9 % of the faults speculative on 48; kernbench within 1 %.'

export const faultsSuite: Suite = {
  word: 'faults',
  meaning: 'the ways in which page faults find their VMA',
  run: bench,
}

function bench(context: CommandContext): Promise<number> {
  const word = context.arguments.text('faults')
  const paths = FAULT_PATHS.filter((path) => word === null || path === word)
  const asked = FAULT_LOADS.flatMap((load) => paths.map((path) => ({ load, path })))
  const print = (rows: readonly BenchRow[]) => text(rows, context.terminal.columns)
  return benchRows(context, 'faults', asked, ({ load, path }) => measure(context, load, path), print)
}

/** Null: interrupted. */
async function measure(context: CommandContext, name: FaultLoad, path: FaultPathOption) {
  const { seeds: count, durationNs } = context.arguments.has('quick') ? QUICK : FULL
  const seeds = Array.from({ length: count }, (_, i) => i + 1)
  const rates: number[] = []
  const counters: FaultCounters[] = []
  for (const seed of seeds) {
    const run = new FaultBench(name, path, seed, durationNs)
    const result = await drive(context, turns(run, `${name} ${path}`))
    if (result === null) return null
    rates.push(result.perSecond)
    counters.push(result.faults)
  }
  return row(name, path, seeds, durationNs, rates, counters)
}

function* turns(run: FaultBench, label: string): Job<FaultBenchResult> {
  while (run.advance()) yield label
  return run.result()
}

function row(
  name: FaultLoad,
  faults: FaultPathOption,
  seeds: readonly number[],
  durationNs: number,
  rates: readonly number[],
  counters: readonly FaultCounters[],
): BenchRow {
  const sum = (of: (c: FaultCounters) => number) => counters.reduce((n, c) => n + of(c), 0)
  const aborted: Record<string, number> = {}
  for (const c of counters) {
    for (const [reason, n] of Object.entries(c.aborted)) aborted[reason] = (aborted[reason] ?? 0) + n
  }
  const without = sum((c) => c.speculative + c.vmaLock)
  const tried = without + Object.values(aborted).reduce((n, a) => n + a, 0)
  return {
    name,
    options: { faults, cpus: 24, 'duration-ms': durationNs / 1e6 },
    seeds,
    unit: UNIT[name],
    metric: summary(rates.map(Math.round)),
    faults: {
      total: sum((c) => c.total),
      speculative: sum((c) => c.speculative),
      vmaLock: sum((c) => c.vmaLock),
      classic: sum((c) => c.classic),
    },
    withoutMmapLock: tried === 0 ? null : without / tried,
    aborted,
  }
}

function text(rows: readonly BenchRow[], columns: number): string {
  const entries = rows.map((r) => {
    const base = rows.find((b) => b.name === r.name && b.options.faults === 'classic')?.metric.median ?? 0
    const against = base > 0 && r.options.faults !== 'classic' ? `, ${(r.metric.median / base).toFixed(2)} times classic` : ''
    const share = r.withoutMmapLock === null ? '' : `; ${(100 * r.withoutMmapLock).toFixed(1)} % of the tries needed no mmap_lock`
    const reasons = Object.entries(r.aborted)
      .sort(([, a], [, b]) => b - a)
      .map(([reason, n]) => `${reason} ${formatCount(n)}`)
    return {
      term: `${r.name} ${r.options.faults}`,
      meaning:
        `${formatCount(r.metric.median)} ${r.unit} (${formatCount(r.metric.low)} to ${formatCount(r.metric.high)})${against}${share}` +
        `${reasons.length === 0 ? '' : `; fell back: ${reasons.join(', ')}`}`,
    }
  })
  return `${columnsOf(entries, columns)}\n${wrap(PUBLISHED, columns)}\n`
}
