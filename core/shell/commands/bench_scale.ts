/**
 * `bench scale`: demand paging with 1 to 256 vCPUs, through one userfaultfd, one for each vCPU, or the exit of the vCPU.
 *
 * The load and the machine are those of table T5 (core/run/published/uffd_scalability.ts): no network, no copy; what grows with
 * the vCPUs is what they wait for each other.
 */
import { formatCount } from '../../base/units.ts'
import type { DemandPagingOptions } from '../../run/demand_paging.ts'
import { onTwoSockets } from '../../run/published/uffd_scalability.ts'
import { type Metric, summary } from '../../run/statistics.ts'
import type { CommandContext } from '../command.ts'
import { columnsOf } from '../layout.ts'
import { benchRows, drive, type Job, type Suite } from './bench_suite.ts'

type Way = DemandPagingOptions['way']

const WAYS: readonly Way[] = ['one-uffd', 'uffd-per-vcpu', 'vcpu-exit']
const VCPUS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
const QUICK = { seeds: 1, pages: 2048 }
const FULL = { seeds: 5, pages: 8192 }

interface ScaleRow {
  readonly name: string
  readonly options: { readonly way: Way; readonly vcpus: number; readonly pages: number }
  readonly seeds: readonly number[]
  readonly unit: 'pages/s'
  readonly metric: Metric
}

export const scaleSuite: Suite = {
  word: 'scale',
  meaning: 'demand paging with 1 to 256 vCPUs',
  run: benchScale,
}

function benchScale(context: CommandContext): Promise<number> {
  const asked = WAYS.flatMap((way) => VCPUS.map((vcpus) => ({ way, vcpus })))
  const text = (rows: readonly ScaleRow[]) => columnsOf(rows.map(entry), context.terminal.columns)
  return benchRows(context, 'scale', asked, ({ way, vcpus }) => measure(context, way, vcpus), text)
}

/** Null: interrupted. */
async function measure(context: CommandContext, way: Way, vcpus: number): Promise<ScaleRow | null> {
  const { seeds: count, pages } = context.arguments.has('quick') ? QUICK : FULL
  const seeds = Array.from({ length: count }, (_, i) => i + 1)
  const name = `${way} ${vcpus}`
  const rates: number[] = []
  for (const seed of seeds) {
    const rate = await drive(context, pagesPerSecond(name, way, vcpus, pages, seed))
    if (rate === null) return null
    rates.push(Math.round(rate))
  }
  return { name, options: { way, vcpus, pages }, seeds, unit: 'pages/s', metric: summary(rates) }
}

function* pagesPerSecond(name: string, way: Way, vcpus: number, pages: number, seed: number): Job<number> {
  const run = onTwoSockets(way, vcpus, pages, seed)
  while (run.advance()) yield name
  return run.result()
}

function entry({ name, metric }: ScaleRow) {
  const { median, low, high } = metric
  return { term: name, meaning: `${formatCount(median)} pages/s (${formatCount(low)} to ${formatCount(high)})` }
}
