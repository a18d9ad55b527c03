/**
 * `bench resolvers`: the three ways to place a page at the destination, over the three ways in which page faults find their area.
 *
 * One post-copy migration a row and seed, of a guest that reads and writes at random over a fast link, so that placing pages is what
 * takes time. Pages a second are of simulated time; `hostPagesPerSecond` says how fast this host simulates it.
 */
import { formatCount } from '../../base/units.ts'
import { driveRun } from '../../run/drive.ts'
import { MigrationRun } from '../../run/migration_run.ts'
import { DEFAULT_OPTIONS, FAULT_PATHS, type FaultPathOption, RESOLVERS, type Resolver } from '../../run/options.ts'
import { type Metric, summary } from '../../run/statistics.ts'
import { Recorder } from '../../trace/recorder.ts'
import type { CommandContext } from '../command.ts'
import { columnsOf } from '../layout.ts'
import { benchRows, type Suite } from './bench_suite.ts'

const GUEST = 'uniform:rate=4M/s'
const VCPUS = 4
const BANDWIDTH = 100e9
const QUICK = { seeds: 1, memBytes: 64 * 2 ** 20 }
const FULL = { seeds: 5, memBytes: 256 * 2 ** 20 }

interface ResolverRow {
  readonly name: string
  readonly options: {
    readonly resolver: Resolver
    readonly faults: FaultPathOption
    readonly guest: string
    readonly 'mem-bytes': number
    readonly vcpus: number
  }
  readonly seeds: readonly number[]
  readonly unit: 'pages/s'
  readonly metric: Metric
  /** Mean remote fault, ns. */
  readonly latency: Metric
  readonly hostPagesPerSecond: Metric
}

export const resolversSuite: Suite = {
  word: 'resolvers',
  meaning: 'remap, move and copy, over the ways in which page faults find their VMA',
  run: benchResolvers,
}

function benchResolvers(context: CommandContext): Promise<number> {
  const word = context.arguments.text('faults')
  const paths = FAULT_PATHS.filter((path) => word === null || path === word)
  const asked = RESOLVERS.flatMap((resolver) => paths.map((faults) => ({ resolver, faults })))
  const text = (rows: readonly ResolverRow[]) => columnsOf(rows.map(entry), context.terminal.columns)
  return benchRows(context, 'resolvers', asked, ({ resolver, faults }) => measure(context, resolver, faults), text)
}

/** Null: interrupted. */
async function measure(
  { arguments: given, host, stop, terminal }: CommandContext,
  resolver: Resolver,
  faults: FaultPathOption,
): Promise<ResolverRow | null> {
  const { seeds: count, memBytes } = given.has('quick') ? QUICK : FULL
  const seeds = Array.from({ length: count }, (_, i) => i + 1)
  const name = `${resolver} ${faults}`
  const [rates, latencies, hostRates]: number[][] = [[], [], []]
  const options = {
    ...DEFAULT_OPTIONS,
    guest: GUEST,
    memBytes,
    vcpus: VCPUS,
    bandwidthBitsPerSec: BANDWIDTH,
    durationNs: 0,
    resolver,
    faults,
  }
  for (const seed of seeds) {
    const run = new MigrationRun({ ...options, seed }, new Recorder({ keep: false }))
    const startedAt = host.wallSeconds()
    const end = await driveRun(run, [], host, stop, () => terminal.status?.(name))
    if (end === 'interrupted') return null
    const { migration } = run.report()
    rates.push(Math.round(run.pages / (migration['total-time'] / 1000)))
    latencies.push(Math.round(migration['postcopy-latency']))
    hostRates.push(Math.round(run.pages / (host.wallSeconds() - startedAt)))
  }
  return {
    name,
    options: { resolver, faults, guest: GUEST, 'mem-bytes': memBytes, vcpus: VCPUS },
    seeds,
    unit: 'pages/s',
    metric: summary(rates),
    latency: summary(latencies),
    hostPagesPerSecond: summary(hostRates),
  }
}

function entry({ name, metric, latency, hostPagesPerSecond }: ResolverRow) {
  const { median, low, high } = metric
  return {
    term: name,
    meaning:
      `${formatCount(median)} pages/s (${formatCount(low)} to ${formatCount(high)}), a remote fault ${(latency.median / 1000).toFixed(0)} us; ` +
      `simulated at ${formatCount(hostPagesPerSecond.median)} pages/s of host time`,
  }
}
