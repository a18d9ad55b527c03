/**
 * `bench guestperf`: QEMU's own comparison of ways to make a migration end, with its names, on a guest that never stops writing.
 *
 * Each scenario ends as upstream ends it: completed, or given up after 30 passes (10 with --quick) or 300 s of simulated time, less
 * where memory is less than upstream's. A scenario that asks for what is not there is a row with the reason.
 * Scenarios: core/run/guestperf.ts.
 */
import { formatCount, spellTime } from '../../base/units.ts'
import { MAX_ITERS, optionsOf, SCENARIOS, type Scenario } from '../../run/guestperf.ts'
import type { MigrateOptions } from '../../run/options.ts'
import { migrate } from '../../run/published/migration.ts'
import { type Metric, summary } from '../../run/statistics.ts'
import type { CommandContext } from '../command.ts'
import { columnsOf } from '../layout.ts'
import { benchRows, drive, type Job, type Suite } from './bench_suite.ts'

/** Slow enough that a pass takes a while: auto-converge acts once a second at most. */
const LINK = 1e9
const VCPUS = 2
const QUICK = { seeds: 1, memBytes: 24 * 2 ** 20, mostTimesTheLink: 4, passes: 10 }
const FULL = { seeds: 3, memBytes: 128 * 2 ** 20, mostTimesTheLink: Number.POSITIVE_INFINITY, passes: MAX_ITERS }

interface Ended {
  readonly outcome: string
  readonly totalMs: number
  readonly downtimeMs: number
  readonly passes: number
}

interface GuestperfRow {
  readonly name: string
  readonly comparison: string
  readonly options: { readonly 'mem-bytes': number; readonly vcpus: number }
  readonly seeds: readonly number[]
  /** completed, or given up by passes or time; or that it was refused, with the reason. */
  readonly outcome: string
  /** ms; null where it was refused. */
  readonly metric: Metric | null
  readonly downtime: Metric | null
  readonly passes: Metric | null
}

export const guestperfSuite: Suite = {
  word: 'guestperf',
  meaning: "QEMU's comparison of ways to make a migration end",
  run: benchGuestperf,
}

function benchGuestperf(context: CommandContext): Promise<number> {
  const text = (rows: readonly GuestperfRow[]) => columnsOf(rows.map(entry), context.terminal.columns)
  return benchRows(context, 'guestperf', SCENARIOS, (scenario) => measure(context, scenario), text)
}

/** Null: interrupted. */
async function measure(context: CommandContext, scenario: Scenario): Promise<GuestperfRow | null> {
  const { seeds: count, memBytes, mostTimesTheLink, passes: most } = context.arguments.has('quick') ? QUICK : FULL
  const seeds = Array.from({ length: count }, (_, i) => i + 1)
  const { name, comparison } = scenario
  const row = { name, comparison, options: { 'mem-bytes': memBytes, vcpus: VCPUS }, seeds }
  const [totals, downtimes, passes]: number[][] = [[], [], []]
  let outcome = ''
  for (const seed of seeds) {
    const options = optionsOf(scenario, memBytes, VCPUS, LINK, seed, mostTimesTheLink)
    if (typeof options === 'string')
      return { ...row, seeds: [], outcome: `refused: ${options}`, metric: null, downtime: null, passes: null }
    const ended = await drive(context, run(options, scenario, most))
    if (ended === null) return null
    outcome = ended.outcome
    totals.push(ended.totalMs)
    downtimes.push(ended.downtimeMs)
    passes.push(ended.passes)
  }
  return { ...row, outcome, metric: summary(totals), downtime: summary(downtimes), passes: summary(passes) }
}

function* run(options: MigrateOptions, scenario: Scenario, most: number): Job<Ended> {
  const { name, postCopyIters = 0, pauseIters = Number.POSITIVE_INFINITY } = scenario
  // Enough for what is asked for after so many passes.
  const enough = Math.max(most, postCopyIters + 3, pauseIters < Number.POSITIVE_INFINITY ? pauseIters + 3 : 0)
  let stoppedNs = Number.POSITIVE_INFINITY
  const { run } = yield* migrate(name, options, enough, ({ state, control, nowNs }) => {
    // Upstream counts the sync with which a migration begins.
    if (stoppedNs < Number.POSITIVE_INFINITY || state.status !== 'active' || state.dirtySyncCount < pauseIters) return
    if (control.stop() === null) stoppedNs = nowNs
  })
  const { state } = run
  const gaveUp = run.timedOut
    ? `gave up after ${spellTime(options.timeLimitNs)}`
    : run.finished
      ? null
      : `gave up after ${enough} passes`
  return {
    outcome: gaveUp ?? state.status,
    totalMs: ((gaveUp === null ? state.endNs : state.syncedNs) - state.startNs) / 1e6,
    downtimeMs: gaveUp === null ? (state.downtimeEndNs - Math.min(stoppedNs, state.downtimeStartNs)) / 1e6 : 0,
    passes: state.dirtySyncCount,
  }
}

function entry({ name, outcome, metric, downtime, passes }: GuestperfRow) {
  if (metric === null || downtime === null || passes === null) return { term: name, meaning: outcome }
  return {
    term: name,
    meaning: `${outcome} in ${formatCount(Math.round(metric.median))} ms, ${formatCount(passes.median)} passes, down ${downtime.median.toFixed(1)} ms`,
  }
}
